"""Candidates: the highest local maxima of each keypoint's heatmap.

Letters: h w map pixels stored, M candidates a keypoint (at most).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .interpolation import WIDTH, draw, drawing_room, value_at
from .tiles import TILE, tile_pixels


@njit(cache=True, nogil=True)
def find_peaks(
    heatmap: NDArray[np.float32],
    doublings: int,
    maxima: NDArray[np.float32],
    threshold: float,
    kernel: int,
    pixels: NDArray[np.int32],
    values: NDArray[np.float32],
) -> int:
    """The candidates of one keypoint: local maxima of its heatmap [h, w] above the threshold, the M highest of them.

    A pixel is a local maximum when nothing in the kernel x kernel window around it is higher, so equal neighbours all
    stay; the window ends at the map's border. The heatmap is doubled `doublings` times, 0 or 1; maxima comes from
    ``tile_maxima``. Writes pixels [M, 2] as x, y and values [M], highest first, equal ones in reading order, and
    returns how many there are.
    """
    height, width = heatmap.shape[0] << doublings, heatmap.shape[1] << doublings
    reach = kernel // 2
    # Values between pixels can exceed both by a rounding error, so what is doubled is looked into a little sooner.
    least = threshold - 1e-5 * abs(threshold) if doublings else threshold
    margin = reach | 1  # odd, as `draw` wants it
    side = TILE + 2 * margin
    room, tile = drawing_room(), np.empty((side, max(side, WIDTH)), np.float32)
    count = 0
    for row in range(maxima.shape[0]):
        for column in range(maxima.shape[1]):
            if maxima[row, column] <= least:
                continue
            top, bottom = tile_pixels(row, height)
            left, right = tile_pixels(column, width)
            if doublings:
                x0, y0 = max(left - margin, 0), max(top - margin, 0)
                block = tile[
                    y0 - top + margin : min(bottom + margin, height) - top + margin,
                    x0 - left + margin : min(right + margin, width) - left + margin,
                ]
                if side <= WIDTH:
                    draw(heatmap, doublings, left - margin, top - margin, room, tile)
                else:
                    _draw_pixels(heatmap, doublings, x0, y0, block)
            else:
                x0, y0 = 0, 0
                block = heatmap
            for y in range(top, bottom):
                for x in range(left, right):
                    value = block[y - y0, x - x0]
                    if value > threshold and _is_peak(block, x - x0, y - y0, reach):
                        count = _insert(pixels, values, count, x, y, value)
    return count


@njit(cache=True, nogil=True)
def _draw_pixels(heatmap: NDArray[np.float32], doublings: int, x0: int, y0: int, block: NDArray[np.float32]) -> None:
    for y in range(block.shape[0]):
        for x in range(block.shape[1]):
            block[y, x] = value_at(heatmap, x0 + x, y0 + y, doublings)


@njit(cache=True, nogil=True)
def _is_peak(block: NDArray[np.float32], x: int, y: int, reach: int) -> bool:
    height, width = block.shape
    value = block[y, x]
    if reach and 0 < x < width - 1 and 0 < y < height - 1:
        nearest = max(max(block[y, x - 1], block[y, x + 1]), max(block[y - 1, x], block[y + 1, x]))
        if nearest > value:  # as nearly always
            return False
    for other_y in range(max(y - reach, 0), min(y + reach + 1, height)):
        for other_x in range(max(x - reach, 0), min(x + reach + 1, width)):
            if block[other_y, other_x] > value:
                return False
    return True


@njit(cache=True, nogil=True)
def _insert(pixels: NDArray[np.int32], values: NDArray[np.float32], count: int, x: int, y: int, value: float) -> int:
    """Insert a peak into one keypoint's sorted candidates, dropping the lowest when full; the new count."""
    place = count
    while place > 0 and _precedes(value, x, y, values[place - 1], pixels[place - 1]):
        place -= 1
    limit = len(values)
    if place == limit:
        return count
    last = min(count, limit - 1)
    for slot in range(last, place, -1):
        values[slot] = values[slot - 1]
        pixels[slot] = pixels[slot - 1]
    values[place] = value
    pixels[place, 0] = x
    pixels[place, 1] = y
    return last + 1


@njit(cache=True, nogil=True)
def _precedes(value: float, x: int, y: int, other_value: float, other_pixel: NDArray[np.int32]) -> bool:
    if value != other_value:
        return value > other_value
    # Tiles are not visited in reading order, so equal values are put in order here.
    return y < other_pixel[1] or (y == other_pixel[1] and x < other_pixel[0])
