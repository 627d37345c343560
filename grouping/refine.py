"""The places of keypoints: a quarter of a pixel for those found, a second look for those missing.

Letters: K keypoints, h w map pixels stored, M candidates a keypoint (at most), T tags a keypoint, P people.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .interpolation import double_into, double_twice_into, value_at
from .tiles import tile_pixels

_SLACK = np.float32(1e-6)  # by how much, relatively, interpolation may leave the range of what lies around


@njit(cache=True, nogil=True)
def place_keypoints(
    heatmaps: NDArray[np.float32],
    doublings: int,
    people: NDArray[np.int64],
    pixels: NDArray[np.int32],
    values: NDArray[np.float32],
    adjust: bool,
) -> NDArray[np.float32]:
    """The people's keypoints from their candidates, float32 [P, K, 3]: x, y, value; zeros where missing.

    heatmaps: [K, h, w], doubled `doublings` times; people: [P, K] candidates or -1, pixels: [K, M, 2], values: [K, M].
    Without adjust, x and y are the bare pixel indices.
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
                _place(heatmaps[keypoint], doublings, x, y, place)
            else:
                place[0] = x
                place[1] = y
            place[2] = values[keypoint, candidate]
    return keypoints


@njit(cache=True, nogil=True)
def _place(heatmap: NDArray[np.float32], doublings: int, x: int, y: int, place: NDArray[np.float32]) -> None:
    """Write the centre of a pixel, a quarter pixel off toward the higher neighbour, left and up if equal.

    At the map's border the pixel stands in for its missing neighbour.
    """
    last_x, last_y = (heatmap.shape[1] << doublings) - 1, (heatmap.shape[0] << doublings) - 1
    right = value_at(heatmap, min(x + 1, last_x), y, doublings) > value_at(heatmap, max(x - 1, 0), y, doublings)
    down = value_at(heatmap, x, min(y + 1, last_y), doublings) > value_at(heatmap, x, max(y - 1, 0), doublings)
    place[0] = x + (0.75 if right else 0.25)
    place[1] = y + (0.75 if down else 0.25)


@njit(cache=True, nogil=True)
def mean_tags(people: NDArray[np.int64], tags: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each person's mean tag, float32 [P, T]; people: [P, K] candidates or -1, tags: [K, M, T] of the candidates."""
    means = np.empty((len(people), tags.shape[2]), np.float32)
    for person in range(len(people)):
        total = np.zeros(tags.shape[2])
        members = 0
        for keypoint, candidate in enumerate(people[person]):
            if candidate >= 0:
                total += tags[keypoint, candidate]
                members += 1
        means[person] = total / members
    return means


@njit(cache=True, nogil=True)
def fill_missing_keypoints(
    first: int,
    last: int,
    heatmaps: NDArray[np.float32],
    doublings: int,
    maxima: NDArray[np.float32],
    tagmaps: NDArray[np.float32],
    tag_doublings: int,
    lowest: NDArray[np.float32],
    highest: NDArray[np.float32],
    people: NDArray[np.int64],
    means: NDArray[np.float32],
    keypoints: NDArray[np.float32],
) -> None:
    """Write what is missing of the keypoints `first` to `last` - 1 into keypoints [P, K, 3], where the maps hold it.

    The place is the pixel with the highest heatmap value - round(distance of its tag to the person's mean tag), the
    first in reading order; it is taken if its heatmap value is above 0, the same way placed as a candidate.
    heatmaps: [K, h, w], tagmaps: [K, h, w, T], maxima, lowest and highest: [K, tile rows, tile columns] and
    [.., T] from ``tiles``, people: [P, K] candidates or -1, means: [P, T].
    """
    bounds = np.empty(maxima.shape[1:], np.float32)
    height, width = heatmaps.shape[1] << doublings, heatmaps.shape[2] << doublings
    enlarged = doublings > 0 or tag_doublings > 0
    # Tiles of full size, drawn when first looked into; the people who miss a keypoint look into the same ones.
    heat_room = np.empty((height, width) if enlarged else (0, 0), np.float32)
    tag_room = np.empty((height, width, tagmaps.shape[3]) if enlarged else (0, 0, 0), np.float32)
    drawn = np.zeros(maxima.shape[1:], np.bool_)
    for keypoint in range(first, last):
        heatmap, tagmap = heatmaps[keypoint], tagmaps[keypoint]
        drawn[:] = not enlarged
        for person in range(len(people)):
            if people[person, keypoint] >= 0:
                continue
            slack = _SLACK if enlarged else np.float32(0)
            _bound_tiles(maxima[keypoint], lowest[keypoint], highest[keypoint], slack, means[person], bounds)
            if enlarged:
                x, y = _best_pixel(
                    heatmap, doublings, tagmap, tag_doublings, bounds, means[person], drawn, heat_room, tag_room
                )
            else:
                x, y = _best_pixel(heatmap, 0, tagmap, 0, bounds, means[person], drawn, heatmap, tagmap)
            value = value_at(heatmap, x, y, doublings)
            if value > 0:
                _place(heatmap, doublings, x, y, keypoints[person, keypoint])
                keypoints[person, keypoint, 2] = value


@njit(cache=True, nogil=True)
def _bound_tiles(
    maxima: NDArray[np.float32],
    lowest: NDArray[np.float32],
    highest: NDArray[np.float32],
    slack: np.float32,
    mean_tag: NDArray[np.float32],
    bounds: NDArray[np.float32],
) -> None:
    """Write what heatmap - round(tag distance) cannot exceed in each tile into bounds [tile rows, tile columns].

    It is reached where the tile's highest heatmap value meets the tag in its range that is nearest to the mean tag.
    Rounding to single precision keeps the order of values, so the bound holds exactly.
    """
    for row in range(maxima.shape[0]):
        for column in range(maxima.shape[1]):
            squared = np.float32(0)
            for index in range(len(mean_tag)):
                low = lowest[row, column, index]
                high = highest[row, column, index]
                low -= slack * abs(low)
                high += slack * abs(high)
                difference = min(max(mean_tag[index], low), high) - mean_tag[index]
                squared += difference * difference
            maximum = maxima[row, column]
            bounds[row, column] = maximum + slack * abs(maximum) - np.rint(np.sqrt(squared))


@njit(cache=True, nogil=True)
def _best_pixel(
    heatmap: NDArray[np.float32],
    doublings: int,
    tagmap: NDArray[np.float32],
    tag_doublings: int,
    bounds: NDArray[np.float32],
    mean_tag: NDArray[np.float32],
    drawn: NDArray[np.bool_],
    heat: NDArray[np.float32],
    tags: NDArray[np.float32],
) -> tuple[int, int]:
    """x and y of the highest heatmap - round(tag distance), the first in reading order.

    Only tiles that can hold a better pixel, or an equal one earlier in reading order, are looked into, the most
    promising one first. What is not `drawn` yet of the maps of full size, heat [., .] and
    tags [., ., T], is drawn.
    """
    height, width = heat.shape
    rows, columns = bounds.shape
    best = np.float32(-np.inf)
    best_x = best_y = 0
    most_promising = bounds.argmax()
    for step in range(-1, rows * columns):
        row, column = divmod(most_promising if step < 0 else step, columns)
        if step == most_promising or bounds[row, column] < best:
            continue
        top, bottom = tile_pixels(row, height)
        left, right = tile_pixels(column, width)
        if not drawn[row, column]:
            drawn[row, column] = True
            _draw(heatmap, doublings, left, top, heat[top:bottom, left:right])
            for index in range(len(mean_tag)):
                _draw(tagmap[:, :, index], tag_doublings, left, top, tags[top:bottom, left:right, index])
        for y in range(top, bottom):
            for x in range(left, right):
                if heat[y, x] < best:  # the distance can only lower it
                    continue
                value = heat[y, x] - _rounded_distance(tags[y, x], mean_tag)
                if value > best or (value == best and (y < best_y or (y == best_y and x < best_x))):
                    best = value
                    best_x = x
                    best_y = y
    return best_x, best_y


@njit(cache=True, nogil=True)
def _draw(map_: NDArray[np.float32], doublings: int, x0: int, y0: int, block: NDArray[np.float32]) -> None:
    if doublings == 1:
        double_into(map_, x0, y0, block)
    elif doublings == 2:
        double_twice_into(map_, x0, y0, block)
    else:
        block[:] = map_[y0 : y0 + block.shape[0], x0 : x0 + block.shape[1]]


@njit(cache=True, nogil=True)
def _rounded_distance(tag: NDArray[np.float32], mean_tag: NDArray[np.float32]) -> np.float32:
    # In single precision, as the maps are, and always in the same order: bounds and values must agree.
    squared = np.float32(0)
    for index in range(len(tag)):
        difference = tag[index] - mean_tag[index]
        squared += difference * difference
    return np.rint(np.sqrt(squared))
