"""Aggregation against cases worked out by hand."""

from __future__ import annotations

import pytest
import torch

from engine.aggregate import aggregate, at_half, resized, unmirrored

SWAP = (0, 2, 1)  # a nose, a left and a right hand


def outputs(passes: int = 1, keypoints: int = 3, size: tuple[int, int] = (2, 2), **values: torch.Tensor | float):
    """The network's two tensors, with single parts filled in: alphas, heatmaps, tags (1/4), fine_… (1/2)."""
    height, width = size
    coarse = torch.zeros(passes, 3, keypoints, height, width)
    fine = torch.zeros(passes, 2, keypoints, 2 * height, 2 * width)
    parts = {
        "alphas": coarse[:, 0],
        "heatmaps": coarse[:, 1],
        "tags": coarse[:, 2],
        "fine_alphas": fine[:, 0],
        "fine_heatmaps": fine[:, 1],
    }
    for name, value in values.items():
        parts[name][:] = value
    return coarse.flatten(1, 2), fine.flatten(1, 2)


def test_both_resolutions_count_half():
    half = at_half(outputs(heatmaps=0.2, fine_heatmaps=0.6), SWAP)
    assert half.heatmaps.shape == (1, 3, 4, 4)
    torch.testing.assert_close(half.heatmaps, torch.full((1, 3, 4, 4), 0.4))


@pytest.mark.parametrize("passes", [1, 2])
def test_a_finer_map_that_says_nothing_new_is_the_coarser_one_doubled(passes):
    coarse, fine = outputs(passes, heatmaps=torch.rand(3, 2, 2), tags=torch.rand(3, 2, 2))
    said_twice = resized(coarse[:, 3:6], 4, 4)
    one, other = (at_half((coarse, maps), SWAP) for maps in (fine[:, :0], said_twice))
    torch.testing.assert_close(one.heatmaps, other.heatmaps)
    assert torch.equal(one.tags, other.tags) and one.alphas is other.alphas is None


def test_bilinear_without_aligned_corners():
    row = torch.tensor([0.0, 1.0]).view(1, 1, 1, 2)
    torch.testing.assert_close(resized(row, 1, 4).flatten(), torch.tensor([0.0, 0.25, 0.75, 1.0]))


def test_alphas_are_those_of_the_finer_map_and_tags_those_of_the_coarser():
    half = at_half(outputs(alphas=7.0, fine_alphas=0.5, tags=3.0), SWAP)
    assert (half.alphas == 0.5).all()
    assert half.tags.shape == (1, 3, 4, 4)
    assert (half.tags == 3).all()
    assert (half.heatmaps == 0).all()


def test_unmirroring_turns_the_second_pass_and_exchanges_left_and_right():
    maps = torch.arange(12.0).view(2, 3, 1, 2)
    plain, turned = unmirrored(maps, SWAP)
    assert plain.tolist() == maps[0].tolist()
    assert turned.tolist() == [[[7, 6]], [[11, 10]], [[9, 8]]]


def test_flip_averages_heatmaps_and_alphas_and_keeps_both_tags():
    plain_left = torch.zeros(2, 3, 4, 4)
    plain_left[0, 1, 0, 0] = 1.0  # the image: a left hand at the left end
    plain_left[1, 2, 0, 3] = 0.5  # its mirror image: a right hand at the right end
    tags = torch.stack([torch.full((3, 2, 2), 1.0), torch.full((3, 2, 2), 2.0)])
    half = at_half(outputs(2, fine_heatmaps=plain_left, fine_alphas=plain_left, tags=tags), SWAP)
    expected = torch.zeros(1, 3, 4, 4)
    expected[0, 1, 0, 0] = 0.75
    torch.testing.assert_close(half.heatmaps, expected / 2)  # the coarse map saw nothing
    torch.testing.assert_close(half.alphas, expected)
    assert half.tags[0].unique().tolist() == [1] and half.tags[1].unique().tolist() == [2]


def test_projection_reaches_the_input_in_two_steps_of_two():
    spot = torch.zeros(3, 2, 2)
    spot[0, 0, 0] = 1.0
    heatmaps, tags, alphas = aggregate({1.0: outputs(tags=spot, fine_heatmaps=0.5)}, (8, 8), SWAP)
    assert heatmaps.shape == alphas.shape == (3, 8, 8)
    assert tags.shape == (3, 8, 8, 1)
    torch.testing.assert_close(heatmaps, torch.full((3, 8, 8), 0.25))
    # From 2 to 4 to 8 pixels: the weights of the left column are 1, .75, .25, 0, and then as below.
    weights = torch.tensor([1, 0.9375, 0.8125, 0.625, 0.375, 0.1875, 0.0625, 0])
    torch.testing.assert_close(tags[0, :, :, 0], weights[:, None] * weights[None, :])


def test_scales_average_heatmaps_and_take_tags_and_alphas_from_scale_one():
    by_scale = {
        0.5: outputs(size=(1, 1), heatmaps=0.3, fine_heatmaps=0.3, tags=9.0, fine_alphas=9.0),
        1.0: outputs(size=(2, 2), heatmaps=0.6, fine_heatmaps=0.6, tags=1.0, fine_alphas=2.0),
        1.5: outputs(size=(3, 3), heatmaps=0.9, fine_heatmaps=0.9, tags=9.0, fine_alphas=9.0),
    }
    heatmaps, tags, alphas = aggregate(by_scale, (8, 8), SWAP)
    torch.testing.assert_close(heatmaps, torch.full((3, 8, 8), 0.6))
    assert (tags == 1).all()
    assert (alphas == 2).all()


@pytest.mark.parametrize("passes", [1, 2])
def test_inputs_are_left_alone(passes):
    coarse, fine = outputs(passes, heatmaps=0.5, fine_heatmaps=0.25, tags=1.0)
    before = coarse.clone(), fine.clone()
    aggregate({1.0: (coarse, fine)}, (8, 8), SWAP)
    assert torch.equal(coarse, before[0]) and torch.equal(fine, before[1])
