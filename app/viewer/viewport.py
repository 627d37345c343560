"""Which part of a picture is seen in a widget: fitted, enlarged around a point, moved."""

from __future__ import annotations

from PyQt6.QtCore import QPointF
from PyQt6.QtGui import QTransform

MAX_ZOOM = 16.0


class Viewport:
    """Places a picture in a widget. picture, widget: width and height, in pixels and in device-independent pixels.

    zoom: 1 (fitted) to 16. The enlarged picture always covers the place that it has when it is fitted.
    """

    def __init__(self) -> None:
        self.picture = (1, 1)
        self.widget = (1, 1)
        self.zoom = 1.0
        self._centre = (0.5, 0.5)  # the place at the widget's centre, in parts of the picture's width and height

    def fit(self) -> None:
        """Show the whole picture."""
        self.zoom, self._centre = 1.0, (0.5, 0.5)

    def show(self, width: int, height: int) -> None:
        """A picture of this size comes; one of another size than the last is fitted."""
        if (width, height) != self.picture:
            self.picture = (width, height)
            self.fit()

    @property
    def fitted_scale(self) -> float:
        """The widget's pixels a pixel of the fitted picture."""
        return min(max(1, self.widget[0]) / self.picture[0], max(1, self.widget[1]) / self.picture[1])

    @property
    def transform(self) -> QTransform:
        """From pixels of the picture, its top left corner at (0, 0), to the widget's; always invertible."""
        scale = self.fitted_scale * self.zoom
        left = self.widget[0] / 2 - self._centre[0] * self.picture[0] * scale
        top = self.widget[1] / 2 - self._centre[1] * self.picture[1] * scale
        return QTransform(scale, 0, 0, scale, left, top)

    def to_picture(self, position: QPointF) -> QPointF:
        """The place of the picture, in its pixels, that is shown at a position of the widget."""
        inverse, _ = self.transform.inverted()
        return inverse.map(position)

    def zoom_by(self, factor: float, position: QPointF) -> None:
        """Enlarge; what is shown at a position of the widget stays there, as near as the edges allow."""
        anchor = self.to_picture(position)
        self.zoom = min(MAX_ZOOM, max(1.0, self.zoom * factor))
        self.place(anchor, position)

    def pan(self, x: float, y: float) -> None:
        """Look so many of the widget's pixels farther right and down, as far as the edges allow."""
        middle = QPointF(self.widget[0] / 2, self.widget[1] / 2)
        self.place(self.to_picture(middle + QPointF(x, y)), middle)

    def place(self, point: QPointF, position: QPointF) -> None:
        """Move the picture so that one of its points comes to a position of the widget, as near as the edges allow."""
        scale = self.fitted_scale * self.zoom
        x = point.x() - (position.x() - self.widget[0] / 2) / scale
        y = point.y() - (position.y() - self.widget[1] / 2) / scale
        margin = 0.5 / self.zoom
        self._centre = (
            min(1 - margin, max(margin, x / self.picture[0])),
            min(1 - margin, max(margin, y / self.picture[1])),
        )
