"""Local maxima, by hand and against the maximum over sliding windows."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grouping.drawing import AREA, DRAWN, draw_tile, place_of_row, room_to_draw
from grouping.interpolation import value_at
from grouping.peaks import find_peaks
from grouping.tiles import TILE, tile_counts, tile_ranges


def peaks(heatmap: np.ndarray, threshold: float = 0.1, kernel: int = 5, limit: int = 30) -> list[tuple]:
    heatmap = heatmap.astype(np.float32)
    minima, (maxima,) = np.empty((2, 1, *tile_counts(*heatmap.shape)), np.float32)
    tile_ranges(heatmap[..., None], 0, minima, maxima[None])
    pixels, values = np.zeros((limit, 2), np.int32), np.zeros(limit, np.float32)
    count = find_peaks(heatmap, 0, maxima, threshold, kernel, pixels, values)
    found = zip(pixels[:count].tolist(), values[:count].tolist(), strict=True)
    return [(x, y, round(value, 4)) for (x, y), value in found]


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    levels=st.sampled_from((4, 50, 10**6)),
    kernel=st.sampled_from((1, 3, 5, 9)),
)
def test_a_peak_equals_the_maximum_of_its_window(seed, height, width, levels, kernel):
    heatmap = np.random.default_rng(seed).integers(-levels, levels, (height, width)) / levels
    heatmap = heatmap.astype(np.float32)
    padded = np.pad(heatmap, kernel // 2, constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel)).max(axis=(2, 3))
    rows, columns = np.nonzero((windows == heatmap) & (heatmap.astype(float) > 0.1))
    found = peaks(heatmap, kernel=kernel, limit=height * width)
    assert {(x, y) for x, y, _ in found} == set(zip(columns.tolist(), rows.tolist(), strict=True))
    assert [value for _, _, value in found] == sorted((value for _, _, value in found), reverse=True)


def test_of_two_near_peaks_the_window_decides():
    heatmap = np.zeros((9, 12))
    heatmap[4, 3], heatmap[4, 5] = 0.9, 0.8
    assert peaks(heatmap, kernel=5) == [(3, 4, 0.9)]
    assert peaks(heatmap, kernel=3) == [(3, 4, 0.9), (5, 4, 0.8)]


def test_equal_neighbours_are_all_peaks():
    heatmap = np.zeros((9, 12))
    heatmap[4, 3:5] = 0.9
    assert peaks(heatmap) == [(3, 4, 0.9), (4, 4, 0.9)]


def test_the_highest_are_kept_and_of_equal_ones_the_first():
    heatmap = np.zeros((3 * TILE, 3 * TILE))
    heatmap[2, 2 * TILE] = heatmap[4, 2] = heatmap[2 * TILE, 3] = 0.5
    heatmap[2 * TILE, 2 * TILE] = 0.7
    assert peaks(heatmap, limit=3) == [(2 * TILE, 2 * TILE, 0.7), (2 * TILE, 2, 0.5), (2, 4, 0.5)]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 50),
    width=st.integers(1, 50),
    tags=st.integers(1, 3),
    doublings=st.sampled_from((0, 1, 2)),
)
def test_tile_bounds_hold_for_every_pixel_and_are_those_of_each_tile(seed, height, width, tags, doublings):
    tagmap = np.random.default_rng(seed).normal(size=(height, width, tags)).astype(np.float32)
    shape = tile_counts(height << doublings, width << doublings)
    lowest, highest = np.empty((2, tags, *shape), np.float32)
    assert tile_ranges(tagmap, doublings, lowest, highest)
    full = tagmap
    if doublings:
        rows, columns = np.mgrid[: height << doublings, : width << doublings]
        value = np.vectorize(value_at, excluded=(0, 3), otypes=[np.float32])
        full = np.stack([value(tagmap[..., t], columns, rows, doublings) for t in range(tags)], axis=2)
    for row, column in np.ndindex(*shape):
        tile = full[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
        if doublings:
            assert (tile.max(axis=(0, 1)) <= highest[:, row, column] + 1e-6).all()
            assert (tile.min(axis=(0, 1)) >= lowest[:, row, column] - 1e-6).all()
        else:
            np.testing.assert_array_equal(highest[:, row, column], tile.max(axis=(0, 1)))
            np.testing.assert_array_equal(lowest[:, row, column], tile.min(axis=(0, 1)))


@pytest.mark.parametrize("place", [(0, 0), (19, 32), (7, 16)])
@pytest.mark.parametrize("doublings", [0, 1, 2])
@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf, 3.4e38, -3.4e38])
def test_tiles_tell_what_is_not_finite(value, doublings, place):
    map_ = np.zeros((20, 33, 2), np.float32)
    map_[*place, 1] = value
    ranges = np.empty((2, 2, *tile_counts(20 << doublings, 33 << doublings)), np.float32)
    assert tile_ranges(map_, doublings, *ranges) == np.isfinite(value)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 50),
    width=st.integers(1, 50),
    tags=st.integers(1, 2),
    doublings=st.sampled_from((0, 1, 2)),
)
def test_a_drawn_tile_has_each_pixels_value(seed, height, width, tags, doublings):
    map_ = np.random.default_rng(seed).normal(size=(height, width, tags)).astype(np.float32)
    room, drawn, outside = room_to_draw(), np.empty(DRAWN, np.float32), np.float32(7)
    full_height, full_width = height << doublings, width << doublings
    for top, left in product(range(0, full_height, TILE), range(0, full_width, TILE)):
        for index in range(tags):
            draw_tile(map_, index, doublings, left, top, outside, room, drawn)
            pixels = drawn[TILE : TILE + AREA]
            for y, x in np.ndindex(TILE, TILE):
                inside = top + y < full_height and left + x < full_width
                own = value_at(map_[..., index], left + x, top + y, doublings) if inside else outside
                assert pixels[place_of_row(y) + x] == own
