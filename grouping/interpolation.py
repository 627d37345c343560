"""Maps that are stored smaller than they stand for: bilinear enlargement, one block or one pixel at a time.

A map stored at 1/2 or 1/4 of its size is doubled once or twice, as `torch.nn.functional.interpolate` doubles with
align_corners false; `doublings` says how often, 0 for a map stored at its own size. Letters: h w pixels stored.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Pixels a row of a block: always as many, so that the loops over a row become a few vector instructions.
WIDTH = 24
_PAIRS = WIDTH // 2
MOST_ROWS = 24


@njit(cache=True, nogil=True, inline="always")
def _doubled(place: int, length: int) -> tuple[int, int, np.float32, np.float32]:
    """Which two of `length` pixels the doubled map's pixel `place` lies between, and their weights."""
    left = (place - 1) >> 1  # the even pixels lie a quarter beyond this one's neighbour, the odd ones a quarter before
    weight = np.float32(0.75) if place & 1 else np.float32(0.25)
    right = min(left + 1, length - 1)
    if left < 0:
        left, right, weight = 0, 0, np.float32(1)
    return left, right, weight, np.float32(1) - weight


@njit(cache=True, nogil=True)
def value_at(map_: NDArray[np.float32], x: int, y: int, doublings: int) -> np.float32:
    """The value of pixel x, y of a map [h, w] that is doubled 0, 1 or 2 times."""
    if doublings == 0:
        return map_[y, x]
    if doublings == 1:
        return _doubled_value(map_, x, y)
    height, width = map_.shape
    left, right, left_weight, right_weight = _doubled(x, 2 * width)
    top, bottom, top_weight, bottom_weight = _doubled(y, 2 * height)
    upper = left_weight * _doubled_value(map_, left, top) + right_weight * _doubled_value(map_, right, top)
    lower = left_weight * _doubled_value(map_, left, bottom) + right_weight * _doubled_value(map_, right, bottom)
    return top_weight * upper + bottom_weight * lower


@njit(cache=True, nogil=True)
def _doubled_value(map_: NDArray[np.float32], x: int, y: int) -> np.float32:
    height, width = map_.shape
    left, right, left_weight, right_weight = _doubled(x, width)
    top, bottom, top_weight, bottom_weight = _doubled(y, height)
    upper = left_weight * map_[top, left] + right_weight * map_[top, right]
    lower = left_weight * map_[bottom, left] + right_weight * map_[bottom, right]
    return top_weight * upper + bottom_weight * lower


@njit(cache=True, nogil=True)
def drawing_room() -> NDArray[np.float32]:
    """Room for `draw` to work in."""
    return np.empty((4, MOST_ROWS // 2 + 2, WIDTH), np.float32)


@njit(cache=True, nogil=True)
def draw(
    map_: NDArray[np.float32], doublings: int, x0: int, y0: int, room: NDArray[np.float32], block: NDArray[np.float32]
) -> None:
    """Write the pixels from x0, y0 on of a map [h, w] doubled 0 to 2 times into `block`, as `value_at` gives them.

    block: [n, WIDTH], n at most MOST_ROWS; what of it lies outside the map is left open. Where the map is doubled, x0
    and y0 are odd and n is even. room: `drawing_room()`.
    """
    if doublings == 0:
        height, width = map_.shape
        inside = x0 >= 0 and x0 + WIDTH <= width
        for y in range(max(y0, 0), min(y0 + len(block), height)):
            if inside:
                for column in range(WIDTH):
                    block[y - y0, column] = map_[y, x0 + column]
                continue
            for x in range(max(x0, 0), min(x0 + WIDTH, width)):
                block[y - y0, x - x0] = map_[y, x]
    else:
        patch = room[0, : len(block) // 2 + 1]
        if doublings == 1:
            _cut(map_, (x0 - 1) >> 1, (y0 - 1) >> 1, patch)
        else:
            _cut_doubled(map_, (x0 - 1) >> 1, (y0 - 1) >> 1, room[1:], patch)
        _double(patch, x0, y0, room[1], block)


@njit(cache=True, nogil=True)
def _cut(map_: NDArray[np.float32], x0: int, y0: int, patch: NDArray[np.float32]) -> None:
    """Copy the part of a map from x0, y0 on into patch [n, from _PAIRS + 1]; outside the map its border goes on."""
    height, width = map_.shape
    inside = x0 >= 0 and x0 + _PAIRS < width
    for row in range(len(patch)):
        y = min(max(y0 + row, 0), height - 1)
        for column in range(_PAIRS + 1):
            patch[row, column] = map_[y, x0 + column if inside else min(max(x0 + column, 0), width - 1)]


@njit(cache=True, nogil=True)
def _cut_doubled(
    map_: NDArray[np.float32], x0: int, y0: int, room: NDArray[np.float32], patch: NDArray[np.float32]
) -> None:
    """`_cut` from a map that is doubled once, drawn from the odd pixels at x0, y0 or before."""
    beyond_x, beyond_y = 1 - (x0 & 1), 1 - (y0 & 1)
    rows = len(patch) + beyond_y
    half = room[0, : rows + (rows & 1)]
    quarter = room[1, : len(half) // 2 + 1]
    _cut(map_, (x0 - beyond_x - 1) >> 1, (y0 - beyond_y - 1) >> 1, quarter)
    _double(quarter, x0 - beyond_x, y0 - beyond_y, room[2], half)
    for row in range(len(patch)):
        for column in range(_PAIRS + 1):
            patch[row, column] = half[row + beyond_y, column + beyond_x]


@njit(cache=True, nogil=True)
def _double(
    patch: NDArray[np.float32], x0: int, y0: int, wide: NDArray[np.float32], block: NDArray[np.float32]
) -> None:
    """Double a patch [n/2 + 1, from _PAIRS + 1] into `block` [n, WIDTH] of the doubled map from x0, y0 on, both odd.

    Two pixels each lie between the same two of the patch. `wide` is room for [n/2 + 1, WIDTH].
    """
    near, far = np.float32(0.75), np.float32(0.25)
    # Up to the doubled map's first pixel nothing lies to the left of it, or above, that it could be mixed with.
    outer_columns, outer_rows = max((1 - x0) // 2, 0), max((1 - y0) // 2, 0)
    for row in range(len(block) // 2 + 1):
        for column in range(_PAIRS):
            wide[row, 2 * column] = near * patch[row, column] + far * patch[row, column + 1]
            wide[row, 2 * column + 1] = far * patch[row, column] + near * patch[row, column + 1]
        for column in range(outer_columns):
            wide[row, 2 * column] = wide[row, 2 * column + 1] = patch[row, column + 1]
    for row in range(len(block) // 2):
        for column in range(WIDTH):
            upper, lower = wide[row, column], wide[row + 1, column]
            block[2 * row, column] = near * upper + far * lower
            block[2 * row + 1, column] = far * upper + near * lower
    for row in range(outer_rows):
        for column in range(WIDTH):
            block[2 * row, column] = block[2 * row + 1, column] = wide[row + 1, column]
