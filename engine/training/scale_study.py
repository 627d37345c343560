"""Does the learned scale s grow with the size of people? The paper's claim of Figure 5, measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.errors import SwahrError
from engine.estimator import PoseEstimator
from engine.training.synthetic import check_skeleton, random_frame
from grouping.sigmas import scales_of

FRAME = 1280, 720  # pixels: people of 400 stand in it whole


@dataclass(frozen=True)
class ScaleStudy:
    """One entry a person: heights float64 [P] in pixels of the picture, scales float64 [P], the mean of
    s = 1/(1 + α) over the person's visible keypoints, read from the 1/2 map."""

    heights: np.ndarray
    scales: np.ndarray

    @property
    def rank_correlation(self) -> float:
        """Spearman's rank correlation of height and scale, -1..1; 0 where either does not vary."""
        heights, scales = _ranks(self.heights), _ranks(self.scales)
        if heights.std() == 0 or scales.std() == 0:
            return 0.0
        return float(np.corrcoef(heights, scales)[0, 1])

    def by_thirds(self) -> tuple[float, float]:
        """Mean scale of the smallest and of the largest third of the people."""
        order = np.argsort(self.heights)
        third = max(1, len(order) // 3)
        return float(self.scales[order[:third]].mean()), float(self.scales[order[-third:]].mean())


def scale_study(
    estimator: PoseEstimator,
    *,
    frames: int = 60,
    frame_size: tuple[int, int] = FRAME,
    size_range: tuple[float, float] = (40, 400),
    seed: int = 20_000,
    progress: Callable[[int, int], None] | None = None,
) -> ScaleStudy:
    """Read s at the true keypoints of synthetic people that the training never saw.

    `frames` pictures of `frame_size` (width, height), with people of `size_range` pixels standing height, shown to the
    estimator as any other picture. People ought to fit into the frame: of one who does not, what is cut off makes the
    rest hard to place, and s shows that instead of the size. Raises SwahrError for a model without scale branch.
    """
    check_skeleton(estimator.skeleton)
    heights, scales = [], []
    for number in range(frames):
        frame = random_frame(np.random.default_rng((seed, number)), *frame_size, size_range=size_range)
        maps = estimator.detailed(frame.image)[1]
        if maps.alphas is None:
            raise SwahrError(f"The model {estimator.model} has no scale branch, so there is no scale to study.")
        to_map = np.linalg.inv(np.vstack((maps.to_source, (0, 0, 1))))[:2]
        for keypoints, height in zip(frame.keypoints, frame.heights, strict=True):
            visible = np.flatnonzero(keypoints[:, 2] == 2)
            if len(visible):
                x, y = np.floor(to_map[:, :2] @ keypoints[visible, :2].T + to_map[:, 2:]).astype(int)
                rows, columns = maps.alphas.shape[1:]
                alphas = maps.alphas[visible, y.clip(0, rows - 1), x.clip(0, columns - 1)]
                heights.append(float(height))
                scales.append(float(scales_of(alphas).mean()))
        if progress:
            progress(number + 1, frames)
    return ScaleStudy(np.array(heights), np.array(scales))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0; equal values share their mean rank."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts + 1) / 2)[group]
