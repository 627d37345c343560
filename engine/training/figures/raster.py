"""Find which solid each sample of a picture shows: swept spheres, ray by ray (Numba).

A solid is a sphere swept along a segment while its radius changes linearly, seen in an affine frame that may squash
it: limbs, torsos, skulls, shoes and skirts are all such solids, and each ray meets one in closed form. With
q = O + s u the local ray, the sphere at t in [0, 1] is |q - t V|^2 = (r + t k)^2; its envelope over t is a quadratic
in s. ``shading`` then lights what was found.
"""

import math

import numpy as np
from numba import njit

# Columns of a row of solids [S, SOLID_FIELDS]; local = FRAME (3x3) @ (pixel - ORIGIN).
# A point q of the local frame is painted as the bone's point PAINT offset (3) + PAINT matrix (3x3) @ q.
# DERIVED columns are what ``finish`` works out once for all rays: A = |V|^2 - k^2, V.u, |u|^2, the quadratic's
# leading coefficient, and k.
FRAME, ORIGIN, AXIS, RADII, CLIP, PAINT = 0, 9, 12, 15, 17, 21
DERIVED = A, ALONG, RAY, SQUARE, GROWTH = 33, 34, 35, 36, 37
SOLID_FIELDS = 38
# Columns of a row of tags [S, TAG_FIELDS]: material, rounded ends, clip plane in use, prop, then the pixel box.
MATERIAL, ROUND_START, ROUND_END, CLIPPED, PROP, BOX = 0, 1, 2, 3, 4, 5
TAG_FIELDS = 9
FAR = 1e9
SMALL = 1e-9


def finish(solids: np.ndarray) -> np.ndarray:
    """Fill the derived columns of solids [S, SOLID_FIELDS] in place, once the others are set; returns them."""
    toward, axis = solids[:, 2:ORIGIN:3], solids[:, AXIS:RADII]
    growth = solids[:, RADII + 1] - solids[:, RADII]
    a = (axis * axis).sum(1) - growth**2
    along, ray = (axis * toward).sum(1), (toward * toward).sum(1)
    solids[:, DERIVED] = np.stack([a, along, ray, along**2 - a * ray, growth], axis=1)
    return solids


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def _meet_row(solids, tags, s, dx, dy, step, out):
    """Write how deep behind a solid's origin the rays of one row of samples meet it; about FAR where they do not.

    The rays go through (dx, dy), (dx + step, dy) and so on. The loop has no branches, so that it runs in vector lanes.
    """
    m00, m10, m20 = solids[s, 0], solids[s, 3], solids[s, 6]
    x0, y0, z0 = solids[s, 1] * dy, solids[s, 4] * dy, solids[s, 7] * dy
    ux, uy, uz = solids[s, 2], solids[s, 5], solids[s, 8]
    vx, vy, vz = solids[s, AXIS], solids[s, AXIS + 1], solids[s, AXIS + 2]
    a, along, ray = solids[s, A], solids[s, ALONG], solids[s, RAY]
    square, growth = solids[s, SQUARE], solids[s, GROWTH]
    start, end = solids[s, RADII], solids[s, RADII] + growth
    cone = a > SMALL and square < -SMALL * SMALL
    per_a, per_square = (1.0 / a, 1.0 / square) if cone else (0.0, 0.0)
    no_cone = 0.0 if cone else FAR
    no_start, no_end = 0.0 if tags[s, ROUND_START] else FAR, 0.0 if tags[s, ROUND_END] else FAR
    per_ray = 1.0 / ray
    for i in range(len(out)):
        x = dx + i * step
        ox, oy, oz = x0 + m00 * x, y0 + m10 * x, z0 + m20 * x
        square_o = ox * ox + oy * oy + oz * oz
        h = ox * ux + oy * uy + oz * uz
        n = square_o - start * start
        m = vx * ox + vy * oy + vz * oz + start * growth
        half = along * m - a * h
        inside = half * half - square * (m * m - a * n)
        depth = (math.sqrt(max(inside, 0.0)) - half) * per_square
        t = (m + along * depth) * per_a
        depth = depth + no_cone if inside >= 0.0 and t >= 0.0 and t <= 1.0 else FAR
        inside = h * h - ray * n
        ball = (-h - math.sqrt(max(inside, 0.0))) * per_ray + no_start
        depth = min(depth, ball if inside >= 0.0 else FAR)
        ox, oy, oz = ox - vx, oy - vy, oz - vz
        h = ox * ux + oy * uy + oz * uz
        inside = h * h - ray * (ox * ox + oy * oy + oz * oz - end * end)
        ball = (-h - math.sqrt(max(inside, 0.0))) * per_ray + no_end
        out[i] = min(depth, ball if inside >= 0.0 else FAR)


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def rasterise(solids, tags, left, top, factor, depths, winners):
    """Find the nearest solid at each sample of a window of the picture.

    ``depths`` float32 and ``winners`` int16, both [h * factor, w * factor] over the window at (left, top), are filled
    with the depth in pixels (FAR where there is none) and the index of the solid (-1).
    """
    height, width = depths.shape
    step = 1.0 / factor
    line = np.empty(width)
    depths[:] = FAR
    winners[:] = -1
    for index in range(len(solids)):
        x0 = max(0, (tags[index, BOX] - left) * factor)
        y0 = max(0, (tags[index, BOX + 1] - top) * factor)
        x1 = min(width, (tags[index, BOX + 2] - left) * factor)
        y1 = min(height, (tags[index, BOX + 3] - top) * factor)
        if x1 <= x0:
            continue
        start = left + (x0 + 0.5) * step - solids[index, ORIGIN]
        behind = solids[index, ORIGIN + 2]
        for row in range(y0, y1):
            dy = top + (row + 0.5) * step - solids[index, ORIGIN + 1]
            _meet_row(solids, tags, index, start, dy, step, line[: x1 - x0])
            for column in range(x0, x1):
                depth = line[column - x0] + behind
                if depth >= depths[row, column] or line[column - x0] > 0.5 * FAR:
                    continue
                if tags[index, CLIPPED]:
                    dx = start + (column - x0) * step
                    side = 0.0
                    for i in range(3):
                        q = solids[index, 3 * i] * dx + solids[index, 3 * i + 1] * dy
                        side += solids[index, CLIP + i] * (q + solids[index, 3 * i + 2] * line[column - x0])
                    if side > solids[index, CLIP + 3]:
                        continue
                depths[row, column] = depth
                winners[row, column] = index
