"""The slim network: its outputs, its position channels, and how it is trained on a CPU."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from engine.checkpoint import ModelMetadata
from engine.network import PRESETS, build_network
from engine.slim import position
from engine.training.cpu import speed_up_depthwise


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


def test_tags_start_as_a_ramp_over_the_picture(network):
    with torch.inference_mode():
        tags = network(torch.rand(1, 3, 128, 128))[0][0, 34:]
    across = (tags[:, :, 1:] - tags[:, :, :-1]).mean().item()
    down = (tags[:, 1:] - tags[:, :-1]).mean().item()
    assert across == pytest.approx(4 / 24, abs=0.02) and down == pytest.approx(1 / 24, abs=0.02)


def test_position_counts_input_pixels_from_the_centre():
    grid = position(torch.zeros(2, 5, 3, 4), stride=16)
    assert grid.shape == (2, 2, 3, 4)
    assert grid[0, 0, 0].tolist() == [-24, -8, 8, 24] and grid[1, 1, :, 0].tolist() == [-16, 0, 16]


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
