"""HRNet, the trunk that keeps a high resolution throughout, and HigherHRNet with the paper's scale branch on
top.

Modules are named as in the published checkpoints (`conv1`, `layer1`, `transition1`, `stage2` …
`final_layers`, `deconv_layers`, `conv_scale_layers`), so those load without renaming.

Letters: N batch, K keypoints, H W pixels of the network's input, C channels of the finest branch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from engine.heads import ScaleBranch, ZeroScale, initialise_like_reference

if TYPE_CHECKING:
    from engine.network import NetworkConfig

STEM_CHANNELS = 64
BLOCKS_PER_BRANCH = 4
MODULES_PER_STAGE = {"stage2": 1, "stage3": 4, "stage4": 3}


def conv_bn(in_channels: int, out_channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> list[nn.Module]:
    """A convolution without bias that keeps the size (divided by the stride), and its batch normalisation."""
    padding = dilation * (kernel // 2)
    convolution = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation, bias=False)
    return [convolution, nn.BatchNorm2d(out_channels)]


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a skip connection; [N, C, h, w] -> the same shape.

    dilation: of both convolutions (Table 7).
    """

    def __init__(self, channels: int, dilation: int = 1):
        super().__init__()
        self.conv1, self.bn1 = conv_bn(channels, channels, 3, dilation=dilation)
        self.conv2, self.bn2 = conv_bn(channels, channels, 3, dilation=dilation)
        self.relu = nn.ReLU(inplace=True)
        if dilation > 1:
            # Weights of another dilation have the same shapes; with this entry a file of them is not mistaken.
            self.register_buffer("dilation", torch.tensor(dilation))

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + x)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions beside a skip connection; [N, C, h, w] -> [N, 4 * planes, h, w]."""

    expansion = 4

    def __init__(self, in_channels: int, planes: int):
        super().__init__()
        out_channels = planes * self.expansion
        self.conv1, self.bn1 = conv_bn(in_channels, planes, 1)
        self.conv2, self.bn2 = conv_bn(planes, planes, 3)
        self.conv3, self.bn3 = conv_bn(planes, out_channels, 1)
        self.relu = nn.ReLU(inplace=True)
        fits = in_channels == out_channels
        self.downsample = nn.Identity() if fits else nn.Sequential(*conv_bn(in_channels, out_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + self.downsample(x))


def fuse_path(channels: list[int], source: int, target: int) -> nn.Module:
    """What brings branch `source` to the resolution and channels of branch `target` (0 is the finest)."""
    if source == target:
        return nn.Identity()
    if source > target:
        upsample = nn.Upsample(scale_factor=2 ** (source - target), mode="nearest")
        return nn.Sequential(*conv_bn(channels[source], channels[target], 1), upsample)
    halvings = [
        nn.Sequential(*conv_bn(channels[source], channels[source], 3, stride=2), nn.ReLU(inplace=True))
        for _ in range(target - source - 1)
    ]
    # The last step changes the channels and has no ReLU: that comes after the sum.
    last = nn.Sequential(*conv_bn(channels[source], channels[target], 3, stride=2))
    return nn.Sequential(*halvings, last)


class HighResolutionModule(nn.Module):
    """Residual blocks on every branch, then each output is the sum of all branches brought to its size."""

    def __init__(self, channels: list[int], outputs: int):
        super().__init__()
        branches = len(channels)
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(width) for _ in range(BLOCKS_PER_BRANCH))) for width in channels
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(fuse_path(channels, source, target) for source in range(branches))
            for target in range(outputs)
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        features = [branch(one) for branch, one in zip(self.branches, x, strict=True)]
        fused = []
        for paths in self.fuse_layers:
            total = paths[0](features[0])
            for path, one in zip(paths[1:], features[1:], strict=True):
                total = total + path(one)
            fused.append(self.relu(total))
        return fused


class HRNet(nn.Module):
    """The trunk: a stem of two halvings, four bottlenecks, then 2, 3 and 4 parallel branches.

    Branch b has width·2ᵇ channels at 1/4·2⁻ᵇ of the input's size; only the finest leaves the last stage.
    """

    def __init__(self, width: int):
        super().__init__()
        channels = [width * 2**branch for branch in range(4)]
        self.conv1, self.bn1 = conv_bn(3, STEM_CHANNELS, 3, stride=2)
        self.conv2, self.bn2 = conv_bn(STEM_CHANNELS, STEM_CHANNELS, 3, stride=2)
        self.relu = nn.ReLU(inplace=True)
        expanded = STEM_CHANNELS * Bottleneck.expansion
        self.layer1 = nn.Sequential(
            Bottleneck(STEM_CHANNELS, STEM_CHANNELS),
            *(Bottleneck(expanded, STEM_CHANNELS) for _ in range(3)),
        )
        self.transition1 = nn.ModuleList(
            [
                nn.Sequential(*conv_bn(expanded, channels[0], 3), nn.ReLU(inplace=True)),
                self._new_branch(expanded, channels[1]),
            ]
        )
        self.stage2 = self._stage("stage2", channels[:2])
        self.transition2 = self._transition(channels[:3])
        self.stage3 = self._stage("stage3", channels[:3])
        self.transition3 = self._transition(channels[:4])
        self.stage4 = self._stage("stage4", channels[:4], last_outputs=1)

    @staticmethod
    def _new_branch(in_channels: int, out_channels: int) -> nn.Sequential:
        halving = nn.Sequential(*conv_bn(in_channels, out_channels, 3, stride=2), nn.ReLU(inplace=True))
        return nn.Sequential(halving)

    @classmethod
    def _transition(cls, channels: list[int]) -> nn.ModuleList:
        """The branches so far go on unchanged; one more starts from the coarsest of them."""
        unchanged = [nn.Identity() for _ in channels[:-1]]
        return nn.ModuleList([*unchanged, cls._new_branch(channels[-2], channels[-1])])

    @staticmethod
    def _stage(name: str, channels: list[int], last_outputs: int | None = None) -> nn.Sequential:
        outputs = [len(channels)] * MODULES_PER_STAGE[name]
        if last_outputs is not None:
            outputs[-1] = last_outputs
        return nn.Sequential(*(HighResolutionModule(channels, count) for count in outputs))

    def features(self, images: Tensor) -> Tensor:
        """Images [N, 3, H, W], sides multiples of 32 -> features of the finest branch [N, C, H/4, W/4]."""
        x = self.relu(self.bn1(self.conv1(images)))
        x = self.relu(self.bn2(self.conv2(x)))
        x = self.layer1(x)  # [N, 256, H/4, W/4]
        x = self.stage2([start(x) for start in self.transition1])
        x = self.stage3([*x, self.transition2[-1](x[-1])])
        x = self.stage4([*x, self.transition3[-1](x[-1])])
        return x[0]


class HigherHRNet(HRNet):
    """HRNet, a deconvolution to twice the resolution, and heads on both maps (section 3.5, Figure 4).

    exact_layers: modules that stay in floating point in int8, those whose answers are read as numbers.
    """

    exact_layers = ("final_layers", "conv_scale_layers")

    def __init__(self, config: NetworkConfig):
        super().__init__(config.width)
        self.config = config
        keypoints, channels = config.num_keypoints, config.width
        self.final_layers = nn.ModuleList(
            [
                nn.Conv2d(channels, 2 * keypoints, kernel_size=1),  # heatmaps and tags
                nn.Conv2d(channels, keypoints, kernel_size=1),  # heatmaps
            ]
        )
        deconv = nn.ConvTranspose2d(channels + 2 * keypoints, channels, 4, stride=2, padding=1, bias=False)
        self.deconv_layers = nn.ModuleList(
            [
                nn.Sequential(
                    nn.Sequential(deconv, nn.BatchNorm2d(channels), nn.ReLU(inplace=True)),
                    *(nn.Sequential(BasicBlock(channels, dilation)) for dilation in config.dilations),
                )
            ]
        )
        scale = ScaleBranch(channels, keypoints) if config.scale_branch else ZeroScale(keypoints)
        finer_scale = ScaleBranch(channels, keypoints) if config.scale_branch else ZeroScale(keypoints)
        self.conv_scale_layers = nn.ModuleList([scale, finer_scale])
        initialise_like_reference(self)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images float32 [N, 3, H, W], normalised, sides multiples of 32.

        Returns, coarse to fine:
            [N, K alphas | K heatmaps | K tags, H/4, W/4]
            [N, K alphas | K heatmaps, H/2, W/2]
        """
        x = self.features(images)
        heatmaps_and_tags = self.final_layers[0](x)  # [N, 2K, H/4, W/4]
        coarse = torch.cat([self.conv_scale_layers[0](x), heatmaps_and_tags], dim=1)
        x = self.deconv_layers[0](torch.cat([x, heatmaps_and_tags], dim=1))  # [N, C, H/2, W/2]
        fine = torch.cat([self.conv_scale_layers[1](x), self.final_layers[1](x)], dim=1)
        return coarse, fine
