"""The trunk of the preset `default`: MobileNetV2 with a feature pyramid, laid out as MoveNet MultiPose has it.

MoveNet is a mobile pose network with published weights (Apache-2.0). Its layers already know people, which ImageNet's
do not, and its batch normalisation is folded into its convolutions: what is left is cheap to run and cheap to train.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# (output channels, stride, expansion) of the inverted residuals of MobileNetV2, 1.5 times as wide
_BLOCKS = (
    (24, 1, 1),
    *((40, 2, 6), (40, 1, 6)),
    *((48, 2, 6), (48, 1, 6), (48, 1, 6)),
    *((96, 2, 6), (96, 1, 6), (96, 1, 6), (96, 1, 6)),
    *((144, 1, 6), (144, 1, 6), (144, 1, 6)),
    *((240, 2, 6), (240, 1, 6), (240, 1, 6)),
    (480, 1, 6),
)
TAP_BLOCKS = (2, 5, 9)  # the blocks that the pyramid reads at 1/4, 1/8 and 1/16; at 1/32 it reads `last`
_PYRAMID_WIDTHS = (24, 32, 64)
_REGRESSION_UNIT = 32.0  # cells of the 1/4 map: brings offsets from a person's centre to the size of other features


class EndPaddedConv(nn.Conv2d):
    """k×k convolution padded as TensorFlow does: a stride of 2 on an even size pads the right and the bottom only."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(in_channels, out_channels, kernel, stride, padding, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, 1, 0, 1)) if self.stride[0] == 2 else x)


class InvertedResidual(nn.Module):
    """MobileNetV2's block: expand 1×1, depthwise 3×3, project 1×1; a skip where shapes agree."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = in_channels * expansion
        self.layers = nn.Sequential(
            *((EndPaddedConv(in_channels, wide, 1), nn.ReLU6(inplace=True)) if expansion > 1 else ()),
            EndPaddedConv(wide, wide, 3, stride, groups=wide),
            nn.ReLU6(inplace=True),
            EndPaddedConv(wide, out_channels, 1),
        )
        self.skip = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.skip else self.layers(x)


class SeparableConvReLU(nn.Sequential):
    """Depthwise 3×3 without bias, 1×1, ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False),
            nn.Conv2d(in_channels, out_channels, 1),
            nn.ReLU(inplace=True),
        )


class Pyramid(nn.Module):
    """MoveNet's top-down path; returns its features at 1/4, 1/8 and 1/16 and what it reads at 1/32 (24, 32, 64, 64)."""

    channels = (*_PYRAMID_WIDTHS, 64)

    def __init__(self, in_channels: Sequence[int]) -> None:
        super().__init__()
        widths = (*_PYRAMID_WIDTHS, 64)
        self.lateral = nn.ModuleList(nn.Conv2d(c, w, 1) for c, w in zip(in_channels, widths, strict=True))
        self.smooth = nn.ModuleList(SeparableConvReLU(w, widths[max(i - 1, 0)]) for i, w in enumerate(widths[:3]))

    def forward(self, taps: Sequence[Tensor]) -> list[Tensor]:
        x = self.lateral[3](taps[3])
        levels = [x]
        for level in (2, 1, 0):
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            summed = x + self.lateral[level](taps[level])
            x = self.smooth[level](summed)
            levels.insert(0, x if level == 0 else summed)
        return levels


class Seen(NamedTuple):
    """What a trunk makes of images [N, 3, H, W].

    detail: [N, 24, H/2, W/2], plain features.
    taps: MobileNetV2's features at 1/4, 1/8 and 1/16.
    levels: the pyramid's at 1/4, 1/8, 1/16 and 1/32.
    heatmaps [N, 17, H/4, W/4], centres [N, 1, H/4, W/4]: MoveNet's of its keypoints and of people, 0 to 1.
    """

    detail: Tensor
    taps: list[Tensor]
    levels: list[Tensor]
    heatmaps: Tensor
    centres: Tensor


class PoseTrunk(nn.Module):
    """MobileNetV2, MoveNet's pyramid and MoveNet's own answers.

    `forward(images [N,3,H,W])`, scaled to -1..1, H and W multiples of 32, returns what is `Seen`. Its third answer, the
    offsets from a person's centre to the keypoints, is good near centres only and asked for there (`offsets_at`), or
    everywhere as a feature among others: `features(seen)` are those at 1/4, 1/8 and 1/16, with `channels` channels.
    """

    detail_channels = _BLOCKS[0][0]
    keypoints = 17  # of MoveNet, whatever the skeleton of the network around it
    channels = (
        _BLOCKS[TAP_BLOCKS[0]][0] + Pyramid.channels[0] + 3 * keypoints + 1,
        _BLOCKS[TAP_BLOCKS[1]][0] + Pyramid.channels[1],
        _BLOCKS[TAP_BLOCKS[2]][0] + Pyramid.channels[2],
    )

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(EndPaddedConv(3, 48, 3, 2), nn.ReLU6(inplace=True))
        blocks, channels = [], 48
        for out_channels, stride, expansion in _BLOCKS:
            blocks.append(InvertedResidual(channels, out_channels, stride, expansion))
            channels = out_channels
        self.blocks = nn.ModuleList(blocks)
        self.last = nn.Sequential(EndPaddedConv(channels, 1280, 1), nn.ReLU6(inplace=True))
        self.pyramid = Pyramid([_BLOCKS[block][0] for block in TAP_BLOCKS] + [1280])
        self.heatmaps, self.centres, self.offsets = (
            nn.Sequential(SeparableConvReLU(_PYRAMID_WIDTHS[0], 96), nn.Conv2d(96, outputs, 1))
            for outputs in (self.keypoints, 1, 2 * self.keypoints)
        )

    def forward(self, images: Tensor) -> Seen:
        x, taps = self.stem(images), []
        x = detail = self.blocks[0](x)
        for index, block in enumerate(self.blocks[1:], 1):
            x = block(x)
            if index in TAP_BLOCKS:
                taps.append(x)
        levels = self.pyramid([*taps, self.last(x)])
        # In place: a new map of a single channel forgets that it was channels_last, and all that follows with it.
        heatmaps, centres = (head(levels[0]).sigmoid_() for head in (self.heatmaps, self.centres))
        return Seen(detail, taps, levels, heatmaps, centres)

    def features(self, seen: Seen) -> list[Tensor]:
        """What there is at 1/4, 1/8 and 1/16, the offsets of all cells included."""
        offsets = self.offsets(seen.levels[0]) / _REGRESSION_UNIT
        answers = seen.heatmaps, seen.centres, offsets
        return [
            torch.cat((tap, level, *extra), 1)
            for tap, level, extra in zip(seen.taps, seen.levels[:3], (answers, (), ()), strict=True)
        ]

    def offsets_at(self, seen: Seen, cells: Tensor) -> Tensor:
        """(y, x) of each keypoint from some cells of the 1/4 map, float32 [N, 34, M], in input pixels.

        cells: int64 [N, M], row by row through the map. The layers for offsets look at each cell's neighbours alone.
        """
        finest = seen.levels[0]
        images, channels, height, width = finest.shape
        count = cells.shape[1]
        step = torch.arange(-1, 2, device=cells.device)
        y = torch.div(cells, width, rounding_mode="floor")[:, None, :, None] + step[:, None, None]  # [N, 3, M, 1]
        x = (cells % width)[:, None, :, None] + step  # [N, 1, M, 3]
        inside = ((y >= 0) & (y < height) & (x >= 0) & (x < width)).reshape(images, 1, 3, 3 * count)
        index = (y.clamp(0, height - 1) * width + x.clamp(0, width - 1)).reshape(images, 9 * count, 1)
        by_cell = finest.permute(0, 2, 3, 1).reshape(images, height * width, channels)
        patches = by_cell.gather(1, index.expand(-1, -1, channels)).reshape(images, 3, 3 * count, channels)
        patches = patches.permute(0, 3, 1, 2) * inside.to(finest.dtype)  # [N, C, 3, 3M]: one 3×3 after another
        (depthwise, *rest), last = self.offsets
        x = F.conv2d(patches, depthwise.weight, stride=3, groups=channels)
        for layer in (*rest, last):
            x = layer(x)
        return 4 * x[:, :, 0].float()  # a cell is 4 input pixels
