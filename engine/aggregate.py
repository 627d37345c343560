"""From the network's outputs to the maps that grouping reads: both resolutions, the mirrored pass, several
scales.

Letters: K keypoints, T tags a keypoint (1, or 2 with flip), F passes (1, or 2: the image and its mirror
image), h w pixels of the aggregated maps, which lie exactly on the network's input at scale 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

Outputs = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Maps:
    """What the network sees in one image, aggregated, and where it lies in the source image.

    heatmaps: float32 [K, h, w], about 0 to 1.
    tags: float32 [K, h, w, T], near each other for keypoints of one person.
    alphas: float32 [K, h, w], α = 1/s − 1 of the 1/2 map, or None for a network without scale branch.
    to_source: float64 [2, 3], affine map from map coordinates to source coordinates (pixel centres at + 0.5).
    """

    heatmaps: NDArray[np.float32]
    tags: NDArray[np.float32]
    alphas: NDArray[np.float32] | None
    to_source: NDArray[np.float64]


@dataclass(frozen=True)
class HalfMaps:
    """One scale's maps at 1/2 of its input: heatmaps and alphas [1, K, h/2, w/2], tags [T, K, h/2, w/2]."""

    heatmaps: Tensor
    tags: Tensor
    alphas: Tensor | None


def resized(maps: Tensor, height: int, width: int) -> Tensor:
    """Bilinear interpolation of [N, K, ., .] to [N, K, height, width]."""
    return functional.interpolate(maps, size=(height, width), mode="bilinear", align_corners=False)


def at_half(outputs: Outputs, flip_indices: Sequence[int]) -> HalfMaps:
    """Average what both resolutions and both passes say, at 1/2 of the input.

    outputs: [F, (K alphas |) K heatmaps | K tags, H/4, W/4] and [F, (K alphas |) K heatmaps, H/2, W/2], or as the
        second [F, 0, H/2, W/2] if it says nothing new; with F = 2 the second image is the mirrored one.
    flip_indices: for each keypoint the index of its mirror image.

    Heatmaps and alphas are averaged over the passes, tags are kept side by side. The alphas of the 1/4 map are left
    out: they stretch a Gaussian twice as wide, so an average would mean neither.
    """
    coarse, fine = outputs
    keypoints = len(flip_indices)
    coarse_heatmaps, tags = coarse[:, -2 * keypoints : -keypoints], coarse[:, -keypoints:]
    alphas = fine[:, :keypoints] if fine.shape[1] > keypoints else None
    height, width = fine.shape[-2:]
    heatmaps = resized(coarse_heatmaps, height, width)
    if fine.shape[1]:
        heatmaps = (heatmaps + fine[:, -keypoints:]) / 2
    tags = resized(tags, height, width)
    if len(heatmaps) == 2:
        heatmaps, tags = (unmirrored(maps, flip_indices) for maps in (heatmaps, tags))
        alphas = None if alphas is None else unmirrored(alphas, flip_indices)
    return HalfMaps(heatmaps.mean(0, keepdim=True), tags, None if alphas is None else alphas.mean(0, keepdim=True))


def unmirrored(maps: Tensor, flip_indices: Sequence[int]) -> Tensor:
    """[2, K, h, w] of an image and its mirror image -> the second turned back, left and right exchanged."""
    plain, mirrored = maps
    return torch.stack([plain, mirrored.flip(-1)[list(flip_indices)]])


def aggregate(
    outputs: Mapping[float, Outputs], size: tuple[int, int], flip_indices: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Project the maps of all scales onto the input at scale 1 and average the heatmaps (section 4.1, testing).

    outputs: scale -> the network's outputs of one image, as `at_half` takes them; scale 1 is one of them.
    size: width and height of the input at scale 1.

    Tags and alphas come from scale 1 alone: a tag has no meaning from one scale to the next, and an alpha
    counts the pixels of its own.
    Returns heatmaps [K, h, w], tags [K, h, w, T], alphas [K, h, w] or None.
    """
    width, height = size
    halves = {scale: at_half(one, flip_indices) for scale, one in outputs.items()}
    heatmaps = sum(resized(half.heatmaps, height, width) for half in halves.values()) / len(halves)
    main = halves[1.0]
    tags = resized(main.tags, height, width)
    alphas = None if main.alphas is None else resized(main.alphas, height, width)[0]
    return heatmaps[0], tags.permute(1, 2, 3, 0), alphas
