"""A frame as it is saved: the one place where the window and `process` put what was found on a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.map_overlay import MapLayer, MapStyle, blend, draw_legend
from app.overlay import OverlayStyle, draw_people
from grouping import People


def annotated(
    image: NDArray[np.uint8],
    people: People,
    style: OverlayStyle | None = None,
    layer: MapLayer | None = None,
    map_style: MapStyle | None = None,
) -> NDArray[np.uint8]:
    """A frame [H, W, 3] as it is saved, in a picture of its own: under a map with its legend, and with people on it."""
    if layer is None:
        picture = image.copy()
    else:
        picture = blend(image, layer, map_style)
        draw_legend(picture, layer, map_style)
    draw_people(picture, people, style)
    return picture
