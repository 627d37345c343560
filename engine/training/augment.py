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
    """Ranges of the affine augmentation (as the paper's code has it; section 4.1) and of the colour jitter.

    rotation: degrees to either side. scale: part of the short side that fills the window; below 1 people grow.
    translation: shift to either side, as a part of the window (the published 40 of 200 reference units).
    flip: probability of a mirror image. photometric: probability that colours, sharpness and noise are changed.
    focus: probability that the view turns to one labelled person, who then takes a quarter to all of the window.
    """

    rotation: float = 30.0
    scale: tuple[float, float] = (0.75, 1.5)
    translation: float = 0.2
    flip: float = 0.5
    photometric: float = 0.8
    focus: float = 0.0


@dataclass(frozen=True)
class Window:
    """A rectangle of the training picture that one photo fills: x, y of its corner, width and height in pixels."""

    x: int
    y: int
    width: int
    height: int


def random_affine(
    rng: np.random.Generator,
    size_wh: tuple[int, int],
    window: Window,
    ranges: Augmentation,
    people: np.ndarray | None = None,
) -> tuple[np.ndarray, bool]:
    """Matrix float64 [2,3] from photo pixels to the training picture's, and whether it mirrors.

    The photo's short side times a random scale covers the window's short side; turned, shifted and mirrored at random
    around the window's centre. With `people` [P,K,3], the view turns to one of them with probability `ranges.focus`.
    """
    size = np.array(size_wh, np.float64)
    centre, zoom = size / 2, min(window.width, window.height) / (size.min() * rng.uniform(*ranges.scale))
    if people is not None and len(people) and rng.random() < ranges.focus:
        centre, zoom = _focus(rng, people[rng.integers(len(people))], size, window)
    angle = math.radians(rng.uniform(-ranges.rotation, ranges.rotation))
    flipped = bool(rng.random() < ranges.flip)
    shift = rng.uniform(-ranges.translation, ranges.translation, 2) * (window.width, window.height)
    cos, sin = zoom * math.cos(angle), zoom * math.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.diag([-1.0 if flipped else 1.0, 1.0])
    middle = np.array([window.x + window.width / 2, window.y + window.height / 2]) + shift
    return np.column_stack((linear, middle - linear @ centre)), flipped


def _focus(rng: np.random.Generator, person: np.ndarray, size: np.ndarray, window: Window) -> tuple[np.ndarray, float]:
    """Where to look, and how closely, so that `person` [K,3] takes a random part of the window."""
    found = person[person[:, 2] > 0, :2]
    low, high = found.min(0), found.max(0)
    side = min(window.width, window.height)
    wanted = side * math.exp(rng.uniform(math.log(0.25), math.log(0.95)))
    # A person of whom only a face is labelled must not fill the window, nor a crowd become a speck.
    plain = side / size.min()
    return (low + high) / 2, float(np.clip(wanted / max((high - low).max(), 8.0), 0.7 * plain, 2.5 * plain))


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
        # OpenCV counts from pixel centres; in sixteenths of a pixel, so that a half does not round to either side.
        corners = np.round((np.clip(polygon, -30000, 30000) - 0.5) * 16).astype(np.int32)
        cv2.fillPoly(mask, [corners], value, shift=4)


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
