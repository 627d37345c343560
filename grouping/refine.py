"""The places of keypoints: a quarter of a pixel for those found, a second look for those missing.

Letters: K keypoints, h w map pixels, M candidates a keypoint (at most), T tags a keypoint, P people.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .tiles import TILE, tile_tag_ranges


@njit(cache=True, nogil=True)
def place_keypoints(
    heatmaps: NDArray[np.float32],
    people: NDArray[np.int64],
    pixels: NDArray[np.int32],
    values: NDArray[np.float32],
    adjust: bool,
) -> NDArray[np.float32]:
    """The people's keypoints from their candidates, float32 [P, K, 3]: x, y, value; zeros where missing.

    heatmaps: [K, h, w], people: [P, K] candidates or -1, pixels: [K, M, 2], values: [K, M]. Without adjust,
    x and y are the bare pixel indices.
    """
    num_people, num_keypoints = people.shape
    keypoints = np.zeros((num_people, num_keypoints, 3), np.float32)
    for person in range(num_people):
        for keypoint in range(num_keypoints):
            candidate = people[person, keypoint]
            if candidate < 0:
                continue
            x, y = pixels[keypoint, candidate]
            place = keypoints[person, keypoint]
            if adjust:
                _place(heatmaps[keypoint], x, y, place)
            else:
                place[0] = x
                place[1] = y
            place[2] = values[keypoint, candidate]
    return keypoints


@njit(cache=True, nogil=True)
def _place(heatmap: NDArray[np.float32], x: int, y: int, place: NDArray[np.float32]) -> None:
    """Write the centre of a pixel, a quarter pixel off toward the higher neighbour, left and up if equal.

    At the map's border the pixel stands in for its missing neighbour.
    """
    height, width = heatmap.shape
    right = heatmap[y, min(x + 1, width - 1)] > heatmap[y, max(x - 1, 0)]
    down = heatmap[min(y + 1, height - 1), x] > heatmap[max(y - 1, 0), x]
    place[0] = x + (0.75 if right else 0.25)
    place[1] = y + (0.75 if down else 0.25)


@njit(cache=True, nogil=True)
def fill_missing_keypoints(
    heatmaps: NDArray[np.float32],
    tagmaps: NDArray[np.float32],
    maxima: NDArray[np.float32],
    people: NDArray[np.int64],
    tags: NDArray[np.float32],
    keypoints: NDArray[np.float32],
) -> None:
    """Write each person's missing keypoints into keypoints [P, K, 3], where the maps hold them.

    The place is the pixel with the highest heatmap value - round(distance of its tag to the person's mean
    tag), the first in reading order; it is taken if its heatmap value is above 0, the same way placed as a
    candidate. heatmaps: [K, h, w], tagmaps: [K, h, w, T], maxima from ``tile_maxima``, people: [P, K]
    candidates or -1, tags: [K, M, T] of the candidates.
    """
    num_people, num_keypoints = people.shape
    mean_tags = np.empty((num_people, tags.shape[2]), np.float32)
    for person in range(num_people):
        mean_tags[person] = _mean_tag(people[person], tags)
    for keypoint in range(num_keypoints):
        missing = np.nonzero(people[:, keypoint] < 0)[0]
        if len(missing) == 0:
            continue
        heatmap = heatmaps[keypoint]
        tagmap = tagmaps[keypoint]
        lowest, highest = tile_tag_ranges(tagmap)
        for person in missing:
            bounds = _tile_bounds(maxima[keypoint], lowest, highest, mean_tags[person])
            x, y = _best_pixel(heatmap, tagmap, bounds, mean_tags[person])
            if heatmap[y, x] > 0:
                _place(heatmap, x, y, keypoints[person, keypoint])
                keypoints[person, keypoint, 2] = heatmap[y, x]


@njit(cache=True, nogil=True)
def _mean_tag(candidates: NDArray[np.int64], tags: NDArray[np.float32]) -> NDArray[np.float32]:
    total = np.zeros(tags.shape[2])
    members = 0
    for keypoint, candidate in enumerate(candidates):
        if candidate >= 0:
            total += tags[keypoint, candidate]
            members += 1
    return (total / members).astype(np.float32)


@njit(cache=True, nogil=True)
def _tile_bounds(
    maxima: NDArray[np.float32],
    lowest: NDArray[np.float32],
    highest: NDArray[np.float32],
    mean_tag: NDArray[np.float32],
) -> NDArray[np.float32]:
    """What heatmap - round(tag distance) cannot exceed in each tile, float32 [tile rows, tile columns].

    It is reached where the tile's highest heatmap value meets the tag in its range that is nearest to the
    mean tag. Rounding to single precision keeps the order of values, so the bound holds exactly.
    """
    bounds = np.empty_like(maxima)
    nearest = np.empty_like(mean_tag)
    for row in range(maxima.shape[0]):
        for column in range(maxima.shape[1]):
            for index in range(len(mean_tag)):
                low = lowest[row, column, index]
                high = highest[row, column, index]
                nearest[index] = min(max(mean_tag[index], low), high)
            bounds[row, column] = maxima[row, column] - _rounded_distance(nearest, mean_tag)
    return bounds


@njit(cache=True, nogil=True)
def _best_pixel(
    heatmap: NDArray[np.float32],
    tagmap: NDArray[np.float32],
    bounds: NDArray[np.float32],
    mean_tag: NDArray[np.float32],
) -> tuple[int, int]:
    """x and y of the highest heatmap - round(tag distance), the first in reading order.

    Only tiles that can hold a better pixel, or an equal one earlier in reading order, are looked into, the
    most promising one first.
    """
    height, width = heatmap.shape
    rows, columns = bounds.shape
    best = np.float32(-np.inf)
    best_x = best_y = 0
    most_promising = bounds.argmax()
    for step in range(-1, rows * columns):
        row, column = divmod(most_promising if step < 0 else step, columns)
        if step == most_promising or bounds[row, column] < best:
            continue
        for y in range(row * TILE, min((row + 1) * TILE, height)):
            for x in range(column * TILE, min((column + 1) * TILE, width)):
                if heatmap[y, x] < best:  # the distance can only lower it
                    continue
                value = heatmap[y, x] - _rounded_distance(tagmap[y, x], mean_tag)
                if value > best or (value == best and (y < best_y or (y == best_y and x < best_x))):
                    best = value
                    best_x = x
                    best_y = y
    return best_x, best_y


@njit(cache=True, nogil=True)
def _rounded_distance(tag: NDArray[np.float32], mean_tag: NDArray[np.float32]) -> np.float32:
    # In single precision, as the maps are, and always in the same order: bounds and values must agree.
    squared = np.float32(0)
    for index in range(len(tag)):
        difference = tag[index] - mean_tag[index]
        squared += difference * difference
    return np.rint(np.sqrt(squared))
