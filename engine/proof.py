"""Is a compiled network right? It is run beside PyTorch in float32 on one picture before anybody sees its answers.

Letters: K keypoints, P people.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.backends import Shape
from grouping import GroupingOptions, Skeleton, group_outputs

_SEED = 0  # of the picture: seven people of several sizes, some of them half hidden
_LIT = 0.1  # heatmap values that count; the rest is background
_IDENTITY = np.eye(2, 3)


@dataclass(frozen=True)
class Tolerance:
    """How far a compiled network may be from the same in float32.

    heatmap: root mean square of the difference where the heatmaps are above 0.1. pixels: of the network's input, the
    median distance of a person's keypoints.
    """

    heatmap: float
    pixels: float


TOLERANCES = {
    "float32": Tolerance(0.005, 0.5),
    "bfloat16": Tolerance(0.06, 2),
    "float16": Tolerance(0.06, 2),
    "int8": Tolerance(0.08, 6),
}


def shown_pixels(shape: Shape) -> Tensor:
    """The picture, as a network takes it: uint8 [N, H, W, 3], N times the same synthetic crowd."""
    from engine.training.synthetic import random_frame

    images, height, width = shape
    heights = 0.3 * min(height, width), 0.8 * min(height, width)
    frame = random_frame(np.random.default_rng(_SEED), width, height, size_range=heights)
    return torch.from_numpy(frame.image).expand(images, height, width, 3).contiguous()


def objection(
    answers: tuple[Tensor, Tensor],
    expected: tuple[Tensor, Tensor],
    precision: str,
    options: GroupingOptions,
    skeleton: Skeleton,
) -> str | None:
    """What is wrong with a compiled network's answers to `shown_pixels`, in words, or None.

    answers, expected: [N, .., h/4, w/4] and [N, .., h/2, w/2] of the compiled network and of PyTorch in float32; the
    former may leave out the maps at 1/2 (`CompiledNetwork`). Heatmaps and people are compared; people of whom little is
    seen may come and go with the last digit, so only those whose score is above half the detection threshold have to
    be found by both.
    """
    tolerance = TOLERANCES[precision]
    mine, truth = ([maps.cpu().numpy() for maps in pair] for pair in (answers, expected))
    says_it_once = mine[1].shape == (len(truth[1]), 0, *truth[1].shape[2:])
    if mine[0].shape != truth[0].shape or (mine[1].shape != truth[1].shape and not says_it_once):
        return f"its maps have shapes {[maps.shape for maps in mine]} instead of {[maps.shape for maps in truth]}"
    if not all(np.isfinite(maps).all() for maps in mine):
        return "it answers with numbers that are not finite"
    keypoints = skeleton.num_keypoints
    errors = [_error(mine[0][:, :keypoints], truth[0][:, :keypoints])]
    if not says_it_once:
        errors.append(_error(mine[1][:, -keypoints:], truth[1][:, -keypoints:]))
    if max(errors) > tolerance.heatmap:
        return f"its heatmaps are off by {max(errors):.3f}, more than {tolerance.heatmap} (root mean square)"
    for image in range(len(mine[0])):
        own, true = (
            group_outputs(coarse[image : image + 1], fine[image : image + 1], _IDENTITY, options, skeleton)
            for coarse, fine in (mine, truth)
        )
        least = options.detection_threshold / 2
        for some, others, does in ((true, own, "misses"), (own, true, "invents")):
            clear = some.keypoints[some.scores > least]
            if lost := _unmatched(clear, others.keypoints, tolerance.pixels):
                return f"it {does} {lost} of {len(clear)} people on the test picture"
    return None


def _error(maps: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    lit = (truth > _LIT) | (maps > _LIT)
    return float(np.sqrt(np.mean((maps[lit] - truth[lit]) ** 2))) if lit.any() else float(np.abs(maps - truth).max())


def _unmatched(people: NDArray[np.float32], others: NDArray[np.float32], pixels: float) -> int:
    """How many of some people [P, K, 3] are none of the others, each of whom can be only one of them."""
    pairs = sorted(
        (_distance(person, other), row, column)
        for row, person in enumerate(people)
        for column, other in enumerate(others)
    )
    matched: set[int] = set()
    taken: set[int] = set()
    for distance, row, column in pairs:
        if distance <= pixels and row not in matched and column not in taken:
            matched.add(row)
            taken.add(column)
    return len(people) - len(matched)


def _distance(person: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """The median distance of two people's keypoints [K, 3], in pixels."""
    both = (person[:, 2] > 0) & (other[:, 2] > 0)
    if not both.any():
        return np.inf
    return float(np.median(np.linalg.norm(person[both, :2] - other[both, :2], axis=1)))
