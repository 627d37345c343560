"""Objects among synthetic people that hide them or look like limbs: poles, tables, bushes, balls, rails and rods."""

import numpy as np

from engine.training.figures import raster
from engine.training.figures.wardrobe import random_material

# Start and end (x right, y up, z toward the camera, in sizes), the radii there, and which of two materials.
Rod = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float], int]


def _pole(rng: np.random.Generator) -> list[Rod]:
    radius = rng.uniform(0.015, 0.06)
    return [((0, 0, 0), (0.02 * rng.normal(), rng.uniform(1.0, 2.5), 0), (radius, radius), 0)]


def _table(rng: np.random.Generator) -> list[Rod]:
    high, half = rng.uniform(0.35, 0.6), rng.uniform(0.3, 0.7)
    top = [((-half, high, z), (half, high, z), (0.03, 0.03), 0) for z in (0, 0.1)]
    return top + [((x, 0, 0), (x, high, 0), (0.02, 0.02), 1) for x in (-0.9 * half, 0.9 * half)]


def _bush(rng: np.random.Generator) -> list[Rod]:
    count = int(rng.integers(5, 14))
    centers, radii = rng.uniform((-0.4, 0.0, -0.1), (0.4, 0.5, 0.1), (count, 3)), rng.uniform(0.08, 0.2, count)
    return [
        (center, center, (radius, radius), i % 2) for i, (center, radius) in enumerate(zip(centers, radii, strict=True))
    ]


def _ball(rng: np.random.Generator) -> list[Rod]:
    radius = rng.uniform(0.06, 0.3)
    return [((0, radius, 0), (0, radius, 0), (radius, radius), 0)]


def _rail(rng: np.random.Generator) -> list[Rod]:
    half = rng.uniform(0.3, 1.0)
    bars = [((-half, high, 0), (half, high, 0), (0.015, 0.015), 0) for high in (0.3, 0.55)]
    return bars + [((x, 0, 0), (x, 0.55, 0), (0.015, 0.015), 0) for x in np.linspace(-half, half, 5)]


def _slab(rng: np.random.Generator) -> list[Rod]:
    half, thick = rng.uniform(0.2, 0.9), rng.uniform(0.12, 0.3)
    return [((-half, high, 0), (half, high, 0), (thick, thick), 0) for high in (thick, rng.uniform(1.0, 2.0) * thick)]


def _branching(rng: np.random.Generator) -> list[Rod]:
    """Rods that branch as limbs do."""
    rods, point = [], np.array((0.0, rng.uniform(0, 0.6), 0.0))
    for _ in range(int(rng.integers(2, 7))):
        end = point + rng.normal(0, 0.2, 3) * (1, 1, 0.4)
        rods.append((point, end, tuple(rng.uniform(0.02, 0.06, 2)), int(rng.integers(2))))
        point = end if rng.random() < 0.6 else point
    return rods


def random_object(
    rng: np.random.Generator, x: float, y: float, size: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An object standing at pixel (x, y), about ``size`` pixels tall: its solids, tags and materials for ``raster``."""
    shapes = _pole, _table, _bush, _ball, _rail, _slab, _branching
    materials = np.stack([random_material(rng), random_material(rng)])
    return *_solids(shapes[rng.integers(len(shapes))](rng), x, y, size), materials


def _solids(rods: list[Rod], x: float, y: float, size: float) -> tuple[np.ndarray, np.ndarray]:
    solids, tags = np.zeros((len(rods), raster.SOLID_FIELDS)), np.zeros((len(rods), raster.TAG_FIELDS), np.int64)
    flip = np.diag((1.0, -1.0, -1.0))
    for solid, tag, (start, end, radii, material) in zip(solids, tags, rods, strict=True):
        start, end = np.asarray(start, float), np.asarray(end, float)
        pixels = np.stack([start, end]) @ flip * size + (x, y, 0)
        solid[: raster.ORIGIN] = (flip / size).ravel()
        solid[raster.ORIGIN : raster.AXIS] = pixels[0]
        solid[raster.AXIS : raster.RADII] = end - start
        solid[raster.RADII : raster.CLIP] = radii
        solid[raster.PAINT : raster.PAINT + 3] = start
        solid[raster.PAINT + 3 : raster.A] = np.eye(3).ravel()
        tag[: raster.BOX] = material, 1, 1, 0, 1
        reach = np.array(radii)[:, None] * size
        tag[raster.BOX : raster.BOX + 2] = np.floor((pixels[:, :2] - reach).min(0))
        tag[raster.BOX + 2 :] = np.ceil((pixels[:, :2] + reach).max(0))
    return raster.finish(solids), tags
