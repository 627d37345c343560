"""What a surface point of a synthetic figure looks like: cloth patterns, faces, hair, shoes (Numba).

Points are in statures, in the frame of the bone that carries the surface: x to the person's left, y up, z forward.
"""

import math
from functools import lru_cache

import cv2
import numpy as np
from numba import njit

PLAIN, BANDS, BARS, CHECKS, PLAID, BLOTCHES, OPEN_FRONT, LOGO, FACE, SHOE, DOTS, HAIR, COLOR_BLOCK = range(13)
PATTERNS = (PLAIN, BANDS, BARS, CHECKS, PLAID, BLOTCHES, LOGO, DOTS, COLOR_BLOCK)

# One material is a row: three colours, then how they are used.
BASE, SECOND, THIRD = 0, 3, 6
KIND, PERIOD, SHARE, FOLDS, GRAIN, SHINE = 9, 10, 11, 12, 13, 14
MATERIAL_FIELDS = 15
# A face is a row too, in head heights where it is a length.
EYE_OPEN, MOUTH_OPEN, MOUTH_WIDE, BEARD, GLASSES, BROW, IRIS = 0, 1, 2, 3, 4, 5, 6
FACE_FIELDS = 9
# What a point of a face belongs to.
BARE, EYE_WHITE, DARK_EYE, HAIRY, LIP, MOUTH, LENS = range(7)
TILE = 256  # side of the noise tile; a power of two, so that wrapping is a mask


@lru_cache(maxsize=1)
def noise_tile() -> np.ndarray:
    """Tiles of smooth noise that wrap around: int8 [2, TILE, TILE], coarse and fine, 100 is two deviations."""
    rng = np.random.default_rng(7)
    layers = []
    for blurs in ((3.0, 7.0, 16.0), (0.7, 1.5)):
        layer = np.zeros((TILE, TILE), np.float32)
        for blur in blurs:
            noise = rng.standard_normal((TILE, TILE)).astype(np.float32)
            smooth = cv2.GaussianBlur(np.tile(noise, (3, 3)), (0, 0), blur)[TILE : 2 * TILE, TILE : 2 * TILE]
            layer += smooth / smooth.std()
        layers.append((50 * layer / layer.std()).clip(-100, 100))
    return np.stack(layers).round().astype(np.int8)


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy", inline="always")
def noise_at(tile, x, y, layer):
    return 0.01 * tile[layer, math.floor(y) & (TILE - 1), math.floor(x) & (TILE - 1)]


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy", inline="always")
def _cycle(value):
    return value - math.floor(value)


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def _face_feature(face, scale, x, y):
    """What a point on the front of a head belongs to; ``scale`` is the height of the head."""
    x, y = abs(x) / scale, y / scale
    eye_x, eye_y = (x - 0.145) / 0.080, (y - 0.50) / (0.012 + 0.034 * face[EYE_OPEN])
    eye = eye_x * eye_x + eye_y * eye_y
    if eye < 1.0:
        iris = (x - 0.145) ** 2 + (y - 0.50) ** 2
        if iris < 0.0014 or eye_y > 0.75:
            return DARK_EYE
        return EYE_WHITE
    brow_y = y - 0.615 + 0.8 * (x - 0.14) ** 2
    if abs(x - 0.155) < 0.095 and abs(brow_y) < face[BROW]:
        return HAIRY
    if face[GLASSES] > 0.5:
        lens = ((x - 0.15) / 0.115) ** 2 + ((y - 0.485) / 0.10) ** 2
        if (0.72 < lens < 1.1) or (x < 0.05 and abs(y - 0.52) < 0.014):
            return DARK_EYE
        if lens < 0.72 and face[GLASSES] > 1.5:
            return LENS
    mouth_y = y - 0.19 - 0.9 * face[MOUTH_WIDE] * x * x
    if x < 0.105 and abs(mouth_y) < face[MOUTH_OPEN] * (1.0 - (x / 0.11) ** 2) + 0.008:
        if abs(mouth_y) < 0.010:
            return MOUTH
        return LIP
    if face[BEARD] > 0.5 and y < 0.15 + 0.9 * x * (1.0 if face[BEARD] > 1.5 else 0.55):
        return HAIRY
    if face[BEARD] > 1.5 and x < 0.13 and 0.235 < y < 0.285:
        return HAIRY
    return BARE


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def _face_color(materials, which, face, x, y, out):
    """Write the colour of a point on the front of a head into ``out`` [3]; return the strength of its folds."""
    scale = materials[which, PERIOD]
    feature = _face_feature(face, scale, x, y)
    if feature == EYE_WHITE:
        out[0], out[1], out[2] = 228.0, 224.0, 218.0
    elif feature == LENS:
        out[0], out[1], out[2] = 26.0, 26.0, 30.0
    elif feature == DARK_EYE:
        out[0], out[1], out[2] = face[IRIS], face[IRIS + 1], face[IRIS + 2]
    else:
        pick = SECOND if feature == HAIRY else THIRD if feature in (LIP, MOUTH) else BASE
        cheek = min(1.0, ((abs(x) / scale - 0.2) / 0.12) ** 2 + ((y / scale - 0.34) / 0.1) ** 2)
        for channel in range(3):
            out[channel] = materials[which, pick + channel]
            if feature == MOUTH:
                out[channel] *= 0.42
            elif feature == BARE and channel > 0:
                out[channel] *= 0.93 + 0.07 * cheek
        return materials[which, FOLDS] if feature == BARE else 0.0
    return 0.0


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy", inline="always")
def _logo(period, x, y):
    """Whether a point of the chest is printed: the shape by the period, a disc, lines of letters or a band."""
    across, up = abs(x) / 0.045, abs(y - 0.06) / 0.03
    if period < 0.05:
        return across * across + up * up < 1.0
    if period < 0.10:
        letter = _cycle(x / 0.010) < 0.6 and abs(_cycle((y - 0.06) / 0.018) - 0.5) < 0.3
        return across < 1.0 and up < 0.8 and letter
    return up < 0.7


@njit(cache=True, fastmath=True, nogil=True, error_model="numpy")
def surface_color(materials, which, face, tile, x, y, z, out):
    """Write the unlit colour (0..255) of a material at a point into ``out`` [3]; return the strength of its folds."""
    kind = int(materials[which, KIND])
    period = materials[which, PERIOD]
    share = materials[which, SHARE]
    if kind == FACE and z > 0.02:
        return _face_color(materials, which, face, x, y, out)
    pick = BASE
    mix = 0.0
    if kind == BANDS:
        if _cycle(y / period) < share:
            pick = SECOND
    elif kind == BARS:
        if _cycle(x / period) < share:
            pick = SECOND
    elif kind == CHECKS:
        if (_cycle(x / period) < 0.5) != (_cycle(y / period) < 0.5):
            pick = SECOND
    elif kind == PLAID:
        if _cycle(x / period) < share:
            mix += 0.5
        if _cycle(y / period) < share:
            mix += 0.5
        if mix == 0.0 and (_cycle(x / period + 0.37) < 0.08 or _cycle(y / period + 0.37) < 0.08):
            pick = THIRD
    elif kind == BLOTCHES:
        value = noise_at(tile, x * 8.0 / period, y * 8.0 / period, 0)
        if value > 0.25:
            pick = SECOND
        elif value < -0.35:
            pick = THIRD
    elif kind == OPEN_FRONT:
        if z > 0.0 and abs(x) < share + 0.06 * max(0.0, y):
            pick = SECOND
        elif z > 0.0 and abs(x) < share + 0.06 * max(0.0, y) + 0.006:
            pick = THIRD
    elif kind == LOGO:
        if z > 0.0 and _logo(period, x, y):
            pick = SECOND
    elif kind == DOTS:
        cell_x, cell_y = _cycle(x / period) - 0.5, _cycle(y / period) - 0.5
        if cell_x * cell_x + cell_y * cell_y < share * share:
            pick = SECOND
    elif kind == COLOR_BLOCK:
        if y > share * 0.4:
            pick = SECOND
    elif kind == SHOE:
        if y < share:
            pick = SECOND
        elif z > 0.02 and abs(x) < 0.012 and y > -0.018 and _cycle(z / 0.012) < 0.4:
            pick = THIRD
    elif kind == HAIR:
        mix = 0.5 + 0.5 * noise_at(tile, x * 900.0, y * 90.0, 1)
    grain = 1.0 + materials[which, GRAIN] * noise_at(tile, x * 700.0, y * 700.0, 1)
    for channel in range(3):
        value = materials[which, pick + channel]
        if mix > 0.0:
            value += mix * (materials[which, SECOND + channel] - value)
        out[channel] = value * grain
    return materials[which, FOLDS]
