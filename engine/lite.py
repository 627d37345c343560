"""The trunk of the preset `default`: EfficientNet-Lite0, fused upward to 1/4, under the paper's heads.

HRNet keeps four resolutions alive through the whole network, which no laptop CPU can afford at live rate. Here an
ImageNet classifier without squeeze-and-excitation or swish (EfficientNet-Lite0, made for integer CPUs) looks at the
picture once, and a top-down path brings what it saw back to 1/4 of the input, where the heads of HigherHRNet and the
paper's scale branch read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.heads import ScaleBranch, ZeroScale

if TYPE_CHECKING:
    from engine.network import NetworkConfig

# (repeats, kernel, stride, expansion, output channels) of each stage of EfficientNet-Lite0
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_TAP_STAGES = (1, 2, 4, 6)  # the last stage at 1/4, 1/8, 1/16 and 1/32
_TAG_RAMP = 24.0  # input pixels a tag unit: about a shoulder's width of the people that are hard to tell apart


def _conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    # TensorFlow pads a stride of 2 on the right and the bottom only. Padding both sides samples the same features one
    # pixel to the left instead; the ImageNet weights do not mind, and no copy is made to pad.
    return nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.03)


class InvertedResidual(nn.Module):
    """MBConv of EfficientNet-Lite: expand 1×1, depthwise k×k, project 1×1; a skip where shapes agree."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = in_channels * expansion
        expand = (_conv(in_channels, wide, 1), _norm(wide), nn.ReLU6(inplace=True)) if expansion > 1 else ()
        self.layers = nn.Sequential(
            *expand,
            _conv(wide, wide, kernel, stride, groups=wide),
            _norm(wide),
            nn.ReLU6(inplace=True),
            _conv(wide, out_channels, 1),
            _norm(out_channels),
        )
        self.skip = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.skip else self.layers(x)


class EfficientNetLite0(nn.Module):
    """ImageNet trunk without its classifier.

    `forward(images [N,3,H,W])` returns features at 1/4, 1/8, 1/16 and 1/32 with `channels` channels.
    """

    channels = tuple(_STAGES[stage][-1] for stage in _TAP_STAGES)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_conv(3, 32, 3, 2), _norm(32), nn.ReLU6(inplace=True))
        stages, channels = [], 32
        for repeats, kernel, stride, expansion, width in _STAGES:
            blocks = []
            for index in range(repeats):
                blocks.append(InvertedResidual(channels, width, kernel, stride if index == 0 else 1, expansion))
                channels = width
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)

    def forward(self, images: Tensor) -> list[Tensor]:
        x, taps = self.stem(images), []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in _TAP_STAGES:
                taps.append(x)
        return taps


class ConvNormReLU(nn.Sequential):
    """k×k convolution, batch norm, ReLU; same size."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class Residual(nn.Module):
    """Two 3×3 convolutions around a skip (ResNet's basic block)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvNormReLU(channels, channels, 3)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.second(self.first(x)), inplace=True)


class UpwardFusion(nn.Module):
    """Top-down path: 1/32 → 1/16 → 1/8 → 1/4, each level added to what comes from below and smoothed.

    Position enters at 1/16, the level at which a person fits into a few cells: two people who look alike differ only by
    where they are, and a convolution alone cannot know that.
    """

    def __init__(self, in_channels: Sequence[int], widths: Sequence[int] = (64, 96, 128, 128)) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, w, 1) for c, w in zip(in_channels, widths, strict=True))
        self.descend = nn.ModuleList(nn.Conv2d(widths[i + 1], widths[i], 1) for i in range(len(widths) - 1))
        self.context = nn.Sequential(
            ConvNormReLU(widths[2] + 2, widths[2], 3), Residual(widths[2]), Residual(widths[2])
        )
        self.smooth = nn.ModuleList(
            [nn.Sequential(ConvNormReLU(w, w, 3), Residual(w)) for w in widths[:1]]
            + [ConvNormReLU(w, w, 3) for w in widths[1:2]]
        )

    def forward(self, taps: Sequence[Tensor]) -> Tensor:
        x = self.lateral[3](taps[3])
        x = self.lateral[2](taps[2]) + F.interpolate(self.descend[2](x), scale_factor=2.0)
        x = self.context(torch.cat((x, position(x, 16) / 128), 1))
        for level in (1, 0):
            x = self.lateral[level](taps[level]) + F.interpolate(self.descend[level](x), scale_factor=2.0)
            x = self.smooth[level](x)
        return x


def position(like: Tensor, stride: int) -> Tensor:
    """(x, y) of each cell's centre in input pixels, from the picture's centre: [N,2,h,w] for `like` [N,C,h,w]."""
    height, width = like.shape[-2:]
    x = (torch.arange(width, device=like.device, dtype=like.dtype) - (width - 1) / 2) * stride
    y = (torch.arange(height, device=like.device, dtype=like.dtype) - (height - 1) / 2) * stride
    grid = torch.stack((x.expand(height, width), y[:, None].expand(height, width)))
    return grid.expand(like.shape[0], 2, height, width)


class LiteNetwork(nn.Module):
    """EfficientNet-Lite0 trunk with HigherHRNet's two heads and the paper's scale branch (section 3.5, Figure 4).

    `forward(images float32 [N,3,H,W])`, H and W multiples of 64, returns the reference's two tensors:
    [N, K alphas | K heatmaps | K tags, H/4, W/4] and [N, K alphas | K heatmaps, H/2, W/2].

    Tags are a ramp over the picture (one unit every 24 input pixels) plus what the network adds to it: at the start of
    training people who stand apart differ already, and the tag loss has only to learn the way from each keypoint to
    its person, where a free embedding must first find out what tells people apart.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        num_keypoints, width, fine_width = config.num_keypoints, config.width, config.width // 2
        self.trunk = EfficientNetLite0()
        self.fusion = UpwardFusion(EfficientNetLite0.channels, (width, 96, 128, 128))
        self.final_layers = nn.ModuleList(
            (nn.Conv2d(width, 2 * num_keypoints, 1), nn.Conv2d(fine_width, num_keypoints, 1))
        )
        self.deconv_layers = nn.Sequential(
            nn.ConvTranspose2d(width + 2 * num_keypoints, fine_width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(fine_width),
            nn.ReLU(inplace=True),
            Residual(fine_width),
        )
        self.conv_scale_layers = nn.ModuleList(
            ScaleBranch(channels, num_keypoints) if config.scale_branch else ZeroScale(num_keypoints)
            for channels in (width, fine_width)
        )
        for head in self.final_layers:
            nn.init.normal_(head.weight, std=1e-3)
            nn.init.zeros_(head.bias)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = self.fusion(self.trunk(images))  # [N, width, H/4, W/4]
        maps = self.final_layers[0](x)  # [N, K heatmaps | K tags, H/4, W/4]
        coarse_alphas = self.conv_scale_layers[0](x)
        fine = self.deconv_layers(torch.cat((x, maps), 1))  # [N, fine_width, H/2, W/2]
        heatmaps, tags = maps.float().split(self.config.num_keypoints, 1)  # float32: bfloat16 would round the ramp
        x_offset, y_offset = position(tags, 4).split(1, 1)
        tags = tags + (x_offset + 0.25 * y_offset) / _TAG_RAMP
        coarse = torch.cat((coarse_alphas.float(), heatmaps, tags), 1)
        return coarse, torch.cat((self.conv_scale_layers[1](fine), self.final_layers[1](fine)), 1)
