"""The first blocks of the preset `default` strip by strip, so that what is between their layers stays in the cache.

An inverted residual makes many channels, looks at them once and makes few of them again. At 1/2 and 1/4 of the input
they are 10 to 40 MB, more than processors keep at hand, and fetching them takes longer than the arithmetic.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.mobilenet import InvertedResidual
from engine.served import ServedNetwork
from engine.slim import SlimNetwork

_STRIPS = 4  # divides the rows at 1/4 of the input, which are a multiple of 16
_BLOCKS = (1, 2)  # of the trunk; in the next ones there is less to gain than strips cost


def marks() -> tuple[object, ...]:
    """What a network in strips depends on besides the network itself."""
    return (Path(__file__).read_bytes(),)


def in_strips(served: ServedNetwork, among: Collection[str] | None = None) -> ServedNetwork:
    """The same network, sharing its parameters, with the trunk's wide blocks in strips; what comes out is the same.

    among: the modules that may be taken apart, by name; None for all. Where features have 8 bits, a quarter as much is
    moved, and strips gain nothing. Networks without such a trunk are returned as they are.
    """
    if not isinstance(served.network, SlimNetwork):
        return served
    twin, network, trunk = copy.copy(served), copy.copy(served.network), copy.copy(served.network.trunk)
    blocks = list(trunk.blocks)
    for index in _BLOCKS:
        if among is None or f"trunk.blocks.{index}" in among:
            blocks[index] = StripedResidual(blocks[index], _STRIPS)
    trunk._modules = trunk._modules | {"blocks": nn.ModuleList(blocks)}
    network._modules = network._modules | {"trunk": trunk}
    twin._modules = twin._modules | {"network": network}
    return twin


class StripedResidual(nn.Module):
    """An inverted residual that computes its output in strips of rows from top to bottom.

    `forward(x [N, C, H, W])`, with a number of output rows that the number of strips divides.
    """

    def __init__(self, block: InvertedResidual, strips: int) -> None:
        super().__init__()
        self.layers, self.skip, self.strips = block.layers, block.skip, strips

    def forward(self, x: Tensor) -> Tensor:
        rows = x.shape[2] // self.strips  # of the input
        y = torch.cat([self._strip(x, index, rows) for index in range(self.strips)], 2)
        return x + y if self.skip else y

    def _strip(self, x: Tensor, index: int, rows: int) -> Tensor:
        expand, bounded, depthwise, *project = self.layers
        stride = depthwise.stride[0]
        first, last = index == 0, index == self.strips - 1
        above = 0 if first or stride == 2 else 1  # rows of the neighbours that the 3×3 kernel reads, too
        below = 0 if last else 1
        wide = bounded(expand(x[:, :, index * rows - above : (index + 1) * rows + below]))
        side = (0, 1) if stride == 2 else (1, 1)
        edges = (1 - above if stride == 1 else 0, 1 - below)
        wide = functional.pad(wide, (*side, *edges))
        y = functional.conv2d(wide, depthwise.weight, depthwise.bias, stride, groups=depthwise.groups)
        for layer in project:
            y = layer(y)
        return y
