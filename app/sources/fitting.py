"""Frames of another size than the first one of their video."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def fitted(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The image [H, W, 3] scaled to fit into a width and height, in the middle of black where its shape is another."""
    height, width = image.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    inner = min(size[0], max(1, round(width * scale))), min(size[1], max(1, round(height * scale)))
    canvas = np.zeros((size[1], size[0], 3), np.uint8)
    left, top = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    scaled = cv2.resize(image, inner, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    canvas[top : top + inner[1], left : left + inner[0]] = scaled
    return canvas
