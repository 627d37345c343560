"""group_outputs: the network's raw outputs give what group gives on the maps that PyTorch projects from them."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from torch.nn.functional import interpolate

from grouping import COCO17, CROWDPOSE14, GroupingOptions, group, group_outputs
from grouping.interpolation import WIDTH, draw, drawing_room, value_at
from grouping.sigmas import scales_of

IDENTITY = np.eye(2, 3)


def doubled(maps: np.ndarray, times: int = 1) -> np.ndarray:
    """[N, C, h, w] as PyTorch doubles it."""
    result = torch.from_numpy(np.ascontiguousarray(maps))
    for _ in range(times):
        result = interpolate(result, scale_factor=2, mode="bilinear", align_corners=False)
    return result.numpy()


def projected(coarse: np.ndarray, fine: np.ndarray, skeleton) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Heatmaps [K, h, w], tags [K, h, w, T] and alphas [K, h, w] at the size of the input, step by step."""
    keypoints, flips = skeleton.num_keypoints, list(skeleton.flip_indices)
    heatmaps = (doubled(coarse[:, keypoints : 2 * keypoints]) + fine[:, keypoints:]) / 2
    tags, alphas = doubled(coarse[:, 2 * keypoints :], 2), doubled(fine[:, :keypoints])
    heatmaps = doubled(heatmaps)

    def turned(maps):
        return np.stack([m[flips][..., ::-1] if image else m for image, m in enumerate(maps)])

    heatmaps, tags, alphas = turned(heatmaps), turned(tags), turned(alphas)
    return heatmaps.mean(0), np.moveaxis(tags, 0, 3), alphas.mean(0)


@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.parametrize("alphas", [True, False])
def test_a_finer_map_that_says_nothing_new_can_be_left_out(crowd, passes, alphas):
    coarse, fine = crowd(3, COCO17, 6, passes, 24, 32, 0.01)
    coarse = coarse if alphas else coarse[:, 17:]
    said_twice = doubled(coarse[:, -34:-17])
    options = GroupingOptions(max_people=30)
    expected = group_outputs(coarse, said_twice, IDENTITY, options)
    people = group_outputs(coarse, fine[:, :0], IDENTITY, options)
    assert len(people) == len(expected) > 3 and people.sigmas is None
    np.testing.assert_allclose(people.keypoints, expected.keypoints, rtol=0, atol=1e-4)
    np.testing.assert_allclose(people.tags, expected.tags, rtol=0, atol=1e-4)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32 - 1),
    num_people=st.integers(0, 12),
    passes=st.sampled_from((1, 2)),
    height=st.integers(4, 40),
    width=st.integers(4, 40),
    skeleton=st.sampled_from((COCO17, CROWDPOSE14)),
    noise=st.sampled_from((0.0, 0.01, 0.05)),
)
def test_fused_equals_grouping_of_projected_maps(crowd, seed, num_people, passes, height, width, skeleton, noise):
    # On maps of a few pixels people share their tags, and a rounding error decides who gets which candidate.
    coarse, fine = crowd(seed, skeleton, num_people, passes, height, width, noise + 1e-4)
    options = GroupingOptions(max_people=30)
    heatmaps, tags, alphas = projected(coarse, fine, skeleton)
    expected = group(heatmaps, tags, options, skeleton)
    people = group_outputs(coarse, fine, IDENTITY, options, skeleton)
    assert len(people) == len(expected)
    np.testing.assert_allclose(people.keypoints, expected.keypoints, rtol=0, atol=1e-4)
    np.testing.assert_allclose(people.scores, expected.scores, rtol=0, atol=1e-5)
    np.testing.assert_allclose(people.tags, expected.tags, rtol=0, atol=1e-3)
    scales = scales_of(expected.values_at(alphas))
    np.testing.assert_allclose(people.sigmas, np.where(expected.found, 4 * np.sqrt(scales), 0), rtol=1e-4)


# The same examples each time: once in many thousands a tag lies half a unit off, to the last digit, and is rounded the
# other way.
@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32 - 1),
    num_people=st.integers(0, 40),
    passes=st.sampled_from((1, 2)),
    height=st.integers(8, 64),
    width=st.integers(8, 64),
    skeleton=st.sampled_from((COCO17, CROWDPOSE14)),
)
def test_fused_equals_the_usual_implementation(crowd, reference, seed, num_people, passes, height, width, skeleton):
    coarse, fine = crowd(seed, skeleton, num_people, passes, height, width, 0.01)
    tensors = torch.from_numpy(coarse), torch.from_numpy(fine)
    maps = reference.projected(*tensors, list(skeleton.flip_indices))
    keypoints, scores = reference.group(*maps, skeleton.grouping_order)
    people = group_outputs(coarse, fine, IDENTITY, skeleton=skeleton)
    assert len(people) == len(keypoints)
    # PyTorch's top k has equal values in any order, and people who start there with them.
    differences = np.abs(people.keypoints[:, None] - keypoints[None]).max((2, 3), initial=0)
    order = linear_sum_assignment(differences)[1]
    np.testing.assert_allclose(people.keypoints, keypoints[order], rtol=0, atol=1e-3)
    np.testing.assert_allclose(people.scores, scores[order], rtol=0, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), height=st.integers(1, 12), width=st.integers(1, 12))
def test_doubling_is_pytorchs(seed, height, width):
    map_ = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    for times in (1, 2):
        expected = doubled(map_[None, None], times)[0, 0]
        rows, columns = np.mgrid[: expected.shape[0], : expected.shape[1]]
        found = np.vectorize(value_at, excluded=(0, 3))(map_, columns, rows, times)
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)
        for x, y in np.ndindex(-(-found.shape[1] // 16), -(-found.shape[0] // 16)):
            part = found[16 * y : 16 * y + 16, 16 * x : 16 * x + 16]
            for margin in (1, 3):
                block = np.full((16 + 2 * margin, WIDTH), np.nan, np.float32)
                draw(map_, times, 16 * x - margin, 16 * y - margin, drawing_room(), block)
                own = block[margin:, margin:][: part.shape[0], : part.shape[1]]
                np.testing.assert_array_equal(own, part)


def test_people_come_in_source_pixels_and_sigmas_grow_along(crowd):
    coarse, fine = crowd(5, COCO17, 3, 1, 32, 40, 0.001)
    plain = group_outputs(coarse, fine, IDENTITY)
    moved = group_outputs(coarse, fine, [[3, 0, 10], [0, 3, -5]])
    assert len(plain) == 3
    np.testing.assert_allclose(moved.keypoints[..., 0], 3 * plain.keypoints[..., 0] + 10, rtol=1e-5)
    np.testing.assert_allclose(moved.sigmas, 3 * plain.sigmas, rtol=1e-5)


def test_alphas_may_be_left_out(crowd):
    coarse, fine = crowd(3, COCO17, 4, 2, 14, 18, 0.02)
    people = group_outputs(coarse, fine, IDENTITY)
    for few, full in ((coarse[:, 17:], fine), (coarse, fine[:, 17:]), (coarse[:, 17:], fine[:, 17:])):
        again = group_outputs(few, full, IDENTITY)
        np.testing.assert_array_equal(again.keypoints, people.keypoints)
        assert (again.sigmas is None) == (full.shape[1] == 17)


def test_layout_and_dtype_do_not_matter(crowd):
    coarse, fine = crowd(6, COCO17, 4, 2, 24, 24, 0.001)
    expected = group_outputs(coarse, fine, IDENTITY)
    last = [np.ascontiguousarray(maps.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) for maps in (coarse, fine)]
    for pair in (last, [maps.astype(np.float64) for maps in (coarse, fine)]):
        np.testing.assert_array_equal(group_outputs(*pair, IDENTITY).keypoints, expected.keypoints)


@pytest.mark.parametrize(
    ("coarse", "fine", "message"),
    [
        ((1, 51, 8, 8), (1, 34, 16, 17), "coarse has shape"),
        ((1, 50, 8, 8), (1, 34, 16, 16), "coarse has shape"),
        ((2, 51, 8, 8), (1, 34, 16, 16), "coarse has shape"),
        ((1, 51, 8, 8), (3, 34, 16, 16), "fine has shape"),
        ((1, 51, 8, 8), (1, 33, 16, 16), "fine has shape"),
    ],
)
def test_shapes_that_do_not_fit_are_named(coarse, fine, message):
    with pytest.raises(ValueError, match=message):
        group_outputs(np.zeros(coarse), np.zeros(fine), IDENTITY)


@pytest.mark.parametrize(("which", "name"), [(0, "coarse"), (1, "fine")])
def test_what_is_not_finite_is_named(which, name):
    outputs = [np.zeros((1, 51, 8, 8), np.float32), np.zeros((1, 34, 16, 16), np.float32)]
    outputs[which][0, 20, 3, 5] = np.nan
    with pytest.raises(ValueError, match=f"{name} hold nan at image 0, map 20, x 5, y 3"):
        group_outputs(*outputs, IDENTITY)
