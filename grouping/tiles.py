"""Bounds of maps over small tiles, by which whole tiles can be passed over.

Letters: K keypoints, h w map pixels, T tags a keypoint. A map is cut into tiles of TILE x TILE pixels,
smaller at the right and lower border; there are ceil(h / TILE) rows and ceil(w / TILE) columns of them. Most
of a heatmap is background and tags change slowly, so neither the search for peaks nor the refinement needs
to look into most tiles. Values must be finite: the loops become vector instructions that know no NaN.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Map pixels: small enough to leave most of a person's surroundings out, large enough to be few.
TILE = 16


@njit(cache=True, nogil=True)
def tile_maxima(heatmaps: NDArray[np.float32]) -> NDArray[np.float32]:
    """The highest value in each tile of the heatmaps [K, h, w], float32 [K, tile rows, tile columns]."""
    num_keypoints, height, width = heatmaps.shape
    rows, columns = _tile_counts(height, width)
    maxima = np.full((num_keypoints, rows, columns), -np.inf, np.float32)
    band = np.empty(width, np.float32)
    for keypoint in range(num_keypoints):
        for row in range(rows):
            band[:] = heatmaps[keypoint, row * TILE]
            for y in range(row * TILE + 1, min((row + 1) * TILE, height)):
                _raise_to(band, heatmaps[keypoint, y])
            for x in range(width):
                maxima[keypoint, row, x // TILE] = max(maxima[keypoint, row, x // TILE], band[x])
    return maxima


@njit(cache=True, nogil=True)
def tile_tag_ranges(tagmap: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The lowest and the highest tag in each tile of one keypoint's tags [h, w, T].

    Both are float32 [tile rows, tile columns, T].
    """
    height, width, num_tags = tagmap.shape
    rows, columns = _tile_counts(height, width)
    lowest = np.full((rows, columns, num_tags), np.inf, np.float32)
    highest = np.full((rows, columns, num_tags), -np.inf, np.float32)
    lines = tagmap.reshape(height, width * num_tags)
    low_band = np.empty(width * num_tags, np.float32)
    high_band = np.empty(width * num_tags, np.float32)
    for row in range(rows):
        low_band[:] = lines[row * TILE]
        high_band[:] = lines[row * TILE]
        for y in range(row * TILE + 1, min((row + 1) * TILE, height)):
            _lower_to(low_band, lines[y])
            _raise_to(high_band, lines[y])
        for x in range(width):
            for index in range(num_tags):
                low = lowest[row, x // TILE, index]
                high = highest[row, x // TILE, index]
                lowest[row, x // TILE, index] = min(low, low_band[x * num_tags + index])
                highest[row, x // TILE, index] = max(high, high_band[x * num_tags + index])
    return lowest, highest


@njit(cache=True, nogil=True)
def _tile_counts(height: int, width: int) -> tuple[int, int]:
    return (height + TILE - 1) // TILE, (width + TILE - 1) // TILE


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _raise_to(band: NDArray[np.float32], line: NDArray[np.float32]) -> None:
    for index in range(len(band)):
        band[index] = max(band[index], line[index])


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _lower_to(band: NDArray[np.float32], line: NDArray[np.float32]) -> None:
    for index in range(len(band)):
        band[index] = min(band[index], line[index])
