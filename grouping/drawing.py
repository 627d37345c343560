"""Tiles of maps that are stored smaller than they stand for, drawn at full size.

A drawn tile has its odd rows first and then its even rows, as they come off the rows between which they lie:
`place_of_row` tells where. Letters: h w pixels stored, T tags a keypoint.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from .tiles import TILE

AREA = TILE * TILE
_PAIRS = TILE // 2 + 1  # of rows: each two stored rows give two of the doubled map
_HALF = _PAIRS + 1  # pixels a side of the part of a map at 1/2 that a tile is made of
_QUARTER = _HALF // 2 + 1
DRAWN = 2 * _PAIRS * TILE  # values of a drawn tile with the row before it and the one behind
_NEAR, _FAR = np.float32(0.75), np.float32(0.25)


class DrawingRoom(NamedTuple):
    """Room to draw in; what is needed lies at the left."""

    quarter: NDArray[np.float32]  # [_QUARTER, TILE]
    half: NDArray[np.float32]  # [_HALF, TILE]
    wide_half: NDArray[np.float32]  # [_QUARTER, TILE]
    wide: NDArray[np.float32]  # [_HALF * TILE]


@njit(cache=True, nogil=True)
def room_to_draw() -> DrawingRoom:
    return DrawingRoom(
        np.zeros((_QUARTER, TILE), np.float32),
        np.zeros((_HALF, TILE), np.float32),
        np.zeros((_QUARTER, TILE), np.float32),
        np.zeros(_HALF * TILE, np.float32),
    )


@njit(cache=True, nogil=True, inline="always")
def pixels_of(drawn: NDArray[np.float32]) -> NDArray[np.float32]:
    """The tile's own pixels, [AREA], of what `draw_tile` wrote."""
    return drawn[TILE : TILE + AREA]


@njit(cache=True, nogil=True, inline="always")
def place_of_row(y: int) -> int:
    """Where in a tile's pixels its row y begins."""
    return (y // 2 if y & 1 else (TILE + y) // 2) * TILE


@njit(cache=True, nogil=True)
def draw_tile(
    map_: NDArray[np.float32],
    index: int,
    doublings: int,
    left: int,
    top: int,
    outside: np.float32,
    room: DrawingRoom,
    drawn: NDArray[np.float32],
) -> None:
    """Draw one tile of a map [h, w, T], of its value `index`, into `drawn` [DRAWN], as ``value_at`` gives its pixels.

    The map is doubled 0, 1 or 2 times; left and top, multiples of TILE, are the tile's first pixel in the doubled map.
    Beyond the map's right and lower border the tile is `outside`.
    """
    height, width = map_.shape[0] << doublings, map_.shape[1] << doublings
    if doublings == 0:
        _copy(map_, index, left, top, drawn)
    else:
        if doublings == 1:
            _cut(map_, index, left // 2 - 1, top // 2 - 1, room.half)
        else:
            _cut(map_, index, left // 4 - 1, top // 4 - 1, room.quarter)
            _double_part(room.quarter, left == 0, top == 0, room.wide_half, room.half)
        _double_tile(room.half, left == 0, top == 0, room.wide, drawn)
    if left + TILE > width or top + TILE > height:
        tile = pixels_of(drawn)
        for y in range(TILE):
            first = max(width - left, 0) if y < height - top else 0
            tile[place_of_row(y) + first : place_of_row(y) + TILE] = outside


@njit(cache=True, nogil=True)
def _copy(map_: NDArray[np.float32], index: int, left: int, top: int, drawn: NDArray[np.float32]) -> None:
    """Copy what there is of a tile that is stored at full size."""
    height, width, num_tags = map_.shape
    lines = map_.reshape(height, width * num_tags)
    tile = pixels_of(drawn)
    if num_tags == 1 and left + TILE <= width and top + TILE <= height:
        pixels = map_.reshape(map_.size)
        for y in range(TILE):
            _copy_row(tile, place_of_row(y), pixels, (top + y) * width + left)
        return
    for y in range(min(TILE, height - top)):
        for x in range(min(TILE, width - left)):
            tile[place_of_row(y) + x] = lines[top + y, (left + x) * num_tags + index]


@intrinsic
def _copy_row(typing_context, to, place, source, start):
    """Copy TILE values of one flat float32 array into another: of a loop that short Numba makes one move a value."""

    def moves(context, builder, signature, arguments):
        ends = []
        for array, index in ((0, 1), (2, 3)):
            struct = context.make_array(signature.args[array])(context, builder, arguments[array])
            ends.append(builder.gep(struct.data, [arguments[index]]))
        cgutils.raw_memcpy(builder, *ends, context.get_constant(types.intp, TILE), 4)
        return context.get_dummy_value()

    return types.void(to, types.intp, source, types.intp), moves


@njit(cache=True, nogil=True)
def _cut(map_: NDArray[np.float32], index: int, x0: int, y0: int, part: NDArray[np.float32]) -> None:
    """Copy stored pixels from x0, y0 on into `part`, as many a side as it has rows; the map's border goes on."""
    height, width, num_tags = map_.shape
    lines = map_.reshape(height, width * num_tags)
    if num_tags == 1 and x0 >= 0 and y0 >= 0 and x0 + TILE <= width and y0 + len(part) <= height:
        pixels, part = map_.reshape(map_.size), part.reshape(part.size)
        for y in range(len(part) // TILE):
            _copy_row(part, y * TILE, pixels, (y0 + y) * width + x0)
        return
    for y in range(len(part)):
        line = lines[min(max(y0 + y, 0), height - 1)]
        for x in range(len(part)):
            part[y, x] = line[min(max(x0 + x, 0), width - 1) * num_tags + index]


@njit(cache=True, nogil=True)
def _double_part(
    quarter: NDArray[np.float32], leftmost: bool, topmost: bool, wide: NDArray[np.float32], half: NDArray[np.float32]
) -> None:
    """Double a part of a map at 1/4; both begin one pixel before the tile, and so does each pair of pixels."""
    for y in range(_QUARTER):
        for x in range(_HALF // 2):
            wide[y, 2 * x] = _NEAR * quarter[y, x] + _FAR * quarter[y, x + 1]
            wide[y, 2 * x + 1] = _FAR * quarter[y, x] + _NEAR * quarter[y, x + 1]
        if leftmost:  # nothing lies to the left of the first pixel that it could be mixed with
            wide[y, 0] = wide[y, 1] = quarter[y, 1]
    for y in range(_HALF // 2):
        for x in range(TILE):
            upper, lower = wide[y, x], wide[y + 1, x]
            half[2 * y, x] = _NEAR * upper + _FAR * lower
            half[2 * y + 1, x] = _FAR * upper + _NEAR * lower
    if topmost:
        half[0], half[1] = wide[1], wide[1]


@njit(cache=True, nogil=True)
def _double_tile(
    half: NDArray[np.float32], leftmost: bool, topmost: bool, wide: NDArray[np.float32], drawn: NDArray[np.float32]
) -> None:
    """Double a part of a map at 1/2, which begins one pixel before the tile, into a tile."""
    for y in range(_HALF):
        for x in range(TILE // 2):
            wide[y * TILE + 2 * x] = _FAR * half[y, x] + _NEAR * half[y, x + 1]
            wide[y * TILE + 2 * x + 1] = _NEAR * half[y, x + 1] + _FAR * half[y, x + 2]
        if leftmost:
            wide[y * TILE] = half[y, 1]
    odd, even = drawn[: _PAIRS * TILE], drawn[_PAIRS * TILE :]
    for place in range(_PAIRS * TILE):
        upper, lower = wide[place], wide[place + TILE]
        odd[place] = _NEAR * upper + _FAR * lower
        even[place] = _FAR * upper + _NEAR * lower
    if topmost:
        even[:TILE] = wide[TILE : 2 * TILE]
