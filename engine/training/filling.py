"""Which pixels lie inside a ring: those whose centres do, by the even-odd rule."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray


def fill(mask: NDArray[np.uint8], ring: NDArray, value: int) -> None:
    """Set those pixels of `mask` uint8 [H,W] to `value` whose centres lie inside `ring` [n,2].

    The ring's corners are x, y with pixel centres at integers + 0.5; it may touch and cross itself and reach beyond the
    mask. A centre on a left or upper edge is inside and one on a right or lower edge is not, so that rings side by side
    share no pixel and miss none.
    OpenCV's filling also takes the pixels that an edge only touches: there a region is up to half a pixel too large.
    """
    _fill(mask, np.ascontiguousarray(ring, np.float64), np.uint8(value))


@njit(cache=True, nogil=True)
def _fill(mask, ring, value):
    height, width = mask.shape
    # Each crossing of a row of centres is noted at the first centre that is not left of it.
    crossed = np.zeros((height, width + 1), np.uint8)
    for corner in range(len(ring)):
        x, y = ring[corner - 1]
        lower_x, lower_y = ring[corner]
        if y > lower_y:  # always downwards: a line there and back is then crossed twice in the very same place
            x, y, lower_x, lower_y = lower_x, lower_y, x, y
        first = max(0, math.ceil(y - 0.5))
        last = min(height, math.ceil(lower_y - 0.5))
        for row in range(first, last):
            crossing = x + (row + 0.5 - y) * (lower_x - x) / (lower_y - y)
            crossed[row, min(max(0, math.ceil(crossing - 0.5)), width)] ^= 1
    for row in range(height):
        inside = 0
        for column in range(width):
            inside ^= crossed[row, column]
            if inside:
                mask[row, column] = value
