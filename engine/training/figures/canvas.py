"""A picture of synthetic people under construction: drawing from far to near, shadows, light, lens, and the truth."""

import math
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from engine.training.figures import posture, raster, shading
from engine.training.figures.backdrop import SUBPIXEL, fixed_point
from engine.training.figures.figure import Figure, Placed, View
from engine.training.figures.paint import FACE_FIELDS, noise_tile

SAMPLES = 2  # a side of a pixel
FINE_BELOW = 60  # people smaller than this many pixels get every sample painted and lit
LEAST_VISIBLE = 0.03  # share of a body below which nobody could know that it is there
SEAM_WIDTH = 0.012  # statures over which the seams of one material are smoothed
NO_FACE = np.zeros(FACE_FIELDS)
GRAIN_ROOM = 64


class Drawn(NamedTuple):
    """What drawing one thing gave."""

    order: int  # later things cover earlier ones
    area: float  # pixels of the body, hidden ones included
    box: np.ndarray  # float64 [4] x0, y0, x1, y1 of the body
    depths: np.ndarray  # float32 [h * SAMPLES, w * SAMPLES], pixels; valid until the next drawing
    corner: np.ndarray  # int [2] x, y of the window that ``depths`` covers


class _Body(NamedTuple):
    identity: int
    keypoints: np.ndarray
    stature: float
    order: int
    area: float
    box: np.ndarray


class Canvas:
    """A picture on which things are drawn from far to near, and which knows what covers what."""

    def __init__(self, image: np.ndarray, light: np.ndarray):
        """Draw into ``image``, RGB uint8 [H, W, 3], under a light from ``random_light``."""
        self.image, self.light = image, light
        self._owners = np.zeros(image.shape[:2], np.int16)
        self._order = 0
        self._bodies: list[_Body] = []
        # Depths, winners, normals and colours of the samples of one thing at a time.
        count = image.shape[0] * image.shape[1] * SAMPLES * SAMPLES
        self._scratch = (
            np.empty(count, np.float32),
            np.empty(count, np.int16),
            np.empty((count, 3), np.int8),
            np.empty((count, 3), np.uint8),
        )

    def draw(self, solids, tags, materials, face, size: float) -> Drawn | None:
        """Draw solids of a thing ``size`` pixels tall; None where they all lie outside the picture."""
        self._order += 1
        height, width = self.image.shape[:2]
        boxes = tags[:, raster.BOX :]
        left, top = np.maximum(0, boxes[:, :2].min(0))
        right, bottom = np.minimum((width, height), boxes[:, 2:].max(0))
        if right <= left or bottom <= top:
            return None
        shape = (bottom - top) * SAMPLES, (right - left) * SAMPLES
        count = shape[0] * shape[1]
        samples = tuple(part[:count].reshape(*shape, *part.shape[1:]) for part in self._scratch)
        window = left, top, SAMPLES, size > FINE_BELOW
        seam = max(1, round(SEAM_WIDTH * size * SAMPLES))
        taps, near, box = shading.light_taps(self.light, seam), 2 * seam / SAMPLES, np.empty(4)
        raster.rasterise(solids, tags, left, top, SAMPLES, *samples[:2])
        shading.surfaces(solids, tags, materials, face, noise_tile(), window, samples)
        area = shading.composite(
            self.image, self._owners, self._order, tags, materials, self.light, taps, near, window, samples, box
        )
        return Drawn(self._order, area, box, samples[0], np.array((left, top)))

    def draw_person(self, identity: int, figure: Figure, placed: Placed, stature: float) -> None:
        """Draw a person and remember the truth about it."""
        drawn = self.draw(placed.solids, placed.tags, figure.materials, figure.look.face, stature)
        if drawn is None or drawn.area <= 0:
            return
        xy = placed.keypoints[:, :2]
        height, width = self.image.shape[:2]
        inside = ((xy >= 0) & (xy < (width, height))).all(axis=1)
        cells = ((xy - drawn.corner) * SAMPLES).astype(int).clip(0, np.array(drawn.depths.shape[::-1]) - 1)
        hidden = placed.keypoints[:, 2] - drawn.depths[cells[:, 1], cells[:, 0]] > placed.slack
        visibility = np.where(inside & ~placed.turned_away, np.where(hidden, 1, 2), 0)
        if visibility.any():
            keypoints = np.concatenate([xy, visibility[:, None]], axis=1)
            self._bodies.append(_Body(identity, keypoints, stature, *drawn[:3]))

    def cast_shadow(self, placed: Placed, view: View, strength: float) -> None:
        """Darken the ground where the shadows of a person's bones fall."""
        height, width = self.image.shape[:2]
        lean = np.array((-self.light[0], self.light[2])) / max(0.35, -self.light[1])
        ground = placed.skeleton[:, [0, 2]] + placed.skeleton[:, 1:2] * lean
        points = ground * (1, max(0.12, math.sin(view.pitch))) * view.stature + (view.x, view.y)
        pad = 0.1 * view.stature
        x0, y0 = np.maximum(0, np.floor(points.min(0) - pad)).astype(int)
        x1, y1 = np.minimum((width, height), np.ceil(points.max(0) + pad)).astype(int)
        if x1 - x0 < 4 or y1 - y0 < 4:
            return
        # Shadows are soft, so a small mask is enough.
        shrink = min(1.0, 80 / view.stature)
        mask = np.full((max(2, int((y1 - y0) * shrink)), max(2, int((x1 - x0) * shrink))), 255, np.uint8)
        spots = fixed_point((points - (x0, y0)) * shrink)
        thick = max(1, int(0.075 * view.stature * shrink))
        for bone in range(1, posture.BONES):
            here = 2 * thick if bone in (posture.SPINE, posture.CHEST) else thick
            dark = int(255 * (1 - strength))
            cv2.line(mask, spots[posture.PARENTS[bone]], spots[bone], dark, here, cv2.LINE_8, SUBPIXEL)
        cv2.GaussianBlur(mask, (0, 0), max(0.8, 0.35 * thick), mask)
        mask = cv2.resize(mask, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
        region = self.image[y0:y1, x0:x1]
        cv2.multiply(region, cv2.merge([mask, mask, mask]), region, scale=1 / 255)

    def truth(self) -> tuple[np.ndarray, ...]:
        """Keypoints, boxes, areas, heights and ids of the people that can be seen at all, as in ``SyntheticFrame``."""
        height, width = self._owners.shape
        seen = np.bincount(self._owners.ravel(), minlength=self._order + 1)
        people = []
        for identity, keypoints, stature, order, area, box in self._bodies:
            if seen[order] < LEAST_VISIBLE * area:
                continue
            columns = keypoints[:, 0].astype(int).clip(0, width - 1)
            rows = keypoints[:, 1].astype(int).clip(0, height - 1)
            covered = self._owners[rows, columns] > order
            visibility = np.where(covered, np.minimum(keypoints[:, 2], 1), keypoints[:, 2])
            marked = np.concatenate([keypoints[:, :2], visibility[:, None]], axis=1)
            people.append((marked, box, area, stature, identity))
        columns = zip(*people, strict=True) if people else ([], [], [], [], [])
        shapes = (-1, 17, 3), (-1, 4), (-1,), (-1,), (-1,)
        types = np.float32, np.float32, np.float32, np.float32, np.int64
        return tuple(np.array(c, t).reshape(s) for c, t, s in zip(columns, types, shapes, strict=True))


def random_light(rng: np.random.Generator) -> np.ndarray:
    """Direction toward the light in the picture's frame (3), ambient and direct strength, darkening at rims."""
    direction = np.array((rng.normal(0, 0.6), -rng.uniform(0.3, 1.0), -rng.uniform(0.1, 1.0)))
    direct = rng.uniform(0.25, 0.85)
    ambient = rng.uniform(0.85, 1.1) - 0.75 * direct
    return np.array((*direction / np.linalg.norm(direction), ambient, direct, rng.uniform(0.05, 0.35)))


@lru_cache(maxsize=4)
def _grain(width: int, height: int) -> np.ndarray:
    """Noise of deviation 24 around 128 with room to move about: uint8 [height + GRAIN_ROOM, width + GRAIN_ROOM, 3]."""
    noise = np.empty((height + GRAIN_ROOM, width + GRAIN_ROOM, 3), np.uint8)
    table = np.random.default_rng(5).normal(128, 24, 1 << 16).round().clip(0, 255).astype(np.uint8)
    noise[:] = table[np.random.default_rng(6).integers(1 << 16, size=noise.shape)]
    return noise


class Lens:
    """What a camera does to a picture: colour cast, contrast, blur and noise."""

    def __init__(self, rng: np.random.Generator, strength: float = 1.0):
        gains = 1 + strength * rng.normal(0, 0.07, 3)
        levels = np.arange(256)[:, None] / 255
        gamma = 2 ** (strength * rng.normal(0, 0.25))
        curve = levels**gamma * gains * (1 - strength * rng.uniform(0, 0.12)) + strength * rng.uniform(0, 0.06)
        self._curve = np.ascontiguousarray((curve.clip(0, 1) * 255).astype(np.uint8)[None])
        self._blur = rng.uniform(0.3, 0.3 + 0.6 * strength)
        self._noise = strength * rng.uniform(0, 8)

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The picture as the camera gives it; ``rng`` only moves the noise."""
        image = cv2.LUT(cv2.GaussianBlur(image, (3, 3), self._blur), self._curve)
        if self._noise < 0.5:
            return image
        height, width = image.shape[:2]
        x, y = rng.integers(GRAIN_ROOM, size=2)
        grain = _grain(width, height)[y : y + height, x : x + width]
        share = self._noise / 24
        return cv2.addWeighted(image, 1.0, grain, share, -128 * share)
