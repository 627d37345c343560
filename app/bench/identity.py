"""How well ids over time fit the truth, whatever gave them.

Letters: A true people in a frame, B people given there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grouping import People
from grouping.matching import assign

LEAST_SIMILARITY = 0.5  # object keypoint similarity from which on somebody given may be somebody true


@dataclass(frozen=True, eq=False)
class FrameIds:
    """The ids of one frame: true [A], of everybody who is to be found, and given [B].

    similarity: [A, B], 0 where the two cannot be the same person, above it the more, the likelier they are.
    """

    true: NDArray[np.int64]
    given: NDArray[np.int64]
    similarity: NDArray[np.float64]

    @classmethod
    def paired(cls, true: ArrayLike, given: ArrayLike) -> FrameIds:
        """For ids of which it is known that each given one belongs to the true one in its place."""
        true, given = np.asarray(true, np.int64), np.asarray(given, np.int64)
        return cls(true, given, np.eye(len(true)))


def similarities(keypoints: NDArray[np.floating], areas: NDArray[np.floating], people: People) -> NDArray[np.float64]:
    """COCO's object keypoint similarity of each true person to each one given, float64 [A, B]; 0 below a half.

    keypoints: [A, K, 3], of which those with visibility 2 count; areas: pixels², [A]. Keypoints that are not credible
    count as missed.
    """
    offsets = keypoints[:, None, :, :2].astype(np.float64) - people.keypoints[:, :, :2]
    variances = 2 * np.array(people.skeleton.oks_sigmas) ** 2 * 4 * areas[:, None, None].astype(np.float64)
    similar = np.exp(-(offsets**2).sum(axis=3) / variances) * people.credible
    visible = keypoints[:, None, :, 2] == 2
    means = (similar * visible).sum(axis=2) / np.maximum(visible.sum(axis=2), 1)
    return np.where(means >= LEAST_SIMILARITY, means, 0)


def id_switches(frames: Iterable[FrameIds]) -> int:
    """How often a person has another id than when last found, however long ago (CLEAR MOT, Bernardin 2008).

    In each frame those who may still have the id that they had have it; then as many people as can be are found, those
    first who are the most similar.
    """
    last: dict[int, int] = {}
    switches = 0
    for frame in frames:
        for true, given in _pairs(frame, last):
            switches += last.get(true, given) != given
            last[true] = given
    return switches


def _pairs(frame: FrameIds, last: Mapping[int, int]) -> list[tuple[int, int]]:
    """True and given ids of those found in a frame. last: the id that each had when last found."""
    given = frame.given.tolist()
    goes_on = [[last.get(true) == one for one in given] for true in frame.true.tolist()]
    scores = np.where(frame.similarity > 0, frame.similarity + 1e3 * np.reshape(goes_on, frame.similarity.shape), 0)
    columns = assign(-scores, np.zeros_like(scores))
    return [
        (int(frame.true[row]), given[column])
        for row, column in enumerate(columns)
        if column >= 0 and scores[row, column] > 0
    ]


def idf1(frames: Sequence[FrameIds]) -> float:
    """Share of sightings under the one id that each person is best matched with, 0 to 1 (IDF1, Ristani 2016).

    2 TP / (true + given): whoever is not found counts against it, and so does whoever is nobody.
    """
    pairs = Counter(
        (int(frame.true[row]), int(frame.given[column]))
        for frame in frames
        for row, column in np.argwhere(frame.similarity > 0)
    )
    true_ids, given_ids = (sorted({pair[part] for pair in pairs}) for part in (0, 1))
    counts = np.array([[pairs[true, given] for given in given_ids] for true in true_ids], float)
    counts = counts.reshape(len(true_ids), len(given_ids))
    columns = assign(-counts, np.zeros_like(counts))
    return _f1(frames, sum(counts[row, column] for row, column in enumerate(columns) if column >= 0))


def best_idf1(frames: Sequence[FrameIds]) -> float:
    """What ``idf1`` would be if everybody found had one id throughout: what is left of 1 is not the ids' fault."""
    return _f1(frames, sum(len(_pairs(frame, {})) for frame in frames))


def _f1(frames: Sequence[FrameIds], right: float) -> float:
    everybody = sum(len(frame.true) + len(frame.given) for frame in frames)
    return 2 * right / everybody if everybody else 1.0
