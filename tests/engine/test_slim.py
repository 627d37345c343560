"""The slim network: its outputs, and how it is trained on a CPU."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from engine.checkpoint import ModelMetadata
from engine.mobilenet import EndPaddedConv, PoseTrunk
from engine.network import PRESETS, build_network
from engine.training.cpu import speed_up_depthwise
from grouping import CROWDPOSE14


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_network("default").eval()


def test_outputs_have_the_references_layout(network):
    with torch.inference_mode():
        coarse, fine = network(torch.rand(2, 3, 128, 192))
    assert coarse.shape == (2, 3 * 17, 32, 48) and fine.shape == (2, 2 * 17, 64, 96)


def test_it_is_slim(network):
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert 3e6 < parameters < 7e6


def test_the_scale_branch_starts_at_scale_one(network):
    with torch.inference_mode():
        coarse, fine = network(torch.rand(1, 3, 64, 64))
    assert not coarse[:, :17].any() and not fine[:, :17].any()


def test_without_a_scale_branch_every_alpha_is_zero():
    plain = build_network(replace(PRESETS["default"], scale_branch=False))
    assert not any(name.startswith("conv_scale_layers") for name in plain.state_dict())
    coarse, fine = plain(torch.rand(1, 3, 64, 64))
    assert coarse.shape[1] == 51 and fine.shape[1] == 34 and not fine[:, :17].any()


def test_tags_start_as_those_of_the_people_that_the_trunk_sees(network):
    images = torch.rand(1, 3, 128, 128)
    with torch.inference_mode():
        seen = network.trunk(images)
        _, expected = network.people(seen.centres, lambda cells: network.trunk.offsets_at(seen, cells))
        assert torch.equal(network(images)[0][:, 34:, ::2, 1::2], expected)


def silent(network):
    """A copy whose heads hand on the trunk's heatmaps, as in the bundled model."""
    handed_on = copy.deepcopy(network)
    with torch.no_grad():
        handed_on.final_layers[0].weight[:17, 32:, 0, 0].fill_diagonal_(1)
    return handed_on


def test_silent_heads_are_left_out_and_nothing_changes(network):
    whole = silent(network)
    less = whole.without_silent_heads()
    assert whole.has_heads and not less.has_heads
    assert {name.split(".")[0] for name in less.state_dict()} == {"trunk"}
    with torch.inference_mode():
        images = torch.rand(2, 3, 128, 192)
        coarse, fine = whole(images)
        less_coarse, less_fine = less(images)
    assert less_coarse.shape == (2, 2 * 17, 32, 48) and less_fine.shape == (2, 17, 64, 96)
    assert less_coarse[:, :17].max() > 0
    assert torch.allclose(less_coarse, coarse[:, 17:], atol=1e-6) and torch.allclose(less_fine, fine[:, 17:], atol=1e-6)


@pytest.mark.parametrize(
    "spoken",
    [
        lambda network: network.final_layers[0].weight[3, 5],
        lambda network: network.final_layers[0].weight[20, 40],
        lambda network: network.final_layers[0].bias[3],
        lambda network: network.final_layers[1].weight[0, 0],
        lambda network: network.final_layers[1].bias[16],
    ],
    ids=["features", "tags", "bias", "fine", "fine bias"],
)
def test_heads_that_say_anything_stay(network, spoken):
    other = silent(network)
    with torch.no_grad():
        spoken(other).fill_(1e-6)
    assert other.without_silent_heads() is other


def test_heads_that_do_not_hand_on_the_heatmaps_stay(network):
    assert network.without_silent_heads() is network


def test_heatmaps_count_only_where_people_are(network):
    bright = build_network("default").eval()
    nn.init.ones_(bright.final_layers[0].bias)
    with torch.inference_mode():
        crowd = [maps[:, 17:34].max().item() for maps in bright(torch.rand(1, 3, 64, 64))]
        nn.init.constant_(bright.trunk.centres[1].bias, -20)
        empty = [maps[:, 17:34].max().item() for maps in bright(torch.rand(1, 3, 64, 64))]
    assert min(crowd) > 0.7 and max(empty) < 1e-3


def test_head_and_neck_which_movenet_does_not_know_are_looked_for_at_the_nose():
    other = build_network(replace(PRESETS["default"], skeleton=CROWDPOSE14)).eval()
    assert other.people.anchors == (*range(5, 17), 0, 0)
    with torch.inference_mode():
        assert other(torch.rand(1, 3, 64, 64))[0].shape[1] == 3 * 14


def test_pictures_are_normalised_as_movenet_was_trained():
    metadata = ModelMetadata.of(PRESETS["default"])
    grey, white = ((value / 255 - metadata.mean[0]) / metadata.std[0] for value in (127.5, 255))
    assert grey == pytest.approx(0) and white == pytest.approx(1)
    assert ModelMetadata.of(PRESETS["w32-512"]).mean == (0.485, 0.456, 0.406)


@pytest.mark.parametrize(("kernel", "stride"), [(5, 1), (3, 2), (5, 2), (9, 1)])
def test_fast_depthwise_gradients_are_the_ordinary_ones(kernel, stride):
    torch.manual_seed(0)
    plain = nn.Conv2d(8, 8, kernel, stride, kernel // 2, groups=8)
    fast = nn.Conv2d(8, 8, kernel, stride, kernel // 2, groups=8)
    fast.load_state_dict(plain.state_dict())
    speed_up_depthwise(fast)
    inputs = [torch.randn(2, 8, 12, 12, requires_grad=True)]
    inputs.append(inputs[0].detach().clone().requires_grad_())
    upstream = None
    for convolution, x in zip((plain, fast), inputs, strict=True):
        with torch.autocast("cpu", torch.bfloat16):
            y = convolution(x)
        upstream = torch.randn_like(y) if upstream is None else upstream
        assert y.dtype == torch.bfloat16
        y.backward(upstream)
    for one, other in ((plain.weight, fast.weight), (plain.bias, fast.bias), tuple(inputs)):
        scale = one.grad.abs().max()
        assert torch.allclose(one.grad, other.grad, atol=0.02 * scale.item(), rtol=0.02)


def test_without_training_the_fast_convolution_is_the_ordinary_one():
    plain = nn.Conv2d(4, 4, 5, padding=2, groups=4)
    x = torch.randn(1, 4, 9, 9)
    expected = plain(x)
    assert torch.equal(speed_up_depthwise(plain).eval()(x), expected)


def test_padding_the_kernel_is_padding_the_picture():
    torch.manual_seed(0)
    plain = EndPaddedConv(8, 8, 3, 2, groups=8)
    fast = copy.deepcopy(plain)
    speed_up_depthwise(fast)
    x = torch.randn(2, 8, 12, 16).contiguous(memory_format=torch.channels_last)
    ours, theirs = (x.clone().requires_grad_() for _ in range(2))
    expected, y = plain(theirs), fast(ours)
    assert torch.allclose(y, expected, rtol=1e-5, atol=1e-6)
    upstream = torch.randn_like(y)
    expected.backward(upstream)
    y.backward(upstream)
    for one, other in ((fast.weight, plain.weight), (fast.bias, plain.bias), (ours, theirs)):
        assert torch.allclose(one.grad, other.grad, rtol=1e-4, atol=1e-5)


def test_features_keep_lying_channels_last():
    trunk = PoseTrunk().to(memory_format=torch.channels_last)
    with torch.no_grad():
        seen = trunk(torch.zeros(2, 3, 64, 64).contiguous(memory_format=torch.channels_last))
        features = trunk.features(seen)
    assert features[0].is_contiguous(memory_format=torch.channels_last)
