"""Poses of synthetic people: how bones are numbered and turned, random poses, and a person's manner of moving.

A pose is float64 [POSE_ROWS, 3]: one row of angles in radians per bone, then one row (lift above the ground, 0, 0) in
statures. Trunk bones turn as (bend forward, turn left, lean right); limb bones as (swing forward, twist out, spread
out), the same signs on both sides.
"""

import math
from dataclasses import dataclass

import numpy as np

PELVIS, SPINE, CHEST, NECK, HEAD = range(5)
UPPER_ARM, FOREARM, HAND = (5, 8), (6, 9), (7, 10)  # left, right
THIGH, SHIN, FOOT = (11, 14), (12, 15), (13, 16)
BONES = 17
LIFT = BONES
PARENTS = (-1, 0, 1, 2, 3, 2, 5, 6, 2, 8, 9, 0, 11, 12, 0, 14, 15)
# Frames that no angle turns: the cloth between the knees, and the seat under the pelvis.
SKIRT_FRAME, SEAT_FRAME = BONES, BONES + 1
FRAMES = BONES + 2
POSE_ROWS = BONES + 1
LEFT, RIGHT = 0, 1
BEND, TURN, LEAN = 0, 1, 2
SWING, TWIST, SPREAD = 0, 1, 2

TAU = 2 * math.pi


@dataclass(frozen=True)
class Manner:
    """What differs between two people doing the same thing; all from the person's seed."""

    tempo: float = 1.0  # of gestures
    energy: float = 1.0  # size of swings
    phase: float = 0.0
    side: int = LEFT
    slouch: float = 0.0


def arm(pose: np.ndarray, side: int, swing: float, spread: float, elbow: float, twist: float = 0.0) -> None:
    """Set one arm: swing forward, spread sideways, bend of the elbow, outward twist of the upper arm."""
    pose[UPPER_ARM[side]] = swing, twist, spread
    pose[FOREARM[side], SWING] = elbow


def leg(pose: np.ndarray, side: int, swing: float, spread: float, knee: float, ankle: float = 0.0) -> None:
    """Set one leg: swing forward, spread sideways, bend of the knee, toe up."""
    pose[THIGH[side]] = swing, 0.12, spread
    pose[SHIN[side], SWING] = -knee
    pose[FOOT[side], SWING] = ankle


def extreme_pose(rng: np.random.Generator) -> np.ndarray:
    """A pose as sports have them: limbs anywhere in their range, the trunk at any angle, at times upside down."""
    pose = np.zeros((POSE_ROWS, 3))
    pose[SPINE] = rng.uniform((-0.35, -0.4, -0.35), (0.7, 0.4, 0.35))
    pose[CHEST] = rng.uniform((-0.25, -0.3, -0.2), (0.35, 0.3, 0.2))
    pose[NECK] = rng.uniform((-0.2, -0.3, -0.2), (0.5, 0.3, 0.2))
    pose[HEAD] = rng.uniform((-0.5, -0.7, -0.3), (0.4, 0.7, 0.3))
    for side in (LEFT, RIGHT):
        arm(
            pose,
            side,
            rng.uniform(-0.9, 2.8),
            rng.uniform(0.0, 1.9),
            rng.uniform(0, 2.3) ** 1.0,
            rng.uniform(-1.2, 1.5),
        )
        leg(
            pose,
            side,
            rng.uniform(-0.6, 1.9),
            rng.uniform(0, 0.9),
            rng.uniform(0, 2.2) * rng.uniform(),
            rng.uniform(-0.6, 0.4),
        )
    tilt = rng.random()
    if tilt < 0.75:
        pose[PELVIS] = rng.uniform((-0.5, 0, -0.5), (1.0, 0, 0.5))
    elif tilt < 0.9:  # falling, lying, diving
        pose[PELVIS] = rng.choice([-1.5, 1.5]) + rng.uniform(-0.3, 0.3), 0.0, rng.uniform(-1.5, 1.5)
    else:
        pose[PELVIS] = rng.uniform(-0.3, 0.3), 0.0, math.pi + rng.uniform(-0.6, 0.6)
    if rng.random() < 0.4:
        pose[LIFT, 0] = rng.uniform(0, 0.35)
    return pose


def vary(pose: np.ndarray, rng: np.random.Generator, spread: float = 0.12) -> np.ndarray:
    """A pose with all angles changed a little, elbows and knees within their range."""
    pose = pose.copy()
    pose[:BONES] += rng.normal(0, spread, (BONES, 3))
    pose[list(FOREARM), SWING] = np.maximum(0.0, pose[list(FOREARM), SWING])
    pose[list(SHIN), SWING] = np.minimum(0.0, pose[list(SHIN), SWING])
    return pose


def random_manner(rng: np.random.Generator) -> Manner:
    """A person's way of moving."""
    return Manner(
        tempo=rng.uniform(0.8, 1.25),
        energy=rng.uniform(0.7, 1.3),
        phase=rng.uniform(0, TAU),
        side=int(rng.integers(2)),
        slouch=rng.uniform(-0.03, 0.12),
    )
