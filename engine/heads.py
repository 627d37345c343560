"""The scale branch of the paper: from features to one alpha a keypoint and pixel."""

import torch
from torch import Tensor, nn


class ScaleBranch(nn.Sequential):
    """Predicts the alphas α = 1/s − 1 of one resolution (section 3.2).

    Input: features [N, in_channels, H, W]. Output: alphas [N, keypoints, H, W], unbounded.
    A 1x1 convolution to K, batch normalisation, ReLU and a 9x9 depthwise convolution. The last one starts at
    zero, so training starts at s = 1, which is the plain heatmap regression.

    Being a Sequential, its parameters are named `0.weight`, `1.weight`, `3.weight` …, as in the published
    checkpoints.
    """

    def __init__(self, in_channels: int, keypoints: int):
        super().__init__(
            nn.Conv2d(in_channels, keypoints, kernel_size=1),
            nn.BatchNorm2d(keypoints),
            nn.ReLU(inplace=True),
            nn.Conv2d(keypoints, keypoints, kernel_size=9, padding=4, groups=keypoints),
        )
        self.reset_last()

    def reset_last(self) -> None:
        """Set the last convolution to zero, so that every alpha is 0 whatever the features are."""
        nn.init.zeros_(self[-1].weight)
        nn.init.zeros_(self[-1].bias)


class ZeroScale(nn.Module):
    """Stands where a network has no scale branch: all alphas are 0, so every scale s is 1. No parameters."""

    def __init__(self, keypoints: int):
        super().__init__()
        self.keypoints = keypoints

    def forward(self, features: Tensor) -> Tensor:
        """Features [N, C, H, W] -> alphas [N, keypoints, H, W], all zero."""
        batch, _, height, width = features.shape
        return features.new_zeros(batch, self.keypoints, height, width)


def initialise_like_reference(network: nn.Module) -> None:
    """Draw convolutions from a normal distribution of std 0.001, biases 0; scale branches end in zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=0.001)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
    for module in network.modules():
        if isinstance(module, ScaleBranch):
            module.reset_last()


def split_outputs(outputs: tuple[Tensor, Tensor], keypoints: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Cut the two output tensors of a network into their parts.

    `outputs`: [N, 3K, H/4, W/4] and [N, 2K, H/2, W/2]. Returns ((alphas, heatmaps, tags) of the 1/4 map,
    (alphas, heatmaps) of the 1/2 map), each [N, K, h, w], as views.
    """
    coarse, fine = outputs
    return torch.split(coarse, keypoints, dim=1), torch.split(fine, keypoints, dim=1)
