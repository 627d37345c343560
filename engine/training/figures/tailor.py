"""The parts a synthetic person is made of: body, clothes, shoes and hair as swept spheres in the frames of bones.

Lengths are statures before the body is scaled to a standing height of 1, the head's in head heights.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from engine.training.figures.posture import (
    CHEST,
    FOOT,
    FOREARM,
    HAND,
    HEAD,
    LEFT,
    NECK,
    PELVIS,
    RIGHT,
    SEAT_FRAME,
    SHIN,
    SKIRT_FRAME,
    SPINE,
    THIGH,
    UPPER_ARM,
)
from engine.training.figures.wardrobe import (
    BOTTOM,
    EXTRA,
    HAIR,
    HAT,
    HEAD_SKIN,
    SEAT,
    SHOES,
    SKIN,
    SLEEVE,
    TOP,
    Build,
    Look,
)

LONG_SLEEVES = ("long sleeve", "jacket", "coat", "shirt", "hoodie")
LONG_LEGS = ("trousers", "jeans", "leggings")
UPPER_ARM_LENGTH, FOREARM_LENGTH = 0.172, 0.148
THIGH_LENGTH, SHIN_LENGTH = 0.240, 0.230
Point = tuple[float, float, float]


class Part(NamedTuple):
    """A sphere swept from ``start`` to ``end`` in the frame of a bone while its radius goes from one to the other."""

    bone: int
    start: Point
    end: Point
    radii: tuple[float, float]
    material: int
    squash: Point = (1, 1, 1)  # along the part's own axes; y runs along the part
    ends: tuple[int, int] = (1, 1)  # which ends are rounded; the others are open
    clip: tuple[float, float, float, float] | None = None  # n and d: kept where n . (squashed point - start) <= d
    prop: int = 0  # 1: no part of the body

    def scaled(self, factor: float) -> "Part":
        """The same part with all lengths multiplied."""
        start, end = (tuple(factor * v for v in point) for point in (self.start, self.end))
        clip = self.clip and (*self.clip[:3], factor * self.clip[3])
        return self._replace(start=start, end=end, radii=tuple(factor * r for r in self.radii), clip=clip)


def dress(build: Build, look: Look) -> list[Part]:
    """All parts of a person; those of a seat come last."""
    parts = [part.scaled(build.head) for part in (*_head(), *_hair(look))]
    parts += [*_trunk(build, look), *_hem(build, look)]
    for side, sign in ((LEFT, 1), (RIGHT, -1)):
        parts += [*_arm(build, look, side, sign), *_leg(build, look, side, sign)]
    return [*parts, *_skirt(build, look), *_held(look), *_seat()]


def _head() -> Iterator[Part]:
    yield Part(HEAD, (0, 0.26, 0.07), (0, 0.60, -0.02), (0.235, 0.355), HEAD_SKIN, (0.93, 1.0, 1.12))
    yield Part(HEAD, (0, 0.47, 0.355), (0, 0.345, 0.415), (0.03, 0.052), HEAD_SKIN)
    for sign in (1, -1):
        yield Part(HEAD, (0.33 * sign, 0.40, -0.03), (0.35 * sign, 0.50, -0.05), (0.05, 0.07), HEAD_SKIN, (0.5, 1, 1))


def _hair(look: Look) -> Iterator[Part]:
    cut, top = look.haircut, (0, 0.60, -0.03)
    if cut == "short":
        yield Part(HEAD, top, top, (0.395, 0.395), HAIR, (0.94, 0.98, 1.12), clip=(0, -0.62, 0.78, 0.07))
    elif cut == "ponytail" or cut == "bun":
        yield Part(HEAD, top, top, (0.385, 0.385), HAIR, (0.94, 0.98, 1.12), clip=(0, -0.55, 0.83, 0.11))
        if cut == "bun":
            yield Part(HEAD, (0, 0.9, -0.3), (0, 0.95, -0.32), (0.15, 0.15), HAIR)
        else:
            yield Part(HEAD, (0, 0.72, -0.42), (0, 0.1, -0.55), (0.09, 0.10), HAIR)
    elif cut == "medium" or cut == "long":
        low = -0.75 if cut == "long" else -0.02
        yield Part(HEAD, top, top, (0.415, 0.415), HAIR, (0.96, 0.98, 1.1), clip=(0, -0.5, 0.86, 0.12))
        yield Part(HEAD, (0, 0.5, -0.12), (0, low, -0.22), (0.41, 0.36), HAIR, (1, 0.6, 0.72), clip=(0, 0, 1, 0.14))
    elif cut == "afro":
        yield Part(HEAD, (0, 0.68, -0.08), (0, 0.68, -0.08), (0.56, 0.56), HAIR, clip=(0, -0.55, 0.83, 0.13))
    elif cut == "cap" or cut == "beanie":
        high = 1.0 if cut == "cap" else 1.15
        yield Part(HEAD, top, top, (0.385, 0.385), HAIR, (0.94, 1, 1.12), clip=(0, -0.2, 0.98, -0.02))
        crown = (0, 0.66, -0.02)
        yield Part(HEAD, crown, crown, (0.40, 0.40), HAT, (0.95, high, 1.12), clip=(0, -1, 0.15, -0.02))
        if cut == "cap":
            yield Part(HEAD, (0, 0.70, 0.30), (0, 0.67, 0.48), (0.30, 0.24), HAT, (1, 1, 0.16))
    elif cut == "scarf":
        around = (0, 0.56, -0.03)
        yield Part(HEAD, around, around, (0.46, 0.46), HAT, (0.9, 1.1, 1.05), clip=(0, -0.25, 0.97, 0.2))
        yield Part(HEAD, (0, 0.1, -0.06), (0, -0.45, -0.1), (0.36, 0.55), HAT, (1, 0.5, 0.85))


def _trunk(build: Build, look: Look) -> Iterator[Part]:
    g, wide, loose = build.girth, build.shoulders, look.loose
    chest, waist = 0.90 * wide, 0.080 * g * build.belly
    below = TOP if look.top == "dress" else BOTTOM
    bare = look.top == "tank"
    yield Part(NECK, (0, -0.03, 0.003), (0, 0.075, 0.002), (0.037 * g, 0.031 * g), SKIN)
    yield Part(
        PELVIS, (0, -0.012, -0.004), (0, 0.05, 0), (build.hips * 0.99, build.hips * 0.93), below, (1, 0.62, 0.74)
    )
    low, across = 0.035 if look.tucked else -0.02, (1, 0.6, 0.72)
    yield Part(SPINE, (0, low, 0.004), (0, 0.12, 0.004), (waist * 1.08 + loose, waist * 1.02 + loose), TOP, across)
    yield Part(CHEST, (0, -0.015, 0.002), (0, 0.072, 0), (waist * 1.02 + loose, chest + loose), TOP, (1, 0.5, 0.66))
    yoke = (0.83 * wide, 0.106, -0.006)
    yield Part(CHEST, (-yoke[0], *yoke[1:]), yoke, (0.036 * g, 0.036 * g), SKIN if bare else TOP)
    slope = SKIN if bare or (look.top == "dress" and look.sleeve < 0.6) else TOP
    if not bare:
        yield Part(CHEST, (0, 0.09, -0.02), (0, 0.150, -0.022), (0.055, 0.045), slope, (1.25, 1, 0.75))
    for sign in (1, -1):
        yield Part(CHEST, (0.78 * sign * wide, 0.114, -0.008), (0.018 * sign, 0.150, -0.008), (0.030, 0.034), slope)
        if bare:
            strap = 0.42 * sign * wide
            yield Part(CHEST, (strap * 1.15, 0.085, 0.045), (strap, 0.145, -0.004), (0.020, 0.013), TOP)
            yield Part(CHEST, (strap * 1.15, 0.075, -0.05), (strap, 0.145, -0.004), (0.024, 0.013), TOP)
        if build.bust > 0:
            yield Part(
                CHEST, (0.043 * sign, 0.040, 0.026), (0.040 * sign, 0.064, 0.022), (0.043 * build.bust, 0.036), TOP
            )
    if build.belly > 1.08:
        yield Part(SPINE, (0, 0.03, 0.018), (0, 0.08, 0.02), (waist * 1.02, waist * 0.95), TOP, (0.95, 0.9, 0.85))
    if look.top in ("jacket", "coat", "shirt", "hoodie"):
        yield Part(
            NECK, (0, -0.03, -0.006), (0, 0.012, -0.002), (0.055, 0.044), SLEEVE, (1, 1, 0.95), (0, 0), (0, 0, 1, 0.022)
        )
    if look.top == "hoodie":
        yield Part(CHEST, (-0.035, 0.135, -0.055), (0.035, 0.135, -0.055), (0.040, 0.040), SLEEVE)
    if look.backpack:
        yield Part(CHEST, (0, -0.10, -0.105), (0, 0.06, -0.10), (0.075, 0.065), EXTRA, (1, 0.7, 0.7))
        for sign in (1, -1):
            strap = 0.55 * sign * wide
            yield Part(CHEST, (strap, 0.118, 0.03), (strap * 1.15, -0.03, 0.058), (0.016, 0.014), EXTRA, (1, 1, 0.7))
            yield Part(CHEST, (strap, 0.138, -0.06), (strap, 0.118, 0.03), (0.014, 0.016), EXTRA)


def _hem(build: Build, look: Look) -> Iterator[Part]:
    """The part of a top that hangs over the hips, or a belt where it is tucked in."""
    waist, loose = 0.080 * build.girth * build.belly, look.loose
    if look.top == "dress":
        return
    if look.tucked:
        yield Part(PELVIS, (0, 0.045, 0), (0, 0.058, 0), (build.hips * 0.97 + 0.003,) * 2, EXTRA, (1, 1, 0.75), (0, 0))
        return
    drop = {"coat": -0.02, "jacket": -0.05, "tank": -0.035}.get(look.top, -0.045)
    reach = max(build.hips, 0.108 * build.girth) + 0.006 + loose
    yield Part(
        PELVIS,
        (0, 0.08, 0),
        (0, 0.012, -0.001),
        (max(waist * 1.08, build.hips) + loose, reach),
        TOP,
        (1, 0.6, 0.80),
        (1, 0),
    )
    yield Part(PELVIS, (0, 0.032, -0.001), (0, drop, -0.001), (reach * 0.985, reach * 1.02), TOP, (1, 1, 0.80), (0, 0))


def _arm(build: Build, look: Look, side: int, sign: int) -> Iterator[Part]:
    g = build.girth
    upper, fore = UPPER_ARM_LENGTH * build.arms, FOREARM_LENGTH * build.arms
    long_sleeves = look.top in LONG_SLEEVES
    cloth, loose = (SLEEVE, 0.8 * look.loose) if long_sleeves else (SKIN, 0.0)
    arm, forearm, hand = UPPER_ARM[side], FOREARM[side], HAND[side]
    shoulder = (-0.006 * sign, -0.006, 0)
    yield Part(arm, shoulder, (0, -upper, 0), (0.034 * g + loose, 0.0265 * g + loose), cloth)
    yield Part(forearm, (0, 0, 0), (0, -0.055, 0.002), (0.0265 * g + loose, 0.027 * g + loose), cloth)
    wrist = 0.0175 * g + loose
    yield Part(forearm, (0, -0.05, 0.002), (0, -fore, 0), (0.027 * g + loose, wrist), cloth, ends=(1, not long_sleeves))
    if long_sleeves:
        yield Part(forearm, (0, -0.1, 0), (0, -fore, 0), (0.019 * g, 0.0175 * g), SKIN)
    elif look.top != "tank":
        end = 0.033 * g + 1.5 * look.loose
        yield Part(
            arm, shoulder, (0, -upper * look.sleeve, 0), (0.036 * g + 0.6 * look.loose, end), SLEEVE, ends=(1, 0)
        )
    yield Part(hand, (0, -0.008, 0), (0, -0.045, 0.002), (0.018, 0.022), SKIN, (0.55, 1, 1))
    curl = look.curl
    tips = (-0.012 - 0.014 * curl) * sign, -0.090 + 0.012 * curl
    for z, shorter in ((0.011, 0.0), (0.0, -0.003), (-0.010, 0.006)):
        yield Part(
            hand, (-0.003 * sign, -0.05, z), (tips[0], tips[1] + shorter, 1.25 * z + 0.003), (0.010, 0.007), SKIN
        )
    yield Part(hand, (0, -0.016, 0.014), (-0.010 * sign, -0.050, 0.031), (0.010, 0.007), SKIN)


def _leg(build: Build, look: Look, side: int, sign: int) -> Iterator[Part]:
    g, loose = build.girth, 0.0
    thigh, shin = THIGH_LENGTH * build.legs, SHIN_LENGTH * build.legs
    long_legs = look.bottom in LONG_LEGS
    material = BOTTOM if long_legs else SKIN
    if look.bottom == "trousers":
        loose = 0.6 * look.loose + 0.004
    elif look.bottom == "jeans":
        loose = 0.4 * look.loose + 0.002
    ankle = 0.023 * g + (2.2 if look.bottom == "trousers" else 1.0) * loose
    leg, lower, foot = THIGH[side], SHIN[side], FOOT[side]
    yield Part(leg, (-0.008 * sign, -0.002, 0), (0, -thigh, 0), (0.058 * g + loose, 0.038 * g + loose), material)
    yield Part(lower, (0, 0, 0), (0, -0.075, -0.011), (0.038 * g + loose, 0.037 * g + loose), material)
    calf = 0.037 * g + loose
    yield Part(
        lower, (0, -0.07, -0.011), (0, -shin + 0.010 * long_legs, 0), (calf, ankle), material, ends=(1, not long_legs)
    )
    if long_legs:
        yield Part(lower, (0, -shin * 0.7, 0), (0, -shin, 0), (0.021 * g, 0.020 * g), SKIN)
    if look.bottom == "shorts":
        wide = 0.050 * g + 2 * look.loose
        yield Part(
            leg,
            (-0.006 * sign, -0.002, 0),
            (0, -thigh * look.hem, 0),
            (0.061 * g + look.loose, wide),
            BOTTOM,
            ends=(1, 0),
        )
    yield Part(foot, (0, -0.018, -0.022), (0, -0.024, 0.045), (0.027, 0.027), SHOES, (0.95, 1, 0.8))
    yield Part(
        foot, (0.002 * sign, -0.020, 0.03), (0.004 * sign, -0.029, 0.090), (0.029, 0.021), SHOES, (1.05, 1, 0.75)
    )
    yield Part(foot, (0, 0.018, -0.004), (0, -0.016, -0.006), (0.026, 0.027), SHOES, ends=(0, 1))
    if look.boots:
        shaft = 0.029 * g + 1.5 * loose
        yield Part(lower, (0, 0.085 - shin, -0.002), (0, -shin, 0), (shaft + 0.006, shaft), SHOES, ends=(0, 1))


def _skirt(build: Build, look: Look) -> Iterator[Part]:
    """A skirt, or the lower part of a dress or coat; in its frame the knees are at y = -1."""
    if look.bottom != "skirt" and look.top not in ("dress", "coat"):
        return
    wide = 1.15 if look.top == "coat" else 1.08 + 0.4 * (look.sleeve - 0.4)
    waist = max(build.hips, 0.098 * build.girth)
    material = TOP if look.top in ("dress", "coat") else BOTTOM
    yield Part(
        SKIRT_FRAME,
        (0, 0.24, 0),
        (0, -look.hem * 1.15, 0),
        (waist, waist * 1.12 * wide),
        material,
        (1, 1, 0.86),
        (1, 0),
    )


def _held(look: Look) -> Iterator[Part]:
    """Something in one hand."""
    hand = HAND[look.held_side]
    if look.held == "bag":
        yield Part(hand, (0, -0.10, 0), (0, -0.16, 0), (0.055, 0.07), EXTRA, (0.45, 0.6, 1), prop=1)
        yield Part(hand, (0, -0.06, 0), (0, -0.11, 0.04), (0.006, 0.006), EXTRA, prop=1)
    elif look.held == "bat":
        yield Part(hand, (0, -0.055, -0.05), (0, -0.05, 0.42), (0.010, 0.018), EXTRA, prop=1)
    elif look.held == "racket":
        yield Part(hand, (0, -0.055, -0.04), (0, -0.05, 0.18), (0.009, 0.009), EXTRA, prop=1)
        yield Part(hand, (0, -0.05, 0.27), (0, -0.05, 0.27), (0.085, 0.085), EXTRA, (0.12, 0.8, 1.1), prop=1)
    elif look.held == "ball":
        yield Part(hand, (0.03, -0.06, 0.03), (0.03, -0.06, 0.03), (0.062, 0.062), EXTRA, prop=1)
    elif look.held == "phone":
        yield Part(hand, (0, -0.075, -0.005), (0, -0.075, 0.035), (0.022, 0.022), EXTRA, (0.3, 1, 1), prop=1)


def _seat() -> Iterator[Part]:
    """A stool under the pelvis, 1 tall in its frame; drawn only for people who sit."""
    yield Part(SEAT_FRAME, (0, 0.93, 0), (0, 0.93, 0), (0.13, 0.13), SEAT, (1, 0.5, 1), prop=1)
    for x, z in np.array(((-1, -1), (1, -1), (-1, 1), (1, 1))) * 0.09:
        yield Part(SEAT_FRAME, (x, 0.9, z), (1.15 * x, 0.0, 1.15 * z), (0.012, 0.012), SEAT, prop=1)
