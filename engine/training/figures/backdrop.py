"""What lies behind synthetic people: walls, floors, trees, signs and clutter, without people."""

from functools import lru_cache

import cv2
import numpy as np

COARSE = (2, 3, 4)  # blotchy textures, for a faint look only
SUBPIXEL = 4  # bits of the fixed-point coordinates that OpenCV draws with


@lru_cache(maxsize=1)
def _textures() -> list[np.ndarray]:
    """Grey textures uint8 [512, 512] around 128, coarse to fine, that walls, floors and clutter are made of."""
    rng = np.random.default_rng(11)
    textures = []
    for blur in (1.0, 2.5, 6.0, 15.0, 40.0):
        noise = cv2.GaussianBlur(rng.standard_normal((512, 512)).astype(np.float32), (0, 0), blur)
        textures.append(np.clip(128 + 45 * noise / noise.std(), 0, 255).astype(np.uint8))
    rows, columns = np.mgrid[:512, :512]
    shift = (rows // 24 % 2) * 32
    bricks = np.where((rows % 24 < 3) | ((columns + shift) % 64 < 3), 170, 120)
    tiles = np.where((rows % 64 < 3) | (columns % 64 < 3), 80, 140)
    planks = np.where(columns % 40 < 2, 70, 118 + 12 * ((columns // 40 * 7919) % 5 - 2))
    for pattern in (bricks, tiles, planks):
        mixed = pattern.astype(np.float32) + 0.35 * (textures[1].astype(np.float32) - 128)
        textures.append(np.clip(mixed, 0, 255).astype(np.uint8))
    return textures


def _random_color(rng: np.random.Generator, bright: int = 4) -> np.ndarray:
    """A colour, more often muted than not; ``bright`` of four strengths of colour may occur."""
    grey = rng.uniform(15, 245)
    return np.clip(grey + rng.normal(0, 1, 3) * (5, 14, 32, 60)[rng.integers(bright)], 0, 255)


def _textured(rng: np.random.Generator, width: int, height: int, color: np.ndarray, strength: float) -> np.ndarray:
    """A patch uint8 [height, width, 3] of one colour with a random texture at a random scale."""
    which = int(rng.integers(len(_textures())))
    texture = _textures()[which]
    if which in COARSE:
        strength *= 0.35
    zoom = rng.uniform(0.3, 1.6)
    crop_w, crop_h = min(512, max(8, int(width * zoom))), min(512, max(8, int(height * zoom)))
    x, y = rng.integers(0, 513 - crop_w), rng.integers(0, 513 - crop_h)
    grey = cv2.resize(texture[y : y + crop_h, x : x + crop_w], (width, height), interpolation=cv2.INTER_LINEAR)
    table = np.arange(256, dtype=np.float32)[:, None] - 128
    table = np.clip(color * (1 + strength * table / 128), 0, 255).astype(np.uint8)
    return cv2.LUT(cv2.merge([grey, grey, grey]), np.ascontiguousarray(table[None]))


def _shade_down(rng: np.random.Generator, image: np.ndarray) -> None:
    """Light falling off over an image, in place."""
    height, width = image.shape[:2]
    corners = rng.uniform(0.55, 1.0, (2, 2)).astype(np.float32) * 255
    light = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    cv2.multiply(image, cv2.merge([light, light, light]), image, scale=1 / 255)


def fixed_point(points: np.ndarray) -> np.ndarray:
    """Coordinates as OpenCV draws them: int32 with SUBPIXEL fractional bits."""
    # OpenCV has pixel centres at integers, this project at integers + 0.5.
    return np.round((np.asarray(points, float) - 0.5) * (1 << SUBPIXEL)).astype(np.int32)


def _rectangles(rng: np.random.Generator, image: np.ndarray, count: int, bottom: float) -> None:
    height, width = image.shape[:2]
    for _ in range(count):
        w, h = (rng.uniform(0.03, 0.45, 2) ** 1.3 * (width, height)).astype(int) + 4
        x = int(rng.integers(-w // 2, width - w // 2))
        y = int(rng.uniform(-0.2 * height, max(1.0, bottom - h * rng.uniform(0.3, 1.0))))
        x0, y0, x1, y1 = max(0, x), max(0, y), min(width, x + w), min(height, y + h)
        if x1 - x0 < 3 or y1 - y0 < 3:
            continue
        color = _random_color(rng)
        image[y0:y1, x0:x1] = _textured(rng, x1 - x0, y1 - y0, color, rng.uniform(0, 0.7))
        if rng.random() < 0.5:
            cv2.rectangle(
                image,
                (x, y),
                (x + w, y + h),
                (color * rng.uniform(0.3, 1.3)).clip(0, 255).tolist(),
                int(rng.integers(1, 4)),
            )
        if rng.random() < 0.3:  # panes
            for part in np.linspace(0, 1, int(rng.integers(2, 6)))[1:-1]:
                line = int(x + part * w)
                cv2.line(image, (line, y), (line, y + h), (color * 0.5).tolist(), 1, cv2.LINE_AA)
        if rng.random() < 0.25:
            text = "".join(chr(c) for c in rng.integers(65, 91, int(rng.integers(2, 8))))
            cv2.putText(
                image,
                text,
                (x + 3, y + h * 2 // 3),
                cv2.FONT_HERSHEY_SIMPLEX,
                h / 70 + 0.2,
                _random_color(rng).tolist(),
                1 + h // 40,
                cv2.LINE_AA,
            )


def _strokes(rng: np.random.Generator, image: np.ndarray, count: int) -> None:
    """Poles, cables and branches: thin things that are no limbs."""
    height, width = image.shape[:2]
    for _ in range(count):
        start = rng.uniform(-0.1, 1.1, 2) * (width, height)
        reach = rng.normal(0, 0.25, 2) * (width, height)
        if rng.random() < 0.5:
            reach[0] *= 0.05
        points = start + np.cumsum(
            np.vstack([np.zeros(2), np.tile(reach / 3, (3, 1)) + rng.normal(0, 0.03 * width, (3, 2))]), axis=0
        )
        thickness = 1 + int(rng.exponential(0.012 * width))
        cv2.polylines(
            image, [fixed_point(points)], False, _random_color(rng).tolist(), thickness, cv2.LINE_AA, SUBPIXEL
        )


def _foliage(rng: np.random.Generator, image: np.ndarray, base: float) -> None:
    """A tree or a bush: a trunk and a cloud of leaves."""
    height, width = image.shape[:2]
    size = rng.uniform(0.1, 0.5) * height
    x, y = rng.uniform(0, width), base + rng.uniform(0, 0.1) * height
    if rng.random() < 0.7:
        top = np.array((x + rng.normal(0, 0.1 * size), y - size))
        cv2.line(
            image, fixed_point((x, y)), fixed_point(top), (70, 52, 40), max(1, int(0.08 * size)), cv2.LINE_AA, SUBPIXEL
        )
        y -= size
    green = np.array((60, 95, 45)) * rng.uniform(0.5, 1.5) + rng.normal(0, 12, 3)
    for _ in range(int(rng.integers(12, 40))):
        center = np.array((x, y)) + rng.normal(0, 0.28 * size, 2) * (1.2, 0.8)
        color = np.clip(green * rng.uniform(0.6, 1.35), 0, 255).tolist()
        cv2.circle(
            image, fixed_point(center), int(rng.uniform(0.05, 0.2) * size * 16), color, -1, cv2.LINE_AA, SUBPIXEL
        )


def random_backdrop(rng: np.random.Generator, width: int, height: int, horizon: float) -> np.ndarray:
    """A background without people: RGB uint8 [height, width, 3]; floor and wall meet at the row ``horizon``."""
    image = np.empty((height, width, 3), np.uint8)
    seam = int(np.clip(horizon, 0, height))
    wall, floor = _random_color(rng, 3), _random_color(rng, 3)
    if seam > 0:
        image[:seam] = _textured(rng, width, seam, wall, rng.uniform(0, 0.4))
    if seam < height:
        image[seam:] = _textured(rng, width, height - seam, floor, rng.uniform(0.05, 0.5))
    _rectangles(rng, image, int(rng.integers(0, 14)), seam + 0.1 * height)
    if rng.random() < 0.45:
        for _ in range(int(rng.integers(1, 5))):
            _foliage(rng, image, seam)
    _strokes(rng, image, int(rng.integers(0, 12)))
    _shade_down(rng, image)
    if rng.random() < 0.5:
        cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 2.0), image)
    return image
