"""Keypoints without their jitter: a One-Euro filter that knows how sure each keypoint is."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from math import inf, isfinite, pi
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from .association import LEAST_SIZE, body_sizes
from .people import People

SPEED_CUTOFF = 1.0  # hertz, of the filter of velocities: the paper's own
LEAST_NOISE = 1e-3  # sizes; no keypoint is placed better


@dataclass(frozen=True)
class SmoothingOptions:
    """How strongly keypoints are smoothed.

    cutoff: hertz, the least cut-off frequency, that of a keypoint at rest; above 0. Lower is calmer.
    lag: how far a keypoint that moves steadily may trail behind, in its own sigmas; above 0. Lower follows faster.

    Raises ValueError for a value out of range, TypeError for one of the wrong type.
    """

    cutoff: float = 1.0
    lag: float = 0.5

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, Real):
                raise TypeError(f"{field.name} is {value!r}; it must be a number")
            if not 0 < value < inf:
                raise ValueError(f"{field.name} is {value}; it must be positive and finite")


_DEFAULTS = SmoothingOptions()


class Smoother:
    """Smooths the keypoints of people with ids, each on its own, with a One-Euro filter.

    Casiez, Roussel and Vogel, "1€ Filter", CHI 2012: a low-pass filter whose cut-off frequency rises with the speed,
    f = f_min + β |v|. Here x and y share a speed, and β = 1 / (2π · lag · σ). Behind steady motion the filter trails
    by |v| / 2πf, which so stays below lag · σ whatever the speed, the frame rate and the person's size: what stays
    within the keypoint's uncertainty is calmed as noise, what leaves it is followed as motion.
    """

    def __init__(self, options: SmoothingOptions = _DEFAULTS) -> None:
        self.options = options
        self._last: People | None = None
        self._seconds = 0.0
        self._velocities = np.zeros((0, 0, 2))  # pixels a second, [P, K, 2] of the last people

    def update(self, people: People, seconds: float) -> People:
        """The same people with smoothed x and y; scores, sigmas and ids stay.

        seconds: the frame's time; everything starts anew if it is earlier than the frame before, or if the skeleton is
        another. A keypoint that was not found in the frame before starts anew where it is. For people without sigmas
        OKS's are taken. Raises ValueError for people without ids, and for a time that is not finite.
        """
        if people.ids is None:
            raise ValueError("these people have no ids; let a Tracker give them some first")
        seconds = float(seconds)
        if not isfinite(seconds):
            raise ValueError(f"a frame has the time {seconds}; it must be a finite number of seconds")
        last, passed = self._last, seconds - self._seconds
        positions = people.keypoints[:, :, :2].astype(np.float64)
        velocities = np.zeros_like(positions)
        if last is not None and last.skeleton == people.skeleton and passed >= 0:
            now, before = np.nonzero(people.ids[:, None] == last.ids)
            goes_on = (people.found[now] & last.found[before])[:, :, None]
            smoothed, speeds = self._filtered(positions[now], before, _noise(people)[now], passed)
            positions[now] = np.where(goes_on, smoothed, positions[now])
            velocities[now] = np.where(goes_on, speeds, 0)
        keypoints = np.concatenate((positions, people.keypoints[:, :, 2:]), axis=2)
        self._last, self._seconds, self._velocities = replace(people, keypoints=keypoints), seconds, velocities
        return self._last

    def _filtered(
        self, positions: NDArray[np.float64], before: NDArray[np.int64], noise: NDArray[np.float64], passed: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Smoothed positions and velocities [n, K, 2] of people who were the rows ``before`` of the last ones."""
        last = self._last.keypoints[before, :, :2].astype(np.float64)
        offsets = positions - last
        # In a time T a low-pass filter of cut-off f goes the share 2πfT / (1 + 2πfT) of the way to its input. The
        # velocity's input is offsets / T; multiplied out, T may be 0.
        velocities = self._velocities[before] + 2 * pi * SPEED_CUTOFF * offsets
        velocities /= 1 + 2 * pi * SPEED_CUTOFF * passed
        speeds = np.hypot(velocities[:, :, 0], velocities[:, :, 1])
        turns = 2 * pi * passed * (self.options.cutoff + speeds / (2 * pi * self.options.lag * noise))
        return last + (turns / (1 + turns))[:, :, None] * offsets, velocities


def _noise(people: People) -> NDArray[np.float64]:
    """How far off each keypoint may be, in pixels, float64 [P, K].

    Without the scale branch's sigmas: OKS's times √area, which is how far COCO's annotators were apart.
    """
    sizes = body_sizes(people.boxes.astype(np.float64)).clip(LEAST_SIZE)[:, None]
    sigmas = np.array(people.skeleton.oks_sigmas) * sizes if people.sigmas is None else people.sigmas
    return np.maximum(sigmas, LEAST_NOISE * sizes)
