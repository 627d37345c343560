"""What the network should answer: Gaussian heatmaps (eqs. 1, 2) and the indices at which tags are read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np


@lru_cache(maxsize=256)
def _gaussian(sigma: float) -> np.ndarray:
    radius = math.floor(3 * sigma)
    offsets = np.arange(-radius, radius + 1, dtype=np.float32)
    row = np.exp(-(offsets**2) / (2 * sigma * sigma))
    return np.outer(row, row).astype(np.float32)


def render_heatmaps(
    keypoints: np.ndarray,
    height: int,
    width: int,
    sigma: float | Sequence[float] | np.ndarray = 2.0,
    dtype: type = np.float32,
) -> np.ndarray:
    """Cover every labelled keypoint with a Gaussian; people that overlap take the maximum (eqs. 1 and 2).

    `keypoints` [P, K, 3] are x, y in map pixels and a visibility; those with visibility > 0 count. Each sits on its
    integer pixel (floor) and its Gaussian, of standard deviation `sigma` map pixels, ends at 3σ along both axes.
    `sigma` is one for all people or one a person [P]. Returns [K, height, width] in 0..1, of `dtype`. Keypoints outside
    the map are left out.
    """
    heatmaps = np.zeros((keypoints.shape[1], height, width), dtype)
    patches = [_gaussian(float(one)).astype(dtype) for one in np.broadcast_to(sigma, len(keypoints))]
    for person, k in zip(*np.nonzero(keypoints[..., 2] > 0), strict=True):
        x, y = math.floor(keypoints[person, k, 0]), math.floor(keypoints[person, k, 1])
        if not (0 <= x < width and 0 <= y < height):
            continue
        patch = patches[person]
        radius = patch.shape[0] // 2
        left, right = max(x - radius, 0), min(x + radius + 1, width)
        top, bottom = max(y - radius, 0), min(y + radius + 1, height)
        cut = patch[top - y + radius : bottom - y + radius, left - x + radius : right - x + radius]
        region = heatmaps[k, top:bottom, left:right]
        np.maximum(region, cut, out=region)
    return heatmaps


def box_scales(keypoints: np.ndarray, base_width: float) -> np.ndarray:
    """The naive scale factor s = W_box / W_base of each person (SHR, section 4.2), float64 [P].

    `keypoints` [P, K, 3] in pixels with visibility; the box is the one around the labelled keypoints, so a person with
    one of them has none. s stays within 1/4 and 4: narrower Gaussians would be a single pixel, wider ones the picture.
    """
    labelled = keypoints[..., 2] > 0
    x = keypoints[..., 0].astype(np.float64)
    right = np.where(labelled, x, -np.inf).max(1, initial=-np.inf)
    left = np.where(labelled, x, np.inf).min(1, initial=np.inf)
    return np.where(labelled.any(1), (right - left) / base_width, 0.0).clip(0.25, 4.0)


def tag_indices(keypoints: np.ndarray, height: int, width: int, max_people: int) -> np.ndarray:
    """Where the tags of each person are read, as the reference lays it out.

    `keypoints` [P, K, 3] in map pixels with visibility. Returns int64 [max_people, K, 2]: flat index into the
    flattened [K, height, width] map and 1 where the keypoint is labelled and inside the map, else 0 and 0. People
    without such a keypoint are left out; people beyond `max_people` too.
    """
    indices = np.zeros((max_people, keypoints.shape[1], 2), np.int64)
    if len(keypoints) == 0:
        return indices
    x, y = np.floor(keypoints[..., 0]).astype(np.int64), np.floor(keypoints[..., 1]).astype(np.int64)
    inside = (keypoints[..., 2] > 0) & (x >= 0) & (x < width) & (y >= 0) & (y < height)
    flat = np.arange(keypoints.shape[1]) * height * width + y * width + x
    people = np.flatnonzero(inside.any(1))[:max_people]
    indices[: len(people), :, 0] = np.where(inside, flat, 0)[people]
    indices[: len(people), :, 1] = inside[people]
    return indices
