"""How far off each keypoint may be: the scale branch's answer, in pixels.

Letters: F passes (1, or 2: the image and its mirror image), K keypoints, P people.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .interpolation import value_at

BASE_SIGMA = 2.0  # pixels of the map a Gaussian is drawn on (section 3.1 of the paper)
FINE_STRIDE = 2  # input pixels a pixel of the 1/2 map, whose alphas are read
LEAST_SCALE, GREATEST_SCALE = 0.25, 4.0  # beyond these, s is an accident of the branch and no size


def scales_of(alphas: NDArray[np.float32]) -> NDArray[np.float32]:
    """The scales s = 1/(1 + α) of alphas of any shape, kept within 1/4 and 4."""
    return 1 / (1 + alphas.clip(1 / GREATEST_SCALE - 1, 1 / LEAST_SCALE - 1))


def sigmas_of(alphas: NDArray[np.float32], found: NDArray[np.bool_]) -> NDArray[np.float32]:
    """σ₀·√s in pixels of the network's input, of the alphas [P, K] of found keypoints; 0 where one was not found.

    α scales the exponent of the Gaussian (eqs. 6, 8), hence the root.
    """
    return np.where(found, BASE_SIGMA * FINE_STRIDE * np.sqrt(scales_of(alphas)), 0)


@njit(cache=True, nogil=True)
def read_alphas(
    fine: NDArray[np.float32], flip_indices: NDArray[np.int64], keypoints: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The alphas at the people's keypoints [P, K, 3], float32 [P, K], averaged over the passes.

    fine: [F, K alphas | K heatmaps, h/2, w/2], each doubled once; the second pass is of the mirror image.
    """
    num_passes, _, height, width = fine.shape
    num_keypoints = keypoints.shape[1]
    result = np.zeros((len(keypoints), num_keypoints), np.float32)
    for person in range(len(keypoints)):
        for keypoint in range(num_keypoints):
            x = min(max(int(keypoints[person, keypoint, 0]), 0), 2 * width - 1)
            y = min(max(int(keypoints[person, keypoint, 1]), 0), 2 * height - 1)
            total = value_at(fine[0, keypoint], x, y, 1)
            if num_passes > 1:
                total += value_at(fine[1, flip_indices[keypoint]], 2 * width - 1 - x, y, 1)
            result[person, keypoint] = total / num_passes
    return result
