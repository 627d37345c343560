"""Gaussian targets (eqs. 1, 2) and the places where tags are read."""

import math

import numpy as np
import pytest

from engine.training.targets import box_scales, render_heatmaps, tag_indices


def person(*keypoints):
    return np.array(keypoints, np.float32)


def test_gaussian_of_eq_1_around_the_integer_pixel():
    heatmaps = render_heatmaps(person((10.9, 20.2, 2))[None], 40, 30, sigma=2)
    assert heatmaps.shape == (1, 40, 30) and heatmaps.dtype == np.float32
    for dx, dy in ((0, 0), (1, 0), (0, -3), (5, 6)):
        assert heatmaps[0, 20 + dy, 10 + dx] == pytest.approx(math.exp(-(dx * dx + dy * dy) / 8), rel=1e-6)


def test_gaussian_ends_at_three_sigma_along_both_axes():
    heatmap = render_heatmaps(person((15, 15, 1))[None], 31, 31, sigma=2)[0]
    assert heatmap[15, 21] > 0 and heatmap[15, 22] == 0
    assert heatmap[9, 21] > 0 and heatmap[8, 15] == 0
    assert np.count_nonzero(heatmap) == 13 * 13


def test_people_that_overlap_take_the_maximum():
    near, far = person((10, 10, 2)), person((13, 10, 2))
    both = render_heatmaps(np.stack((near, far)), 24, 24)
    one, other = render_heatmaps(near[None], 24, 24), render_heatmaps(far[None], 24, 24)
    assert np.array_equal(both, np.maximum(one, other))


def test_unlabelled_and_outside_keypoints_leave_nothing():
    keypoints = person((5, 5, 0), (-1, 5, 2), (5, 40, 2), (24, 5, 2))[None]
    assert not render_heatmaps(keypoints, 24, 24).any()


@pytest.mark.parametrize("x, y", [(0, 0), (23, 23), (0, 12)])
def test_a_gaussian_at_the_border_is_cut_not_moved(x, y):
    heatmap = render_heatmaps(person((x, y, 2))[None], 24, 24)[0]
    assert heatmap[y, x] == 1 and np.unravel_index(heatmap.argmax(), heatmap.shape) == (y, x)


def test_no_people_gives_empty_maps():
    assert render_heatmaps(np.zeros((0, 17, 3), np.float32), 8, 9).shape == (17, 8, 9)
    assert not tag_indices(np.zeros((0, 17, 3), np.float32), 8, 9, 5).any()


def test_tag_indices_point_at_the_keypoints_pixel():
    keypoints = np.stack((person((3.7, 2.1, 2), (8, 7, 1)), person((0, 0, 0), (1, 1, 2))))
    indices = tag_indices(keypoints, 10, 12, max_people=4)
    tags = np.arange(2 * 10 * 12).reshape(2, 10, 12)
    assert indices.shape == (4, 2, 2)
    assert indices[0, 0].tolist() == [tags[0, 2, 3], 1] and indices[0, 1].tolist() == [tags[1, 7, 8], 1]
    assert indices[1].tolist() == [[0, 0], [tags[1, 1, 1], 1]]
    assert not indices[2:].any()


def test_people_without_a_keypoint_inside_are_left_out():
    keypoints = np.stack((person((50, 2, 2)), person((4, 4, 2))))
    indices = tag_indices(keypoints, 10, 10, max_people=2)
    assert indices[0, 0].tolist() == [44, 1] and not indices[1].any()


def test_each_person_may_have_a_sigma_of_their_own():
    keypoints = np.stack((person((10, 10, 2)), person((40, 10, 2))))
    heatmaps = render_heatmaps(keypoints, 20, 60, [1.0, 3.0])[0]
    assert heatmaps[10, 12] == pytest.approx(np.exp(-(2**2) / 2)) and heatmaps[10, 14] == 0  # ends at 3σ
    assert heatmaps[10, 46] == pytest.approx(np.exp(-(6**2) / (2 * 9))) and heatmaps[10, 49] > 0
    assert np.array_equal(render_heatmaps(keypoints, 20, 60, [2.0, 2.0]), render_heatmaps(keypoints, 20, 60, 2.0))


def test_the_naive_scale_is_the_width_of_the_box_over_the_base_width():
    people = np.array(
        [
            [(10, 0, 2), (138, 50, 1), (400, 0, 0)],  # what is not labelled does not count
            [(5, 0, 2), (90, 0, 0), (0, 0, 0)],
            [(0, 0, 2), (5000, 0, 2), (7, 7, 2)],
            [(9, 9, 0), (0, 0, 0), (0, 0, 0)],
        ]
    )
    assert box_scales(people, 256).tolist() == [0.5, 0.25, 4.0, 0.25]
    assert box_scales(np.zeros((0, 17, 3)), 256).shape == (0,)


def test_half_precision_is_that_of_the_whole_map():
    rng = np.random.default_rng(0)
    keypoints = np.concatenate((rng.uniform(0, 64, (5, 17, 2)), rng.integers(0, 3, (5, 17, 1))), -1)
    half = render_heatmaps(keypoints, 64, 64, 2.0, np.float16)
    assert half.dtype == np.float16
    assert np.array_equal(half, render_heatmaps(keypoints, 64, 64, 2.0).astype(np.float16))
