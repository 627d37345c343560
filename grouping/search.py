"""The pixel that suits a person best, found without looking at most of them.

Letters: h w map pixels stored, T tags a keypoint. Tiles are those of ``tiles``, of one keypoint, in reading order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .interpolation import WIDTH, draw, drawing_room
from .tiles import TILE, tile_counts

_AREA = TILE * TILE


class Bounds(NamedTuple):
    """What is known of each tile [tiles] for one person."""

    nearest: NDArray[np.float32]  # rounded distance of the tile's tags from the person's mean tag, at least
    farthest: NDArray[np.float32]  # at most
    most: NDArray[np.float32]  # heatmap - round(tag distance), at most
    sure: NDArray[np.float32]  # what it is where the highest value lies at the greatest distance
    waiting: NDArray[np.int32]  # room for tiles to look into


class DrawnTiles(NamedTuple):
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
def room_for_bounds(tiles: int) -> Bounds:
    """Room for what is to be known of so many tiles."""
    nearest, farthest, most, sure = np.empty((4, tiles), np.float32)
    return Bounds(nearest, farthest, most, sure, np.empty(tiles, np.int32))


@njit(cache=True, nogil=True)
def room_for_tiles(tiles: int, num_tags: int) -> DrawnTiles:
    """Room for so many tiles at full size, of which only what is drawn takes memory."""
    return DrawnTiles(
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


@njit(cache=True, nogil=True)
def forget_tiles(drawn: DrawnTiles, maxima: NDArray[np.float32]) -> None:
    """Begin with another keypoint, whose tiles' maxima [tile rows, tile columns] come from ``tiles``."""
    drawn.heat_slots[:] = drawn.tag_slots[:] = -1
    drawn.used[:] = 0
    drawn.highest[:] = maxima.reshape(-1)


@njit(cache=True, nogil=True)
def bound_tiles(
    highest_heats: NDArray[np.float32],
    lowest: NDArray[np.float32],
    highest: NDArray[np.float32],
    slack: np.float32,
    mean_tag: NDArray[np.float32],
    bounds: Bounds,
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
def best_pixel(
    heatmap: NDArray[np.float32],
    doublings: int,
    tagmap: NDArray[np.float32],
    tag_doublings: int,
    bounds: Bounds,
    first: int,
    mean_tag: NDArray[np.float32],
    drawn: DrawnTiles,
) -> tuple[int, int]:
    """x and y of the highest heatmap - round(tag distance), the first in reading order.

    Only tiles that can hold a better pixel, or an equal one earlier in reading order, are looked into: the tile
    `first`, then those that promise more than most, and so on.
    """
    columns = tile_counts(heatmap.shape[0] << doublings, heatmap.shape[1] << doublings)[1]
    best = level = np.float32(-np.inf)
    best_x = best_y = 0
    waiting, begun = 1, False
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
        highest = best
        waiting = 0
        for index in range(left_over if begun else len(bounds.most)):
            tile = bounds.waiting[index] if begun else index
            if bounds.most[tile] >= best and (begun or tile != first):
                bounds.waiting[waiting] = tile
                waiting += 1
                highest = max(highest, bounds.most[tile])
        begun = True
        # Never above the highest, whatever rounding does: each time something is looked into.
        level = max(best, min(highest, np.float32(0.5) * best + np.float32(0.5) * highest))
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
    drawn: DrawnTiles,
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
