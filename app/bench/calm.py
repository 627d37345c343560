"""How calm a still person is after smoothing, and how late a fast hand; beside a One-Euro filter as published."""

from __future__ import annotations

from dataclasses import replace
from math import pi
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grouping import COCO17, People

RATE = 30  # frames a second
FRAMES = 300
SETTLED = 30  # frames until a filter has forgotten how it began
WRIST = COCO17.names.index("left_wrist")
SWINGS = 1.5  # a second, by half a height to either side


class Filter(Protocol):
    """What smooths people with ids over time."""

    def update(self, people: People, seconds: float) -> People: ...


class NoFilter:
    """Leaves people as they are."""

    def update(self, people: People, seconds: float) -> People:
        return people


class PlainOneEuro:
    """The filter with the parameters that its authors' page begins with, in pixels: 1 Hz, β = 0.007, 1 Hz.

    Casiez, Roussel and Vogel, "1€ Filter", CHI 2012: x and y by themselves, the same for every keypoint. It is for
    frames of the same people in the same order.
    """

    CUTOFF, BETA, SPEED_CUTOFF = 1.0, 0.007, 1.0

    def __init__(self) -> None:
        self._last: NDArray[np.float64] | None = None
        self._speed: NDArray[np.float64] | float = 0.0
        self._seconds = 0.0

    def update(self, people: People, seconds: float) -> People:
        """The same people with smoothed x and y."""
        positions = people.keypoints[:, :, :2].astype(np.float64)
        if self._last is not None:
            passed = seconds - self._seconds
            speed = (positions - self._last) / passed
            self._speed += self._share(self.SPEED_CUTOFF, passed) * (speed - self._speed)
            share = self._share(self.CUTOFF + self.BETA * abs(self._speed), passed)
            positions = self._last + share * (positions - self._last)
        self._last, self._seconds = positions, seconds
        return moved(people, positions - people.keypoints[:, :, :2])

    @staticmethod
    def _share(cutoff: ArrayLike, passed: float) -> NDArray[np.float64]:
        return 1 / (1 + 1 / (2 * pi * np.asarray(cutoff) * passed))


def upright(height: float, sigma: float | None) -> People:
    """One person with an id: a column of keypoints, `height` pixels from the first to the last."""
    keypoints = np.full((1, COCO17.num_keypoints, 3), 300.0)
    keypoints[0, :, 1] = np.linspace(0, height, COCO17.num_keypoints)
    keypoints[0, :, 2] = 0.9
    sigmas = None if sigma is None else np.full((1, COCO17.num_keypoints), sigma)
    return People(keypoints, [0.8], sigmas, ids=[1])


def moved(people: People, offsets: ArrayLike) -> People:
    """The same people, moved by offsets that broadcast to [P, K, 2]."""
    keypoints = people.keypoints.copy()
    keypoints[:, :, :2] += offsets
    return replace(people, keypoints=keypoints)


def still_frames(height: float, sigma: float | None, noise: ArrayLike, seed: int = 0) -> list[People]:
    """Somebody who stands still and is seen with noise: its standard deviation, in pixels, broadcasts to [K, 2]."""
    random, person = np.random.default_rng(seed), upright(height, sigma)
    return [moved(person, random.normal(0, noise, (1, COCO17.num_keypoints, 2))) for _ in range(FRAMES)]


def waving_frames(height: float, sigma: float | None) -> list[People]:
    """A hand that swings by half the height to either side, 1.5 times a second, without noise."""
    offsets, person = np.zeros((FRAMES, COCO17.num_keypoints, 2)), upright(height, sigma)
    offsets[:, WRIST, 0] = height / 2 * np.sin(2 * pi * SWINGS * np.arange(FRAMES) / RATE)
    return [moved(person, offset) for offset in offsets]


def filtered(frames: list[People], smoother: Filter, rate: float = RATE) -> NDArray[np.float32]:
    """Positions [frames, P, K, 2] of frames at an even rate after smoothing."""
    return np.array([smoother.update(people, i / rate).keypoints[:, :, :2] for i, people in enumerate(frames)])


def jitter(frames: list[People], smoother: Filter) -> float:
    """The standard deviation of the moves in x and y from frame to frame, in pixels."""
    return float(np.diff(filtered(frames, smoother)[SETTLED:], axis=0).std())


def lag(frames: list[People], smoother: Filter) -> float:
    """How many frames the hand of `waving_frames` is late, by its phase over whole swings."""
    begin = 2 * SETTLED
    wave = np.exp(-2j * pi * SWINGS * np.arange(begin, FRAMES) / RATE)
    before, after = (
        hand[begin:, 0, WRIST, 0].astype(np.float64) @ wave
        for hand in (filtered(frames, NoFilter()), filtered(frames, smoother))
    )
    return float(np.angle(before / after) / (2 * pi * SWINGS) * RATE)
