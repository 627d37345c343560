"""Associative-embedding grouping once more, as plainly as possible: slow numpy and Python loops.

Written from the published method, not from the package: the tests hold the package against it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Person:
    found: dict[int, tuple[int, int, np.float32]] = field(default_factory=dict)  # keypoint -> x, y, value
    tags: list[np.ndarray] = field(default_factory=list)


@dataclass
class Oracle:
    """The grouping of [K, h, w] heatmaps and [K, h, w, T] tags with the given settings."""

    order: tuple[int, ...]
    max_people: int = 30
    detection_threshold: float = 0.1
    tag_threshold: float = 1.0
    nms_kernel: int = 5
    adjust: bool = True
    refine: bool = True
    person_threshold: float = 0.0
    look_for_ties: bool = False
    ambiguous: bool = False  # becomes true when ties were looked for and several answers would be right

    def __call__(self, heatmaps: np.ndarray, tags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints [P, K, 3] and scores [P]."""
        num_keypoints = len(heatmaps)
        people = self.match(heatmaps, tags)
        results, scores = [], []
        for person in people:
            keypoints = np.zeros((num_keypoints, 3))
            for keypoint, (x, y, value) in person.found.items():
                keypoints[keypoint] = (*centre(heatmaps[keypoint], x, y), value) if self.adjust else (x, y, value)
            results.append(keypoints)
            scores.append(keypoints[:, 2].mean())
        kept = sorted(sorted(range(len(people)), key=lambda index: -scores[index])[: self.max_people])
        kept = [index for index in kept if scores[index] >= self.person_threshold]
        if self.refine:
            for index in kept:
                self.fill_missing(people[index], heatmaps, tags, results[index])
        shape = (-1, num_keypoints, 3)
        return np.reshape([results[index] for index in kept], shape), np.array([scores[index] for index in kept])

    def candidates(self, heatmap: np.ndarray) -> list[tuple[int, int, np.float32]]:
        reach = self.nms_kernel // 2
        padded = np.pad(heatmap, reach, constant_values=-np.inf)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (self.nms_kernel, self.nms_kernel))
        above = heatmap.astype(np.float64) > self.detection_threshold
        rows, columns = np.nonzero((windows.max(axis=(2, 3)) == heatmap) & above)
        peaks = [(int(x), int(y), heatmap[y, x]) for y, x in zip(rows, columns, strict=True)]
        return sorted(peaks, key=lambda peak: -peak[2])[: self.max_people]

    def match(self, heatmaps: np.ndarray, tags: np.ndarray) -> list[Person]:
        people: list[Person] = []
        for keypoint in self.order:
            candidates = self.candidates(heatmaps[keypoint])
            if not candidates:
                continue
            candidate_tags = [tags[keypoint, y, x].astype(float) for x, y, _ in candidates]
            known = people[: self.max_people]
            partner = [-1] * len(candidates)
            distances = np.zeros((len(candidates), len(known)))
            if known:
                means = np.array([np.mean(person.tags, axis=0) for person in known])
                distances = np.linalg.norm(np.array(candidate_tags)[:, None] - means[None], axis=2)
                partner = self.cheapest(distances, [candidate[2] for candidate in candidates])
            for candidate, tag, column, row_distances in zip(
                candidates, candidate_tags, partner, distances, strict=True
            ):
                if 0 <= column < len(known) and row_distances[column] < self.tag_threshold:
                    person = known[column]
                else:
                    person = Person()
                    people.append(person)
                person.found[keypoint] = candidate
                person.tags.append(tag)
        return people

    def cheapest(self, distances: np.ndarray, values: list[np.float32]) -> list[int]:
        rows, columns = distances.shape
        costs = [
            [
                cost(100 * float(np.round(distance)), float(value), min(float(distance), self.tag_threshold) ** 2)
                for distance in distances[row]
            ]
            + [cost(1e10, 0, 0)] * (rows - columns)
            for row, value in enumerate(values)
        ]
        best = assignment(costs)
        if self.look_for_ties:
            matched = [row for row in range(rows) if best[row] < columns]
            self.ambiguous |= any(has_equal_without(costs, best, row) for row in matched)
        return best

    def fill_missing(self, person: Person, heatmaps: np.ndarray, tags: np.ndarray, keypoints: np.ndarray) -> None:
        in_order = [tags[keypoint, y, x] for keypoint, (x, y, _) in sorted(person.found.items())]
        mean = np.mean(np.array(in_order, np.float64), axis=0).astype(np.float32)
        for keypoint, heatmap in enumerate(heatmaps):
            if keypoint in person.found:
                continue
            distance = np.sqrt(np.sum((tags[keypoint] - mean) ** 2, axis=2))
            y, x = np.unravel_index(np.argmax(heatmap - np.round(distance)), heatmap.shape)
            if heatmap[y, x] > 0:
                keypoints[keypoint] = (*centre(heatmap, x, y), heatmap[y, x])


def centre(heatmap: np.ndarray, x: int, y: int) -> tuple[float, float]:
    """The pixel's centre, a quarter pixel toward the higher neighbour of each direction."""
    height, width = heatmap.shape
    dx = 0.25 if heatmap[y, min(x + 1, width - 1)] > heatmap[y, max(x - 1, 0)] else -0.25
    dy = 0.25 if heatmap[min(y + 1, height - 1), x] > heatmap[max(y - 1, 0), x] else -0.25
    return x + 0.5 + dx, y + 0.5 + dy


ONE = 2**60  # so many parts make one, so that sums of costs are exact
FORBIDDEN = 10**200


def cost(distance: float, value: float, second: float) -> int:
    """distance - value, and where two sums of that are equal, the second cost, in one whole number."""
    return (int(distance * ONE) - int(value * ONE)) * 2**200 + int(second * ONE)


def total(costs: list[list[int]], columns: list[int]) -> int:
    return sum(line[column] for line, column in zip(costs, columns, strict=True))


def assignment(costs: list[list[int]]) -> list[int]:
    """The cheapest column of each row: each row enters along a cheapest path, found by Bellman and Ford."""
    owner: dict[int, int] = {}  # column -> row
    for entering in range(len(costs)):
        length: dict[int, int] = dict(enumerate(costs[entering]))
        via = dict.fromkeys(length, entering)
        changed = True
        while changed:
            changed = False
            for column, row in owner.items():
                for other in length:
                    through = length[column] + costs[row][other] - costs[row][column]
                    if through < length[other]:
                        length[other], via[other], changed = through, row, True
        column = min((column for column in length if column not in owner), key=lambda column: length[column])
        while True:
            row = via[column]
            left = next((other for other, holder in owner.items() if holder == row), None)
            owner[column] = row
            if row == entering:
                break
            column = left
    return [next(column for column, holder in owner.items() if holder == row) for row in range(len(costs))]


def has_equal_without(costs: list[list[int]], best: list[int], row: int) -> bool:
    """Whether the assignment costs no more, up to rounding, where this row must take another column."""
    without = [list(line) for line in costs]
    without[row][best[row]] = FORBIDDEN
    return total(without, assignment(without)) - total(costs, best) < 2**30
