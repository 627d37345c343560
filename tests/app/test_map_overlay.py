"""The map of 1/s over a frame: values, place, colours, legend."""

from __future__ import annotations

import numpy as np
import pytest

from app import map_overlay
from app.map_overlay import blend_map, blend_scale_map, highest_heat, inverse_scales, legend_area, tags_of_the_likeliest


def test_value_is_the_mean_over_keypoints_plus_one():
    alphas = np.stack([np.full((6, 8), value, np.float32) for value in (-0.5, 0.0, 0.8)])
    inverse = inverse_scales(alphas, np.array([[10.0, 0, 0], [0, 10, 0]]), (80, 60))
    assert inverse.shape == (60, 80)
    np.testing.assert_allclose(inverse, 1.1, atol=1e-6)


def test_map_pixels_land_where_to_source_says():
    alphas = np.zeros((17, 32, 64), np.float32)
    alphas[:, 10, 20] = 1
    # Map pixel (20, 10) has its centre at (20.5, 10.5), which lies at (4 * 20.5 - 7, 4 * 10.5 + 3).
    inverse = inverse_scales(alphas, np.array([[4.0, 0, -7], [0, 4, 3]]), (240, 140))
    rows, columns = np.mgrid[:140, :240] + 0.5
    weights = inverse - 1
    assert (columns * weights).sum() / weights.sum() == pytest.approx(75, abs=0.05)
    assert (rows * weights).sum() / weights.sum() == pytest.approx(45, abs=0.05)


def test_edge_of_the_map_goes_on_to_the_edge_of_the_frame():
    alphas = np.full((17, 6, 8), 0.5, np.float32)
    inverse = inverse_scales(alphas, np.array([[9.0, 0, 3], [0, 9, 3]]), (80, 60))
    np.testing.assert_allclose(inverse, 1.5, atol=1e-6)


def test_redder_means_larger_and_the_frame_shines_through():
    image = np.full((120, 160, 3), 100, np.uint8)
    image[60:, :80] = 200
    inverse = np.tile(np.linspace(0.5, 2, 160, dtype=np.float32), (120, 1))
    before = image.copy()
    blended = blend_scale_map(image, inverse).astype(int)
    assert (image == before).all()
    red_minus_blue = blended[30, :, 0] - blended[30, :, 2]
    assert red_minus_blue[5] < -40
    assert red_minus_blue[140] > 40
    assert (blended[100, 10] - blended[30, 10]).min() > 40


def test_legend_shows_the_real_values_and_its_name(monkeypatch):
    labels = []
    monkeypatch.setattr(map_overlay, "draw_label", lambda image, text, *rest, **more: labels.append(text))
    inverse = np.tile(np.linspace(0.5, 2, 320, dtype=np.float32), (240, 1))
    blended = blend_scale_map(np.full((240, 320, 3), 100, np.uint8), inverse).astype(int)
    assert labels == ["2.00", "1.25", "0.50", "1/s"]
    left, top, right, bottom = legend_area(240, 320)
    assert 0 < left < right <= 320
    assert 0 < top < bottom <= 240
    highest, lowest = blended[top + 3, (left + right) // 2], blended[bottom - 4, (left + right) // 2]
    assert highest[0] > 100 > highest[2]
    assert lowest[2] > 100 > lowest[0]


def test_legend_text_is_drawn_beside_the_bar():
    inverse = np.tile(np.linspace(0.5, 2, 320, dtype=np.float32), (240, 1))
    blended = blend_scale_map(np.full((240, 320, 3), 100, np.uint8), inverse)
    left, top, _, bottom = legend_area(240, 320)
    assert (blended[top:bottom, left - 40 : left - 4] > 240).all(axis=2).any()


def test_a_constant_map_and_a_tiny_frame_are_no_trouble():
    blended = blend_scale_map(np.zeros((16, 16, 3), np.uint8), np.ones((16, 16), np.float32))
    assert blended.shape == (16, 16, 3)


def test_the_heatmap_shows_the_highest_and_the_tags_of_the_likeliest():
    heatmaps = np.zeros((3, 4, 4), np.float32)
    heatmaps[1, :, :2], heatmaps[2, :, 2:] = 0.5, 0.8
    tags = np.broadcast_to(np.float32([[5], [6], [7]])[:, None, None], (3, 4, 4, 1)).copy()
    where = np.eye(2, 3), (4, 4)
    np.testing.assert_allclose(highest_heat(heatmaps, *where), heatmaps.max(0))
    expected = np.where(np.arange(4) < 2, 6, 7)[None].repeat(4, 0)
    np.testing.assert_allclose(tags_of_the_likeliest(heatmaps, tags, *where), expected)


def test_given_limits_hold_whatever_the_picture_shows():
    image = np.zeros((60, 80, 3), np.uint8)
    low = blend_map(image, np.full((60, 80), 0.25, np.float32), "heat", (0.0, 1.0))
    over = blend_map(image, np.full((60, 80), 9, np.float32), "heat", (0.0, 1.0))
    assert low[5, 5, 2] > low[5, 5, 0] and over[5, 5, 0] > over[5, 5, 2]
