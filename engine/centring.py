"""What is constant in the features of the preset `default`, moved into biases: the same network, easier to quantise.

Letters: N images, C channels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from engine.mobilenet import TAP_BLOCKS, PoseTrunk
from engine.slim import SlimNetwork


@torch.no_grad()
def centre_streams(network: SlimNetwork, images: Iterable[Tensor]) -> None:
    """Make the channels between the trunk's blocks vary around 0 on such images, without changing what comes out.

    Between MobileNetV2's blocks nothing bounds the features, and most channels of MoveNet's lie far from 0, by more
    than they vary. That constant part takes up most of the steps of 8 bits, and multiplied by what rounding does to
    the weights, it makes nearly all of the error of the layers that read it. Here each block's mean is taken off its
    last bias and added, through their weights, to the biases of all layers that read it, each of which is 1×1: exact
    but for the last digits of float32.

    images: float32 [N, 3, H, W], normalised as the network takes them. The network's parameters are replaced.
    """
    blocks, pyramid = network.trunk.blocks, network.trunk.pyramid
    means = _block_means(network.trunk, images)
    constant = None  # [C], of the stream that the blocks of one width add to
    for index, (block, mean) in enumerate(zip(blocks, means, strict=True)):
        constant = mean if constant is None or not block.skip else constant + mean
        last = block.layers[-1]
        last.bias = nn.Parameter(last.bias - mean)
        reader = blocks[index + 1].layers[0] if index + 1 < len(blocks) else network.trunk.last[0]
        _add(reader, constant)
        if index == 0 and network.has_heads:
            _shift(network.deconv_layers[1], network.detail, constant)
        if index in TAP_BLOCKS:
            level = TAP_BLOCKS.index(index)
            _add(pyramid.lateral[level], constant)
            if network.has_heads:
                _shift(network.fusion.norm, network.fusion.lateral[level], constant)


def _block_means(trunk: PoseTrunk, images: Iterable[Tensor]) -> list[Tensor]:
    """The mean [C] of each channel of what each block adds, skips left out, over all images."""
    sums: dict[int, list[Tensor]] = defaultdict(list)

    def note(index: int) -> torch.utils.hooks.RemovableHandle:
        return trunk.blocks[index].layers.register_forward_hook(
            lambda module, inputs, output: sums[index].append(output.mean((0, 2, 3)))
        )

    hooks = [note(index) for index in range(len(trunk.blocks))]
    try:
        for image in images:
            trunk(image)
    finally:
        for hook in hooks:
            hook.remove()
    return [torch.stack(sums[index]).mean(0) for index in range(len(trunk.blocks))]


def _seen(convolution: nn.Conv2d, constant: Tensor) -> Tensor:
    """What a 1×1 convolution makes of a constant [C] in its first channels."""
    return convolution.weight[:, : len(constant), 0, 0] @ constant


def _add(convolution: nn.Conv2d, constant: Tensor) -> None:
    convolution.bias = nn.Parameter(convolution.bias + _seen(convolution, constant))


def _shift(norm: nn.BatchNorm2d, convolution: nn.Conv2d, constant: Tensor) -> None:
    """A convolution without bias, whose output is normalised later: the norm expects so much less."""
    norm.running_mean = norm.running_mean - _seen(convolution, constant)
