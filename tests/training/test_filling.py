"""A pixel belongs to a region when its centre lies inside, by the even-odd rule."""

import numpy as np
import pytest

from engine.training.filling import fill


def filled(*rings, size=(30, 40)):
    mask = np.zeros(size, np.uint8)
    for ring in rings:
        fill(mask, np.array(ring, np.float32), 1)
    return mask


def crossings(ring, x, y):
    """How many edges of a ring lie left of a point."""
    number = 0
    for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, 0), strict=True):
        if (y0 > y) != (y1 > y):
            number += x0 + (y - y0) / (y1 - y0) * (x1 - x0) < x
    return number


@pytest.mark.parametrize("corners", [3, 4, 9, 40])
@pytest.mark.parametrize("seed", range(5))
def test_the_centres_inside_are_filled_and_no_others(corners, seed):
    ring = np.random.default_rng((seed, corners)).uniform(-8, 45, (corners, 2))  # crosses itself and the border
    expected = [[crossings(ring, x + 0.5, y + 0.5) % 2 for x in range(40)] for y in range(30)]
    assert np.array_equal(filled(ring), expected)


@pytest.mark.parametrize("shift", [0, 0.25, 0.5, 0.75])
def test_a_square_has_its_own_number_of_pixels_wherever_it_lies(shift):
    mask = filled([(5 + shift, 7 + shift), (15 + shift, 7 + shift), (15 + shift, 19 + shift), (5 + shift, 19 + shift)])
    assert mask.sum() == 10 * 12
    rows, columns = np.nonzero(mask)
    assert abs(columns.mean() + 0.5 - (10 + shift)) <= 0.5 and abs(rows.mean() + 0.5 - (13 + shift)) <= 0.5


def test_regions_side_by_side_share_no_pixel_and_miss_none():
    rng = np.random.default_rng(0)
    middle = rng.uniform((10, 8), (30, 22))
    middle = np.round(middle) + 0.5  # where four triangles meet there is a centre
    outline = [(0, 0), (40, 0), (40, 30), (0, 30)]
    triangles = [filled([one, other, middle]) for one, other in zip(outline, [*outline[1:], outline[0]], strict=True)]
    assert (sum(triangles) == 1).all()


def test_a_line_there_and_back_encloses_nothing():
    rng = np.random.default_rng(1)
    for _ in range(200):
        line = rng.uniform(0, 30, (5, 2))
        assert not filled([*line, *line[::-1]]).any()


def test_what_is_empty_or_elsewhere_changes_nothing():
    assert not filled(np.zeros((0, 2))).any() and not filled([(3, 3)]).any()
    assert not filled([(50, 3), (60, 3), (60, 9)], [(-9, 3), (-1, 3), (-1, 9)], [(3, 90), (5, 90), (4, 99)]).any()
    assert filled([(-1e6, -1e6), (1e6, -1e6), (1e6, 1e6), (-1e6, 1e6)]).all()


def test_the_value_is_written_and_the_rest_stays():
    mask = np.full((6, 6), 7, np.uint8)
    fill(mask[1:5, 1:5], np.array([(0, 0), (2, 0), (2, 2), (0, 2)]), 0)  # part of a larger mask
    assert (mask == 0).sum() == 4 and (mask[1:3, 1:3] == 0).all() and (mask == 7).sum() == 32
