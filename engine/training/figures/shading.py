"""Light the solids that ``raster`` found and blend them into a picture, edges anti-aliased (Numba)."""

import math

import numpy as np
from numba import njit

from engine.training.figures.paint import SHINE, noise_at, surface_color
from engine.training.figures.raster import AXIS, FAR, GROWTH, MATERIAL, ORIGIN, PAINT, PROP, RADII, SMALL, A

SEAM_TAPS = np.array([(0, 1), (0, -1), (1, 0), (-1, 0), (0.7, 0.7), (0.7, -0.7), (-0.7, 0.7), (-0.7, -0.7)])


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy", inline="always")
def _surface(solids, tags, s, materials, face, tile, dx, dy, depth, normal, color):
    """Write the normal [3] (picture frame) and the unlit colour [3] of a solid where a ray meets it at ``depth``."""
    qx = solids[s, 0] * dx + solids[s, 1] * dy + solids[s, 2] * depth
    qy = solids[s, 3] * dx + solids[s, 4] * dy + solids[s, 5] * depth
    qz = solids[s, 6] * dx + solids[s, 7] * dy + solids[s, 8] * depth
    vx, vy, vz = solids[s, AXIS], solids[s, AXIS + 1], solids[s, AXIS + 2]
    t = 0.0
    if solids[s, A] > SMALL:
        t = (vx * qx + vy * qy + vz * qz + solids[s, RADII] * solids[s, GROWTH]) / solids[s, A]
        t = min(1.0, max(0.0, t))
    elif solids[s, GROWTH] > 0.0:
        t = 1.0
    nx, ny, nz = qx - t * vx, qy - t * vy, qz - t * vz
    # Normals go back to the picture's frame with the transposed matrix.
    px = solids[s, 0] * nx + solids[s, 3] * ny + solids[s, 6] * nz
    py = solids[s, 1] * nx + solids[s, 4] * ny + solids[s, 7] * nz
    pz = solids[s, 2] * nx + solids[s, 5] * ny + solids[s, 8] * nz
    norm = 1.0 / math.sqrt(px * px + py * py + pz * pz + 1e-30)
    x = solids[s, PAINT] + solids[s, PAINT + 3] * qx + solids[s, PAINT + 4] * qy + solids[s, PAINT + 5] * qz
    y = solids[s, PAINT + 1] + solids[s, PAINT + 6] * qx + solids[s, PAINT + 7] * qy + solids[s, PAINT + 8] * qz
    z = solids[s, PAINT + 2] + solids[s, PAINT + 9] * qx + solids[s, PAINT + 10] * qy + solids[s, PAINT + 11] * qz
    folds = surface_color(materials, tags[s, MATERIAL], face, tile, x, y, z, color)
    normal[0], normal[1], normal[2] = px * norm, py * norm, pz * norm
    if folds > 0.0:
        seed = 31.0 * tags[s, MATERIAL]
        narrow = noise_at(tile, x * 420.0 + seed + z * 150.0, y * 260.0 + x * 90.0 + 40.0 * z, 0)
        bump = folds * (0.7 * narrow + 0.6 * noise_at(tile, x * 190.0, y * 110.0 + 70.0 * z + seed, 0))
        normal[0] += bump
        normal[1] += 0.8 * bump


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy", inline="always")
def _uniform(winners, row, column, factor):
    """Whether all samples of the pixel whose first sample is (row, column) show the same solid."""
    first = winners[row, column]
    for i in range(factor):
        for j in range(factor):
            if winners[row + i, column + j] != first:
                return False
    return True


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def surfaces(solids, tags, materials, face, tile, window, samples):
    """Fill in the normals and unlit colours of the samples that ``rasterise`` found.

    window and samples: as for ``composite``.
    """
    left, top, factor, once = window
    depths, winners, normals, colors = samples
    normal, color = np.zeros(3), np.zeros(3)
    for y in range(winners.shape[0] // factor):
        for x in range(winners.shape[1] // factor):
            single = once and _uniform(winners, y * factor, x * factor, factor)
            for sub in range(factor * factor):
                row, column = y * factor + sub // factor, x * factor + sub % factor
                index = winners[row, column]
                if index < 0:
                    continue
                if sub == 0 or not single:
                    dx = left + (column + 0.5) / factor - solids[index, ORIGIN]
                    dy = top + (row + 0.5) / factor - solids[index, ORIGIN + 1]
                    depth = depths[row, column] - solids[index, ORIGIN + 2]
                    _surface(solids, tags, index, materials, face, tile, dx, dy, depth, normal, color)
                for channel in range(3):
                    normals[row, column, channel] = int(normal[channel] * 60.0)
                    colors[row, column, channel] = int(min(255.0, color[channel]))


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy", inline="always")
def _light_at(row, column, tags, materials, depths, winners, normals, light, taps, near):
    """Brightness and highlight of a sample: normals blended over seams of one material, and short cast shadows.

    taps: int [24, 2], rows and columns away: four near and sixteen wider ones that see seams, four toward the light;
    near: depth in pixels within which two samples are one surface.
    """
    height, width = winners.shape
    index = winners[row, column]
    material = tags[index, MATERIAL]
    x, y, z = float(normals[row, column, 0]), float(normals[row, column, 1]), float(normals[row, column, 2])
    here = depths[row, column]
    seam = False
    for tap in range(4):
        r, c = row + taps[tap, 0], column + taps[tap, 1]
        if 0 <= r < height and 0 <= c < width and winners[r, c] >= 0 and winners[r, c] != index:
            seam = True
    for tap in range(4, 20 if seam else 4):
        r, c = row + taps[tap, 0], column + taps[tap, 1]
        if r < 0 or c < 0 or r >= height or c >= width or winners[r, c] < 0:
            continue
        if tags[winners[r, c], MATERIAL] == material and abs(depths[r, c] - here) < (near if tap < 12 else 2 * near):
            x += normals[r, c, 0]
            y += normals[r, c, 1]
            z += normals[r, c, 2]
    norm = 1.0 / math.sqrt(x * x + y * y + z * z + 1e-30)
    x, y, z = x * norm, y * norm, z * norm
    shadow = 0.0
    for tap in range(20, 24):
        r, c = row + taps[tap, 0], column + taps[tap, 1]
        lit = r < 0 or c < 0 or r >= height or c >= width or winners[r, c] < 0
        if not lit and here - depths[r, c] + 0.5 * (tap - 19) * near * light[2] > near:
            shadow += 0.25
    facing = x * light[0] + y * light[1] + z * light[2]
    direct = light[4] * max(0.0, 0.35 + 0.65 * facing) * (1.0 - 0.6 * shadow)
    rim = 1.0 - light[5] * (1.0 + z) * (1.0 + z)
    shine = 0.0
    if materials[material, SHINE] > 0.0 and facing > 0.5:
        shine = 255.0 * materials[material, SHINE] * facing**12 * (1.0 - shadow)
    return (light[3] * (1.0 - 0.15 * shadow) + direct) * max(0.25, rim), shine


def light_taps(light: np.ndarray, reach: int) -> np.ndarray:
    """The taps of ``_light_at`` for a blending width in samples: int64 [24, 2]."""
    toward = 1.5 * reach * np.outer(np.arange(1, 5), light[[1, 0]])
    taps = np.concatenate([reach * SEAM_TAPS[:4], reach * SEAM_TAPS, 2 * reach * SEAM_TAPS, toward])
    return taps.round().astype(np.int64)


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def composite(image, owners, order, tags, materials, light, taps, near, window, samples, extent):
    """Light the samples that ``surfaces`` filled in and blend them into ``image`` (RGB uint8), edges by coverage.

    Pixels at least half covered get ``order`` in ``owners`` [H, W]. Returns the area in pixels of all solids that are
    no props; ``extent`` float64 [4] receives their box x0, y0, x1, y1.
    light: direction toward the light (3, picture frame), ambient, direct, darkening at the rim. taps and near: from
    ``light_taps`` and as in ``_light_at``. window: left, top, samples a side of a pixel (factor), and whether pixels
    that one solid fills are worked out once. samples: depths float32, winners int16, normals int8 (60 is 1) and
    colours uint8, all [h * factor, w * factor] or with 3 channels.
    """
    left, top, factor, once = window
    depths, winners, normals, colors = samples
    height, width = winners.shape[0] // factor, winners.shape[1] // factor
    total = np.zeros(3)
    share = 1.0 / (factor * factor)
    area = 0.0
    extent[0], extent[1], extent[2], extent[3] = FAR, FAR, -FAR, -FAR
    for y in range(height):
        for x in range(width):
            hits = 0
            body = 0
            total[:] = 0.0
            single = once and _uniform(winners, y * factor, x * factor, factor)
            weight = factor * factor if single else 1
            for sub in range(1 if single else factor * factor):
                row, column = y * factor + sub // factor, x * factor + sub % factor
                index = winners[row, column]
                if index < 0:
                    continue
                hits += weight
                if not tags[index, PROP]:
                    body += weight
                bright, shine = _light_at(row, column, tags, materials, depths, winners, normals, light, taps, near)
                for channel in range(3):
                    total[channel] += weight * min(255.0, colors[row, column, channel] * bright + shine)
            if hits == 0:
                continue
            keep = 1.0 - hits * share
            for channel in range(3):
                value = keep * image[top + y, left + x, channel] + share * total[channel]
                image[top + y, left + x, channel] = np.uint8(min(255.0, max(0.0, value + 0.5)))
            if 2 * hits >= factor * factor:
                owners[top + y, left + x] = order
            if body:
                area += body * share
                extent[0], extent[1] = min(extent[0], left + x), min(extent[1], top + y)
                extent[2], extent[3] = max(extent[2], left + x + 1.0), max(extent[3], top + y + 1.0)
    return area
