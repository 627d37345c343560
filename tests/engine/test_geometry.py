"""The resize, its inverse, and the picture that goes through it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import SwahrError
from engine.geometry import Resize, transform_points, warp

SIZES = st.tuples(st.integers(1, 3000), st.integers(1, 3000)).filter(lambda s: max(s) <= 20 * min(s))


def reference_affine(source_size, size):
    """The published code's map: three corresponding points, from the centre, the width scale alone."""
    (width, height), (new_width, new_height) = source_size, size
    centre = np.array([int(width / 2 + 0.5), int(height / 2 + 0.5)], np.float32)
    span = width if width < height else new_width / new_height * height
    up, up_left = np.float32([0, -0.5]), np.float32([-0.5, -0.5])
    source = np.float32([centre, centre + span * up, centre + span * up_left])
    middle = np.float32([new_width / 2, new_height / 2])
    target = np.float32([middle, middle + new_width * up, middle + new_width * up_left])
    return cv2.getAffineTransform(source, target)


@pytest.mark.parametrize(
    "source_size, input_size, size",
    [
        ((640, 480), 512, (704, 512)),
        ((480, 640), 512, (512, 704)),
        ((640, 427), 512, (768, 512)),
        ((1920, 1080), 256, (512, 256)),
        ((500, 500), 256, (256, 256)),
        ((64, 64), 250, (256, 256)),
        ((1, 1), 64, (64, 64)),
        ((3, 7), 64, (64, 192)),
    ],
)
def test_short_side_becomes_the_input_size_in_multiples_of_64(source_size, input_size, size):
    assert Resize.fit(source_size, input_size).size == size


@pytest.mark.parametrize("source_size", [(640, 480), (480, 640), (641, 427), (427, 641), (333, 333), (5, 9)])
def test_the_map_is_the_published_one(source_size):
    resize = Resize.fit(source_size, 512)
    np.testing.assert_allclose(resize.matrix, reference_affine(source_size, resize.size), atol=1e-3)


@given(SIZES, st.sampled_from([64, 256, 512, 640]), st.sampled_from([0.5, 1.0, 1.5]))
def test_there_and_back_is_nowhere(source_size, input_size, scale):
    resize = Resize.fit(source_size, input_size, scale, 0.5)
    points = np.random.default_rng(0).uniform(-10, 3000, (20, 2))
    back = transform_points(transform_points(points, resize.matrix), resize.inverse)
    np.testing.assert_allclose(back, points, atol=1e-7)


@given(SIZES, st.sampled_from([64, 256, 512]))
def test_the_whole_source_lands_inside(source_size, input_size):
    resize = Resize.fit(source_size, input_size)
    assert all(side % 64 == 0 for side in resize.size)
    corners = transform_points([[0, 0], source_size], resize.matrix)
    # Half a source pixel may stick out where the centre of an odd size is rounded up, and half an input pixel
    # where a side is less than one longer than a multiple of 64.
    assert (corners >= -resize.ratio / 2 - 0.5).all()
    assert (corners <= np.array(resize.size) + 0.5).all()


SHAPES = [((96, 64), 64), ((64, 96), 128), ((50, 131), 64), ((131, 50), 192), ((9, 7), 256), ((640, 360), 64)]


def centre_of_light(picture):
    """The brightness-weighted mean position, pixel centres at + 0.5."""
    weights = picture[..., 0].astype(float)
    rows, columns = np.indices(weights.shape) + 0.5
    return np.array([(columns * weights).sum(), (rows * weights).sum()]) / weights.sum()


@pytest.mark.parametrize("size, input_size", SHAPES)
def test_a_bright_pixel_goes_where_the_map_says_and_back(size, input_size):
    resize = Resize.fit(size, input_size)
    seen_once = False
    for x, y in np.random.default_rng(1).integers((1, 1), np.array(size) - 1, (40, 2)):
        image = np.zeros((size[1], size[0], 3), np.uint8)
        image[y, x] = 255
        seen = resize.image(image)
        if not seen.any():
            continue  # fell between the samples of a smaller picture
        seen_once = True
        # The samples lie half a pixel off at most, wherever the pixel falls between them.
        found, true = centre_of_light(seen), np.array([x + 0.5, y + 0.5])
        np.testing.assert_allclose(found, transform_points(true, resize.matrix), atol=0.5)
        np.testing.assert_allclose(transform_points(found, resize.inverse), true, atol=0.5 / resize.ratio)
    assert seen_once


@pytest.mark.parametrize("size, input_size", [*SHAPES[:4], ((640, 360), 64), ((1920, 1080), 64), ((30, 22), 640)])
@pytest.mark.parametrize("place", [(0.4, 0.5), (0.62, 0.37)])
def test_a_soft_spot_goes_where_the_map_says_to_a_fraction_of_a_pixel(size, input_size, place):
    resize = Resize.fit(size, input_size)
    true = np.array(size) * place
    columns, rows = np.arange(size[0]) + 0.5, np.arange(size[1])[:, None] + 0.5
    spread = max(1.0, 1.2 / resize.ratio)
    light = np.exp(-((columns - true[0]) ** 2 + (rows - true[1]) ** 2) / (2 * spread**2))
    seen = resize.image(np.repeat((255 * light).astype(np.uint8)[..., None], 3, axis=2))
    found = centre_of_light(seen)
    tolerance = 0.03 * max(1.0, resize.ratio)
    np.testing.assert_allclose(found, transform_points(true, resize.matrix), atol=tolerance)


@pytest.mark.parametrize("width, height", [(96, 64), (300, 200), (200, 300)])
def test_a_mirrored_picture_resizes_to_the_mirrored_result(width, height):
    image = np.random.default_rng(2).integers(0, 256, (height, width, 3), np.uint8)
    resize = Resize.fit((width, height), 128)
    mirrored = resize.image(np.ascontiguousarray(image[:, ::-1]))
    # OpenCV interpolates in steps of 1/32 pixel, which do not mirror exactly.
    difference = mirrored[:, ::-1].astype(int) - resize.image(image)
    assert np.abs(difference).mean() < 1.5


def test_what_the_rounding_adds_is_black():
    resize = Resize.fit((640, 480), 512)  # 683 pixels wide inside 704
    seen = resize.image(np.full((480, 640, 3), 255, np.uint8))
    assert seen[:, :10].max() == 0 and seen[:, -10:].max() == 0
    assert seen[1:-1, 12:-12].min() == 255


def test_equal_sizes_leave_the_picture_alone():
    image = np.random.default_rng(3).integers(0, 256, (128, 192, 3), np.uint8)
    np.testing.assert_array_equal(Resize.fit((192, 128), 128).image(image), image)


def test_warp_by_half_a_pixel_mixes_neighbours():
    image = np.array([[0, 100, 0, 0]], np.uint8)
    np.testing.assert_array_equal(warp(image, np.array([[1, 0, 0.5], [0, 1, 0]]), (4, 1)), [[0, 50, 50, 0]])


@given(SIZES)
def test_all_scales_see_the_same_picture(source_size):
    base = Resize.fit(source_size, 256, 1.0, 0.5)
    for scale in (0.5, 1.0, 1.5):
        one = Resize.fit(source_size, 256, scale, 0.5)
        assert one.size == tuple(int(side * scale) for side in base.size)
        assert all(side % 32 == 0 for side in one.size)
        np.testing.assert_allclose(one.matrix, base.matrix * scale, atol=1e-9)


def test_scales_that_do_not_line_up_are_refused():
    with pytest.raises(SwahrError, match=r"0\.75 and 1 "):
        Resize.fit((640, 480), 512, 1.0, 0.75)
