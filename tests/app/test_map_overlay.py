"""The network's maps over a frame: values, place, colours, legend."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from app import map_overlay
from app.map_overlay import COLOUR_MAPS, MapLayer, MapStyle, blend, draw_legend, layer_of, legend_area

IDENTITY = np.eye(2, 3)


def maps(alphas=None, heatmaps=None, tags=None, to_source=IDENTITY):
    return SimpleNamespace(alphas=alphas, heatmaps=heatmaps, tags=tags, to_source=to_source)


def ramp(height=120, width=160) -> MapLayer:
    return MapLayer(np.tile(np.linspace(0.5, 2, width, dtype=np.float32), (height, 1)), "1/s", 0.5, 2.0)


def grey(height=120, width=160):
    return np.full((height, width, 3), 100, np.uint8)


def test_the_scale_map_is_the_mean_over_keypoints_plus_one():
    alphas = np.stack([np.full((6, 8), value, np.float32) for value in (-0.5, 0.0, 0.8)])
    layer = layer_of("scale", maps(alphas, to_source=np.array([[10.0, 0, 0], [0, 10, 0]])), (80, 60))
    assert layer.values.shape == (60, 80)
    np.testing.assert_allclose(layer.values, 1.1, atol=1e-6)
    one = layer_of("scale", maps(alphas, to_source=np.array([[10.0, 0, 0], [0, 10, 0]])), (80, 60), keypoint=2)
    np.testing.assert_allclose(one.values, 1.8, atol=1e-6)


def test_without_a_scale_branch_there_is_no_scale_map():
    with pytest.raises(ValueError, match="no scale branch"):
        layer_of("scale", maps(), (80, 60))


def test_map_pixels_land_where_to_source_says():
    alphas = np.zeros((17, 32, 64), np.float32)
    alphas[:, 10, 20] = 1
    # Map pixel (20, 10) has its centre at (20.5, 10.5), which lies at (4 * 20.5 - 7, 4 * 10.5 + 3).
    inverse = layer_of("scale", maps(alphas, to_source=np.array([[4.0, 0, -7], [0, 4, 3]])), (240, 140)).values
    rows, columns = np.mgrid[:140, :240] + 0.5
    weights = inverse - 1
    assert (columns * weights).sum() / weights.sum() == pytest.approx(75, abs=0.05)
    assert (rows * weights).sum() / weights.sum() == pytest.approx(45, abs=0.05)


def test_edge_of_the_map_goes_on_to_the_edge_of_the_frame():
    alphas = np.full((17, 6, 8), 0.5, np.float32)
    inverse = layer_of("scale", maps(alphas, to_source=np.array([[9.0, 0, 3], [0, 9, 3]])), (80, 60)).values
    np.testing.assert_allclose(inverse, 1.5, atol=1e-6)


def test_redder_means_larger_and_the_frame_shines_through():
    image = grey()
    image[60:, :80] = 200
    before = image.copy()
    blended = blend(image, ramp()).astype(int)
    assert (image == before).all()
    red_minus_blue = blended[30, :, 0] - blended[30, :, 2]
    assert red_minus_blue[5] < -40
    assert red_minus_blue[140] > 40
    assert (blended[100, 10] - blended[30, 10]).min() > 40


@pytest.mark.parametrize("colours", COLOUR_MAPS)
def test_opacity_goes_from_only_the_frame_to_only_the_map(colours):
    image = grey()
    only_frame, half, only_map = (blend(image, ramp(), MapStyle(opacity, colours)) for opacity in (0, 0.5, 1))
    assert (only_frame == image).all()
    np.testing.assert_allclose(half, (only_map.astype(float) + image) / 2, atol=1)
    assert np.abs(only_map[0, -1].astype(int) - only_map[0, 0]).max() > 60  # both ends can be told apart


def test_legend_shows_the_real_values_and_its_name(monkeypatch):
    labels = []
    monkeypatch.setattr(map_overlay, "draw_label", lambda image, text, *rest, **more: labels.append(text))
    picture = grey(240, 320)
    draw_legend(picture, ramp(240, 320))
    assert labels == ["2.00", "1.25", "0.50", "1/s"]
    left, top, right, bottom = legend_area(240, 320)
    assert 0 < left < right <= 320
    assert 0 < top < bottom <= 240
    highest, lowest = picture[top + 3, (left + right) // 2], picture[bottom - 4, (left + right) // 2]
    assert highest[0] > 100 > highest[2]
    assert lowest[2] > 100 > lowest[0]


def test_legend_text_is_drawn_beside_the_bar():
    picture = grey(240, 320)
    draw_legend(picture, ramp(240, 320))
    left, top, _, bottom = legend_area(240, 320)
    assert (picture[top:bottom, left - 40 : left - 4] > 240).all(axis=2).any()


def test_a_constant_map_and_a_tiny_frame_are_no_trouble():
    layer = MapLayer(np.ones((16, 16), np.float32), "1/s", 1.0, 1.0)
    blended = blend(np.zeros((16, 16, 3), np.uint8), layer)
    draw_legend(blended, layer)
    assert blended.shape == (16, 16, 3)


def test_the_heatmap_shows_the_highest_and_the_tags_of_the_likeliest():
    heatmaps = np.zeros((3, 4, 4), np.float32)
    heatmaps[1, :, :2], heatmaps[2, :, 2:] = 0.5, 0.8
    tags = np.broadcast_to(np.float32([[5], [6], [7]])[:, None, None], (3, 4, 4, 1)).copy()
    some = maps(heatmaps=heatmaps, tags=tags)
    np.testing.assert_allclose(layer_of("heatmap", some, (4, 4)).values, heatmaps.max(0))
    np.testing.assert_allclose(layer_of("heatmap", some, (4, 4), keypoint=1).values, heatmaps[1])
    expected = np.where(np.arange(4) < 2, 6, 7)[None].repeat(4, 0)
    np.testing.assert_allclose(layer_of("tags", some, (4, 4)).values, expected)
    np.testing.assert_allclose(layer_of("tags", some, (4, 4), keypoint=0).values, 5)


def test_heat_has_the_same_colour_whatever_else_the_picture_shows():
    faint = maps(heatmaps=np.full((3, 4, 4), 0.25, np.float32))
    layer = layer_of("heatmap", faint, (80, 60))
    assert (layer.low, layer.high) == (0.0, 1.0)
    over = MapLayer(np.full((60, 80), 9, np.float32), "heat", 0.0, 1.0)
    image = np.zeros((60, 80, 3), np.uint8)
    low, high = blend(image, layer), blend(image, over)
    assert low[5, 5, 2] > low[5, 5, 0] and high[5, 5, 0] > high[5, 5, 2]
