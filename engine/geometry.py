"""From the source image to the network's input and back: one affine map, and its exact inverse.

Coordinates are (x, y) with pixel centres at integers + 0.5, in the source image as in the network's input.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.errors import SwahrError

SIZE_STEP = 64


def warp(image: NDArray, matrix: NDArray, size: tuple[int, int]) -> NDArray:
    """Draw an image under an affine map, black where the source ends.

    image: [h, w] or [h, w, C]. matrix: [2, 3], source coordinates -> target coordinates, pixel centres at
    integers + 0.5. size: target width and height. Returns [height, width] or [height, width, C], same type.
    Bilinear; an image that becomes smaller than half its size is shrunk by averaging first, because bilinear
    interpolation reads four pixels whatever lies between them.
    """
    indices = np.array(matrix, np.float64)
    zoom = np.sqrt(abs(np.linalg.det(indices[:, :2])))
    if zoom < 0.5:
        height, width = image.shape[:2]
        halved = (max(1, round(2 * zoom * width)), max(1, round(2 * zoom * height)))
        image = cv2.resize(image, halved, interpolation=cv2.INTER_AREA)
        indices[:, :2] *= (width / halved[0], height / halved[1])
    # OpenCV counts pixel centres at integers. Without this shift picture and keypoints drift apart by half a
    # source pixel less half a target pixel, and a mirrored picture no longer gives mirrored people.
    indices[:, 2] += indices[:, :2].sum(axis=1) * 0.5 - 0.5
    return cv2.warpAffine(image, indices, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def transform_points(points: NDArray, matrix: NDArray) -> NDArray[np.float64]:
    """Points [..., 2] under an affine map [2, 3]."""
    matrix = np.asarray(matrix, np.float64)
    return np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]


@dataclass(frozen=True)
class Resize:
    """How one source image becomes the network's input, as the reference does it.

    The short side becomes the input size, the long side follows in proportion, both rounded up to multiples
    of 64; the picture sits in the middle and what the rounding added is black.

    source_size, size: width and height of the source image and of the network's input, in pixels.
    """

    source_size: tuple[int, int]
    size: tuple[int, int]

    @classmethod
    def fit(
        cls, source_size: tuple[int, int], input_size: int, scale: float = 1.0, smallest_scale: float = 1.0
    ) -> Resize:
        """The resize of an image for an input size, at one scale of a multi-scale run.

        The smallest scale's size is the one that is rounded to multiples of 64, and the others are multiples
        of it, so all scales see the same picture and their maps lie on each other.
        Raises SwahrError where that would give a size that is no multiple of 32, which the network needs.
        """
        half_steps = round(2 * scale / smallest_scale)
        if abs(2 * scale / smallest_scale - half_steps) > 1e-6:
            raise SwahrError(
                f"The scales {smallest_scale:g} and {scale:g} do not go together: each scale must be the "
                "smallest one times 1, 1.5, 2, 2.5 …; take for example 0.5, 1 and 1.5."
            )
        width, height = source_size
        short, long = sorted(source_size)
        least_short = _round_up(smallest_scale * input_size)
        least_long = _round_up(least_short / short * long)
        new_short, new_long = (side * half_steps // 2 for side in (least_short, least_long))
        return cls(source_size, (new_short, new_long) if width < height else (new_long, new_short))

    @property
    def ratio(self) -> float:
        """Input pixels a source pixel."""
        side = 0 if self.source_size[0] < self.source_size[1] else 1
        return self.size[side] / self.source_size[side]

    @cached_property
    def matrix(self) -> NDArray[np.float64]:
        """[2, 3], source coordinates -> input coordinates."""
        return np.hstack([np.eye(2) * self.ratio, (self._middle - self.ratio * self._centre)[:, None]])

    @cached_property
    def inverse(self) -> NDArray[np.float64]:
        """[2, 3], input coordinates -> source coordinates."""
        return np.hstack([np.eye(2) / self.ratio, (self._centre - self._middle / self.ratio)[:, None]])

    @property
    def _centre(self) -> NDArray[np.float64]:
        # The reference rounds the centre of odd sizes up; doing the same keeps results equal to its own.
        return np.array([(side + 1) // 2 for side in self.source_size], np.float64)

    @property
    def _middle(self) -> NDArray[np.float64]:
        return np.array(self.size, np.float64) / 2

    def image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The source image [h, w, 3] as the network's input [H, W, 3]."""
        return warp(image, self.matrix, self.size)


def _round_up(length: float) -> int:
    # As in the reference, a fraction of a pixel over a multiple does not cost another 64.
    return int((length + SIZE_STEP - 1) // SIZE_STEP * SIZE_STEP)
