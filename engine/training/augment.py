"""Geometry and colour of training pictures: where a photo goes, and how differently the same photo can look."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from engine.geometry import transform_points, warp
from engine.training.coco import LabelledImage
from engine.training.filling import fill
from grouping import Skeleton

CLOSEST = 2.5  # how much closer than the whole photo's the view comes that turns to one person


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

    def side_without_enlarging(self, size: int) -> int:
        """The short side in pixels from which on no photo is enlarged on its way to a picture of `size`."""
        return math.ceil(size * max(1 / self.scale[0], CLOSEST if self.focus > 0 else 0.0))


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
    return (low + high) / 2, float(np.clip(wanted / max((high - low).max(), 8.0), 0.7 * plain, CLOSEST * plain))


def place(
    photo: LabelledImage,
    matrix: np.ndarray,
    flipped: bool,
    window: Window,
    canvas: np.ndarray,
    masks: Sequence[np.ndarray],
    skeleton: Skeleton,
) -> np.ndarray:
    """Warp `photo` into `window` of `canvas` (RGB uint8 [S,S,3]) and of its `masks` (uint8, 1 where labels count).

    `matrix` [2,3] maps photo pixels (centres at integer + 0.5) to canvas pixels. Masks are squares of any size, such as
    [S/4,S/4] and [S/2,S/2], that stand for the whole canvas; they are 0 outside of the photo and in its ignored
    regions. Returns the keypoints [P',K,3] on the canvas: those that fall outside the window or the photo lose their
    visibility, people without any are left out, left and right change places in a mirrored photo.
    """
    rows, columns = slice(window.y, window.y + window.height), slice(window.x, window.x + window.width)
    local = matrix - [[0, 0, window.x], [0, 0, window.y]]
    canvas[rows, columns] = warp(photo.image, local, (window.width, window.height))
    for mask in masks:
        _mark(mask, len(canvas) / len(mask), photo, matrix, window)
    return _move_keypoints(photo.keypoints, matrix, flipped, window, skeleton)


def _mark(mask: np.ndarray, stride: float, photo: LabelledImage, matrix: np.ndarray, window: Window) -> None:
    """Set the window's part of a mask whose pixels are `stride` pixels of the canvas: each by what its centre shows."""
    edges = (window.x, window.x + window.width, window.y, window.y + window.height)
    left, right, top, bottom = (math.ceil(edge / stride - 0.5) for edge in edges)
    part = np.zeros((bottom - top, right - left), np.uint8)
    to_part = matrix / stride - [[0, 0, left], [0, 0, top]]
    height, width = photo.image.shape[:2]
    fill(part, transform_points(np.array([(0, 0), (width, 0), (width, height), (0, height)]), to_part), 1)
    for ring in photo.ignored:
        fill(part, transform_points(ring, to_part), 0)
    mask[top:bottom, left:right] = part


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
