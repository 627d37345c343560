"""What synthetic people look like: proportions, skin, hair, and clothes as rows of materials, drawn at random."""

from dataclasses import dataclass

import numpy as np

from engine.training.figures import paint

SKIN, TOP, SLEEVE, BOTTOM, SHOES, HAIR, HEAD_SKIN, HAT, EXTRA, SEAT = range(10)
MATERIALS = 10

SKIN_TONES = np.array(
    [
        (245, 214, 190), (236, 196, 166), (226, 180, 146), (208, 158, 122), (186, 134, 98),
        (160, 110, 78), (132, 88, 62), (104, 68, 48), (78, 50, 36),
    ],
    float,
)  # fmt: skip
HAIR_COLORS = np.array(
    [
        (28, 22, 20), (46, 32, 24), (74, 50, 34), (104, 72, 44), (150, 110, 66), (196, 160, 104), (150, 146, 142),
        (214, 210, 204), (128, 56, 32),
    ],
    float,
)  # fmt: skip
CLOTH_COLORS = np.array(
    [
        (24, 25, 29), (38, 40, 46), (66, 68, 72), (112, 114, 116), (168, 168, 166), (232, 230, 224), (248, 247, 244),
        (26, 34, 62), (38, 58, 104), (70, 96, 146), (120, 152, 190), (150, 30, 34), (196, 52, 46), (112, 24, 44),
        (40, 74, 52), (84, 104, 66), (92, 92, 58), (214, 172, 60), (230, 130, 48), (196, 168, 128), (150, 118, 84),
        (92, 66, 46), (206, 140, 156), (128, 84, 136), (60, 140, 140), (222, 210, 184),
    ],
    float,
)  # fmt: skip
TOPS = ("t-shirt", "long sleeve", "jacket", "tank", "shirt", "dress", "coat", "hoodie")
TOP_WEIGHTS = (0.27, 0.15, 0.13, 0.08, 0.12, 0.1, 0.07, 0.08)
BOTTOMS = ("trousers", "jeans", "shorts", "skirt", "leggings")
BOTTOM_WEIGHTS = (0.28, 0.28, 0.22, 0.1, 0.12)
HELD = ("nothing", "bag", "bat", "racket", "ball", "phone")
HELD_WEIGHTS = (0.78, 0.07, 0.03, 0.03, 0.04, 0.05)
HAIRCUTS = ("bald", "short", "medium", "long", "ponytail", "bun", "afro", "cap", "beanie", "scarf")
SHORT_HAIR = (0.10, 0.48, 0.08, 0.03, 0.02, 0.01, 0.06, 0.15, 0.07, 0.0)
LONG_HAIR = (0.01, 0.10, 0.22, 0.27, 0.13, 0.09, 0.06, 0.05, 0.03, 0.04)


@dataclass(frozen=True)
class Build:
    """Proportions of a body; lengths in statures before the whole is scaled to a standing height of 1."""

    metres: float  # standing height
    head: float  # height of the head
    legs: float  # factors on the lengths of legs and arms
    arms: float
    shoulders: float  # half widths
    hips: float
    girth: float  # factor on all radii
    belly: float  # factor on the waist
    bust: float  # 0 none


@dataclass(frozen=True)
class Look:
    """Clothes, hair and colours of one person."""

    top: str
    bottom: str
    haircut: str
    sleeve: float  # share of the upper arm that short sleeves cover
    hem: float  # share of the thigh or leg that shorts, skirts and coats cover
    loose: float  # how far cloth stands off, in statures
    curl: float  # of the fingers, 0 straight to 1
    tucked: bool
    boots: bool
    backpack: bool
    held: str
    held_side: int
    materials: np.ndarray  # float64 [MATERIALS, MATERIAL_FIELDS]
    face: np.ndarray  # float64 [FACE_FIELDS]


def random_build(rng: np.random.Generator) -> Build:
    """Proportions of an adult, or of a child (one in six)."""
    child = rng.random() < 1 / 6
    feminine = rng.random() < 0.5
    girth = float(min(1.4, max(0.78, rng.normal(1.0, 0.13))))
    head_base = rng.uniform(0.155, 0.185) if child else rng.uniform(0.124, 0.140)
    return Build(
        metres=rng.uniform(0.95, 1.45) if child else rng.normal(1.66 if feminine else 1.77, 0.06),
        head=head_base,
        legs=rng.uniform(0.86, 0.95) if child else rng.uniform(0.96, 1.05),
        arms=rng.uniform(0.9, 0.97) if child else rng.uniform(0.96, 1.05),
        shoulders=rng.uniform(0.088, 0.098) if child or feminine else rng.uniform(0.100, 0.114),
        hips=(0.100 if feminine and not child else 0.090) * girth,
        girth=girth * (0.93 if feminine else 1.02),
        belly=max(0.85, rng.normal(0.92 if feminine else 1.0, 0.08) + 1.1 * max(0.0, girth - 1.05)),
        bust=rng.uniform(0.6, 1.2) if feminine and not child else 0.0,
    )


def _pick(rng: np.random.Generator, names: tuple, weights: tuple[float, ...]):
    """One of the names, by weight; much faster than ``rng.choice``."""
    draw = rng.random() * sum(weights)
    for name, weight in zip(names, weights, strict=True):
        draw -= weight
        if draw < 0:
            return name
    return names[-1]


def _cloth_colors(rng: np.random.Generator, count: int) -> np.ndarray:
    """Colours of cloth [count, 3]: mostly from the palette, some anything."""
    known = CLOTH_COLORS[rng.integers(len(CLOTH_COLORS), size=count)] * rng.uniform(0.8, 1.15, (count, 1))
    colors = np.where(
        rng.random((count, 1)) < 0.12, rng.uniform(10, 250, (count, 3)), known + rng.normal(0, 6, (count, 3))
    )
    return colors.clip(4, 252)


def _material(base, second=None, third=None, kind=paint.PLAIN, period=0.03, share=0.5, folds=0.0, grain=0.0, shine=0.0):
    row = np.zeros(paint.MATERIAL_FIELDS)
    row[paint.BASE : paint.BASE + 3] = base
    row[paint.SECOND : paint.SECOND + 3] = base if second is None else second
    row[paint.THIRD : paint.THIRD + 3] = base if third is None else third
    row[paint.KIND :] = kind, period, share, folds, grain, shine
    return row


def _cloth(rng: np.random.Generator, plain: float) -> np.ndarray:
    kind = paint.PLAIN if rng.random() < plain else paint.PATTERNS[rng.integers(1, len(paint.PATTERNS))]
    low, high = {paint.LOGO: (0.02, 0.16), paint.BLOTCHES: (0.008, 0.03)}.get(kind, (0.012, 0.06))
    return _material(
        *_cloth_colors(rng, 3), kind, rng.uniform(low, high),
        rng.uniform(0.2, 0.6), rng.uniform(0.15, 0.5), rng.uniform(0, 0.12),
    )  # fmt: skip


def random_material(rng: np.random.Generator) -> np.ndarray:
    """A material for an object: cloth, paint, or the colour of skin."""
    if rng.random() < 0.2:
        return _material(SKIN_TONES[rng.integers(len(SKIN_TONES))], grain=0.05)
    row = _cloth(rng, 0.7)
    row[paint.SHINE] = rng.uniform(0, 0.2)
    return row


def random_look(rng: np.random.Generator, build: Build) -> Look:
    """Clothes, hair, skin and face."""
    top, bottom = _pick(rng, TOPS, TOP_WEIGHTS), _pick(rng, BOTTOMS, BOTTOM_WEIGHTS)
    if top == "dress":
        bottom = "leggings" if rng.random() < 0.3 else "bare"
    if bottom == "skirt" and build.bust == 0 and rng.random() < 0.8:
        bottom = "trousers"
    if top == "coat" and bottom in ("shorts", "skirt"):
        bottom = "leggings"
    haircut = _pick(rng, HAIRCUTS, LONG_HAIR if build.bust > 0 else SHORT_HAIR)
    can_tuck = top in ("t-shirt", "shirt", "tank", "long sleeve")
    return Look(
        top=top,
        bottom=bottom,
        haircut=haircut,
        sleeve=rng.uniform(0.4, 0.85),
        hem=rng.uniform(0.45, 0.95),
        loose=rng.uniform(0.002, 0.012),
        curl=rng.uniform(0, 1.2),
        tucked=can_tuck and (bottom == "skirt" or bool(rng.random() < 0.25)),
        boots=bool(rng.random() < 0.2),
        backpack=bool(rng.random() < 0.12),
        held=_pick(rng, HELD, HELD_WEIGHTS),
        held_side=int(rng.integers(2)),
        materials=_materials(rng, top, bottom),
        face=_face(rng, beard=build.bust == 0 and build.metres > 1.5),
    )


def _materials(rng: np.random.Generator, top: str, bottom: str) -> np.ndarray:
    """All rows of materials [MATERIALS, MATERIAL_FIELDS] of one person."""
    rows = np.zeros((MATERIALS, paint.MATERIAL_FIELDS))
    skin = SKIN_TONES[rng.integers(len(SKIN_TONES))] * rng.uniform(0.93, 1.05) + rng.normal(0, 3, 3)
    skin = skin.clip(20, 250)
    hair = HAIR_COLORS[rng.integers(len(HAIR_COLORS))] * rng.uniform(0.8, 1.2)
    coat, inner, leather, sole, seat = _cloth_colors(rng, 5)
    rows[SKIN] = _material(skin, folds=0.05, grain=0.03, shine=0.05)
    rows[HEAD_SKIN] = _material(skin, hair * 0.8, skin * (0.86, 0.62, 0.62), paint.FACE, folds=0.03, shine=0.05)
    shine = rng.uniform(0, 0.2)
    rows[HAIR] = _material(hair * 0.75, (hair * 1.25).clip(0, 255), kind=paint.HAIR, folds=0.1, shine=shine)
    rows[TOP] = _cloth(rng, 0.4)
    if top in ("jacket", "coat") and rng.random() < 0.75:
        wide = rng.uniform(0.005, 0.035)
        rows[TOP] = _material(coat, inner, coat * 0.6, paint.OPEN_FRONT, share=wide, folds=0.35, grain=0.05)
    rows[SLEEVE] = rows[TOP]
    if rows[TOP, paint.KIND] in (paint.OPEN_FRONT, paint.LOGO, paint.COLOR_BLOCK):
        rows[SLEEVE, paint.KIND] = paint.PLAIN
    rows[BOTTOM] = _cloth(rng, 0.85)
    if bottom == "jeans":
        rows[BOTTOM] = _material(np.array((58, 82, 124)) * rng.uniform(0.5, 1.5), folds=0.4, grain=0.25)
    # Half of all shoes are dark, half have white soles.
    leather = leather * (1.0 if rng.random() < 0.5 else 0.35)
    sole = sole if rng.random() < 0.5 else np.array((225, 222, 215))
    rows[SHOES] = _material(leather, sole, (235, 235, 230), paint.SHOE, share=-0.034, shine=rng.uniform(0, 0.15))
    rows[HAT], rows[EXTRA] = _cloth(rng, 0.8), _cloth(rng, 0.8)
    rows[SEAT] = _material(seat, grain=0.1, shine=rng.uniform(0, 0.2))
    return rows


def _face(rng: np.random.Generator, beard: bool) -> np.ndarray:
    """A row [FACE_FIELDS] that describes a face."""
    row = np.zeros(paint.FACE_FIELDS)
    row[paint.EYE_OPEN] = rng.uniform(0.5, 1.0)
    row[paint.MOUTH_OPEN] = _pick(rng, (0.004, 0.012, 0.03, 0.05), (0.5, 0.25, 0.17, 0.08))
    row[paint.MOUTH_WIDE] = rng.uniform(-0.5, 4.0)
    row[paint.BEARD] = _pick(rng, (0, 1, 2), (0.62, 0.16, 0.22)) if beard else 0
    row[paint.GLASSES] = _pick(rng, (0, 1, 2), (0.78, 0.14, 0.08))
    row[paint.BROW] = rng.uniform(0.010, 0.024)
    row[paint.IRIS : paint.IRIS + 3] = ((42, 28, 20), (70, 90, 110), (60, 70, 40))[rng.integers(3)]
    return row
