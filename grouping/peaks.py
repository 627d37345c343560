"""Candidates: the highest local maxima of each keypoint's heatmap.

Letters: K keypoints, h w map pixels.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .tiles import TILE


@njit(cache=True, nogil=True)
def find_peaks(
    heatmaps: NDArray[np.float32],
    maxima: NDArray[np.float32],
    threshold: float,
    kernel: int,
    limit: int,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """The candidates of each keypoint: local maxima above the threshold, the highest ``limit`` of them.

    A pixel is a local maximum when nothing in the kernel x kernel window around it is higher, so equal
    neighbours all stay; the window ends at the map's border. maxima comes from ``tile_maxima``. Returns the
    number of candidates [K], their pixels [K, limit, 2] as x, y and their values [K, limit], highest first,
    equal ones in reading order.
    """
    num_keypoints, height, width = heatmaps.shape
    counts = np.zeros(num_keypoints, np.int64)
    pixels = np.zeros((num_keypoints, limit, 2), np.int32)
    values = np.zeros((num_keypoints, limit), np.float32)
    for keypoint in range(num_keypoints):
        heatmap = heatmaps[keypoint]
        count = 0
        for row in range(maxima.shape[1]):
            for column in range(maxima.shape[2]):
                if maxima[keypoint, row, column] <= threshold:
                    continue
                for y in range(row * TILE, min((row + 1) * TILE, height)):
                    for x in range(column * TILE, min((column + 1) * TILE, width)):
                        value = heatmap[y, x]
                        if value > threshold and _is_peak(heatmap, x, y, kernel // 2):
                            count = _insert(pixels[keypoint], values[keypoint], count, x, y, value)
        counts[keypoint] = count
    return counts, pixels, values


@njit(cache=True, nogil=True)
def _is_peak(heatmap: NDArray[np.float32], x: int, y: int, reach: int) -> bool:
    height, width = heatmap.shape
    value = heatmap[y, x]
    for other_y in range(max(y - reach, 0), min(y + reach + 1, height)):
        for other_x in range(max(x - reach, 0), min(x + reach + 1, width)):
            if heatmap[other_y, other_x] > value:
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
