"""What each tile can hold for one person at the most, and which tiles are worth a look.

Letters: T tags a keypoint. Tiles are those of ``tiles``, of one keypoint, in reading order.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .tiles import in_order

_BLOCK = 32  # tiles that are passed over together


class Bounds(NamedTuple):
    """What is known of each tile for one person: [tiles] and at least a block more, which promises nothing."""

    nearest: NDArray[np.float32]  # rounded distance of the tile's tags from the person's mean tag, at least
    farthest: NDArray[np.float32]  # at most
    most: NDArray[np.float32]  # heatmap - round(tag distance), at most
    sure: NDArray[np.float32]  # what it is where the highest value lies at the greatest distance
    waiting: NDArray[np.int32]  # [tiles], room for those to look into


@njit(cache=True, nogil=True)
def room_for_bounds(tiles: int) -> Bounds:
    """Room for what is to be known of so many tiles."""
    # A block more than that: lines of a power of two of bytes would all share one small part of the cache.
    size = (-(-tiles // _BLOCK) + 1) * _BLOCK
    return Bounds(
        np.empty(size, np.float32),
        np.empty(size, np.float32),
        np.full(size, -np.inf, np.float32),
        np.full(size, -np.inf, np.float32),
        np.empty(tiles, np.int32),
    )


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
    if len(mean_tag) == 1:
        _bound_by_one_tag(highest_heats, lowest[0], highest[0], slack, mean_tag[0], *bounds[:4])
    else:
        bounds.nearest[:] = bounds.farthest[:] = 0
        for index in range(len(mean_tag)):
            _add_squares(lowest[index], highest[index], slack, mean_tag[index], bounds.nearest, bounds.farthest)
        _subtract(highest_heats, slack, bounds.nearest, bounds.farthest, bounds.most, bounds.sure)
    return _first_highest(bounds.sure.view(np.int32))


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _bound_by_one_tag(
    highest_heats: NDArray[np.float32],
    lowest: NDArray[np.float32],
    highest: NDArray[np.float32],
    slack: np.float32,
    mean: np.float32,
    nearest: NDArray[np.float32],
    farthest: NDArray[np.float32],
    most: NDArray[np.float32],
    sure: NDArray[np.float32],
) -> None:
    """The same as below where there is one tag, and no root to take."""
    for tile in range(len(lowest)):
        heat = highest_heats[tile]
        low = lowest[tile] - slack * abs(lowest[tile])
        high = highest[tile] + slack * abs(highest[tile])
        near = np.rint(abs(min(max(mean, low), high) - mean))
        far = np.rint(max(mean - low, high - mean))
        nearest[tile] = near
        farthest[tile] = far
        most[tile] = heat + slack * abs(heat) - near
        sure[tile] = heat - far


@njit(cache=True, nogil=True)
def _first_highest(bits: NDArray[np.int32]) -> int:
    """Where the highest of float32 values, given by their bits, is first: whole numbers compare many at a time."""
    highest, place = np.int32(-(2**31)), np.int32(len(bits))
    for index in range(len(bits)):
        highest = max(highest, in_order(bits[index]))
    for index in range(len(bits)):
        place = min(place, np.int32(index) if in_order(bits[index]) == highest else np.int32(len(bits)))
    return place


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
    for tile in range(len(highest_heats)):
        heat = highest_heats[tile]
        nearest[tile] = np.rint(np.sqrt(nearest[tile]))
        farthest[tile] = np.rint(np.sqrt(farthest[tile]))
        most[tile] = heat + slack * abs(heat) - nearest[tile]
        sure[tile] = heat - farthest[tile]


@njit(cache=True, nogil=True)
def find_promising(most: NDArray[np.float32], least: np.float32, found: NDArray[np.int32]) -> tuple[int, np.float32]:
    """Write down the tiles that promise `least` or more; how many, and the most that one promises."""
    count, highest = 0, least
    for begin in range(0, len(most), _BLOCK):
        promising = 0
        for tile in range(begin, begin + _BLOCK):
            promising += most[tile] >= least
        if promising == 0:
            continue
        for tile in range(begin, min(begin + _BLOCK, len(found))):
            if most[tile] >= least:
                found[count] = tile
                count += 1
                highest = max(highest, most[tile])
    return count, highest


@njit(cache=True, nogil=True)
def keep_promising(
    most: NDArray[np.float32], least: np.float32, waiting: int, found: NDArray[np.int32]
) -> tuple[int, np.float32]:
    """The same of the first `waiting` of those written down before."""
    count, highest = 0, least
    for index in range(waiting):
        tile = found[index]
        if most[tile] >= least:
            found[count] = tile
            count += 1
            highest = max(highest, most[tile])
    return count, highest
