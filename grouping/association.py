"""Which of the people expected is which of the people seen.

Letters: N people expected, P people seen, K keypoints.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .matching import assign

SIZE_PER_DIAGONAL = 0.4  # a person's √area, the unit of OKS, over the diagonal of the box around the keypoints
FEW_KEYPOINTS = 6  # the box around fewer says too little about a person's size
LEAST_SIZE = 10.0  # pixels
SLACK = 0.4  # sizes: how far off the place expected of a keypoint may be, even a moment later
WANDERING = 1.2  # sizes a second: how fast it gets worse from there
LEAST_SIMILARITY = 0.08  # below it a keypoint speaks against the pair
UNSURE = 0.2  # added to a presence, so that even one of 0 counts a little
LAST_RESORT = 0.01  # what it counts that somebody seen once may be who lately was a double


@dataclass(frozen=True, eq=False)
class Bodies:
    """Where the keypoints of N people are, or ought to be by now.

    positions: float64 [N, K, 2]. ages: float64 [N, K], seconds since each keypoint was seen; inf: never, and its
    position means nothing. presence: float64 [N], how surely each person is there, 0 to 1. double: bool [N],
    who lies, or lately lay, where somebody surer does (``find_doubles``).
    """

    positions: NDArray[np.float64]
    ages: NDArray[np.float64]
    presence: NDArray[np.float64]
    double: NDArray[np.bool_]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which positions mean something, bool [N, K]."""
        return np.isfinite(self.ages)


def associate(votes: NDArray[np.float64], expected: Bodies, seen: Bodies) -> NDArray[np.int64]:
    """Who each of the people seen is among those expected, int64 [P], -1 for somebody new.

    votes: how much speaks for each pair, [P, N]; nothing, or less, forbids it. The pairs are those of the greatest
    total gain. Among people who lie on one another (grouping may find a person twice), a product of presences is
    greatest where the surest meets the surest; so the id stays with them. Doubles have ids of their own and take
    nobody's: who is covered by somebody else is not there, though a double may be.
    """
    gains = np.maximum(votes, 0)
    gains *= (UNSURE + seen.presence)[:, None] * (UNSURE + expected.presence)
    gains[seen.double[:, None] & ~expected.double] = 0
    gains[~seen.double[:, None] & expected.double] *= LAST_RESORT
    if gains.size == 0:
        return np.full(len(gains), -1)
    partners = assign(-gains, np.zeros_like(gains))
    gained = gains[np.arange(len(gains)), partners] > 0
    return np.where((partners >= 0) & gained, partners, -1)


def votes_by_place(expected: Bodies, seen: Bodies, oks_sigmas: tuple[float, ...]) -> NDArray[np.float64]:
    """How much place and motion speak for each pair, float64 [P, N]; nothing, or less, forbids it.

    COCO's object keypoint similarity, exp(-d² / 2 s² k²) with k = 2 σ of each keypoint, d the distance and s² the
    person's area (cocodataset.org, keypoint evaluation), with two changes. Motion adds to k², and with it falls what a
    keypoint is worth, as the density of a Gaussian does. And the similarities are added up, not averaged: two
    keypoints in the right place say less than ten nearly there. The boxes count as one keypoint more, as far apart as
    the gap between them.
    """
    expected_boxes, seen_boxes = _boxes(expected), _boxes(seen)
    sizes = _sizes(expected, expected_boxes, seen, seen_boxes)[:, None]
    squared = _squared_length(seen.positions[:, None] - expected.positions)  # [P, N, K]
    evidence = _evidence(squared, sizes, 2 * np.array(oks_sigmas), expected.ages)
    votes = (evidence @ seen.known[:, :, None].astype(np.float64))[:, :, 0]

    gaps = np.maximum(
        expected_boxes[:, :2] - seen_boxes[:, None, 2:], seen_boxes[:, None, :2] - expected_boxes[:, 2:]
    ).clip(0)
    return votes + _evidence(_squared_length(gaps), sizes[:, 0], 0.0, expected.ages.min(axis=1))


def _evidence(
    squared: NDArray[np.float64], sizes: NDArray[np.float64], k: NDArray[np.float64] | float, ages: NDArray[np.float64]
) -> NDArray[np.float64]:
    """What squared distances, in pixels², say of pairs: nothing at an age of inf, for a keypoint never seen."""
    at_once = k**2 + SLACK**2
    variances = at_once + (WANDERING * ages) ** 2  # in sizes²
    similarities = np.exp(squared / (-2 * sizes**2 * variances))
    return (similarities - LEAST_SIMILARITY) * (at_once / variances)


def _sizes(
    expected: Bodies, expected_boxes: NDArray[np.float64], seen: Bodies, seen_boxes: NDArray[np.float64]
) -> NDArray[np.float64]:
    """√area of each person expected, float64 [N]; of whom few keypoints are known may be as large as the largest."""
    own = body_sizes(expected_boxes)
    few = expected.known.sum(axis=1) < FEW_KEYPOINTS
    telling = np.concatenate((own[~few], body_sizes(seen_boxes)[seen.known.sum(axis=1) >= FEW_KEYPOINTS]))
    return np.where(few, np.maximum(own, telling.max(initial=0)), own).clip(LEAST_SIZE)


def body_sizes(boxes: NDArray[np.floating]) -> NDArray[np.float64]:
    """√area of people from the boxes [N, 4] around their keypoints, float64 [N]; 0 for an empty, infinite box."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return SIZE_PER_DIAGONAL * np.sqrt(_squared_length(np.where(np.isfinite(sides), sides, 0)))


def _boxes(bodies: Bodies) -> NDArray[np.float64]:
    """The smallest box around each person's keypoints, float64 [N, 4]; infinite and inside out without any."""
    known = bodies.known[:, :, None]
    low = np.where(known, bodies.positions, np.inf).min(axis=1)
    high = np.where(known, bodies.positions, -np.inf).max(axis=1)
    return np.concatenate((low, high), axis=1)


def _squared_length(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return vectors[..., 0] ** 2 + vectors[..., 1] ** 2
