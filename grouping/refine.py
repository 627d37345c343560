"""The places of keypoints: a quarter of a pixel for those found, a second look for those missing.

Letters: K keypoints, h w map pixels stored, M candidates a keypoint (at most), T tags a keypoint, P people.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .interpolation import WIDTH, draw, drawing_room, value_at
from .tiles import TILE, tile_counts

_SLACK = np.float32(1e-6)  # by how much, relatively, interpolation may leave the range of what lies around
_AREA = TILE * TILE


class _Bounds(NamedTuple):
    """What is known of each tile [tiles] for one person."""

    nearest: NDArray[np.float32]  # rounded distance of the tile's tags from the person's mean tag, at least
    farthest: NDArray[np.float32]  # at most
    most: NDArray[np.float32]  # heatmap - round(tag distance), at most
    sure: NDArray[np.float32]  # what it is where the highest value lies at the greatest distance
    waiting: NDArray[np.int32]  # room for tiles to look into


class _Drawn(NamedTuple):
    """One keypoint's tiles at full size, drawn when first looked into: people who miss it look into the same ones."""

    heat_slots: NDArray[np.int32]  # [tiles], where in heats it is, or -1
    heats: NDArray[np.float32]  # [., TILE * TILE], row by row; -inf where the map has ended
    highest: NDArray[np.float32]  # [tiles], no value is higher; of a drawn tile its highest value
    peaks: NDArray[np.int32]  # [tiles], of a drawn tile where that is first, or -1 if nobody has asked
    tag_slots: NDArray[np.int32]  # [tiles], where in tags it is, or -1
    tags: NDArray[np.float32]  # [., T, TILE * TILE]
    used: NDArray[np.int32]  # [2], how many are drawn of either
    scores: NDArray[np.float32]  # [TILE * TILE], room for one tile's
    block: NDArray[np.float32]  # [TILE + 2, WIDTH], and room to draw in
    room: NDArray[np.float32]


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
    start: int,
    step: int,
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
    """Write what is missing of every step-th keypoint in `order`, from `start` on, into keypoints [P, K, 3].

    The place is the pixel with the highest heatmap value - round(distance of its tag to the person's mean tag), the
    first in reading order; it is taken if its heatmap value is above 0, the same way placed as a candidate.
    heatmaps: [K, h, w], tagmaps: [K, h, w, T], maxima: [K, tile rows, tile columns], lowest and highest: [K, T, ..]
    from ``tiles``, people: [P, K] candidates or -1, means: [P, T].
    """
    num_tags, tiles = tagmaps.shape[3], maxima.shape[1] * maxima.shape[2]
    slack = _SLACK if doublings or tag_doublings else np.float32(0)
    nearest, farthest, most, sure = np.empty((4, tiles), np.float32)
    bounds = _Bounds(nearest, farthest, most, sure, np.empty(tiles, np.int32))
    drawn = _Drawn(
        np.empty(tiles, np.int32),
        np.empty((tiles, _AREA), np.float32),
        np.empty(tiles, np.float32),
        np.empty(tiles, np.int32),
        np.empty(tiles, np.int32),
        np.empty((tiles, num_tags, _AREA), np.float32),
        np.empty(2, np.int32),
        np.empty(_AREA, np.float32),
        np.empty((TILE + 2, WIDTH), np.float32),
        drawing_room(),
    )
    for keypoint in order[start::step]:
        heatmap, tagmap = heatmaps[keypoint], tagmaps[keypoint]
        low, high = lowest[keypoint].reshape((num_tags, tiles)), highest[keypoint].reshape((num_tags, tiles))
        drawn.heat_slots[:] = drawn.tag_slots[:] = -1
        drawn.used[:] = 0
        drawn.highest[:] = maxima[keypoint].reshape(-1)
        for person in range(len(people)):
            if people[person, keypoint] >= 0:
                continue
            first = _bound_tiles(drawn.highest, low, high, slack, means[person], bounds)
            x, y = _best_pixel(heatmap, doublings, tagmap, tag_doublings, bounds, first, means[person], drawn)
            value = value_at(heatmap, x, y, doublings)
            if value > 0:
                _place(heatmap, doublings, x, y, keypoints[person, keypoint])
                keypoints[person, keypoint, 2] = value


@njit(cache=True, nogil=True)
def _bound_tiles(
    highest_heats: NDArray[np.float32],
    lowest: NDArray[np.float32],
    highest: NDArray[np.float32],
    slack: np.float32,
    mean_tag: NDArray[np.float32],
    bounds: _Bounds,
) -> int:
    """Write how far from a person's mean tag [T] each tile's tags are, and what its pixels cannot exceed.

    highest_heats: [tiles], lowest and highest tags: [T, tiles], each off by `slack` relatively at most. The bound is
    reached where the tile's highest heatmap value meets the tag in its range that is nearest to the mean tag. Rounding
    to single precision keeps the order of values, so the bound holds exactly. Returns the tile whose highest value is
    the highest if it lies at the greatest distance.
    """
    bounds.nearest[:] = bounds.farthest[:] = 0
    for index in range(len(mean_tag)):
        _add_squares(lowest[index], highest[index], slack, mean_tag[index], bounds.nearest, bounds.farthest)
    _subtract(highest_heats, slack, bounds.nearest, bounds.farthest, bounds.most, bounds.sure)
    return _first_highest(bounds.sure.view(np.int32))


@njit(cache=True, nogil=True)
def _first_highest(bits: NDArray[np.int32]) -> int:
    """Where the highest of float32 values, given by their bits, is first: whole numbers compare many at a time."""
    highest, place = np.int32(-(2**31)), np.int32(len(bits))
    for index in range(len(bits)):
        highest = max(highest, _in_order(bits[index]))
    for index in range(len(bits)):
        place = min(place, np.int32(index) if _in_order(bits[index]) == highest else np.int32(len(bits)))
    return place


@njit(cache=True, nogil=True, inline="always")
def _in_order(bits: np.int32) -> np.int32:
    """A whole number that grows with the float32 value of these bits."""
    return np.int32(bits ^ np.int32(np.int32(bits >> 31) & np.int32(0x7FFFFFFF)))


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _add_squares(
    lowest: NDArray[np.float32],
    highest: NDArray[np.float32],
    slack: np.float32,
    mean: np.float32,
    nearest: NDArray[np.float32],
    farthest: NDArray[np.float32],
) -> None:
    for tile in range(len(lowest)):
        low = lowest[tile] - slack * abs(lowest[tile])
        high = highest[tile] + slack * abs(highest[tile])
        near = min(max(mean, low), high) - mean
        far = max(mean - low, high - mean)
        nearest[tile] += near * near
        farthest[tile] += far * far


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _subtract(
    highest_heats: NDArray[np.float32],
    slack: np.float32,
    nearest: NDArray[np.float32],
    farthest: NDArray[np.float32],
    most: NDArray[np.float32],
    sure: NDArray[np.float32],
) -> None:
    """Make rounded distances of the squared ones in `nearest` and `farthest`, and of them `most` and `sure`."""
    for tile in range(len(most)):
        heat = highest_heats[tile]
        nearest[tile] = np.rint(np.sqrt(nearest[tile]))
        farthest[tile] = np.rint(np.sqrt(farthest[tile]))
        most[tile] = heat + slack * abs(heat) - nearest[tile]
        sure[tile] = heat - farthest[tile]


@njit(cache=True, nogil=True)
def _best_pixel(
    heatmap: NDArray[np.float32],
    doublings: int,
    tagmap: NDArray[np.float32],
    tag_doublings: int,
    bounds: _Bounds,
    first: int,
    mean_tag: NDArray[np.float32],
    drawn: _Drawn,
) -> tuple[int, int]:
    """x and y of the highest heatmap - round(tag distance), the first in reading order.

    Only tiles that can hold a better pixel, or an equal one earlier in reading order, are looked into: the tile
    `first`, then those that promise more than most, and so on.
    """
    columns = tile_counts(heatmap.shape[0] << doublings, heatmap.shape[1] << doublings)[1]
    best = level = np.float32(-np.inf)
    best_x = best_y = 0
    waiting = 1
    bounds.waiting[0] = first
    while waiting:
        left_over = 0
        for index in range(waiting):
            tile = bounds.waiting[index]
            if bounds.most[tile] < level:
                bounds.waiting[left_over] = tile
                left_over += 1
                continue
            top, left = tile // columns * TILE, tile % columns * TILE
            if bounds.most[tile] < best or (bounds.most[tile] == best and top > best_y):
                continue
            value, place = _look_into(
                heatmap, doublings, tagmap, tag_doublings, tile, top, left, bounds, mean_tag, best, drawn
            )
            x, y = left + place % TILE, top + place // TILE
            if value > best or (value == best and (y < best_y or (y == best_y and x < best_x))):
                best, best_x, best_y = value, x, y
        if level == -np.inf:  # only the first has been looked into
            waiting = len(bounds.most)
            for tile in range(waiting):
                bounds.waiting[tile] = tile
            bounds.most[first] = -np.inf
        else:
            waiting = left_over
        highest, kept = best, 0
        for index in range(waiting):
            tile = bounds.waiting[index]
            if bounds.most[tile] >= best:
                bounds.waiting[kept] = tile
                kept += 1
                highest = max(highest, bounds.most[tile])
        waiting = kept
        level = max(best, np.float32(0.5) * (best + highest))
    return best_x, best_y


@njit(cache=True, nogil=True)
def _look_into(
    heatmap, doublings, tagmap, tag_doublings, tile, top, left, bounds, mean_tag, least, drawn
):  # fmt: skip
    """The highest heatmap - round(tag distance) in a tile and where it is first, y * TILE + x.

    Of a tile where that is below `least`, something that is below it as well.
    """
    if drawn.heat_slots[tile] < 0:
        slot = drawn.heat_slots[tile] = drawn.used[0]
        drawn.used[0] += 1
        _draw_tile(heatmap, doublings, left, top, np.float32(-np.inf), drawn, drawn.heats[slot])
        drawn.scores[:] = drawn.heats[slot]
        drawn.highest[tile] = _highest(drawn.scores)
        drawn.peaks[tile] = -1
    most = drawn.highest[tile] - bounds.nearest[tile]
    if most < least:
        return most, 0
    if bounds.farthest[tile] == 0:  # no tag in this tile is far enough to matter
        if drawn.peaks[tile] < 0:
            drawn.peaks[tile] = _first_place(drawn.heats[drawn.heat_slots[tile]], most)
        return most, drawn.peaks[tile]
    if drawn.tag_slots[tile] < 0:
        drawn.tag_slots[tile] = drawn.used[1]
        drawn.used[1] += 1
        for index in range(len(mean_tag)):
            tags = drawn.tags[drawn.tag_slots[tile], index]
            _draw_tile(tagmap[:, :, index], tag_doublings, left, top, np.float32(0), drawn, tags)
    heats, tags = drawn.heats[drawn.heat_slots[tile]], drawn.tags[drawn.tag_slots[tile]]
    _score(heats, tags, mean_tag, drawn.scores)
    value = _highest(drawn.scores)
    if value < least:
        return value, 0
    _score(heats, tags, mean_tag, drawn.scores)
    return value, _first_place(drawn.scores, value)


@njit(cache=True, nogil=True)
def _draw_tile(
    map_: NDArray[np.float32],
    doublings: int,
    left: int,
    top: int,
    outside: np.float32,
    drawn: _Drawn,
    tile: NDArray[np.float32],
) -> None:
    """Draw a map's tile into `tile` [TILE * TILE], `outside` where the map has ended."""
    draw(map_, doublings, left - 1, top - 1, drawn.room, drawn.block)
    height, width = map_.shape[0] << doublings, map_.shape[1] << doublings
    if top + TILE > height or left + TILE > width:
        drawn.block[1 + height - top :] = outside
        drawn.block[:, 1 + width - left :] = outside
    for y in range(TILE):
        for x in range(TILE):
            tile[y * TILE + x] = drawn.block[1 + y, 1 + x]


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _score(
    heats: NDArray[np.float32],
    tags: NDArray[np.float32],
    mean_tag: NDArray[np.float32],
    scores: NDArray[np.float32],
) -> None:
    """Write heatmap - round(tag distance) of a tile into scores [TILE * TILE]; heats likewise, tags [T, TILE * TILE].

    In single precision, as the maps are, and in the order of the bounds: they must agree.
    """
    if len(mean_tag) == 1:
        for pixel in range(_AREA):
            scores[pixel] = heats[pixel] - np.rint(abs(tags[0, pixel] - mean_tag[0]))
        return
    scores[:] = 0
    for index in range(len(mean_tag)):
        for pixel in range(_AREA):
            difference = tags[index, pixel] - mean_tag[index]
            scores[pixel] += difference * difference
    for pixel in range(_AREA):
        scores[pixel] = heats[pixel] - np.rint(np.sqrt(scores[pixel]))


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _highest(values: NDArray[np.float32]) -> np.float32:
    """The highest of [TILE * TILE] values, which are lost: a loop over halves becomes vector instructions."""
    half = _AREA // 2
    while half >= TILE:
        for index in range(half):
            values[index] = max(values[index], values[half + index])
        half //= 2
    highest = values[0]
    for index in range(1, TILE):
        highest = max(highest, values[index])
    return highest


@njit(cache=True, nogil=True)
def _first_place(values: NDArray[np.float32], value: np.float32) -> int:
    """Where `value` is first in values [TILE * TILE]."""
    place = 0
    while place < _AREA - 1 and values[place] != value:
        place += 1
    return place
