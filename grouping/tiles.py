"""Bounds of maps over small tiles, by which whole tiles can be passed over.

Letters: h w map pixels stored, T tags a keypoint. A map is cut into tiles of TILE x TILE pixels of its full size (see
`interpolation`), smaller at the right and lower border. Most of a heatmap is background and tags change slowly, so
neither the search for peaks nor the refinement needs to look into most tiles. Values must be finite: the loops become
vector instructions that know no NaN. Both functions say whether they were.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Map pixels: small enough to leave most of a person's surroundings out, large enough to be few.
TILE = 16


@njit(cache=True, nogil=True)
def tile_counts(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of tiles of a map of this full size."""
    return -(-height // TILE), -(-width // TILE)


@njit(cache=True, nogil=True)
def tile_maxima(map_: NDArray[np.float32], doublings: int, maxima: NDArray[np.float32]) -> bool:
    """Write what no value in each tile of a map [h, w] exceeds into `maxima` [tile rows, tile columns].

    It is the highest value of a tile, or where the map is doubled the highest of the pixels that it lies between.
    """
    height, width = map_.shape
    band = np.empty(width, np.float32)
    exponents = np.zeros(width, np.uint32)
    for row in range(maxima.shape[0]):
        first, last = _stored(row, doublings, height)
        band[:] = map_[first]
        for y in range(first, last):
            _raise_to(band, map_[y])
            _note_exponents(exponents, map_[y].view(np.uint32))
        for column in range(maxima.shape[1]):
            left, right = _stored(column, doublings, width)
            highest = band[left]
            for x in range(left, right):
                highest = max(highest, band[x])
            maxima[row, column] = highest
    return _finite(exponents)


@njit(cache=True, nogil=True)
def tile_tag_ranges(
    tagmap: NDArray[np.float32], doublings: int, lowest: NDArray[np.float32], highest: NDArray[np.float32]
) -> bool:
    """Write bounds of the tags in each tile of one keypoint's tags [h, w, T].

    `lowest` and `highest` are [T, tile rows, tile columns].
    """
    height, width, num_tags = tagmap.shape
    lines = tagmap.reshape(height, width * num_tags)
    low_band = np.empty(width * num_tags, np.float32)
    high_band = np.empty(width * num_tags, np.float32)
    exponents = np.zeros(width * num_tags, np.uint32)
    for row in range(lowest.shape[1]):
        first, last = _stored(row, doublings, height)
        low_band[:] = lines[first]
        high_band[:] = lines[first]
        for y in range(first, last):
            _lower_to(low_band, lines[y])
            _raise_to(high_band, lines[y])
            _note_exponents(exponents, lines[y].view(np.uint32))
        for column in range(lowest.shape[2]):
            left, right = _stored(column, doublings, width)
            for index in range(num_tags):
                low = low_band[left * num_tags + index]
                high = high_band[left * num_tags + index]
                for x in range(left, right):
                    low = min(low, low_band[x * num_tags + index])
                    high = max(high, high_band[x * num_tags + index])
                lowest[index, row, column] = low
                highest[index, row, column] = high
    return _finite(exponents)


@njit(cache=True, nogil=True)
def _stored(tile: int, doublings: int, length: int) -> tuple[int, int]:
    """First and last + 1 of the `length` stored pixels that a tile's values are made of."""
    size = TILE >> doublings
    margin = 1 if doublings else 0
    return max(tile * size - margin, 0), min((tile + 1) * size + margin, length)


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _raise_to(band: NDArray[np.float32], line: NDArray[np.float32]) -> None:
    for index in range(len(band)):
        band[index] = max(band[index], line[index])


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _lower_to(band: NDArray[np.float32], line: NDArray[np.float32]) -> None:
    for index in range(len(band)):
        band[index] = min(band[index], line[index])


@njit(cache=True, nogil=True)
def _note_exponents(exponents: NDArray[np.uint32], bits: NDArray[np.uint32]) -> None:
    """Raise `exponents` to the bit patterns, without their signs, of a line of float32.

    Those that are no finite numbers have the highest exponent, and whole numbers compare many at a time.
    """
    for index in range(len(bits)):
        exponents[index] = max(exponents[index], bits[index] & np.uint32(0x7FFFFFFF))


@njit(cache=True, nogil=True)
def _finite(exponents: NDArray[np.uint32]) -> bool:
    return exponents.max() < np.uint32(0x7F800000)
