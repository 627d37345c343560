"""What the network predicts, shown over a frame: the paper's 1/s (its figure 5), heatmaps and tags, with values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from .overlay import draw_label

if TYPE_CHECKING:
    from engine import Maps

MapName = Literal["scale", "heatmap", "tags"]

# What each colour map is called -> OpenCV's number; the low end first.
COLOUR_MAPS = {
    "jet": cv2.COLORMAP_JET,
    "turbo": cv2.COLORMAP_TURBO,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "inferno": cv2.COLORMAP_INFERNO,
    "grey": cv2.COLORMAP_BONE,
}
_WHITE = (255, 255, 255)


@dataclass(frozen=True)
class MapStyle:
    """How a map is laid over a frame. opacity: 0 (only the frame) to 1 (only the map). colours: see COLOUR_MAPS."""

    opacity: float = 0.5
    colours: str = "jet"


@dataclass(frozen=True, eq=False)
class MapLayer:
    """A map on the frame's pixels. values: float32 [H, W]; low, high: the values at the ends of the colour map."""

    values: NDArray[np.float32]
    title: str
    low: float
    high: float


def layer_of(which: MapName, maps: Maps, size: tuple[int, int], keypoint: int | None = None) -> MapLayer:
    """One of the network's maps on a frame of this width and height, for all keypoints or for one.

    "scale": 1/s = α + 1 (eq. 7, figure 5), the mean of all keypoints, stretched over the values of the picture.
    "heatmap": the highest of all keypoints, from 0 to 1. "tags": the tag of the keypoint whose heatmap is highest; or,
    of one keypoint, its tags everywhere. Keypoints of one person should look alike.
    Raises ValueError for "scale" where the network has no scale branch.
    """
    chosen = slice(None) if keypoint is None else slice(keypoint, keypoint + 1)
    if which == "scale":
        if maps.alphas is None:
            raise ValueError("there is no scale branch")
        values, title = maps.alphas[chosen].mean(axis=0) + np.float32(1), "1/s"
    elif which == "heatmap":
        values, title = maps.heatmaps[chosen].max(axis=0), "heat"
    else:
        likeliest = maps.heatmaps[chosen].argmax(axis=0)[None]
        values, title = np.take_along_axis(maps.tags[chosen, ..., 0], likeliest, axis=0)[0], "tag"
    values = _on_frame(values, maps.to_source, size)
    low, high = (0.0, 1.0) if which == "heatmap" else (float(values.min()), float(values.max()))
    return MapLayer(values, title, low, high)


def _on_frame(
    values: NDArray[np.float32], to_source: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.float32]:
    """A map [h, w] at every pixel of the frame, whose width and height are given.

    to_source: [2, 3], map coordinates -> the frame's, pixel centres at integers + 0.5.
    """
    matrix = np.array(to_source, np.float64)
    matrix[:, 2] += 0.5 * matrix[:, :2].sum(axis=1) - 0.5  # OpenCV counts pixel centres at integers
    return cv2.warpAffine(values, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def blend(image: NDArray[np.uint8], layer: MapLayer, style: MapStyle | None = None) -> NDArray[np.uint8]:
    """The frame [H, W, 3] under a map, without a legend; the frame stays as it is."""
    style = style or MapStyle()
    span = max(layer.high - layer.low, 1e-6)
    levels = ((layer.values - layer.low) * (255 / span)).round().clip(0, 255).astype(np.uint8)
    return cv2.addWeighted(colours_of(levels, style.colours), style.opacity, image, 1 - style.opacity, 0)


def colours_of(levels: NDArray[np.uint8], colours: str) -> NDArray[np.uint8]:
    """Levels 0 to 255 [H, W] in a colour map, RGB [H, W, 3]."""
    return cv2.cvtColor(cv2.applyColorMap(levels, COLOUR_MAPS[colours]), cv2.COLOR_BGR2RGB)


def legend_area(height: int, width: int) -> tuple[int, int, int, int]:
    """Where the colour bar stands in a picture: left, top, right, bottom in pixels."""
    bar_width = max(4, width // 60)
    margin = max(4, min(height, width) // 40)
    return width - margin - bar_width, height // 2, width - margin, height - margin


def draw_legend(image: NDArray[np.uint8], layer: MapLayer, style: MapStyle | None = None) -> None:
    """Draw the colours of a map with their values into a picture [H, W, 3], in place."""
    left, top, right, bottom = legend_area(*image.shape[:2])
    bar = np.linspace(255, 0, bottom - top).round().astype(np.uint8)
    image[top:bottom, left:right] = colours_of(
        np.repeat(bar[:, None], right - left, axis=1), (style or MapStyle()).colours
    )
    cv2.rectangle(image, (left - 1, top - 1), (right, bottom), _WHITE, 1)
    marks = ((layer.high, top + 14), ((layer.low + layer.high) / 2, (top + bottom) // 2 + 4), (layer.low, bottom))
    for value, y in marks:
        draw_label(image, f"{value:.2f}", (left - 4, y), _WHITE, to_the_left=True)
    draw_label(image, layer.title, (right, top - 4), _WHITE, to_the_left=True)
