"""The network of the preset `default`: a mobile pose trunk under the paper's heads.

HRNet keeps four resolutions alive through the whole network, which no laptop CPU can afford at live rate. Here a mobile
trunk that knows people looks at the picture once. What it says of keypoints and of people's centres becomes heatmaps
and tags; slim heads at 1/4 and 1/2 of the input refine them, in the layout of HigherHRNet and with the paper's scale
branch.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.centres import PeopleMaps
from engine.heads import ScaleBranch, ZeroScale
from engine.mobilenet import PoseTrunk
from grouping import COCO17, Skeleton

if TYPE_CHECKING:
    from engine.network import NetworkConfig


class SeparableResidual(nn.Module):
    """Depthwise 3×3, 1×1 and batch norm around a skip."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.layers(x), inplace=True)


class UpwardFusion(nn.Module):
    """Top-down path: 1/16 → 1/8 → 1/4, each level added to what comes from below, then smoothed."""

    def __init__(self, in_channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, 1, bias=False) for channels in in_channels)
        self.norm = nn.BatchNorm2d(width)
        self.smooth = nn.Sequential(SeparableResidual(width), SeparableResidual(width))

    def forward(self, taps: Sequence[Tensor]) -> Tensor:
        x = self.lateral[-1](taps[-1])
        for lateral, tap in zip(self.lateral[-2::-1], taps[-2::-1], strict=True):
            x = lateral(tap) + F.interpolate(x, scale_factor=2.0)
        return self.smooth(F.relu(self.norm(x), inplace=True))


class SlimNetwork(nn.Module):
    """A mobile trunk with HigherHRNet's two heads and the paper's scale branch (section 3.5, Figure 4).

    `forward(images float32 [N,3,H,W])`, H and W multiples of 64, returns the reference's two tensors:
    [N, K alphas | K heatmaps | K tags, H/4, W/4] and [N, K alphas | K heatmaps, H/2, W/2].

    Heatmaps count only where a person whose centre the trunk sees may have the keypoint, and tags are those of these
    people (`PeopleMaps`), plus what the heads add to both.

    exact_layers: modules that stay in floating point in int8. The stem, the first blocks and the pyramid are a fifth
    of the multiplications and most of the error; the answers of the others are read as numbers.
    """

    exact_layers = (
        *("trunk.stem", "trunk.blocks.0", "trunk.blocks.1"),
        *("trunk.pyramid", "trunk.heatmaps", "trunk.centres", "trunk.offsets"),
        *("people", "final_layers", "conv_scale_layers"),
    )

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        num_keypoints, width, fine_width = config.num_keypoints, config.width, config.width // 2
        self.trunk = PoseTrunk()
        self.people = PeopleMaps(_anchors(config.skeleton))
        self.fusion = UpwardFusion(PoseTrunk.channels[:3], width)
        self.final_layers = nn.ModuleList(
            (
                nn.Conv2d(width + PoseTrunk.keypoints, 2 * num_keypoints, 1),
                nn.Conv2d(fine_width, num_keypoints, 1),
            )
        )
        self.deconv_layers = nn.ModuleList(
            (
                nn.ConvTranspose2d(width + PoseTrunk.keypoints, fine_width, 4, 2, 1, bias=False),
                nn.BatchNorm2d(fine_width),
                nn.ReLU(inplace=True),
                SeparableResidual(fine_width),
            )
        )
        # What is seen at 1/4 can be placed to a few pixels at best; edges are seen at 1/2.
        self.detail = nn.Conv2d(PoseTrunk.detail_channels, fine_width, 1, bias=False)
        self.conv_scale_layers = nn.ModuleList(
            ScaleBranch(channels, num_keypoints) if config.scale_branch else ZeroScale(num_keypoints)
            for channels in (width, fine_width)
        )
        for head in self.final_layers:
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    @property
    def heads_are_silent(self) -> bool:
        """Whether the heads hand on the trunk's heatmaps as they are and add nothing to heatmaps or tags."""
        coarse, fine = self.final_layers
        keypoints = self.config.num_keypoints
        if keypoints != PoseTrunk.keypoints or any(part.any() for part in (coarse.bias, *fine.parameters())):
            return False
        expected = torch.zeros_like(coarse.weight)
        expected[:keypoints, self.config.width :, 0, 0] = torch.eye(keypoints)
        return torch.equal(coarse.weight, expected)

    def without_silent_heads(self) -> SlimNetwork:
        """The same network, sharing its parameters, without all that only its heads and its scale branches read.

        If the heads are silent: else it is returned as it is. What is left gives [N, K heatmaps | K tags, H/4, W/4] and
        [N, K heatmaps, H/2, W/2], the same as before.
        """
        if not self.heads_are_silent:
            return self
        twin = copy.copy(self)
        twin._modules = {name: self._modules[name] for name in ("trunk", "people")}
        return twin

    @property
    def has_heads(self) -> bool:
        """False for what `without_silent_heads` left."""
        return "final_layers" in self._modules

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.trunk(images)
        presence, whose = self.people(seen.centres, lambda cells: self.trunk.offsets_at(seen, cells))
        if not self.has_heads:
            presence, whose = _doubled(presence), _repeated(whose)
            # Flat, so that compilers that put channels last turn these maps back, and not larger ones made of them.
            heatmaps = (seen.heatmaps.float().flatten(2) * presence.flatten(2)).reshape(presence.shape)
            return torch.cat((heatmaps, whose), 1), _doubled(heatmaps)
        presence = presence.contiguous(memory_format=torch.channels_last)  # as the heatmaps that it is for
        presence, whose = _doubled(presence), _repeated(whose)
        x = torch.cat((self.fusion(self.trunk.features(seen)), seen.heatmaps), 1)
        heatmaps, tags = self.final_layers[0](x).float().split(self.config.num_keypoints, 1)
        heatmaps = heatmaps * presence
        features = x[:, : self.config.width]
        deconvolve, norm, activate, residual = self.deconv_layers
        fine = residual(activate(norm(deconvolve(x) + self.detail(seen.detail))))  # [N, fine_width, H/2, W/2]
        fine_heatmaps = _doubled(heatmaps) + self.final_layers[1](fine).float() * _doubled(presence)
        coarse_alphas, fine_alphas = (
            branch(level).float() for branch, level in zip(self.conv_scale_layers, (features, fine), strict=True)
        )
        return torch.cat((coarse_alphas, heatmaps, tags + whose), 1), torch.cat((fine_alphas, fine_heatmaps), 1)


def _doubled(maps: Tensor) -> Tensor:
    return F.interpolate(maps, scale_factor=2.0, mode="bilinear", align_corners=False)


def _repeated(maps: Tensor) -> Tensor:
    """Each value four times, [N, K, 2h, 2w]; not by interpolation, which OpenVINO would compute in bfloat16."""
    columns = torch.arange(2 * maps.shape[3], device=maps.device) // 2
    wide = maps.index_select(3, columns)
    return torch.stack((wide, wide), 3).flatten(2, 3)


def _anchors(skeleton: Skeleton) -> tuple[int | None, ...]:
    """Which of MoveNet's keypoints each keypoint is expected at; None for those of which it knows nothing."""
    places = {name: index for index, name in enumerate(COCO17.names)}
    places |= dict.fromkeys(("head", "neck"), places["nose"])
    return tuple(places.get(name) for name in skeleton.names)
