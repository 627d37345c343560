"""What a network says at two resolutions, and of an image and its mirror image, as one map a keypoint.

Letters: F passes (1, or 2: the image and its mirror image), K keypoints, h w pixels of the network's input.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

_NEAR, _FAR = np.float32(0.75), np.float32(0.25)


@njit(cache=True, nogil=True)
def average(
    coarse: NDArray[np.float32],
    fine: NDArray[np.float32],
    keypoints: int,
    keypoint: int,
    mirrored_keypoint: int,
    half: NDArray[np.float32],
) -> None:
    """Write the mean heatmap of one of K keypoints at 1/2 of the input into half [h/2, w/2].

    coarse: [F, (K alphas |) K heatmaps | K tags, h/4, w/4], doubled as in `interpolation`; fine: [F, (K alphas |)
    K heatmaps, h/2, w/2]. The second pass, of the mirror image, is turned back and its `mirrored_keypoint` is taken.
    """
    height, width = half.shape
    coarse_heatmaps, fine_heatmaps = coarse.shape[1] - 2 * keypoints, fine.shape[1] - keypoints
    line = np.empty(width // 2 + 2, np.float32)  # with a pixel more at both ends
    share = np.float32(0.5 / len(fine))
    for y in range(height):
        top = max((y - 1) >> 1, 0)
        bottom = min(((y - 1) >> 1) + 1, height // 2 - 1)
        weight = np.float32(0.75) if y & 1 else np.float32(0.25)
        row = half[y]
        for index in range(len(fine)):
            source = mirrored_keypoint if index else keypoint
            near, far = coarse[index, coarse_heatmaps + source, top], coarse[index, coarse_heatmaps + source, bottom]
            _blend(near, far, weight, line)
            if index == 0:
                _double(line, fine[index, fine_heatmaps + source, y], row)
            else:
                _add_mirrored(line, fine[index, fine_heatmaps + source, y], row)
        for x in range(width):
            row[x] *= share


@njit(cache=True, nogil=True)
def average_passes(
    coarse: NDArray[np.float32], keypoints: int, keypoint: int, mirrored_keypoint: int, mean: NDArray[np.float32]
) -> None:
    """Write the mean heatmap of one of K keypoints at 1/4 of the input, as `average` reads it, into mean [h/4, w/4]."""
    height, width = mean.shape
    heatmaps = coarse.shape[1] - 2 * keypoints
    for y in range(height):
        row, mirrored = coarse[0, heatmaps + keypoint, y], coarse[-1, heatmaps + mirrored_keypoint, y]
        for x in range(width):
            mean[y, x] = row[x] if len(coarse) == 1 else np.float32(0.5) * (row[x] + mirrored[width - 1 - x])


@njit(cache=True, nogil=True)
def _blend(
    upper: NDArray[np.float32], lower: NDArray[np.float32], weight: np.float32, line: NDArray[np.float32]
) -> None:
    """Mix two rows of a map into the middle of `line`, and repeat its ends."""
    other, length = np.float32(1) - weight, len(upper)
    for x in range(length):
        line[x + 1] = weight * upper[x] + other * lower[x]
    line[0], line[length + 1] = line[1], line[length]


@njit(cache=True, nogil=True)
def _double(line: NDArray[np.float32], fine: NDArray[np.float32], row: NDArray[np.float32]) -> None:
    """Write the sum of a doubled row and one at full width."""
    for x in range(len(line) - 2):
        row[2 * x] = _NEAR * line[x + 1] + _FAR * line[x] + fine[2 * x]
        row[2 * x + 1] = _NEAR * line[x + 1] + _FAR * line[x + 2] + fine[2 * x + 1]


@njit(cache=True, nogil=True)
def _add_mirrored(line: NDArray[np.float32], fine: NDArray[np.float32], row: NDArray[np.float32]) -> None:
    """Add the sum of both, turned back, to what is there."""
    last = len(row) - 1
    for x in range(len(line) - 2):
        row[last - 2 * x] += _NEAR * line[x + 1] + _FAR * line[x] + fine[2 * x]
        row[last - 1 - 2 * x] += _NEAR * line[x + 1] + _FAR * line[x + 2] + fine[2 * x + 1]


@njit(cache=True, nogil=True)
def side_by_side(
    coarse: NDArray[np.float32], keypoints: int, keypoint: int, mirrored_keypoint: int, joined: NDArray[np.float32]
) -> None:
    """Write the tags of one keypoint in both passes, as `average` has them, into joined [h/4, w/4, F]."""
    height, width, passes = joined.shape
    tags = coarse.shape[1] - keypoints
    for y in range(height):
        for x in range(width):
            joined[y, x, 0] = coarse[0, tags + keypoint, y, x]
            if passes > 1:
                joined[y, x, 1] = coarse[1, tags + mirrored_keypoint, y, width - 1 - x]
