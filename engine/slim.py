"""The network of the preset `default`: a mobile pose trunk, fused upward to 1/4, under the paper's heads.

HRNet keeps four resolutions alive through the whole network, which no laptop CPU can afford at live rate. Here a mobile
trunk looks at the picture once, and a top-down path brings what it saw back to 1/4 of the input, where the heads of
HigherHRNet and the paper's scale branch read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.heads import ScaleBranch, ZeroScale
from engine.mobilenet import PoseTrunk

if TYPE_CHECKING:
    from engine.network import NetworkConfig

_TAG_RAMP = 24.0  # input pixels a tag unit: about a shoulder's width of the people that are hard to tell apart


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


class SlimNetwork(nn.Module):
    """A mobile trunk with HigherHRNet's two heads and the paper's scale branch (section 3.5, Figure 4).

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
        self.trunk = PoseTrunk()
        self.fusion = UpwardFusion(PoseTrunk.channels, (width, 96, 128, 128))
        self.final_layers = nn.ModuleList(
            (
                nn.Conv2d(width + PoseTrunk.channels[0], 2 * num_keypoints, 1),
                nn.Conv2d(fine_width, num_keypoints, 1),
            )
        )
        self.deconv_layers = nn.ModuleList(
            (
                nn.ConvTranspose2d(width + 2 * num_keypoints, fine_width, 4, 2, 1, bias=False),
                nn.BatchNorm2d(fine_width),
                nn.ReLU(inplace=True),
                Residual(fine_width),
            )
        )
        # What is seen at 1/4 can be placed to a few pixels at best; edges are seen at 1/2.
        self.detail = nn.Conv2d(PoseTrunk.detail_channels, fine_width, 1)
        nn.init.zeros_(self.detail.weight)
        nn.init.zeros_(self.detail.bias)
        self.conv_scale_layers = nn.ModuleList(
            ScaleBranch(channels, num_keypoints) if config.scale_branch else ZeroScale(num_keypoints)
            for channels in (width, fine_width)
        )
        for head in self.final_layers:
            nn.init.normal_(head.weight, std=1e-3)
            nn.init.zeros_(head.bias)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        taps, detail = self.trunk(images)
        x = self.fusion(taps)  # [N, width, H/4, W/4]
        maps = self.final_layers[0](torch.cat((x, taps[0]), 1))  # [N, K heatmaps | K tags, H/4, W/4]
        coarse_alphas = self.conv_scale_layers[0](x)
        deconvolve, norm, activate, residual = self.deconv_layers
        fine = norm(deconvolve(torch.cat((x, maps), 1))) + self.detail(detail)
        fine = residual(activate(fine))  # [N, fine_width, H/2, W/2]
        heatmaps, tags = maps.float().split(self.config.num_keypoints, 1)  # float32: bfloat16 would round the ramp
        x_offset, y_offset = position(tags, 4).split(1, 1)
        tags = tags + (x_offset + 0.25 * y_offset) / _TAG_RAMP
        coarse = torch.cat((coarse_alphas.float(), heatmaps, tags), 1)
        return coarse, torch.cat((self.conv_scale_layers[1](fine), self.final_layers[1](fine)), 1)
