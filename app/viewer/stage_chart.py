"""A small live chart: how many milliseconds each stage takes."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter, QPaintEvent, QPalette, QPen
from PyQt6.QtWidgets import QSizePolicy, QWidget

RESULTS = 120  # that are kept
SMOOTHED = 30  # of these the newest ones, whose mean is told in words
# From the bottom of the stack; others follow as they come.
STAGES = ("capture", "resize", "network", "grouping", "draw")
OTHERS = "others"

# About as light as each other, so that all read on a dark ground and on a light one; the last is the others'.
_COLOURS = [
    QColor(code) for code in ("#249292", "#b47f24", "#417dcb", "#c9594c", "#3e9b55", "#9465ca", "#c05694", "#7f818a")
]

_LEAST_TOP = 1.0  # milliseconds
_STEPS = (1.0, 2.0, 5.0, 10.0)
_SPARE = 1.1  # how much higher than needed a new scale is at least
_WASTE = 1.5  # a scale is kept while the next lower one is not this much higher than needed
_USUAL = 95  # percentile of the totals that the scale has room for; a rare slow one may reach beyond

# Device-independent pixels
_MARGIN, _SWATCH, _SPACE = 6, 9, 6


class RecentStages:
    """The last `RESULTS` results' milliseconds a stage, of at most as many stages as there are colours.

    Stages keep the row, and so the colour, that they have once; when all rows are taken, what is new is added up in
    the last as `OTHERS`.
    """

    def __init__(self) -> None:
        self._rows = {name: row for row, name in enumerate(STAGES)}
        self._ring = np.zeros((len(_COLOURS), RESULTS))
        self._added = 0

    def add(self, stages: Mapping[str, float]) -> None:
        """Add a result; stages: seconds, where what is no positive number counts as 0."""
        column = self._ring[:, self._added % RESULTS]
        column[:] = 0
        for name, seconds in stages.items():
            if math.isfinite(seconds) and seconds > 0:
                column[self._row(name)] += seconds * 1000
        self._added += 1

    def clear(self) -> None:
        """Forget the results, but not which row is whose."""
        self._ring[:] = 0
        self._added = 0

    def milliseconds(self) -> NDArray[np.float64]:
        """[rows, results], the oldest result first."""
        if self._added <= RESULTS:
            return self._ring[:, : self._added]
        return np.roll(self._ring, -self._added % RESULTS, axis=1)

    def present(self) -> dict[int, str]:
        """Row -> name of the stages that took any time, from the bottom of the stack."""
        names = {row: name for name, row in self._rows.items()} | {len(_COLOURS) - 1: OTHERS}
        return {int(row): names[int(row)] for row in np.flatnonzero(self._ring.any(axis=1))}

    def smoothed(self) -> NDArray[np.float64]:
        """Mean milliseconds of the newest `SMOOTHED` results, [rows]; at least one result is there."""
        return self.milliseconds()[:, -SMOOTHED:].mean(axis=1)

    def _row(self, name: str) -> int:
        last = len(_COLOURS) - 1
        if name not in self._rows and len(self._rows) < last:
            self._rows[name] = len(self._rows)
        return self._rows.get(name, last)


def layers_at(heights: NDArray[np.float64], milliseconds: NDArray[np.float64]) -> NDArray[np.intp]:
    """Which row of a stack is at a height, [heights, results]; the number of rows where that is above all.

    heights: in milliseconds. milliseconds: [rows, results], the lowest layer first.
    """
    ends = np.cumsum(milliseconds, axis=0)
    return (ends[:, None, :] <= heights[:, None]).sum(axis=0)


def next_top(top: float, needed: float) -> float:
    """The height of the scale, 1, 2 or 5 times a power of ten, after it was `top` (0: at first).

    It grows when what is needed does not fit, and shrinks when a lower one has ample room; between it stays.
    """
    if needed > top or top == 0 or _round_up(_WASTE * needed) < top:
        return _round_up(_SPARE * needed)
    return top


def needed_top(milliseconds: NDArray[np.float64]) -> float:
    """What the scale should have room for; milliseconds: [rows, results], at least one."""
    return float(np.percentile(milliseconds.sum(axis=0), _USUAL))


def format_milliseconds(milliseconds: float) -> str:
    """Three digits at most, without a unit, below ten seconds: 8.4, 34.0, 125."""
    return f"{milliseconds:.1f}" if milliseconds < 99.95 else f"{milliseconds:.0f}"


def format_grid(milliseconds: float) -> str:
    """What is written at a line of the grid."""
    return f"{milliseconds:g} ms" if milliseconds < 1000 else f"{milliseconds / 1000:g} s"


def _round_up(milliseconds: float) -> float:
    if milliseconds <= _LEAST_TOP:
        return _LEAST_TOP
    power = 10.0 ** math.floor(math.log10(milliseconds))
    return next(step * power for step in _STEPS if step * power >= milliseconds * (1 - 1e-9))


class StageChart(QWidget):
    """The last results' stages as layers of an area, the newest at the right, and beside it their smoothed values."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._recent = RecentStages()
        self._top = 0.0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setAccessibleName("Milliseconds of each stage")

    def add(self, stages: Mapping[str, float]) -> None:
        """Show another result; stages: name -> seconds."""
        self._recent.add(stages)
        self._top = next_top(self._top, needed_top(self._recent.milliseconds()))
        self.update()

    def clear(self) -> None:
        """Begin anew; stages keep their colours."""
        self._recent.clear()
        self._top = 0.0
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(300, 140)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(220, 90)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        inside = QRectF(self.rect()).adjusted(_MARGIN, _MARGIN, -_MARGIN, -_MARGIN)
        present = self._recent.present()
        if not present:
            painter.setPen(self.palette().color(QPalette.ColorRole.PlaceholderText))
            painter.drawText(inside, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, "Nothing measured yet")
            return
        rows = len(present) + 1  # and the total
        painter.setFont(self._fitting_font(inside.height() / rows))
        metrics = QFontMetricsF(painter.font())
        gutter = metrics.horizontalAdvance("500 ms") + _SPACE
        value_width = metrics.horizontalAdvance("00.0") + 2
        names = max(metrics.horizontalAdvance(name) for name in (*present.values(), "total ms"))
        legend_width = min(_SWATCH + _SPACE + names + _SPACE + value_width, inside.width() / 2)
        legend = QRectF(inside.right() - legend_width, inside.top(), legend_width, inside.height())
        plot = QRectF(inside)
        plot.setLeft(inside.left() + gutter)
        plot.setRight(legend.left() - 2 * _SPACE)
        self._paint_area(painter, plot, list(present))
        self._paint_grid(painter, plot, gutter)
        self._paint_legend(painter, legend, present, value_width)

    def _fitting_font(self, row_height: float) -> QFont:
        """The widget's font, smaller where a row of the legend is not high enough for it."""
        font = self.font()
        font.setPixelSize(max(7, min(self.fontInfo().pixelSize(), int(0.82 * row_height))))
        return font

    def _paint_grid(self, painter: QPainter, plot: QRectF, gutter: float) -> None:
        text = self.palette().color(QPalette.ColorRole.WindowText)
        line = QColor(text)
        line.setAlphaF(0.25)
        for part, alignment in ((1.0, Qt.AlignmentFlag.AlignTop), (0.5, Qt.AlignmentFlag.AlignVCenter), (0.0, None)):
            y = round(plot.bottom() - part * plot.height()) + 0.5
            painter.setPen(QPen(line, 1))
            painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))
            if alignment is not None:
                label = QRectF(plot.left() - gutter, y - 20, gutter - _SPACE, 40)
                if part == 1:
                    label.setTop(plot.top() - 2)
                painter.setPen(text)
                painter.drawText(label, Qt.AlignmentFlag.AlignRight | alignment, format_grid(part * self._top))

    def _paint_area(self, painter: QPainter, plot: QRectF, rows: list[int]) -> None:
        """A picture with a column for each result, stretched to its part of the plot."""
        milliseconds = self._recent.milliseconds()[rows]
        height, results = max(1, round(plot.height() * painter.deviceTransform().m22())), milliseconds.shape[1]
        layers = layers_at((np.arange(height, 0, -1) - 0.5) * self._top / height, milliseconds)
        colours = np.array([*(_COLOURS[row].rgba() for row in rows), 0], np.uint32)
        pixels = colours[layers]
        area = QRectF(plot)
        area.setLeft(plot.right() - plot.width() * results / RESULTS)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        image = QImage(pixels.data, results, height, 4 * results, QImage.Format.Format_ARGB32_Premultiplied)
        painter.drawImage(area, image)

    def _paint_legend(self, painter: QPainter, legend: QRectF, present: dict[int, str], value_width: float) -> None:
        """The stages in the order of their layers, the highest first, under the total."""
        smoothed = self._recent.smoothed()
        metrics = QFontMetricsF(painter.font())
        height = min(metrics.height() + 3, legend.height() / (len(present) + 1))
        lines = [(None, "total ms", float(smoothed.sum()))]
        lines += [(_COLOURS[row], present[row], float(smoothed[row])) for row in reversed(present)]
        for number, (colour, name, value) in enumerate(lines):
            line = QRectF(legend.left(), legend.top() + number * height, legend.width(), height)
            if colour is not None:
                swatch = QRectF(line.left(), line.center().y() - _SWATCH / 2, _SWATCH, _SWATCH)
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(colour)
                painter.drawRoundedRect(swatch, 2, 2)
            painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
            font = painter.font()
            font.setBold(colour is None)
            painter.setFont(font)
            middle = Qt.AlignmentFlag.AlignVCenter
            painter.drawText(line, middle | Qt.AlignmentFlag.AlignRight, format_milliseconds(value))
            beside = line.adjusted(0 if colour is None else _SWATCH + _SPACE, 0, -value_width - 2, 0)
            short = metrics.elidedText(name, Qt.TextElideMode.ElideRight, beside.width())
            painter.drawText(beside, middle | Qt.TextFlag.TextDontClip, short)
