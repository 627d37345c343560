"""What the network predicts, shown over a frame: the paper's 1/s (its figure 5), heatmaps and tags, with values."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .overlay import draw_label

_OPACITY = 0.5
_WHITE = (255, 255, 255)


def inverse_scales(
    alphas: NDArray[np.float32], to_source: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.float32]:
    """1/s at every pixel of the frame, float32 [H, W]: α + 1, averaged over the keypoints (eq. 7, figure 5).

    alphas: [K, h, w]. to_source: [2, 3], map coordinates -> the frame's, pixel centres at integers + 0.5.
    size: the frame's width and height.
    """
    return _on_frame(alphas.mean(axis=0) + np.float32(1), to_source, size)


def highest_heat(
    heatmaps: NDArray[np.float32], to_source: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.float32]:
    """The highest of all keypoints' heatmaps [K, h, w] at every pixel of the frame, float32 [H, W]."""
    return _on_frame(heatmaps.max(axis=0), to_source, size)


def tags_of_the_likeliest(
    heatmaps: NDArray[np.float32],
    tags: NDArray[np.float32],
    to_source: NDArray[np.float64],
    size: tuple[int, int],
) -> NDArray[np.float32]:
    """The tag of the keypoint whose heatmap is highest, at every pixel of the frame, float32 [H, W].

    heatmaps: [K, h, w]; tags: [K, h, w, T], of which the first is shown. Keypoints of one person should look alike.
    """
    likeliest = heatmaps.argmax(axis=0)[None]
    return _on_frame(np.take_along_axis(tags[..., 0], likeliest, axis=0)[0], to_source, size)


def _on_frame(
    values: NDArray[np.float32], to_source: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.float32]:
    """A map [h, w] at every pixel of the frame, whose width and height are given."""
    matrix = np.array(to_source, np.float64)
    matrix[:, 2] += 0.5 * matrix[:, :2].sum(axis=1) - 0.5  # OpenCV counts pixel centres at integers
    return cv2.warpAffine(values, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def blend_scale_map(image: NDArray[np.uint8], inverse_scale: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The frame [H, W, 3] under its scale map [H, W], with a legend; both stay as they are.

    The values are stretched over the picture: the redder, the larger 1/s, that is the smaller the scale.
    """
    return blend_map(image, inverse_scale, "1/s")


def blend_map(
    image: NDArray[np.uint8],
    values: NDArray[np.float32],
    title: str,
    limits: tuple[float, float] | None = None,
) -> NDArray[np.uint8]:
    """The frame [H, W, 3] under a map [H, W] from blue to red, with a legend of the values; both stay as they are.

    limits: which values are blue and red; None: the lowest and the highest of the picture.
    """
    low, high = limits or (float(values.min()), float(values.max()))
    span = max(high - low, 1e-6)
    levels = ((values - low) * (255 / span)).round().clip(0, 255).astype(np.uint8)
    blended = cv2.addWeighted(_colours(levels), _OPACITY, image, 1 - _OPACITY, 0)
    _draw_legend(blended, title, low, high)
    return blended


def _colours(levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Levels 0 to 255 [H, W] from blue to red, RGB [H, W, 3]."""
    return cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_JET), cv2.COLOR_BGR2RGB)


def legend_area(height: int, width: int) -> tuple[int, int, int, int]:
    """Where the colour bar stands in a picture: left, top, right, bottom in pixels."""
    bar_width = max(4, width // 60)
    margin = max(4, min(height, width) // 40)
    return width - margin - bar_width, height // 2, width - margin, height - margin


def _draw_legend(image: NDArray[np.uint8], title: str, low: float, high: float) -> None:
    left, top, right, bottom = legend_area(*image.shape[:2])
    bar = np.linspace(255, 0, bottom - top).round().astype(np.uint8)
    image[top:bottom, left:right] = _colours(np.repeat(bar[:, None], right - left, axis=1))
    cv2.rectangle(image, (left - 1, top - 1), (right, bottom), _WHITE, 1)
    for value, y in ((high, top + 14), ((low + high) / 2, (top + bottom) // 2 + 4), (low, bottom)):
        draw_label(image, f"{value:.2f}", (left - 4, y), _WHITE, to_the_left=True)
    draw_label(image, title, (right, top - 4), _WHITE, to_the_left=True)
