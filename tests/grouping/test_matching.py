"""The assignment of least cost against every assignment there is."""

from itertools import permutations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from grouping.matching import assign


def every_assignment(num_rows: int, num_columns: int):
    if num_rows <= num_columns:
        yield from permutations(range(num_columns), num_rows)
    else:
        for rows in permutations(range(num_rows), num_columns):
            yield tuple(rows.index(row) if row in rows else -1 for row in range(num_rows))


def total(costs: np.ndarray, columns) -> float:
    return sum(costs[row, column] for row, column in enumerate(columns) if column >= 0)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.integers(0, 6),
    columns=st.integers(0, 6),
    levels=st.sampled_from((2, 4, 1000)),  # few levels: many assignments of equal cost
    seed=st.integers(0, 2**32 - 1),
)
def test_no_assignment_is_cheaper(rows, columns, levels, seed):
    random = np.random.default_rng(seed)
    costs = random.integers(-levels, levels, (rows, columns)).astype(float)
    second_costs = random.integers(0, levels, (rows, columns)).astype(float)
    found = assign(costs, second_costs)
    partners = found[found >= 0]
    assert len(found) == rows
    assert len(set(partners)) == len(partners) == min(rows, columns)
    best = min((total(costs, c), total(second_costs, c)) for c in every_assignment(rows, columns))
    assert (total(costs, found), total(second_costs, found)) == best


@settings(max_examples=50, deadline=None)
@given(size=st.integers(2, 30), extra=st.integers(0, 10), seed=st.integers(0, 2**32 - 1))
def test_a_large_assignment_cannot_be_improved(size, extra, seed):
    """No exchange between two rows, and no change to a free column, makes it cheaper."""
    random = np.random.default_rng(seed)
    costs = 100 * np.rint(random.exponential(2, (size, size + extra))) - random.uniform(0, 1, (size, 1))
    columns = assign(costs, np.zeros_like(costs))
    own = costs[np.arange(size), columns]
    exchanged = costs[:, columns]
    assert (exchanged + exchanged.T >= own[:, None] + own[None] - 1e-9).all()
    free = np.setdiff1d(np.arange(size + extra), columns)
    assert (costs[:, free] >= own[:, None] - 1e-9).all()


def test_greedy_would_be_wrong():
    costs = np.array([[1.0, 2.0], [1.0, 100.0]])
    assert assign(costs, np.zeros_like(costs)).tolist() == [1, 0]


def test_what_is_left_over_is_marked():
    costs = np.array([[3.0], [1.0], [2.0]])
    assert assign(costs, costs).tolist() == [-1, 0, -1]
