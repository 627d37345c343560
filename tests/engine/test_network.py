"""Names, shapes and arithmetic of the networks."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.nn import functional

from engine.errors import SwahrError
from engine.heads import ScaleBranch, split_outputs
from engine.network import PRESETS, NetworkConfig, build_network
from grouping import SKELETONS

BN = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def published_entries(width: int, keypoints: int) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the published checkpoints, written from their naming rules, not from this code."""
    entries: dict[str, tuple[int, ...]] = {}

    def conv(name: str, out_channels: int, in_channels: int, kernel: int, bias: bool = False) -> None:
        entries[f"{name}.weight"] = (out_channels, in_channels, kernel, kernel)
        if bias:
            entries[f"{name}.bias"] = (out_channels,)

    def norm(name: str, channels: int) -> None:
        entries.update({f"{name}.{part}": () if part.startswith("num") else (channels,) for part in BN})

    def conv_norm(name: str, out_channels: int, in_channels: int, kernel: int) -> None:
        conv(f"{name}.0", out_channels, in_channels, kernel)
        norm(f"{name}.1", out_channels)

    def basic_block(name: str, channels: int) -> None:
        for index in (1, 2):
            conv(f"{name}.conv{index}", channels, channels, 3)
            norm(f"{name}.bn{index}", channels)

    conv("conv1", 64, 3, 3)
    norm("bn1", 64)
    conv("conv2", 64, 64, 3)
    norm("bn2", 64)
    for block in range(4):
        name, in_channels = f"layer1.{block}", 64 if block == 0 else 256
        for index, (out_channels, from_channels, kernel) in enumerate(
            [(64, in_channels, 1), (64, 64, 3), (256, 64, 1)], start=1
        ):
            conv(f"{name}.conv{index}", out_channels, from_channels, kernel)
            norm(f"{name}.bn{index}", out_channels)
        if block == 0:
            conv_norm(f"{name}.downsample", 256, 64, 1)
    conv_norm("transition1.0", width, 256, 3)
    conv_norm("transition1.1.0", 2 * width, 256, 3)
    conv_norm("transition2.2.0", 4 * width, 2 * width, 3)
    conv_norm("transition3.3.0", 8 * width, 4 * width, 3)
    for stage, modules in ((2, 1), (3, 4), (4, 3)):
        for module in range(modules):
            name = f"stage{stage}.{module}"
            for branch in range(stage):
                for block in range(4):
                    basic_block(f"{name}.branches.{branch}.{block}", width * 2**branch)
            outputs = 1 if stage == 4 and module == modules - 1 else stage
            for target in range(outputs):
                for source in range(stage):
                    path = f"{name}.fuse_layers.{target}.{source}"
                    own, wanted = width * 2**source, width * 2**target
                    if source > target:
                        conv_norm(path, wanted, own, 1)
                    for step in range(target - source):
                        last = step == target - source - 1
                        conv_norm(f"{path}.{step}", wanted if last else own, own, 3)
    conv("final_layers.0", 2 * keypoints, width, 1, bias=True)
    conv("final_layers.1", keypoints, width, 1, bias=True)
    entries["deconv_layers.0.0.0.weight"] = (width + 2 * keypoints, width, 4, 4)
    norm("deconv_layers.0.0.1", width)
    for block in range(1, 5):
        basic_block(f"deconv_layers.0.{block}.0", width)
    for resolution in range(2):
        name = f"conv_scale_layers.{resolution}"
        conv(f"{name}.0", keypoints, width, 1, bias=True)
        norm(f"{name}.1", keypoints)
        conv(f"{name}.3", keypoints, 1, 9, bias=True)
    return entries


def published_forward(state: dict[str, torch.Tensor], images: torch.Tensor, width: int) -> list[torch.Tensor]:
    """The published network's arithmetic in evaluation mode, from its weights alone, as an oracle."""
    relu = functional.relu

    def conv(name: str, x: torch.Tensor, stride: int = 1) -> torch.Tensor:
        weight = state[f"{name}.weight"]
        groups = x.shape[1] // weight.shape[1]
        bias = state.get(f"{name}.bias")
        return functional.conv2d(x, weight, bias, stride, weight.shape[-1] // 2, groups=groups)

    def norm(name: str, x: torch.Tensor) -> torch.Tensor:
        mean, variance, weight, bias = (
            state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(x, mean, variance, weight, bias)

    def conv_norm(name: str, x: torch.Tensor, stride: int = 1) -> torch.Tensor:
        return norm(f"{name}.1", conv(f"{name}.0", x, stride))

    def basic_block(name: str, x: torch.Tensor) -> torch.Tensor:
        y = relu(norm(f"{name}.bn1", conv(f"{name}.conv1", x)))
        return relu(norm(f"{name}.bn2", conv(f"{name}.conv2", y)) + x)

    def bottleneck(name: str, x: torch.Tensor) -> torch.Tensor:
        y = relu(norm(f"{name}.bn1", conv(f"{name}.conv1", x)))
        y = relu(norm(f"{name}.bn2", conv(f"{name}.conv2", y)))
        y = norm(f"{name}.bn3", conv(f"{name}.conv3", y))
        skip = conv_norm(f"{name}.downsample", x) if f"{name}.downsample.0.weight" in state else x
        return relu(y + skip)

    def along(path: str, x: torch.Tensor, source: int, target: int) -> torch.Tensor:
        if source > target:
            x = conv_norm(path, x)
            factor = 2 ** (source - target)
            return x.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
        for step in range(target - source):
            x = conv_norm(f"{path}.{step}", x, stride=2)
            if step < target - source - 1:
                x = relu(x)
        return x

    def exchange(name: str, xs: list[torch.Tensor], outputs: int) -> list[torch.Tensor]:
        for branch in range(len(xs)):
            for block in range(4):
                xs[branch] = basic_block(f"{name}.branches.{branch}.{block}", xs[branch])
        return [
            relu(sum(along(f"{name}.fuse_layers.{t}.{s}", x, s, t) for s, x in enumerate(xs))) for t in range(outputs)
        ]

    x = relu(norm("bn1", conv("conv1", images, 2)))
    x = relu(norm("bn2", conv("conv2", x, 2)))
    for block in range(4):
        x = bottleneck(f"layer1.{block}", x)
    xs = [relu(conv_norm("transition1.0", x)), relu(conv_norm("transition1.1.0", x, 2))]
    xs = exchange("stage2.0", xs, 2)
    xs.append(relu(conv_norm("transition2.2.0", xs[-1], 2)))
    for module in range(4):
        xs = exchange(f"stage3.{module}", xs, 3)
    xs.append(relu(conv_norm("transition3.3.0", xs[-1], 2)))
    for module, outputs in enumerate((4, 4, 1)):
        xs = exchange(f"stage4.{module}", xs, outputs)

    def alphas(name: str, x: torch.Tensor) -> torch.Tensor:
        return conv(f"{name}.3", relu(norm(f"{name}.1", conv(f"{name}.0", x))))

    maps = conv("final_layers.0", xs[0])
    coarse = torch.cat([alphas("conv_scale_layers.0", xs[0]), maps], 1)
    x = functional.conv_transpose2d(
        torch.cat([xs[0], maps], 1), state["deconv_layers.0.0.0.weight"], stride=2, padding=1
    )
    x = relu(norm("deconv_layers.0.0.1", x))
    for block in range(1, 5):
        x = basic_block(f"deconv_layers.0.{block}.0", x)
    return [coarse, torch.cat([alphas("conv_scale_layers.1", x), conv("final_layers.1", x)], 1)]


@pytest.mark.parametrize("skeleton, keypoints", [("coco17", 17), ("crowdpose14", 14)])
def test_names_and_shapes_are_the_published_ones(make, skeleton, keypoints):
    network = build_network(dataclasses.replace(make.tiny, skeleton=SKELETONS[skeleton]))
    entries = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert entries == published_entries(make.tiny.width, keypoints)


@pytest.mark.slow
@pytest.mark.parametrize(
    "preset, width, keypoints, millions",
    [("w32-512", 32, 17, 28.65), ("w48-640", 48, 17, 63.83), ("w48-640-crowdpose", 48, 14, 63.83)],
)
def test_presets_have_the_published_size(preset, width, keypoints, millions):
    network = build_network(preset)
    assert round(sum(weights.numel() for weights in network.parameters()) / 1e6, 2) == millions
    entries = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert entries == published_entries(width, keypoints)


@pytest.mark.slow
def test_the_default_network_is_slim():
    parameters = sum(weights.numel() for weights in build_network("default").parameters())
    assert 3e6 <= parameters <= 7e6


def test_outputs_are_the_published_arithmetic(make):
    network = make.lively()
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        outputs = network(images)
        expected = published_forward(network.state_dict(), images, make.tiny.width)
    for output, reference in zip(outputs, expected, strict=True):
        assert reference.std() > 0.05, "the test's network is too quiet to tell anything"
        torch.testing.assert_close(output, reference, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("preset", ["tiny", pytest.param("default", marks=pytest.mark.slow)])
def test_output_shapes(make, preset):
    network = build_network(make.tiny if preset == "tiny" else preset).eval()
    with torch.inference_mode():
        coarse, fine = network(torch.zeros(2, 3, 64, 128))
    assert coarse.shape == (2, 3 * 17, 16, 32)
    assert fine.shape == (2, 2 * 17, 32, 64)
    assert coarse.dtype == fine.dtype == torch.float32


def test_training_starts_at_scale_one():
    branch = ScaleBranch(8, 17)
    assert torch.count_nonzero(branch(torch.randn(2, 8, 16, 16))) == 0
    # … but what leads to the zeros must be able to learn.
    branch[-1].weight.data.fill_(1)
    assert torch.count_nonzero(branch(torch.randn(2, 8, 16, 16))) > 0


def test_a_fresh_network_is_initialised_like_the_published_one(make):
    torch.manual_seed(0)
    network = build_network(make.tiny)
    weights = torch.cat([p.flatten() for n, p in network.named_parameters() if "conv1.weight" in n])
    assert 0.0009 < weights.std() < 0.0011
    for branch in network.conv_scale_layers:
        assert torch.count_nonzero(branch[3].weight) == torch.count_nonzero(branch[3].bias) == 0


def test_without_scale_branch_alphas_are_zero_and_the_rest_is_unchanged(make):
    network = make.lively()
    plain = build_network(dataclasses.replace(make.tiny, scale_branch=False)).eval()
    left = plain.load_state_dict(network.state_dict(), strict=False)
    assert left.missing_keys == []
    assert all(name.startswith("conv_scale_layers.") for name in left.unexpected_keys)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        (alphas, *maps), (fine_alphas, fine) = split_outputs(network(images), 17)
        (zeros, *plain_maps), (fine_zeros, plain_fine) = split_outputs(plain(images), 17)
    assert alphas.abs().max() > 0 and fine_alphas.abs().max() > 0
    assert zeros.shape == alphas.shape and fine_zeros.shape == fine_alphas.shape
    assert torch.count_nonzero(zeros) == torch.count_nonzero(fine_zeros) == 0
    # Alphas never reach the deconvolution, so heatmaps and tags do not depend on the branch.
    torch.testing.assert_close(plain_maps, maps)
    torch.testing.assert_close(plain_fine, fine)


def test_presets_go_by_their_names():
    assert set(PRESETS) == {"default", "w32-512", "w48-640", "w48-640-crowdpose"}
    assert all(PRESETS[name].name == name for name in PRESETS)
    assert [PRESETS[name].detection_threshold for name in ("w32-512", "w48-640")] == [0.12, 0.1]
    assert PRESETS["w48-640-crowdpose"].num_keypoints == 14


def test_an_unknown_preset_is_refused_with_the_known_ones():
    with pytest.raises(SwahrError, match=r"'w64'.*default, w32-512, w48-640, w48-640-crowdpose"):
        build_network("w64")


def test_an_impossible_config_is_refused(make):
    with pytest.raises(SwahrError, match="vgg"):
        dataclasses.replace(make.tiny, trunk="vgg")


def test_a_config_cannot_be_changed(make):
    with pytest.raises(dataclasses.FrozenInstanceError):
        make.tiny.width = 3
    assert isinstance(make.tiny, NetworkConfig)
