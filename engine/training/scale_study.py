"""Does the learned scale s grow with the size of people? The paper's claim of Figure 5, measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engine.errors import SwahrError
from engine.estimator import PoseEstimator
from engine.training.synthetic import check_skeleton, random_frame
from grouping.sigmas import scales_of


@dataclass(frozen=True)
class ScaleStudy:
    """One entry a person: heights float64 [P] in pixels of the network's input, scales float64 [P], the mean of
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
    size_range: tuple[float, float] = (40, 400),
    seed: int = 20_000,
    progress: Callable[[int, int], None] | None = None,
) -> ScaleStudy:
    """Read s at the true keypoints of synthetic people that the training never saw.

    `frames` square pictures as large as the estimator's input, with people of `size_range` pixels standing height.
    Raises SwahrError for a model without scale branch.
    """
    check_skeleton(estimator.skeleton)
    size = estimator.size
    heights, scales = [], []
    for number in range(frames):
        frame = random_frame(np.random.default_rng((seed, number)), size, size, size_range=size_range)
        maps = estimator.detailed(frame.image)[1]
        if maps.alphas is None:
            raise SwahrError(f"The model {estimator.model} has no scale branch, so there is no scale to study.")
        for keypoints, height in zip(frame.keypoints, frame.heights, strict=True):
            visible = np.flatnonzero(keypoints[:, 2] == 2)
            if len(visible):
                x, y = np.floor(keypoints[visible, :2]).astype(int).T
                alphas = maps.alphas[visible, y.clip(0, size - 1), x.clip(0, size - 1)]
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
