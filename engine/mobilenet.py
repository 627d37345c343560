"""The trunk of the preset `default`: MobileNetV2 with a feature pyramid, laid out as MoveNet MultiPose has it.

MoveNet is a mobile pose network with published weights (Apache-2.0). Its layers already know people, which ImageNet's
do not, and its batch normalisation is folded into its convolutions: what is left is cheap to run and cheap to train.
"""

from __future__ import annotations

from collections.abc import Sequence

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


class PoseTrunk(nn.Module):
    """MobileNetV2, MoveNet's pyramid and three of MoveNet's own answers as features.

    `forward(images [N,3,H,W])`, scaled to -1..1, returns features at 1/4, 1/8, 1/16 and 1/32 with `channels` channels,
    and plain ones at 1/2 with `detail_channels`. Those at 1/4 hold MoveNet's keypoint heatmaps (0..1), person centres
    (0..1) and, good near a centre, the offsets (y, x) from there to each keypoint, in `offset_unit`.
    """

    detail_channels = _BLOCKS[0][0]
    keypoints = 17  # of MoveNet, whatever the skeleton of the network around it
    channels = (
        _BLOCKS[TAP_BLOCKS[0]][0] + Pyramid.channels[0] + 3 * keypoints + 1,
        _BLOCKS[TAP_BLOCKS[1]][0] + Pyramid.channels[1],
        _BLOCKS[TAP_BLOCKS[2]][0] + Pyramid.channels[2],
        Pyramid.channels[3],
    )
    heatmap_channels = slice(channels[0] - 3 * keypoints - 1, channels[0] - 2 * keypoints - 1)  # of those at 1/4
    centre_channels = slice(heatmap_channels.stop, heatmap_channels.stop + 1)
    offset_channels = slice(centre_channels.stop, channels[0])
    offset_unit = 4 * _REGRESSION_UNIT  # input pixels

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

    def forward(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        x, taps = self.stem(images), []
        x = detail = self.blocks[0](x)
        for index, block in enumerate(self.blocks[1:], 1):
            x = block(x)
            if index in TAP_BLOCKS:
                taps.append(x)
        levels = self.pyramid([*taps, self.last(x)])
        # Together: the sigmoid of a single channel forgets that it was channels_last, and all that follows with it.
        scores = torch.cat((self.heatmaps(levels[0]), self.centres(levels[0])), 1).sigmoid()
        answers = scores, self.offsets(levels[0]) / _REGRESSION_UNIT
        features = [
            torch.cat((taps[0], levels[0], *answers), 1),
            torch.cat((taps[1], levels[1]), 1),
            torch.cat((taps[2], levels[2]), 1),
            levels[3],
        ]
        return features, detail
