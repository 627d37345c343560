"""Associative embedding: candidates with similar tags become one person.

Letters: K keypoints, M candidates a keypoint (at most), T tags a keypoint, P people. Keypoints are taken one
after the other; each one's candidates are assigned to the people found so far at the least total cost.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def match_candidates(
    counts: NDArray[np.int64],
    values: NDArray[np.float32],
    tags: NDArray[np.float32],
    order: NDArray[np.int64],
    tag_threshold: float,
    max_people: int,
) -> NDArray[np.int64]:
    """Which candidate each person has for each keypoint, int64 [P, K], -1 for none.

    counts: [K] candidates, values: [K, M], tags: [K, M, T], order: [K] keypoints in the order of matching.

    A pair costs 100 * round(distance of the candidate's tag to the person's mean tag) - value, halves rounded
    to even. Costs are often equal, since distances are rounded and all candidates may find a place; the
    reference leaves to chance which of the cheapest assignments it takes. Here it is the one with the least
    squared distances, those beyond tag_threshold all counted alike: who is near stays together, and who
    belongs to nobody does not push others away.

    A candidate that is assigned but not nearer than tag_threshold, and one that is left over, starts a new
    person, even where its tag is exactly a person's: the reference keys people by their first tag and lets
    the later one overwrite the earlier. Only the first max_people people take further candidates, so P can
    exceed max_people. People come in the order in which they started, those of one keypoint by falling value.
    """
    num_keypoints, _, num_tags = tags.shape
    people = np.full((counts.sum(), num_keypoints), -1, np.int64)  # enough if nothing matches
    tag_sums = np.zeros((len(people), num_tags))
    members = np.zeros(len(people))
    num_people = 0
    for keypoint in order:
        count = counts[keypoint]
        num_open = min(num_people, max_people)
        distances = _tag_distances(tags[keypoint, :count], tag_sums[:num_open], members[:num_open])
        # Whole multiples of 2**-30 add up without rounding, so that equal costs are seen to be equal.
        exact_values = np.rint(values[keypoint, :count] * 2.0**30) / 2.0**30
        costs = 100 * np.rint(distances) - exact_values.reshape((count, 1))
        assigned = assign(costs, np.minimum(distances, tag_threshold) ** 2)
        for candidate in range(count):
            person = assigned[candidate]
            if person < 0 or not distances[candidate, person] < tag_threshold:
                person = num_people
                num_people += 1
            people[person, keypoint] = candidate
            tag_sums[person] += tags[keypoint, candidate]
            members[person] += 1
    return people[:num_people]


@njit(cache=True, nogil=True)
def _tag_distances(
    tags: NDArray[np.float32], tag_sums: NDArray[np.float64], members: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Euclidean distance of each tag [M, T] to the mean tag of each person [P, T], [P]; float64 [M, P]."""
    distances = np.zeros((len(tags), len(members)))
    for candidate in range(len(tags)):
        for person in range(len(members)):
            squared = 0.0
            for index in range(tags.shape[1]):
                squared += (tags[candidate, index] - tag_sums[person, index] / members[person]) ** 2
            distances[candidate, person] = np.sqrt(squared)
    return distances


@njit(cache=True, nogil=True)
def assign(costs: NDArray[np.float64], second_costs: NDArray[np.float64]) -> NDArray[np.int64]:
    """The column of each row in the assignment of least total cost, int64 [rows], -1 for a row left over.

    costs, second_costs: float64 [rows, columns], finite. As many pairs are made as there are rows or columns,
    whichever are fewer. Among assignments of equal cost one of the least total second cost is taken, and any
    one of them if these are equal too.
    """
    if costs.shape[0] <= costs.shape[1]:
        return _assign_every_row(costs, second_costs)
    columns = np.full(costs.shape[0], -1, np.int64)
    for column, row in enumerate(_assign_every_row(costs.T, second_costs.T)):
        columns[row] = column
    return columns


@njit(cache=True, nogil=True)
def _assign_every_row(costs: NDArray[np.float64], second_costs: NDArray[np.float64]) -> NDArray[np.int64]:
    """``assign`` for no more rows than columns.

    The Hungarian method: one row after the other enters, along the shortest augmenting path under costs
    reduced by potentials, which keep every reduced cost at zero or above. A cost here is a pair, compared by
    its first part and then by its second; pairs add and compare as numbers do, which is all the method needs.
    """
    num_rows, num_columns = costs.shape
    column_of = np.full(num_rows, -1, np.int64)
    row_of = np.full(num_columns, -1, np.int64)
    row_potential = np.zeros((num_rows, 2))
    column_potential = np.zeros((num_columns, 2))
    came_from = np.zeros(num_columns, np.int64)
    for entering in range(num_rows):
        length = np.full((num_columns, 2), np.inf)  # of the shortest path from the entering row so far
        reached = np.zeros(num_columns, np.bool_)
        walked = np.zeros(2)
        row = entering
        while True:
            nearest = -1
            for column in range(num_columns):
                if reached[column]:
                    continue
                first = walked[0] + costs[row, column] - row_potential[row, 0] - column_potential[column, 0]
                second = walked[1] + second_costs[row, column] - row_potential[row, 1] - column_potential[column, 1]
                if _less(first, second, length[column]):
                    length[column, 0] = first
                    length[column, 1] = second
                    came_from[column] = row
                if nearest < 0 or _less(length[column, 0], length[column, 1], length[nearest]):
                    nearest = column
            walked[:] = length[nearest]
            if row_of[nearest] < 0:
                break
            reached[nearest] = True
            row = row_of[nearest]

        row_potential[entering] += walked
        for column in range(num_columns):
            if reached[column]:
                row_potential[row_of[column]] += walked - length[column]
                column_potential[column] -= walked - length[column]

        column = nearest
        while True:
            row = came_from[column]
            row_of[column] = row
            column_of[row], column = column, column_of[row]
            if row == entering:
                break
    return column_of


@njit(cache=True, nogil=True)
def _less(first: float, second: float, other: NDArray[np.float64]) -> bool:
    return first < other[0] or (first == other[0] and second < other[1])
