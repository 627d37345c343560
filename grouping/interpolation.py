"""Maps that are stored smaller than they stand for: bilinear enlargement, one block or one pixel at a time.

A map stored at 1/2 or 1/4 of its size is doubled once or twice, as `torch.nn.functional.interpolate` doubles with
align_corners false; `doublings` says how often, 0 for a map stored at its own size. Letters: h w pixels stored.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


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
    before = top_weight * _doubled_value(map_, left, top) + bottom_weight * _doubled_value(map_, left, bottom)
    behind = top_weight * _doubled_value(map_, right, top) + bottom_weight * _doubled_value(map_, right, bottom)
    return left_weight * before + right_weight * behind


@njit(cache=True, nogil=True)
def _doubled_value(map_: NDArray[np.float32], x: int, y: int) -> np.float32:
    height, width = map_.shape
    left, right, left_weight, right_weight = _doubled(x, width)
    top, bottom, top_weight, bottom_weight = _doubled(y, height)
    before = top_weight * map_[top, left] + bottom_weight * map_[bottom, left]
    behind = top_weight * map_[top, right] + bottom_weight * map_[bottom, right]
    return left_weight * before + right_weight * behind


@njit(cache=True, nogil=True)
def double_into(map_: NDArray[np.float32], x0: int, y0: int, block: NDArray[np.float32]) -> None:
    """Write the pixels from x0, y0 on of a map [h, w] doubled once into `block`, as `value_at` gives them."""
    _double_part(map_, 0, 0, map_.shape[0], map_.shape[1], x0, y0, block)


@njit(cache=True, nogil=True)
def double_twice_into(map_: NDArray[np.float32], x0: int, y0: int, block: NDArray[np.float32]) -> None:
    """Write the pixels from x0, y0 on of a map [h, w] doubled twice into `block`, as `value_at` gives them."""
    height, width = 2 * map_.shape[0], 2 * map_.shape[1]
    first_x, last_x = _needed(x0, block.shape[1], width)
    first_y, last_y = _needed(y0, block.shape[0], height)
    half = np.empty((last_y - first_y + 1, last_x - first_x + 1), np.float32)
    double_into(map_, first_x, first_y, half)
    _double_part(half, first_x, first_y, height, width, x0, y0, block)


@njit(cache=True, nogil=True, inline="always")
def _needed(start: int, count: int, length: int) -> tuple[int, int]:
    """First and last of `length` pixels that `count` pixels of the doubled map from `start` on lie between."""
    return max((start - 1) >> 1, 0), min(((start + count - 2) >> 1) + 1, length - 1)


@njit(cache=True, nogil=True)
def _double_part(
    part: NDArray[np.float32],
    part_x: int,
    part_y: int,
    height: int,
    width: int,
    x0: int,
    y0: int,
    block: NDArray[np.float32],
) -> None:
    """`double_into` of a map [height, width] of which `part`, from part_x, part_y on, is there and enough."""
    first, last = _needed(x0, block.shape[1], width)
    line = np.empty(last - first + 1, np.float32)
    lefts, rights = np.empty((2, block.shape[1]), np.int32)
    weights = np.empty(block.shape[1], np.float32)
    for column in range(block.shape[1]):
        left, right, weights[column], _ = _doubled(x0 + column, width)
        lefts[column] = left - first
        rights[column] = right - first
    for row in range(block.shape[0]):
        top, bottom, top_weight, bottom_weight = _doubled(y0 + row, height)
        upper, lower = part[top - part_y], part[bottom - part_y]
        for index in range(len(line)):
            column = first - part_x + index
            line[index] = top_weight * upper[column] + bottom_weight * lower[column]
        for column in range(block.shape[1]):
            weight = weights[column]
            block[row, column] = weight * line[lefts[column]] + (np.float32(1) - weight) * line[rights[column]]
