"""What one person of a synthetic scene does over time: a chain of acts, the same in whatever order it is asked for."""

import math
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from engine.training.figures import motion, posture
from engine.training.figures.motion import Clip

BLEND_SECONDS = 0.55
RAMP_SECONDS = 0.5


@dataclass(frozen=True)
class Act:
    """One clip from ``start`` to ``end`` (seconds), on the way from one spot of the ground to another."""

    start: float
    end: float
    clip: Clip
    yaw: float
    origin: np.ndarray  # [2] metres: right of the camera's axis, away from the camera
    target: np.ndarray

    def spot(self, time: float) -> np.ndarray:
        """Where the person is: it turns first, then speeds up, walks and slows down."""
        run = self.end - self.start - BLEND_SECONDS - RAMP_SECONDS
        passed = min(max(time - self.start - BLEND_SECONDS, 0.0), run + RAMP_SECONDS)
        if run <= 0:
            return self.origin
        # Distance under a speed that rises and falls linearly within the ramps.
        gone = min(passed, RAMP_SECONDS) ** 2 / (2 * RAMP_SECONDS) + max(0.0, min(passed, run) - RAMP_SECONDS)
        if passed > run:
            left = run + RAMP_SECONDS - passed
            gone = run - left * left / (2 * RAMP_SECONDS)
        return self.origin + (self.target - self.origin) * gone / run


@dataclass(frozen=True)
class Moment:
    """A person at one time."""

    pose: np.ndarray  # float64 [POSE_ROWS, 3]
    yaw: float  # radians, 0 faces the camera, positive turns to the picture's right
    spot: np.ndarray  # float64 [2] metres: right, away


class Stage:
    """The ground a crowd walks on: a pinhole camera's view, people between two sizes in it."""

    def __init__(self, width: int, height: int, size_range: tuple[float, float], horizon: float, camera_height: float):
        self.width, self.height, self.size_range = width, height, size_range
        self.horizon, self.camera_height = horizon, camera_height  # pixels, metres
        self.focal = 1.1 * max(width, height)

    def random_spot(self, rng: np.random.Generator, metres: float, margin: float = 0.15) -> np.ndarray:
        """A spot [2] where a person ``metres`` tall has a size in the range, up to ``margin`` widths off the frame."""
        low, high = self.size_range
        size = low * (high / low) ** rng.uniform()
        away = metres * self.focal / size
        return np.array(((rng.uniform(-margin, 1 + margin) - 0.5) * self.width * away / self.focal, away))

    def pixels(self, spot: np.ndarray) -> tuple[float, float, float]:
        """Pixel (x, y) of a spot on the ground and the pixels a metre has there."""
        scale = self.focal / spot[1]
        return self.width / 2 + spot[0] * scale, self.horizon + self.camera_height * scale, scale


class Actor:
    """A person's acts, made one after the other from its own random numbers."""

    def __init__(self, rng: np.random.Generator, stage: Stage, metres: float, seated: bool):
        self._rng, self._stage, self._metres = rng, stage, metres
        self.seated = seated
        self.manner = posture.random_manner(rng)
        spot = stage.random_spot(rng, metres, margin=-0.1)
        self._acts = [self._act(0.0, spot, rng.uniform(-math.pi, math.pi))]
        self._starts = [0.0]

    def _act(self, start: float, spot: np.ndarray, yaw: float) -> Act:
        rng = self._rng
        if self.seated:
            return Act(start, start + 60.0, motion.sit, rng.uniform(-1.2, 1.2) if start == 0 else yaw, spot, spot)
        if rng.random() < 0.55:
            target = self._stage.random_spot(rng, self._metres)
            way = target - spot
            distance = float(np.linalg.norm(way))
            hurry = rng.random() < 0.12
            speed = motion.running_speed(self.manner) if hurry else motion.walking_speed(self.manner)
            seconds = distance / (speed * self._metres)
            if seconds > 1.5:
                clip = motion.run if hurry else motion.walk
                end = start + seconds + BLEND_SECONDS + RAMP_SECONDS
                return Act(start, end, clip, math.atan2(way[0], -way[1]), spot, target)
        clips = motion.EXERCISES if rng.random() < 0.2 else motion.GESTURES
        # People who stop turn toward the camera more often than away from it.
        facing = rng.normal(0, 0.9) if rng.random() < 0.6 else yaw
        return Act(start, start + rng.uniform(2.0, 5.0), clips[rng.integers(len(clips))], facing, spot, spot)

    def at(self, time: float) -> Moment:
        """The person at a time >= 0 in seconds."""
        while self._acts[-1].end <= time:
            last = self._acts[-1]
            self._acts.append(self._act(last.end, last.target, last.yaw))
            self._starts.append(last.end)
        index = bisect_right(self._starts, time) - 1
        act = self._acts[index]
        pose, yaw = act.clip(time - act.start, self.manner), act.yaw
        passed = (time - act.start) / BLEND_SECONDS
        if index > 0 and passed < 1:
            before = self._acts[index - 1]
            weight = passed * passed * (3 - 2 * passed)
            pose = before.clip(time - before.start, self.manner) * (1 - weight) + pose * weight
            turn = (act.yaw - before.yaw + math.pi) % (2 * math.pi) - math.pi
            yaw = before.yaw + turn * weight
        return Moment(pose, yaw, act.spot(time))
