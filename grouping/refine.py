"""The places of keypoints: a quarter of a pixel for those found, a second look for those missing.

Letters: K keypoints, h w map pixels stored, M candidates a keypoint (at most), T tags a keypoint, P people.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .bounds import bound_tiles, room_for_bounds
from .interpolation import value_at
from .search import best_pixel, forget_tiles, room_for_tiles
from .workers import take

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
    taken: NDArray[np.int64],
    order: NDArray[np.int64],
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
    """Write what is missing of the keypoints in `order`, those not `taken` by other threads, into keypoints [P, K, 3].

    The place is the pixel with the highest heatmap value - round(distance of its tag to the person's mean tag), the
    first in reading order; it is taken if its heatmap value is above 0, the same way placed as a candidate.
    heatmaps: [K, h, w], tagmaps: [K, h, w, T], maxima: [K, tile rows, tile columns], lowest and highest: [K, T, ..]
    from ``tiles``, people: [P, K] candidates or -1, means: [P, T].
    """
    num_tags, tiles = tagmaps.shape[3], maxima.shape[1] * maxima.shape[2]
    slack = _SLACK if doublings or tag_doublings else np.float32(0)
    bounds, drawn = room_for_bounds(tiles), room_for_tiles(tiles, num_tags)
    while True:
        turn = take(taken)
        if turn >= len(order):
            return
        keypoint = order[turn]
        heatmap, tagmap = heatmaps[keypoint], tagmaps[keypoint]
        one_map = heatmap.reshape((*heatmap.shape, 1))
        low, high = lowest[keypoint].reshape((num_tags, tiles)), highest[keypoint].reshape((num_tags, tiles))
        forget_tiles(drawn, maxima[keypoint])
        for person in range(len(people)):
            if people[person, keypoint] >= 0:
                continue
            first = bound_tiles(drawn.highest, low, high, slack, means[person], bounds)
            x, y = best_pixel(one_map, doublings, tagmap, tag_doublings, bounds, first, means[person], drawn)
            value = value_at(heatmap, x, y, doublings)
            if value > 0:
                _place(heatmap, doublings, x, y, keypoints[person, keypoint])
                keypoints[person, keypoint, 2] = value
