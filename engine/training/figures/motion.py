"""How synthetic people move: clips, each a function of the time in seconds and a person's ``Manner`` to a pose."""

import math
from collections.abc import Callable

import numpy as np

from engine.training.figures.posture import (
    BEND,
    CHEST,
    HAND,
    HEAD,
    LEAN,
    LEFT,
    LIFT,
    NECK,
    PELVIS,
    POSE_ROWS,
    RIGHT,
    SPINE,
    SPREAD,
    TAU,
    THIGH,
    TURN,
    Manner,
    arm,
    leg,
)

Clip = Callable[[float, Manner], np.ndarray]


def _bump(phase: float, center: float, sharpness: float) -> float:
    return math.exp(sharpness * (math.cos(phase - TAU * center) - 1))


def stand(time: float, manner: Manner) -> np.ndarray:
    """Standing at ease: weight on one leg, breathing, looking around."""
    pose = np.zeros((POSE_ROWS, 3))
    sway = math.sin(0.9 * manner.tempo * time + manner.phase)
    breath = math.sin(1.6 * time + 2 * manner.phase)
    weight = 1 - 2 * manner.side
    pose[PELVIS] = 0.0, 0.0, 0.03 * weight + 0.015 * sway
    pose[SPINE] = 0.02 + manner.slouch, 0.05 * sway, -0.04 * weight
    pose[CHEST] = 0.02 * breath + 0.5 * manner.slouch, 0.04 * sway, -0.015 * sway
    pose[NECK] = 0.15 + 0.5 * manner.slouch, 0.1 * sway, 0.0
    look = math.sin(0.43 * manner.tempo * time + 3 * manner.phase)
    pose[HEAD] = -0.1 + 0.06 * breath, 0.45 * manner.energy * look**3, 0.03 * sway
    for side in (LEFT, RIGHT):
        loose = 0.05 * math.sin(0.9 * time + manner.phase + side)
        arm(pose, side, 0.03 + loose, 0.12 + 0.03 * manner.energy, 0.22 + loose, -0.3)
        relaxed = side != manner.side
        leg(pose, side, 0.14 if relaxed else 0.0, 0.07, 0.22 if relaxed else 0.02, 0.08 if relaxed else 0.02)
    return pose


def _gait(phase: float, manner: Manner, swing: float, lifted: float, elbow: float) -> np.ndarray:
    pose = np.zeros((POSE_ROWS, 3))
    pose[PELVIS] = 0.03, 0.09 * swing * math.sin(phase + math.pi / 2), 0.04 * math.sin(phase)
    pose[SPINE] = 0.03 + manner.slouch, -0.10 * swing * math.cos(phase), -0.03 * math.sin(phase)
    pose[CHEST] = 0.03 + 0.4 * manner.slouch, -0.2 * swing * math.cos(phase), -0.02 * math.sin(phase)
    pose[NECK] = 0.12, 0.1 * swing * math.cos(phase), 0.0
    pose[HEAD] = -0.1 - 0.5 * manner.slouch, 0.15 * swing * math.cos(phase), 0.0
    pose[PELVIS, TURN] = -0.16 * swing * math.cos(phase)
    for side in (LEFT, RIGHT):
        here = phase + math.pi * side
        # The leg's phase 0 is the heel strike; the arm of the same side swings the other way.
        hip = 0.06 + swing * (math.cos(here) - 0.12 * math.cos(2 * here))
        knee = 0.06 + 0.22 * _bump(here, 0.13, 6) + lifted * _bump(here, 0.73, 2.6)
        ankle = 0.12 * math.cos(here) - 0.35 * swing * _bump(here, 0.58, 7)
        leg(pose, side, hip, 0.02, knee, ankle)
        back = -0.9 * swing * manner.energy * math.cos(here + 0.1)
        arm(pose, side, back, 0.11, elbow + 0.35 * max(0.0, back), -0.15)
    return pose


STEP_SECONDS = 1.06  # one walking cycle at tempo 1
WALK_SWING = 0.42


def walk(time: float, manner: Manner) -> np.ndarray:
    """Walking: the feet alternate, each arm swings with the leg of the other side."""
    return _gait(TAU * manner.tempo * time / STEP_SECONDS + manner.phase, manner, WALK_SWING, 1.0, 0.22)


def walking_speed(manner: Manner) -> float:
    """Speed over the ground in statures a second at which the feet of ``walk`` do not slide."""
    return 4 * 0.47 * math.sin(WALK_SWING) * manner.tempo / STEP_SECONDS


def run(time: float, manner: Manner) -> np.ndarray:
    """Running, with bent elbows and a flight phase."""
    phase = TAU * manner.tempo * 1.35 * time + manner.phase
    pose = _gait(phase, manner, 0.72, 1.75, 1.45)
    pose[PELVIS, BEND] += 0.15
    pose[LIFT, 0] = 0.035 * (0.5 - 0.5 * math.cos(2 * phase + 1.2))
    return pose


def running_speed(manner: Manner) -> float:
    """Speed over the ground in statures a second that suits ``run``."""
    return 1.55 * manner.tempo


def wave(time: float, manner: Manner) -> np.ndarray:
    """Waving one arm overhead."""
    pose = stand(time, manner)
    beat = math.sin(TAU * 1.3 * manner.tempo * time)
    arm(pose, manner.side, 0.15, 1.9 + 0.25 * manner.energy, 0.85 + 0.5 * beat, 1.45)
    pose[HAND[manner.side], SPREAD] = 0.4 * beat
    return pose


def cheer(time: float, manner: Manner) -> np.ndarray:
    """Both arms raised, bobbing."""
    pose = stand(time, manner)
    beat = math.sin(TAU * 0.9 * manner.tempo * time + manner.phase)
    for side in (LEFT, RIGHT):
        arm(pose, side, 0.35, 2.35 + 0.3 * beat, 0.55 - 0.3 * beat, 1.3)
        leg(pose, side, 0.12 + 0.12 * beat, 0.14, 0.25 + 0.24 * beat, 0.13 + 0.12 * beat)
    pose[HEAD, BEND] -= 0.2
    return pose


def phone(time: float, manner: Manner) -> np.ndarray:
    """Looking at a phone, or holding it to the ear."""
    pose = stand(time, manner)
    other = 1 - manner.side
    if manner.energy > 1.0:
        arm(pose, manner.side, 0.9, 0.45, 2.35, 0.35)
        pose[HEAD, LEAN] += 0.12 * (1 - 2 * manner.side) * -1
    else:
        arm(pose, manner.side, 0.45, 0.12, 1.65, -0.55)
        arm(pose, other, 0.35, 0.1, 1.6, -0.6)
        pose[NECK, BEND] += 0.3
        pose[HEAD, BEND] += 0.3
    return pose


def hands_on_hips(time: float, manner: Manner) -> np.ndarray:
    """Standing with the hands on the hips."""
    pose = stand(time, manner)
    for side in (LEFT, RIGHT):
        arm(pose, side, -0.35, 0.75, 1.75, -1.15)
        pose[THIGH[side], SPREAD] = 0.14
    return pose


def arms_crossed(time: float, manner: Manner) -> np.ndarray:
    """Standing with the arms crossed before the chest."""
    pose = stand(time, manner)
    for side in (LEFT, RIGHT):
        arm(pose, side, 0.45 + 0.1 * side, 0.2, 1.75 + 0.1 * side, -1.15)
    return pose


def talk(time: float, manner: Manner) -> np.ndarray:
    """Talking with both hands, pointing now and then."""
    pose = stand(time, manner)
    slow = math.sin(1.1 * manner.tempo * time + manner.phase)
    quick = math.sin(2.9 * manner.tempo * time + 2 * manner.phase)
    reach = max(0.0, slow) ** 2
    arm(pose, manner.side, 0.35 + 1.0 * reach + 0.1 * quick, 0.2 + 0.3 * reach, 1.35 - 1.1 * reach + 0.25 * quick, -0.2)
    arm(pose, 1 - manner.side, 0.25 + 0.15 * quick, 0.15, 1.2 - 0.3 * quick, -0.3)
    pose[CHEST, TURN] += 0.15 * slow
    return pose


def clap(time: float, manner: Manner) -> np.ndarray:
    """Clapping before the chest."""
    pose = stand(time, manner)
    open_ = 0.5 + 0.5 * math.sin(TAU * 1.7 * manner.tempo * time)
    for side in (LEFT, RIGHT):
        arm(pose, side, 0.65, 0.15 + 0.25 * open_, 1.55, -0.75 + 0.4 * open_)
    return pose


def crouch(time: float, manner: Manner) -> np.ndarray:
    """Going down to a squat and up again."""
    pose = stand(time, manner)
    depth = 0.5 - 0.5 * math.cos(1.3 * manner.tempo * time)
    pose[PELVIS, BEND] = 0.45 * depth
    pose[SPINE, BEND] = 0.3 * depth
    pose[NECK, BEND] -= 0.35 * depth
    for side in (LEFT, RIGHT):
        leg(pose, side, 0.05 + 2.0 * depth, 0.1 + 0.25 * depth, 0.05 + 2.15 * depth, 0.03 + 0.55 * depth)
        arm(pose, side, 1.0 * depth, 0.15 + 0.1 * depth, 0.25 + 0.7 * depth, -0.3)
    return pose


def jump(time: float, manner: Manner) -> np.ndarray:
    """Jumping: bend, swing the arms up, fly, land."""
    phase = (manner.tempo * time / 1.3) % 1.0
    low = _bump(TAU * phase, 0.22, 9) + 0.8 * _bump(TAU * phase, 0.78, 11)
    flight = max(0.0, 1 - ((phase - 0.5) / 0.2) ** 2)
    pose = stand(time, manner)
    pose[LIFT, 0] = 0.16 * manner.energy * flight
    pose[PELVIS, BEND] = 0.35 * low
    pose[SPINE, BEND] = 0.2 * low
    up = _bump(TAU * phase, 0.5, 3)
    for side in (LEFT, RIGHT):
        leg(
            pose,
            side,
            0.03 + 1.05 * low,
            0.06 + 0.2 * flight,
            0.05 + 1.6 * low + 0.15 * flight,
            0.02 + 0.5 * low - 0.6 * flight,
        )
        arm(pose, side, -0.5 * low + 0.4 * up, 0.12 + 1.8 * up * manner.energy, 0.3 + 0.3 * up, 0.8 * up)
    return pose


def jumping_jack(time: float, manner: Manner) -> np.ndarray:
    """Jumping jacks: arms and legs open and close together."""
    pose = stand(time, manner)
    phase = TAU * 0.9 * manner.tempo * time
    open_ = 0.5 - 0.5 * math.cos(phase)
    pose[LIFT, 0] = 0.05 * (0.5 - 0.5 * math.cos(2 * phase))
    for side in (LEFT, RIGHT):
        arm(pose, side, 0.1, 0.12 + 2.6 * open_, 0.25, 0.6)
        leg(pose, side, 0.05, 0.03 + 0.42 * open_, 0.12, 0.0)
    return pose


def dance(time: float, manner: Manner) -> np.ndarray:
    """Dancing: everything sways, at different beats."""
    pose = stand(time, manner)
    beat = TAU * 0.8 * manner.tempo * time + manner.phase
    s, c, half = math.sin(beat), math.cos(beat), math.sin(beat / 2 + manner.phase)
    pose[PELVIS] = 0.0, 0.3 * half, 0.14 * s
    pose[SPINE] = 0.1, 0.2 * half, -0.2 * s
    pose[HEAD] = -0.1 + 0.15 * c, 0.2 * half, 0.15 * s
    for side in (LEFT, RIGHT):
        sign = 1 - 2 * side
        arm(pose, side, 0.5 + 0.5 * sign * half, 0.9 + 0.6 * sign * s, 1.3 + 0.6 * c * sign, 0.6 + 0.6 * half)
        leg(pose, side, 0.25 + 0.22 * sign * s, 0.12, 0.45 + 0.4 * sign * s, 0.2 + 0.18 * sign * s)
    return pose


def sit(time: float, manner: Manner) -> np.ndarray:
    """Sitting on a seat, the hands on the thighs or gesturing."""
    pose = stand(time, manner)
    pose[PELVIS] = -0.08, 0.0, 0.0
    pose[SPINE, BEND] = 0.1 + 0.12 * manner.energy + manner.slouch
    quick = math.sin(1.7 * manner.tempo * time + manner.phase)
    for side in (LEFT, RIGHT):
        leg(pose, side, 1.5 + 0.06 * side, 0.12 + 0.08 * manner.energy, 1.45 - 0.1 * side, 0.0)
        arm(pose, side, 0.5 + 0.08 * quick, 0.15, 0.75 + 0.1 * quick, -0.35)
    if manner.energy > 1.05:
        arm(pose, manner.side, 0.55 + 0.2 * quick, 0.25, 1.6 + 0.25 * quick, -0.2)
    return pose


def bend_down(time: float, manner: Manner) -> np.ndarray:
    """Bending to pick something up, and straightening again."""
    pose = stand(time, manner)
    depth = 0.5 - 0.5 * math.cos(1.2 * manner.tempo * time)
    pose[PELVIS, BEND] = 0.95 * depth
    pose[SPINE, BEND] = 0.5 * depth
    pose[CHEST, BEND] = 0.25 * depth
    for side in (LEFT, RIGHT):
        leg(pose, side, 0.05 + 1.25 * depth, 0.1, 0.05 + 0.7 * depth, 0.38 * depth)
        arm(pose, side, 1.55 * depth * (1 if side == manner.side else 0.6), 0.12, 0.25, -0.2)
    return pose


GESTURES: tuple[Clip, ...] = (stand, wave, cheer, phone, hands_on_hips, arms_crossed, talk, clap, dance)
EXERCISES: tuple[Clip, ...] = (crouch, jump, jumping_jack, bend_down)
