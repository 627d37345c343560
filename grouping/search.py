"""The pixel that suits a person best, found without looking at most of them.

Letters: h w map pixels stored, T tags a keypoint. Tiles are those of ``tiles``, of one keypoint, in reading order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .bounds import Bounds, find_promising, keep_promising
from .drawing import AREA, DRAWN, DrawingRoom, draw_tile, pixels_of, place_of_row, room_to_draw
from .tiles import TILE, in_order, tile_counts


class DrawnTiles(NamedTuple):
    """One keypoint's tiles at full size, drawn when first looked into: people who miss it look into the same ones."""

    heat_slots: NDArray[np.int32]  # [tiles], where in heats it is, or -1
    heats: NDArray[np.float32]  # [., DRAWN]; -inf where the map has ended
    highest: NDArray[np.float32]  # [tiles], no value is higher; of a drawn tile its highest value
    peaks: NDArray[np.int32]  # [tiles], of a drawn tile where that is first, or -1 if nobody has asked
    tag_slots: NDArray[np.int32]  # [tiles], where in tags it is, or -1
    tags: NDArray[np.float32]  # [., T, DRAWN]
    used: NDArray[np.int32]  # [2], how many are drawn of either
    scores: NDArray[np.float32]  # [AREA], room for one tile's
    room: DrawingRoom


@njit(cache=True, nogil=True)
def room_for_tiles(tiles: int, num_tags: int) -> DrawnTiles:
    """Room for so many tiles at full size, of which only what is drawn takes memory."""
    return DrawnTiles(
        np.empty(tiles, np.int32),
        np.empty((tiles, DRAWN), np.float32),
        np.empty(tiles, np.float32),
        np.empty(tiles, np.int32),
        np.empty(tiles, np.int32),
        np.empty((tiles, num_tags, DRAWN), np.float32),
        np.empty(2, np.int32),
        np.empty(AREA, np.float32),
        room_to_draw(),
    )


@njit(cache=True, nogil=True)
def forget_tiles(drawn: DrawnTiles, maxima: NDArray[np.float32]) -> None:
    """Begin with another keypoint, whose tiles' maxima [tile rows, tile columns] come from ``tiles``."""
    drawn.heat_slots[:] = drawn.tag_slots[:] = -1
    drawn.used[:] = 0
    drawn.highest[:] = maxima.reshape(-1)


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
    """x and y of the highest heatmap - round(tag distance), the first in reading order; both maps are [h, w, 1 or T].

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
        if begun:
            waiting, highest = keep_promising(bounds.most, best, left_over, bounds.waiting)
        else:
            bounds.most[first] = -np.inf
            waiting, highest = find_promising(bounds.most, best, bounds.waiting)
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
        draw_tile(heatmap, 0, doublings, left, top, np.float32(-np.inf), drawn.room, drawn.heats[slot])
        drawn.highest[tile] = _highest(pixels_of(drawn.heats[slot]))
        drawn.peaks[tile] = -1
    most = drawn.highest[tile] - bounds.nearest[tile]
    if most < least:
        return most, 0
    heats = pixels_of(drawn.heats[drawn.heat_slots[tile]])
    if bounds.farthest[tile] == 0:  # no tag in this tile is far enough to matter
        if drawn.peaks[tile] < 0:
            drawn.peaks[tile] = _first_place(heats, most)
        return most, drawn.peaks[tile]
    if drawn.tag_slots[tile] < 0:
        slot = drawn.tag_slots[tile] = drawn.used[1]
        drawn.used[1] += 1
        for index in range(len(mean_tag)):
            draw_tile(tagmap, index, tag_doublings, left, top, np.float32(0), drawn.room, drawn.tags[slot, index])
    tags = drawn.tags[drawn.tag_slots[tile]]
    if len(mean_tag) == 1:
        value = _highest_score(heats, pixels_of(tags[0]), mean_tag[0])
        if value < least:  # as nearly always
            return value, 0
    _score(heats, tags, mean_tag, drawn.scores)
    value = _highest(drawn.scores)
    return value, 0 if value < least else _first_place(drawn.scores, value)


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _score(
    heats: NDArray[np.float32],
    tags: NDArray[np.float32],
    mean_tag: NDArray[np.float32],
    scores: NDArray[np.float32],
) -> None:
    """Write heatmap - round(tag distance) of a tile into scores [AREA]; heats likewise, tags [T, DRAWN].

    In single precision, as the maps are, and in the order of the bounds: they must agree.
    """
    if len(mean_tag) == 1:
        own = pixels_of(tags[0])
        for pixel in range(AREA):
            scores[pixel] = heats[pixel] - np.rint(abs(own[pixel] - mean_tag[0]))
        return
    scores[:] = 0
    for index in range(len(mean_tag)):
        own = pixels_of(tags[index])
        for pixel in range(AREA):
            difference = own[pixel] - mean_tag[index]
            scores[pixel] += difference * difference
    for pixel in range(AREA):
        scores[pixel] = heats[pixel] - np.rint(np.sqrt(scores[pixel]))


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _highest_score(heats: NDArray[np.float32], tags: NDArray[np.float32], mean: np.float32) -> np.float32:
    """The highest of what `_score` writes, where there is one tag [AREA]."""
    highest = np.int32(-(2**31))
    for pixel in range(AREA):
        score = heats[pixel] - np.rint(abs(tags[pixel] - mean))
        highest = max(highest, in_order(np.float32(score).view(np.int32)))
    return in_order(highest).view(np.float32)


@njit(cache=True, nogil=True)
def _highest(values: NDArray[np.float32]) -> np.float32:
    """The highest of [AREA] values, compared as whole numbers, many at a time."""
    bits = values.view(np.int32)
    highest = in_order(bits[0])
    for index in range(AREA):
        highest = max(highest, in_order(bits[index]))
    return in_order(highest).view(np.float32)


@njit(cache=True, nogil=True)
def _first_place(values: NDArray[np.float32], value: np.float32) -> int:
    """Where `value` is first in a tile's values [AREA], in reading order: y * TILE + x."""
    for y in range(TILE):
        for x in range(TILE):
            if values[place_of_row(y) + x] == value:
                return y * TILE + x
    return AREA - 1
