"""Candidates: the highest local maxima of each keypoint's heatmap.

Letters: h w map pixels stored, M candidates a keypoint (at most).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .interpolation import WIDTH, draw, drawing_room, value_at
from .tiles import TILE

_MARGIN = 3  # pixels drawn around a tile: enough for a window of 7 x 7, and odd, as `draw` wants it


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
    stay; the window ends at the map's border. The heatmap is doubled `doublings` times, 0 to 2; maxima comes from
    ``tile_ranges``. Writes pixels [M, 2] as x, y and values [M], highest first, equal ones in reading order, and
    returns how many there are.
    """
    height, width = heatmap.shape[0] << doublings, heatmap.shape[1] << doublings
    reach = kernel // 2
    # Values between pixels can exceed both by a rounding error, so what is doubled is looked into a little sooner.
    least = threshold - 1e-5 * abs(threshold) if doublings else threshold
    room, tile = drawing_room(), np.zeros((TILE + 2 * _MARGIN, WIDTH), np.float32)
    count = 0
    for row in range(maxima.shape[0]):
        for column in range(maxima.shape[1]):
            if maxima[row, column] <= least:
                continue
            x0, y0 = column * TILE - _MARGIN, row * TILE - _MARGIN
            draw(heatmap, doublings, x0, y0, room, tile)
            if x0 < 0 or y0 < 0 or x0 + WIDTH > width or y0 + len(tile) > height:
                tile[: max(-y0, 0)] = tile[height - y0 :] = -np.inf
                tile[:, : max(-x0, 0)] = tile[:, width - x0 :] = -np.inf
            if reach and not _may_hold_peaks(tile.reshape(-1), np.float32(least)):
                continue  # a slope, as most are
            for y in range(_MARGIN, _MARGIN + TILE):
                for x in range(_MARGIN, _MARGIN + TILE):
                    value = tile[y, x]
                    if value <= threshold or not _is_highest(tile, x, y, min(reach, _MARGIN)):
                        continue
                    if reach <= _MARGIN or _is_highest_in_map(heatmap, doublings, x0 + x, y0 + y, reach):
                        count = _insert(pixels, values, count, x0 + x, y0 + y, value)
    return count


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _may_hold_peaks(pixels: NDArray[np.float32], least: np.float32) -> bool:
    """Whether anything in a drawn tile's rows is `least` or more and as high as the four pixels beside it.

    A loop that only counts, over a length known beforehand, becomes vector instructions.
    """
    peaks = 0
    for index in range(_MARGIN * WIDTH, (_MARGIN + TILE) * WIDTH):
        beside = max(pixels[index - 1], pixels[index + 1])
        above_or_below = max(pixels[index - WIDTH], pixels[index + WIDTH])
        peaks += pixels[index] >= max(max(beside, least), above_or_below)
    return peaks > 0


@njit(cache=True, nogil=True)
def _is_highest(tile: NDArray[np.float32], x: int, y: int, reach: int) -> bool:
    value = tile[y, x]
    if reach and (tile[y, x - 1] > value or tile[y, x + 1] > value or tile[y - 1, x] > value or tile[y + 1, x] > value):
        return False  # as nearly always
    for other_y in range(y - reach, y + reach + 1):
        for other_x in range(x - reach, x + reach + 1):
            if tile[other_y, other_x] > value:
                return False
    return True


@njit(cache=True, nogil=True)
def _is_highest_in_map(heatmap: NDArray[np.float32], doublings: int, x: int, y: int, reach: int) -> bool:
    """The same for a window that is larger than a drawn tile's margin."""
    height, width = heatmap.shape[0] << doublings, heatmap.shape[1] << doublings
    value = value_at(heatmap, x, y, doublings)
    for other_y in range(max(y - reach, 0), min(y + reach + 1, height)):
        for other_x in range(max(x - reach, 0), min(x + reach + 1, width)):
            if value_at(heatmap, other_x, other_y, doublings) > value:
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
