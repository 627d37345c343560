"""Where a model is good and where it is not: each keypoint by itself, and people by their size.

Letters: D people found, G people labelled, K keypoints.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.training.scoring import scorable, score
from grouping import Skeleton

SIDES = (0, 32, 64, 96, 192, 384)  # pixels: the root of a person's area; 32 and 96 are COCO's own bounds
_SAME = 0.5  # from this similarity on, a person or a keypoint counts as found
_MOST_FOUND = 20  # people a picture, as COCO counts them


@dataclass(frozen=True)
class KeypointFigures:
    """One keypoint of all labelled people.

    labelled: how many there are. found: the part of them that lies near enough (similarity 0.5) in a person found.
    similarity: their mean similarity, 0..1, where the person was found. error: the median distance there, in per cent
    of the person's size (the root of its area). Both NaN where nobody was found.
    """

    name: str
    labelled: int
    found: float
    similarity: float
    error: float


@dataclass(frozen=True)
class SizeFigures:
    """People whose size, the root of their area, lies from `low` to `high` pixels: how many, AP and AR (or -1)."""

    low: float
    high: float
    labelled: int
    ap: float
    ar: float


@dataclass(frozen=True)
class Breakdown:
    """Figures by keypoint and by size."""

    keypoints: list[KeypointFigures]
    sizes: list[SizeFigures]

    def lines(self) -> Iterator[str]:
        """Two tables in plain text."""
        yield f"{'keypoint':>16} {'labelled':>9} {'found':>6} {'similar':>8} {'error':>7}"
        for row in self.keypoints:
            yield (
                f"{row.name:>16} {row.labelled:>9} {_cell(row.found):>6} {_cell(row.similarity):>8} "
                f"{'-' if np.isnan(row.error) else f'{row.error:.1f} %':>7}"
            )
        yield ""
        yield f"{'size in pixels':>16} {'people':>9} {'AP':>6} {'AR':>8}"
        for size in self.sizes:
            label = f"{size.low:g} to {size.high:g}" if np.isfinite(size.high) else f"from {size.low:g}"
            yield f"{label:>16} {size.labelled:>9} {_cell(size.ap):>6} {_cell(size.ar):>8}"


def breakdown(truth: Mapping[str, Any], results: Sequence[dict], skeleton: Skeleton) -> Breakdown:
    """Part the figures of `results` against `truth` (both in COCO's format) by keypoint and by size.

    For the keypoints, people are matched as COCO does at similarity 0.5.
    """
    complete = scorable(truth, skeleton)
    return Breakdown(_by_keypoint(complete, results, skeleton), _by_size(complete, results, skeleton))


def similarities(
    found: NDArray[np.float64], truth: NDArray[np.float64], areas: NDArray[np.float64], sigmas: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The terms of the object keypoint similarity (section 4.1), exp(-d² / 2s²k²) with k = 2σ and s² the area.

    found: [D,K,2]; truth: [G,K,2]; areas: [G]; sigmas: [K]. Returns [D,G,K].
    """
    squares = ((found[:, None] - truth[None]) ** 2).sum(-1)
    return np.exp(-squares / (2 * (areas[:, None] + np.spacing(1)) * (2 * sigmas) ** 2))


def _by_keypoint(truth: Mapping[str, Any], results: Sequence[dict], skeleton: Skeleton) -> list[KeypointFigures]:
    of_image: dict[int, list[dict]] = defaultdict(list)
    for result in results:
        of_image[result["image_id"]].append(result)
    labelled_of: dict[int, list[dict]] = defaultdict(list)
    for entry in truth["annotations"]:
        if not entry["iscrowd"] and entry["num_keypoints"]:
            labelled_of[entry["image_id"]].append(entry)
    counts = np.zeros(skeleton.num_keypoints, int)
    terms: list[list[float]] = [[] for _ in skeleton.names]
    errors: list[list[float]] = [[] for _ in skeleton.names]
    for image_id, people in labelled_of.items():
        keypoints = np.array([entry["keypoints"] for entry in people], np.float64).reshape(len(people), -1, 3)
        areas = np.array([entry["area"] for entry in people], np.float64)
        flags = keypoints[..., 2] > 0
        counts += flags.sum(0)
        found = sorted(of_image[image_id], key=lambda result: -result["score"])[:_MOST_FOUND]
        if not found:
            continue
        places = np.array([result["keypoints"] for result in found], np.float64).reshape(len(found), -1, 3)[..., :2]
        similar = similarities(places, keypoints[..., :2], areas, np.array(skeleton.oks_sigmas))
        means = (similar * flags).sum(-1) / flags.sum(-1)
        for answer, person in _matches(means):
            distances = np.linalg.norm(places[answer] - keypoints[person, :, :2], axis=-1)
            for k in np.flatnonzero(flags[person]):
                terms[k].append(similar[answer, person, k])
                errors[k].append(100 * distances[k] / np.sqrt(areas[person]))
    return [
        KeypointFigures(
            name,
            int(counts[k]),
            sum(term >= _SAME for term in terms[k]) / counts[k] if counts[k] else float("nan"),
            float(np.mean(terms[k])) if terms[k] else float("nan"),
            float(np.median(errors[k])) if errors[k] else float("nan"),
        )
        for k, name in enumerate(skeleton.names)
    ]


def _matches(means: NDArray[np.float64]) -> Iterator[tuple[int, int]]:
    """Pairs (found, labelled): the surest takes the likest that nobody has, from similarity 0.5 on. means: [D,G]."""
    free = np.ones(means.shape[1], bool)
    for answer, row in enumerate(means):
        likest = int(np.where(free, row, -1).argmax())
        if free[likest] and row[likest] >= _SAME:
            free[likest] = False
            yield answer, likest


def _by_size(truth: Mapping[str, Any], results: Sequence[dict], skeleton: Skeleton) -> list[SizeFigures]:
    bounds = [float(side) ** 2 for side in SIDES]
    bands = list(zip(bounds, [*bounds[1:], 1e10], strict=True))
    scores = score(truth, results, skeleton, bands)
    areas = [a["area"] for a in truth["annotations"] if not a["iscrowd"] and a["num_keypoints"]]
    return [
        SizeFigures(
            SIDES[number],
            SIDES[number + 1] if number + 1 < len(SIDES) else float("inf"),
            sum(low <= area <= high for area in areas),
            scores.ap(band=number + 1),
            scores.ar(band=number + 1),
        )
        for number, (low, high) in enumerate(bands)
    ]


def _cell(value: float) -> str:
    return "-" if np.isnan(value) or value < 0 else f"{value:.3f}"
