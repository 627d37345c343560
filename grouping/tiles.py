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
    bits = map_.reshape(map_.size).view(np.int32)
    size, margin = TILE >> doublings, 1 if doublings else 0
    length = (lowest.shape[2] * size + 2 * margin) * num_tags
    low, high = np.empty(length, np.int32), np.empty(length, np.int32)
    low_spans, high_spans = np.empty(length, np.int32), np.empty(length, np.int32)
    lows, highs = lowest.view(np.int32), highest.view(np.int32)
    for row in range(lowest.shape[1]):
        first, last = max(row * size - margin, 0), min((row + 1) * size + margin, height)
        _bound_lines(bits, width * num_tags, first, last, low, high, margin * num_tags)
        _repeat_ends(low, width, num_tags, margin)
        _repeat_ends(high, width, num_tags, margin)
        reached = 1
        while reached < size + 2 * margin:
            step = min(reached, size + 2 * margin - reached)
            _bound_pairs(low, high, step * num_tags, low_spans, high_spans)
            low, high, low_spans, high_spans = low_spans, high_spans, low, high
            reached += step
        for index in range(num_tags):
            _pick(low, index, size * num_tags, lows[index, row])
            _pick(high, index, size * num_tags, highs[index, row])
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
def _bound_lines(
    bits: NDArray[np.int32],
    length: int,
    first: int,
    last: int,
    low: NDArray[np.int32],
    high: NDArray[np.int32],
    begin: int,
) -> None:
    """Write the range of each place in the lines `first` to `last` - 1, of this length, into low and high.

    There they stand from `begin` on, as whole numbers by `in_order`. Line by line: taking several at once is slower
    from memory. No slices are taken, for Numba counts each, and indices are unsigned, for it counts negative ones from
    the end: either costs more than the work itself.
    """
    start, length, begin = np.uint64(first) * np.uint64(length), np.uint64(length), np.uint64(begin)
    for x in range(length):
        low[begin + x] = high[begin + x] = in_order(bits[start + x])
    for _ in range(first + 1, last):
        start += length
        for x in range(length):
            value = in_order(bits[start + x])
            low[begin + x] = min(low[begin + x], value)
            high[begin + x] = max(high[begin + x], value)


@njit(cache=True, nogil=True)
def _repeat_ends(line: NDArray[np.int32], width: int, num_tags: int, margin: int) -> None:
    """Repeat a line's first pixel, of T values, in the margin before it, and its last one up to the end."""
    for place in range(margin * num_tags):
        line[place] = line[margin * num_tags + place % num_tags]
    for place in range((margin + width) * num_tags, len(line)):
        line[place] = line[place - num_tags]


@njit(cache=True, nogil=True)
def _bound_pairs(
    low: NDArray[np.int32],
    high: NDArray[np.int32],
    step: int,
    low_pairs: NDArray[np.int32],
    high_pairs: NDArray[np.int32],
) -> None:
    """Write what the range at each place and that `step` places on have together, as far as the line goes.

    Into other arrays: LLVM makes vector instructions of it only if nothing overlaps.
    """
    step = np.uint64(step)
    for x in range(np.uint64(len(low)) - step):
        low_pairs[x] = min(low[x], low[x + step])
        high_pairs[x] = max(high[x], high[x + step])


@njit(cache=True, nogil=True)
def _pick(line: NDArray[np.int32], begin: int, step: int, bounds: NDArray[np.int32]) -> None:
    """Write every step-th value of a line, from `begin` on, as float32's bits."""
    for column in range(len(bounds)):
        bounds[column] = in_order(line[begin + column * step])
