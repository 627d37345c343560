"""Bounds of maps over small tiles, by which whole tiles can be passed over.

Letters: h w map pixels stored, T tags a keypoint. A map is cut into tiles of TILE x TILE pixels of its full size (see
`interpolation`), smaller at the right and lower border. Most of a heatmap is background and tags change slowly, so
neither the search for peaks nor the refinement needs to look into most tiles. Values must be finite: the loops become
vector instructions that know no NaN. `tile_ranges` says whether they are.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Map pixels: small enough to leave most of a person's surroundings out, large enough to be few.
TILE = 16
_MOST = np.int32(0x7FFFFFFF)
_INFINITY = np.int32(0x7F800000)  # its bits


@njit(cache=True, nogil=True)
def tile_counts(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of tiles of a map of this full size."""
    return -(-height // TILE), -(-width // TILE)


@njit(cache=True, nogil=True)
def tile_ranges(
    map_: NDArray[np.float32], doublings: int, lowest: NDArray[np.float32], highest: NDArray[np.float32]
) -> bool:
    """Write bounds of the values in each tile of a map [h, w, T]; say whether all of the map's are finite.

    `lowest` and `highest` are [T, tile rows, tile columns]: a tile's lowest and highest value, or where the map is
    doubled those of the pixels that it lies between.
    """
    height, width, num_tags = map_.shape
    lines = map_.reshape(height, width * num_tags).view(np.int32)
    low_band, high_band = np.empty(width * num_tags, np.int32), np.empty(width * num_tags, np.int32)
    size, margin = TILE >> doublings, 1 if doublings else 0
    low_line = np.empty(lowest.shape[2] * size + 2 * margin, np.int32)
    high_line = np.empty(len(low_line), np.int32)
    lows, highs = lowest.view(np.int32), highest.view(np.int32)
    for row in range(lowest.shape[1]):
        first, last = max(row * size - margin, 0), min((row + 1) * size + margin, height)
        _begin(low_band, high_band, lines[first])
        for y in range(first + 1, last):
            _widen(low_band, high_band, lines[y])
        for index in range(num_tags):
            _spread(low_band, index, num_tags, margin, low_line)
            _spread(high_band, index, num_tags, margin, high_line)
            if doublings == 0:
                _cut_16(low_line, high_line, lows[index, row], highs[index, row])
            elif doublings == 1:
                _cut_8(low_line, high_line, lows[index, row], highs[index, row])
            else:
                _cut_4(low_line, high_line, lows[index, row], highs[index, row])
    return _finite(lows.reshape(lows.size), highs.reshape(highs.size))


@njit(cache=True, nogil=True, inline="always")
def in_order(bits: np.int32) -> np.int32:
    """A whole number that grows with the float32 value of these bits, and the other way round.

    Whole numbers compare many at a time, and what is no number has its place among them, beyond the infinities.
    """
    return np.int32(bits ^ np.int32(np.int32(bits >> 31) & _MOST))


@njit(cache=True, nogil=True)
def _finite(lows: NDArray[np.int32], highs: NDArray[np.int32]) -> bool:
    """Whether all tiles' lowest and highest values are, by their bits."""
    least, most = np.int32(0), np.int32(0)
    for tile in range(len(lows)):
        least, most = min(least, in_order(lows[tile])), max(most, in_order(highs[tile]))
    # Beyond the infinities lie the patterns that are no numbers.
    return least >= -_INFINITY and most < _INFINITY


@njit(cache=True, nogil=True)
def _begin(low: NDArray[np.int32], high: NDArray[np.int32], line: NDArray[np.int32]) -> None:
    """Begin both ends of the ranges [w * T] at a line's values."""
    for x in range(len(low)):
        low[x] = high[x] = in_order(line[x])


@njit(cache=True, nogil=True)
def _widen(low: NDArray[np.int32], high: NDArray[np.int32], line: NDArray[np.int32]) -> None:
    """Widen the ranges `low` to `high` to a line's values, all [w * T].

    Line by line: taking several at once is no faster from the cache, and slower from memory.
    """
    for x in range(len(low)):
        value = in_order(line[x])
        low[x], high[x] = min(low[x], value), max(high[x], value)


@njit(cache=True, nogil=True)
def _spread(band: NDArray[np.int32], index: int, num_tags: int, margin: int, line: NDArray[np.int32]) -> None:
    """Copy one tag's values from `band` [w * T] into `line`, which begins `margin` earlier; its ends are repeated."""
    width = len(band) // num_tags
    for x in range(width):
        line[margin + x] = band[x * num_tags + index]
    line[:margin] = line[margin]
    line[margin + width :] = line[margin + width - 1]


@njit(cache=True, nogil=True)
def _cut_16(low: NDArray[np.int32], high: NDArray[np.int32], lowest: NDArray[np.int32], highest: NDArray[np.int32]):
    _cut(low, high, 16, 16, lowest, highest)


@njit(cache=True, nogil=True)
def _cut_8(low: NDArray[np.int32], high: NDArray[np.int32], lowest: NDArray[np.int32], highest: NDArray[np.int32]):
    _cut(low, high, 8, 10, lowest, highest)


@njit(cache=True, nogil=True)
def _cut_4(low: NDArray[np.int32], high: NDArray[np.int32], lowest: NDArray[np.int32], highest: NDArray[np.int32]):
    _cut(low, high, 4, 6, lowest, highest)


@njit(cache=True, nogil=True, inline="always")
def _cut(
    low: NDArray[np.int32],
    high: NDArray[np.int32],
    size: int,
    span: int,
    lowest: NDArray[np.int32],
    highest: NDArray[np.int32],
) -> None:
    """The range of `span` pixels from every size-th on, as float32's bits. Known lengths become vector instructions."""
    for column in range(len(lowest)):
        left = column * size
        least, most = low[left], high[left]
        for x in range(left + 1, left + span):
            least, most = min(least, low[x]), max(most, high[x])
        lowest[column], highest[column] = in_order(least), in_order(most)
