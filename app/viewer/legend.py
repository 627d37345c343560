"""The colours of a map with their values, painted at the screen's resolution."""

from __future__ import annotations

import numpy as np
from PyQt6.QtCore import QPointF, QRectF, Qt
from PyQt6.QtGui import QColor, QImage, QPainter, QPen

from app.map_overlay import MapLayer, MapStyle, colours_of

_GROUND = QColor(12, 12, 12, 190)
_TEXT = QColor("white")
_BAR_WIDTH, _PADDING, _GAP = 14.0, 8.0, 6.0
_GREATEST_HEIGHT = 220.0


def draw_legend(painter: QPainter, layer: MapLayer, style: MapStyle, area: QRectF) -> None:
    """Draw a colour bar with three values and its name into the lower right corner of an area of the widget."""
    line = painter.fontMetrics().height()
    height = min(_GREATEST_HEIGHT, area.height() - 4 * _PADDING - line)
    if height < 3 * line:
        return
    marks = [f"{value:.2f}" for value in (layer.high, (layer.low + layer.high) / 2, layer.low)]
    text_width = max(painter.fontMetrics().horizontalAdvance(text) for text in (*marks, layer.title))
    ground = QRectF(0, 0, text_width + _GAP + _BAR_WIDTH + 2 * _PADDING, height + line + _GAP + 2 * _PADDING)
    ground.moveBottomRight(area.bottomRight() - QPointF(_PADDING, _PADDING))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(_GROUND)
    painter.drawRoundedRect(ground, 5, 5)
    inside = ground.adjusted(_PADDING, _PADDING, -_PADDING, -_PADDING)
    painter.setPen(_TEXT)
    painter.drawText(inside, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop, layer.title)
    bar = inside.adjusted(inside.width() - _BAR_WIDTH, line + _GAP, 0, 0)
    painter.drawImage(bar, _bar(style.colours))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(_TEXT, 1))
    painter.drawRect(bar)
    for text, y in zip(marks, (bar.top() + line / 2, bar.center().y(), bar.bottom() - line / 2), strict=True):
        row = QRectF(inside.left(), y - line / 2, text_width, line)
        painter.drawText(row, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, text)


def _bar(colours: str) -> QImage:
    levels = np.arange(255, -1, -1, dtype=np.uint8)[:, None]
    pixels = np.ascontiguousarray(colours_of(levels, colours))
    # A row of one pixel has three bytes, and Qt copies them before they go.
    return QImage(pixels.data, 1, 256, 3, QImage.Format.Format_RGB888).copy()
