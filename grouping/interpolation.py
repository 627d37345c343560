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
def double_into(map_: NDArray[np.float32], x0: int, y0: int, block: NDArray[np.float32]) -> None:
    """Write the pixels from x0, y0 on of a map [h, w] doubled once into `block`, as `value_at` gives them."""
    height, width = map_.shape
    for row in range(block.shape[0]):
        top, bottom, top_weight, bottom_weight = _doubled(y0 + row, height)
        for column in range(block.shape[1]):
            left, right, left_weight, right_weight = _doubled(x0 + column, width)
            upper = left_weight * map_[top, left] + right_weight * map_[top, right]
            lower = left_weight * map_[bottom, left] + right_weight * map_[bottom, right]
            block[row, column] = top_weight * upper + bottom_weight * lower


@njit(cache=True, nogil=True)
def double_twice_into(map_: NDArray[np.float32], x0: int, y0: int, block: NDArray[np.float32]) -> None:
    """Write the pixels from x0, y0 on of a map [h, w] doubled twice into `block`, as `value_at` gives them."""
    height, width = 2 * map_.shape[0], 2 * map_.shape[1]
    first_x, first_y = max((x0 - 1) >> 1, 0), max((y0 - 1) >> 1, 0)
    last_x = min(((x0 + block.shape[1] - 2) >> 1) + 1, width - 1)
    last_y = min(((y0 + block.shape[0] - 2) >> 1) + 1, height - 1)
    half = np.empty((last_y - first_y + 1, last_x - first_x + 1), np.float32)
    double_into(map_, first_x, first_y, half)
    for row in range(block.shape[0]):
        top, bottom, top_weight, bottom_weight = _doubled(y0 + row, height)
        for column in range(block.shape[1]):
            left, right, left_weight, right_weight = _doubled(x0 + column, width)
            left -= first_x
            right -= first_x
            upper = left_weight * half[top - first_y, left] + right_weight * half[top - first_y, right]
            lower = left_weight * half[bottom - first_y, left] + right_weight * half[bottom - first_y, right]
            block[row, column] = top_weight * upper + bottom_weight * lower
