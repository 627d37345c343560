"""The mobile trunk: where its features lie and how it pads, which published weights depend on."""

import pytest
import torch
from torch import nn

from engine.mobilenet import InvertedResidual, PoseTrunk, Pyramid


@pytest.fixture(scope="module")
def trunk():
    torch.manual_seed(0)
    return PoseTrunk().eval()


def test_features_lie_at_the_four_strides(trunk):
    with torch.inference_mode():
        seen = trunk(torch.rand(1, 3, 64, 128))
        features = trunk.features(seen)
    assert seen.detail.shape == (1, PoseTrunk.detail_channels, 32, 64)
    assert [tuple(level.shape[1:]) for level in seen.levels] == [(24, 16, 32), (32, 8, 16), (64, 4, 8), (64, 2, 4)]
    assert [tuple(level.shape[1:]) for level in features] == [(116, 16, 32), (80, 8, 16), (160, 4, 8)]
    assert PoseTrunk.channels == (116, 80, 160)


def test_answers_are_probabilities(trunk):
    with torch.inference_mode():
        seen = trunk(torch.rand(2, 3, 64, 64))
    assert seen.heatmaps.shape[1] == 17 and seen.centres.shape[1] == 1
    assert all(maps.min() >= 0 and maps.max() <= 1 for maps in (seen.heatmaps, seen.centres))


def test_offsets_of_some_cells_are_those_of_the_whole_map(trunk):
    with torch.inference_mode():
        seen = trunk(torch.rand(2, 3, 64, 128))
        everywhere = 4 * trunk.offsets(seen.levels[0]).flatten(2)  # in input pixels
        cells = torch.tensor([[0, 31, 32, 100, 255], [480, 511, 7, 15 * 32 + 5, 33]])  # corners and edges among them
        offsets = trunk.offsets_at(seen, cells)
    assert offsets.shape == (2, 34, 5)
    assert torch.allclose(offsets, everywhere.gather(2, cells[:, None].expand(-1, 34, -1)), atol=1e-5)


def test_a_stride_of_two_pads_right_and_bottom_only(trunk):
    """TensorFlow's SAME: output pixel i sees input pixels 2i, 2i + 1 and 2i + 2."""
    stem = trunk.stem[0]
    copied = type(stem)(1, 1, 3, 2)
    nn.init.ones_(copied.weight)
    nn.init.zeros_(copied.bias)
    row = torch.arange(8.0).repeat(8, 1)[None, None]
    assert copied(row)[0, 0, 0].tolist() == [3 * 3, 3 * 9, 3 * 15, 3 * 13]
    assert copied(row)[0, 0, -1].tolist() == [2 * 3, 2 * 9, 2 * 15, 2 * 13]


def test_a_block_skips_only_where_shapes_agree():
    assert InvertedResidual(8, 8, 1, 6).skip
    assert not InvertedResidual(8, 8, 2, 6).skip and not InvertedResidual(8, 16, 1, 6).skip


def test_the_pyramid_hands_the_coarsest_level_down():
    pyramid = Pyramid((4, 5, 6, 7)).eval()
    taps = [torch.zeros(1, channels, 64 >> i, 64 >> i) for i, channels in enumerate((4, 5, 6, 7))]
    before = pyramid(taps)
    taps[3] = torch.ones_like(taps[3])
    after = pyramid(taps)
    assert [level.shape[1] for level in after] == list(Pyramid.channels)
    assert all(not torch.equal(one, other) for one, other in zip(before, after, strict=True))
