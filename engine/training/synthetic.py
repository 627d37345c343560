"""Synthetic people: moving scenes and single training samples with exact keypoints, visibility, boxes and areas.

``SyntheticScene`` is a crowd that moves over time; ``random_frame`` is one picture of maximal variety. The people are
solids on a skeleton (``figure``), moved by ``motion`` and ``actor`` and drawn on a ``canvas`` before a ``backdrop``.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from engine.errors import SwahrError
from engine.training.figures import motion, posture
from engine.training.figures.actor import Actor, Stage
from engine.training.figures.backdrop import random_backdrop
from engine.training.figures.canvas import NO_FACE, Canvas, Lens, random_light
from engine.training.figures.clutter import random_object
from engine.training.figures.figure import View, random_figure
from grouping import COCO17, Skeleton


@dataclass(frozen=True)
class SyntheticFrame:
    """A picture of P synthetic people and the truth about them.

    image: RGB uint8 [H, W, 3].
    keypoints: float32 [P, 17, 3]: x, y in pixels (centres at integer + 0.5) and visibility: 2 visible, 1 hidden but
        inside the image, 0 outside the image or on the far side of the head. x and y are exact whatever the visibility.
    boxes: float32 [P, 4] x0, y0, x1, y1 of the body, hidden parts included, clipped to the image.
    areas: float32 [P] pixels of the body, hidden parts included, clipped to the image.
    heights: float32 [P] standing height in pixels at the person's depth, whatever the pose.
    ids: int64 [P] stable over time.

    People of whom nothing can be seen are left out.
    """

    image: np.ndarray
    keypoints: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    heights: np.ndarray
    ids: np.ndarray


class SyntheticScene:
    """A crowd that moves over time, deterministic from its seed.

    width, height: pixels; people: how many walk about (some may be out of view at a time); size_range: smallest and
    largest standing height in pixels. Raises ValueError for sizes that make no picture.
    """

    def __init__(
        self,
        width: int = 640,
        height: int = 360,
        people: int = 6,
        seed: int = 0,
        size_range: tuple[float, float] = (60, 300),
    ):
        _check(width, height, size_range)
        if people < 0:
            raise ValueError(f"A scene cannot have {people} people; give 0 or more.")
        rng = np.random.default_rng(seed)
        self.width, self.height, self._seed = width, height, seed
        horizon = rng.uniform(0.22, 0.38) * height
        # High enough for the feet of the nearest to be just inside the picture.
        camera_height = 1.68 * (0.97 * height - horizon) / size_range[1]
        self._stage = Stage(width, height, size_range, horizon, min(4.5, max(1.0, camera_height)))
        self._light = random_light(rng)
        self._backdrop = random_backdrop(rng, width, height, horizon)
        self._lens = Lens(rng, 0.5)
        self._shadow = rng.uniform(0.25, 0.5)
        self._cast = []
        for identity, child in enumerate(rng.spawn(people)):
            figure = random_figure(child)
            seated = identity > 0 and child.random() < 0.15
            self._cast.append((identity, figure, Actor(child, self._stage, figure.build.metres, seated)))

    def render(self, time: float) -> SyntheticFrame:
        """The scene at a time in seconds (>= 0); the same time gives the same frame, in any order of asking."""
        if not 0 <= time < math.inf:
            raise ValueError(f"A scene has no time {time}; give seconds from 0 on.")
        canvas = Canvas(self._backdrop.copy(), self._light)
        placed = []
        for identity, figure, actor in self._cast:
            now = actor.at(time)
            x, y, scale = self._stage.pixels(now.spot)
            right, away = now.spot
            metres = figure.build.metres
            stature = metres * scale
            if not -stature < x < self.width + stature:
                continue
            view = View(x, y, stature, 0.8 * math.atan2(self._stage.camera_height, away), 0.0, away / metres)
            body = figure.place(now.pose, now.yaw + math.atan2(right, away), view, actor.seated)
            placed.append((away, identity, figure, view, body))
        placed.sort(key=lambda person: (-person[0], person[1]))
        for *_, view, body in placed:
            canvas.cast_shadow(body, view, self._shadow)
        for _, identity, figure, view, body in placed:
            canvas.draw_person(identity, figure, body, view.stature)
        noise = np.random.default_rng((self._seed, round(time * 1e6)))
        return SyntheticFrame(self._lens(canvas.image, noise), *canvas.truth())


def random_frame(
    rng: np.random.Generator,
    width: int,
    height: int,
    people: tuple[int, int] = (1, 8),
    size_range: tuple[float, float] = (40, 400),
    background: np.ndarray | None = None,
) -> SyntheticFrame:
    """One independent training sample of maximal variety.

    people: least and most people drawn (some may end up unseen and are left out); size_range: standing heights in
    pixels; background: RGB uint8 [h, w, 3], a picture without people to draw on, cut and resized to fit; else a
    synthetic one. Raises ValueError for sizes that make no picture.
    """
    _check(width, height, size_range)
    if not 0 <= people[0] <= people[1]:
        raise ValueError(f"people is {tuple(people)}; give the least, then the most people, from 0 on.")
    horizon = rng.uniform(-0.1, 0.7) * height
    backdrop = (
        random_backdrop(rng, width, height, horizon) if background is None else _cut(rng, background, width, height)
    )
    canvas = Canvas(backdrop, random_light(rng))
    pitch, roll = min(0.9, max(-0.3, rng.normal(0.12, 0.18))), rng.normal(0, 0.06)
    grounded = rng.random() < 0.7
    shadow = rng.uniform(0, 0.55) if grounded else 0.0
    for identity, (size, x, y) in enumerate(_layout(rng, width, height, people, size_range, horizon, grounded)):
        if rng.random() < 0.25:
            _draw_object(canvas, rng, y, size * rng.uniform(0.6, 1.2))
        figure = random_figure(rng)
        pose, seated = _random_pose(rng)
        view = View(x, y, size, pitch, roll, rng.uniform(1.8, 8.0))
        yaw = rng.uniform(-math.pi, math.pi) if rng.random() < 0.5 else rng.normal(0, 0.7)
        body = figure.place(pose, yaw, view, seated)
        if shadow > 0.1:
            canvas.cast_shadow(body, view, shadow)
        canvas.draw_person(identity, figure, body, size)
    if rng.random() < 0.25:
        _draw_object(canvas, rng, rng.uniform(0.8, 1.3) * height, size_range[1] * rng.uniform(0.3, 1.0))
    image = Lens(rng)(canvas.image, rng)
    if rng.random() < 0.3:
        _, coded = cv2.imencode(".jpg", image[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 92))))
        image = np.ascontiguousarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1])
    return SyntheticFrame(image, *canvas.truth())


def check_skeleton(skeleton: Skeleton) -> None:
    """Raise SwahrError if a network with `skeleton` cannot use synthetic people, whose keypoints are COCO-17's."""
    if skeleton.names != COCO17.names:
        raise SwahrError(
            f"Synthetic people have the keypoints of {COCO17.name}, not of {skeleton.name}; "
            "use photos with labels instead (mixture.synthetic = 0)."
        )


def _check(width: int, height: int, size_range: tuple[float, float]) -> None:
    if width < 1 or height < 1:
        raise ValueError(f"A picture of {width} x {height} pixels cannot be drawn; give at least 1 x 1.")
    if not 0 < size_range[0] <= size_range[1]:
        raise ValueError(f"size_range is {tuple(size_range)}; give the smallest, then the largest height, above 0.")


def _cut(rng: np.random.Generator, picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """A random part of a picture with the right proportions, resized to width x height."""
    scale = max(width / picture.shape[1], height / picture.shape[0])
    w, h = min(picture.shape[1], round(width / scale)), min(picture.shape[0], round(height / scale))
    x, y = int(rng.integers(picture.shape[1] - w + 1)), int(rng.integers(picture.shape[0] - h + 1))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    part = np.ascontiguousarray(picture[y : y + h, x : x + w])
    return part.copy() if (w, h) == (width, height) else cv2.resize(part, (width, height), interpolation=how)


def _draw_object(canvas: Canvas, rng: np.random.Generator, y: float, size: float) -> None:
    canvas.draw(*random_object(rng, rng.uniform(0, canvas.image.shape[1]), y, size), NO_FACE, size)


def _layout(
    rng: np.random.Generator,
    width: int,
    height: int,
    people: tuple[int, int],
    size_range: tuple[float, float],
    horizon: float,
    grounded: bool,
) -> list[tuple[float, float, float]]:
    """Size and ground point of each person, far to near, so that nobody stands right behind another."""
    low, high = size_range
    sizes = np.sort(low * (high / low) ** rng.uniform(size=int(rng.integers(people[0], people[1] + 1))))
    slope = (rng.uniform(0.8, 1.2) * height - horizon) / max(0.5 * height, *sizes) if len(sizes) else 0.0
    spots: list[tuple[float, float, float]] = []
    for size in sizes.tolist():
        for _ in range(6):
            x = rng.uniform(-0.05, 1.05) * width
            if size > 0.85 * height or not grounded:
                # Framed by the head: the rest may fall out of the picture.
                y = rng.uniform(0.02, 0.75 if size < height else 0.35) * height + size * rng.uniform(0.9, 1.0)
            else:
                y = horizon + slope * size
            middle = y - size / 2
            if all(abs(x - ox) > 0.13 * size or abs(middle - oy + other / 2) > 0.4 * size for other, ox, oy in spots):
                break
        spots.append((size, x, y))
    return spots


def _random_pose(rng: np.random.Generator) -> tuple[np.ndarray, bool]:
    """A pose and whether it sits on a seat."""
    manner, time = posture.random_manner(rng), rng.uniform(0, 60)
    choice = rng.random()
    if choice < 0.28:
        return posture.extreme_pose(rng), False
    if choice < 0.40:
        return motion.sit(time, manner), bool(rng.random() < 0.7)
    if choice < 0.62:
        clip = motion.walk if rng.random() < 0.65 else motion.run
    else:
        clips = motion.EXERCISES if choice < 0.75 else motion.GESTURES
        clip = clips[rng.integers(len(clips))]
    return posture.vary(clip(time, manner), rng), False
