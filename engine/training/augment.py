"""Geometry and colour of training pictures: where a photo goes, and how differently the same photo can look."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from engine.geometry import transform_points, warp
from engine.training.coco import LabelledImage
from grouping import Skeleton


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the paper's affine augmentation (section 4.1) and of the colour jitter.

    rotation: degrees to either side. scale: part of the short side that fills the window; below 1 people grow.
    translation: shift to either side, as a part of the window (the paper's 40 of 200 reference units). flip:
    probability. photometric: probability that colours, sharpness and noise are changed.
    """

    rotation: float = 30.0
    scale: tuple[float, float] = (0.75, 1.5)
    translation: float = 0.2
    flip: float = 0.5
    photometric: float = 0.8


@dataclass(frozen=True)
class Window:
    """A rectangle of the training picture that one photo fills: x, y of its corner, width and height in pixels."""

    x: int
    y: int
    width: int
    height: int


def random_affine(
    rng: np.random.Generator, size_wh: tuple[int, int], window: Window, ranges: Augmentation
) -> tuple[np.ndarray, bool]:
    """Matrix float64 [2,3] from photo pixels to the training picture's, and whether it mirrors.

    The photo's short side times a random scale covers the window's short side; turned, shifted and mirrored at random
    around the window's centre.
    """
    width, height = size_wh
    zoom = min(window.width, window.height) / (min(width, height) * rng.uniform(*ranges.scale))
    angle = math.radians(rng.uniform(-ranges.rotation, ranges.rotation))
    flipped = bool(rng.random() < ranges.flip)
    shift = rng.uniform(-ranges.translation, ranges.translation, 2) * (window.width, window.height)
    cos, sin = zoom * math.cos(angle), zoom * math.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.diag([-1.0 if flipped else 1.0, 1.0])
    centre = np.array([window.x + window.width / 2, window.y + window.height / 2]) + shift
    offset = centre - linear @ (width / 2, height / 2)
    return np.column_stack((linear, offset)), flipped


def place(
    photo: LabelledImage,
    matrix: np.ndarray,
    flipped: bool,
    window: Window,
    canvas: np.ndarray,
    mask: np.ndarray,
    skeleton: Skeleton,
) -> np.ndarray:
    """Warp `photo` into `window` of `canvas` (RGB uint8 [S,S,3]) and of `mask` (uint8 [S,S], 1 where labels count).

    `matrix` [2,3] maps photo pixels (centres at integer + 0.5) to canvas pixels. Outside of the photo and in its
    ignored regions the mask is 0. Returns the keypoints [P',K,3] on the canvas: those that fall outside the window or
    the photo lose their visibility, people without any are left out, left and right change places in a mirrored photo.
    """
    rows, columns = slice(window.y, window.y + window.height), slice(window.x, window.x + window.width)
    local = matrix - [[0, 0, window.x], [0, 0, window.y]]
    canvas[rows, columns] = warp(photo.image, local, (window.width, window.height))
    height, width = photo.image.shape[:2]
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    valid = np.zeros((window.height, window.width), np.uint8)
    _fill(valid, [transform_points(corners, local)], 1)
    _fill(valid, [transform_points(polygon, local) for polygon in photo.ignored], 0)
    mask[rows, columns] = valid
    return _move_keypoints(photo.keypoints, matrix, flipped, window, skeleton)


def change_colours(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Another light and another camera: brightness, contrast, saturation, tint, sometimes grey, blur or noise."""
    gain = rng.uniform(0.7, 1.3) * rng.uniform(0.92, 1.08, 3)
    saturation = 0.0 if rng.random() < 0.05 else rng.uniform(0.6, 1.4)
    grey = np.array([0.299, 0.587, 0.114])
    mix = saturation * np.eye(3) + (1 - saturation) * grey[None, :]
    offset = 128 * (1 - gain) * rng.uniform(0, 1) + rng.uniform(-20, 20)
    colour = np.column_stack((mix * gain[:, None], offset)).astype(np.float32)
    image = cv2.transform(image, colour)
    if rng.random() < 0.15:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.6))
    if rng.random() < 0.15:
        noise = rng.normal(0, rng.uniform(2, 12), image.shape[:2]).astype(np.float32)
        image = np.clip(image + noise[..., None], 0, 255).astype(np.uint8)
    return image


def _fill(mask: np.ndarray, polygons: list[np.ndarray], value: int) -> None:
    for polygon in polygons:
        corners = np.round(polygon - 0.5).astype(np.int32)
        cv2.fillPoly(mask, [np.clip(corners, -30000, 30000)], value)


def _move_keypoints(
    keypoints: np.ndarray, matrix: np.ndarray, flipped: bool, window: Window, skeleton: Skeleton
) -> np.ndarray:
    moved = keypoints.copy()
    moved[..., :2] = transform_points(keypoints[..., :2], matrix)
    if flipped:
        moved = moved[:, list(skeleton.flip_indices)]
    x, y = moved[..., 0] - window.x, moved[..., 1] - window.y
    outside = (x < 0) | (y < 0) | (x >= window.width) | (y >= window.height)
    moved[outside | (moved[..., 2] <= 0)] = 0
    return moved[(moved[..., 2] > 0).any(1)]
