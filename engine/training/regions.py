"""Regions of a photo about which the labels say nothing, as rings that can be moved with the photo and filled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.training.rle import mask_of

Ring = NDArray[np.float32]  # [n, 2] x, y in pixels, centres at integer + 0.5


def rings_of(entry: Mapping[str, Any], size_wh: tuple[int, int]) -> list[Ring]:
    """What an annotation covers: its segmentation (polygons, or run lengths of either kind), else its box.

    Raises ValueError, whose words go on a sentence that began with the annotation.
    """
    segmentation = entry.get("segmentation")
    if isinstance(segmentation, Mapping):
        return rings_around(mask_of(segmentation, size_wh))
    if segmentation:
        return [_polygon(polygon) for polygon in segmentation]
    x, y, w, h = box_of(entry)
    return [np.asarray([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], np.float32)]


def box_of(entry: Mapping[str, Any]) -> tuple[float, ...]:
    """An annotation's box: left, top, width, height. Raises ValueError as `rings_of` does."""
    box = numbers(entry.get("bbox"))
    if box is None or len(box) != 4 or min(box[2:]) < 0:
        raise ValueError(f"has the box {entry.get('bbox')}, which is not x, y, width and height")
    return tuple(box.tolist())


def rings_around(mask: NDArray[np.uint8]) -> list[Ring]:
    """Rings along the edges of the 1s of `mask` uint8 [H,W], to be filled again; one that has holes reaches them."""
    # OpenCV's contours go through the outermost points of a region. On a grid of half pixels, where a pixel's square
    # is 3×3 points, these lie on its edge.
    height, width = mask.shape
    points = np.zeros((2 * height + 1, 2 * width + 1), np.uint8)
    points[1::2, 1::2] = mask
    points = cv2.dilate(points, np.ones((3, 3), np.uint8))
    contours, tree = cv2.findContours(points, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    rings = []
    for index, contour in enumerate(contours):
        _, _, hole, parent = tree[0, index]
        if parent >= 0:
            continue
        ring = contour[:, 0]
        while hole >= 0:
            ring = _joined(ring, contours[hole][:, 0])
            hole = tree[0, hole, 0]
        rings.append(ring / np.float32(2))
    return rings


def _joined(ring: NDArray[np.int32], hole: NDArray[np.int32]) -> NDArray[np.int32]:
    """A ring that goes to a hole, around it and back by the same line, which even-odd filling does not see."""
    distances = ((ring[:, None] - hole[None]) ** 2).sum(-1)
    at, start = np.unravel_index(distances.argmin(), distances.shape)
    return np.concatenate((ring[: at + 1], hole[start:], hole[: start + 1], ring[at:]))


def _polygon(polygon: Any) -> Ring:
    corners = numbers(polygon)
    if corners is None or len(corners) % 2 or len(corners) < 6:
        length = len(polygon) if isinstance(polygon, list) else 0
        raise ValueError(f"has a polygon of {length} numbers, which are not three or more corners x, y")
    return corners.reshape(-1, 2).astype(np.float32)


def numbers(values: Any) -> NDArray[np.float64] | None:
    """A list of finite numbers as an array [n], or None if it is something else."""
    if not isinstance(values, list):
        return None
    try:
        array = np.array(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    return array if array.ndim == 1 and np.isfinite(array).all() else None
