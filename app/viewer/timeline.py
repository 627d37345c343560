"""The bar under a recorded source: where it is, where people were found, and a place to click."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPalette, QPen
from PyQt6.QtWidgets import QSizePolicy, QWidget

UNSEEN = -1
MOST_BINS = 1000
LEAST_BIN_SECONDS = 0.04  # of a frame at 25 a second: shorter bins would leave holes between frames
STILL_SHOWN_SECONDS = 0.5  # a frame that comes so soon after another was preceded by nothing else

_KEYS = {
    Qt.Key.Key_Left: -1.0,
    Qt.Key.Key_Right: 1.0,
    Qt.Key.Key_PageUp: 10.0,
    Qt.Key.Key_PageDown: -10.0,
    Qt.Key.Key_Home: -math.inf,
    Qt.Key.Key_End: math.inf,
}

# Device-independent pixels
_SIDE, _TOP = 10, 6
_STRIP, _GAP, _TRACK = 20, 3, 4
_LABELS = _TOP + _STRIP + _GAP + _TRACK + 5  # the top of their row
_HANDLE = 6  # radius
_LEAST_WIDTH = 200

_LEAST_PEAK = 2  # how many people at least are as high as the strip
_LOWEST = 0.3  # part of the strip's height for the fewest people


def format_time(seconds: float) -> str:
    """Minutes, seconds and milliseconds, with hours where there are any: 0:07.250, 1:02:07.250; below 0 is 0."""
    milliseconds = round(max(0.0, seconds) * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    start = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{start}:{milliseconds // 1000:02d}.{milliseconds % 1000:03d}"


class PeopleFound:
    """How many people were found when, in at most `MOST_BINS` bins of time.

    duration: seconds, more than 0. counts: int32 [bins], `UNSEEN` where no frame was.
    """

    def __init__(self, duration: float) -> None:
        self._bin_seconds = max(duration / MOST_BINS, LEAST_BIN_SECONDS)
        self.counts = np.full(max(1, math.ceil(duration / self._bin_seconds - 1e-6)), UNSEEN, np.int32)
        self._last: tuple[float, int] | None = None  # seconds and people of the last frame

    def add(self, seconds: float, people: int) -> None:
        """Count the people of a frame; between two that follow each other closely, those of the first were there.

        Of the frames of one run through a bin the one with the most people counts, and of several runs the newest.
        """
        here, most = self._bin(seconds), people
        if self._last is not None and 0 < seconds - self._last[0] <= STILL_SHOWN_SECONDS:
            before = self._bin(self._last[0])
            self.counts[before + 1 : here] = self._last[1]
            if before == here:
                most = max(people, int(self.counts[here]))
        self.counts[here] = most
        self._last = seconds, people

    def at(self, seconds: float) -> int | None:
        """How many people were found at a time; None where no frame was."""
        count = int(self.counts[self._bin(seconds)])
        return None if count == UNSEEN else count

    def columns(self, number: int) -> NDArray[np.int32]:
        """The most people in each of so many equal parts of the duration, [number]."""
        starts = np.arange(number) * len(self.counts) // number
        return np.maximum.reduceat(self.counts, starts)

    def _bin(self, seconds: float) -> int:
        return min(len(self.counts) - 1, max(0, int(seconds / self._bin_seconds)))


class Timeline(QWidget):
    """Shows where a recorded source is and where people were found in it, and lets the user go elsewhere.

    Without a duration it is disabled. Left and Right go 1 s, Page Up and Page Down 10 s, Home and End to the ends.
    sought: seconds, 0 to the duration, when the user wants to go there; while dragging, at each move of the mouse.
    scrub_began, scrub_ended: around a press of the mouse button; `set_position` has no effect between them.
    """

    sought = pyqtSignal(float)
    scrub_began = pyqtSignal()
    scrub_ended = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._duration: float | None = None
        self._position = 0.0
        self._found: PeopleFound | None = None
        self._scrubbing = False
        self._hover: float | None = None  # seconds
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Timeline")
        self.set_duration(None)

    # What is shown

    def set_duration(self, seconds: float | None) -> None:
        """Begin with another source, at 0, with nothing seen; None, or what is no positive number: disabled."""
        self._end_scrub()
        known = seconds is not None and math.isfinite(seconds) and seconds > 0
        self._duration = seconds if known else None
        self._position, self._hover = 0.0, None
        self.clear()
        self.setEnabled(known)
        self._describe()

    def set_position(self, seconds: float) -> None:
        """Show that the source is so many seconds from its start."""
        if not self._scrubbing:
            self._go(seconds)

    def add(self, seconds: float, people: int) -> None:
        """Mark how many people were found in a frame; without a duration nothing is marked."""
        if self._found is not None:
            self._found.add(seconds, people)
            self.update()

    def clear(self) -> None:
        """Forget where people were found."""
        self._found = None if self._duration is None else PeopleFound(self._duration)
        self.update()

    @property
    def position(self) -> float:
        """What is shown as played, in seconds."""
        return self._position

    def people_at(self, seconds: float) -> int | None:
        """How many people were found at a time; None where no frame was."""
        return None if self._found is None else self._found.at(seconds)

    def _go(self, seconds: float) -> None:
        whole_second = int(self._position)
        self._position = min(self._duration or 0.0, max(0.0, seconds))
        if int(self._position) != whole_second:
            self._describe()
        self.update()

    def _seek(self, seconds: float) -> None:
        before = self._position
        self._go(seconds)
        if self._position != before:
            self.sought.emit(self._position)

    def _describe(self) -> None:
        if self._duration is None:
            self.setAccessibleDescription("No recorded source")
        else:
            self.setAccessibleDescription(f"{format_time(self._position)} of {format_time(self._duration)}")

    # Where it is shown

    def x_of(self, seconds: float) -> float:
        """Where a time is, in device-independent pixels from the left."""
        return _SIDE + (seconds / self._duration if self._duration else 0.0) * self._track_width()

    def seconds_at(self, x: float) -> float:
        """The time at a place; beyond the ends of the track the time at its end."""
        return min(1.0, max(0.0, (x - _SIDE) / self._track_width())) * (self._duration or 0.0)

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(640, self.minimumSizeHint().height())

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        return QSize(_LEAST_WIDTH, _LABELS + self.fontMetrics().height() + 5)

    def _track_width(self) -> float:
        return max(1.0, self.width() - 2 * _SIDE)

    # What the mouse and the keys do

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if event.button() != Qt.MouseButton.LeftButton or self._duration is None:
            event.ignore()
            return
        self._scrubbing = True
        self.scrub_began.emit()
        self._seek(self.seconds_at(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        self._hover = self.seconds_at(event.position().x())
        if self._scrubbing:
            self._seek(self._hover)
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if event.button() == Qt.MouseButton.LeftButton:
            self._end_scrub()

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        self._hover = None
        self.update()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ShortcutOverride and self._is_own(event):
            event.accept()  # while the timeline has the focus, its keys are not the window's
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        if self._is_own(event):
            self._seek(self._position + _KEYS[Qt.Key(event.key())])
        else:
            super().keyPressEvent(event)

    def _is_own(self, event: QKeyEvent) -> bool:
        plain = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier == Qt.KeyboardModifier.NoModifier
        return self._duration is not None and plain and event.key() in _KEYS

    def _end_scrub(self) -> None:
        if self._scrubbing:
            self._scrubbing = False
            self.scrub_ended.emit()

    # How it is drawn

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_strip(painter)
        self._paint_track(painter)
        if self._duration is not None:
            self._paint_labels(painter, self._duration)
        if self.hasFocus():
            painter.setPen(QPen(self._shade(QPalette.ColorRole.Accent), 1.5))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 4, 4)

    def _paint_strip(self, painter: QPainter) -> None:
        area = QRectF(_SIDE, _TOP, self._track_width(), _STRIP)
        if self._found is None:
            return
        ratio = painter.deviceTransform().m11()
        width, height = max(1, round(area.width() * ratio)), max(1, round(area.height() * ratio))
        played = round((self.x_of(self._position) - _SIDE) * ratio)
        pixels = self._strip_pixels(self._found.columns(width), height, played, ratio)
        painter.drawImage(area, QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_RGB32))

    def _strip_pixels(self, people: NDArray[np.int32], height: int, played: int, ratio: float) -> NDArray[np.uint32]:
        """uint32 [height, columns]: hatched where nothing was seen, flat where nobody was, and a bar for people."""
        text, accent = self._shade(QPalette.ColorRole.WindowText), self._shade(QPalette.ColorRole.Accent)
        flat, hatch, later = (self._on_window(*shade) for shade in ((text, 0.13), (text, 0.16), (accent, 0.55)))
        peak = max(_LEAST_PEAK, int(people.max()))
        heights = np.ceil(height * (_LOWEST + (1 - _LOWEST) * (people - 1) / max(1, peak - 1)))
        heights[people <= 0] = 0
        above_ground = np.arange(height, 0, -1)[:, None]
        column = np.arange(len(people))
        bars = np.where(column < played, accent.rgb(), later.rgb()).astype(np.uint32)
        lines = ((column + above_ground) % round(6 * ratio)) < ratio
        unseen = np.where(lines, hatch.rgb(), self._shade(QPalette.ColorRole.Window).rgb())
        ground = np.where(people == UNSEEN, unseen, flat.rgb())
        return np.where(above_ground <= heights, bars, ground).astype(np.uint32)

    def _paint_track(self, painter: QPainter) -> None:
        accent, text = self._shade(QPalette.ColorRole.Accent), self._shade(QPalette.ColorRole.WindowText)
        track = QRectF(_SIDE, _TOP + _STRIP + _GAP, self._track_width(), _TRACK)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._on_window(text, 0.3))
        painter.drawRoundedRect(track, _TRACK / 2, _TRACK / 2)
        if self._duration is None:
            return
        here = QPointF(self.x_of(self._position), track.center().y())
        painter.setBrush(accent)
        painter.drawRoundedRect(QRectF(track.topLeft(), QPointF(here.x(), track.bottom())), _TRACK / 2, _TRACK / 2)
        if self._hover is not None:
            painter.fillRect(QRectF(self.x_of(self._hover) - 0.5, _TOP, 1, _STRIP + _GAP), self._on_window(text, 0.8))
        painter.fillRect(QRectF(here.x() - 1, _TOP, 2, _STRIP + _GAP), text)
        painter.setPen(QPen(self._shade(QPalette.ColorRole.Window), 1.5))
        painter.setBrush(text)
        painter.drawEllipse(here, _HANDLE, _HANDLE)

    def _paint_labels(self, painter: QPainter, duration: float) -> None:
        """The position, the duration, and in the place of what it would cover the label at the cursor."""
        top, height = _LABELS, self.fontMetrics().height()
        right = _SIDE + self._track_width()
        label = QRectF()
        if self._hover is not None:
            text = self._hover_text(self._hover)
            label = QRectF(0, top - 1, self._text_width(text) + 12, height + 2)
            label.moveLeft(max(_SIDE, min(right - label.width(), self.x_of(self._hover) - label.width() / 2)))
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(self._shade(QPalette.ColorRole.ToolTipBase))
            painter.drawRoundedRect(label, 4, 4)
            painter.setPen(self._shade(QPalette.ColorRole.ToolTipText))
            painter.drawText(label, Qt.AlignmentFlag.AlignCenter, text)
        painter.setPen(self._shade(QPalette.ColorRole.WindowText))
        for text, at_the_end in ((format_time(self._position), False), (format_time(duration), True)):
            width = self._text_width(text)
            place = QRectF(right - width if at_the_end else _SIDE, top, width, height)
            if not place.adjusted(-4, 0, 4, 0).intersects(label):
                painter.drawText(place, Qt.TextFlag.TextDontClip, text)

    def _hover_text(self, seconds: float) -> str:
        people = self.people_at(seconds)
        if people is None:
            return format_time(seconds)
        found = {0: "nobody", 1: "1 person"}.get(people, f"{people} people")
        return f"{format_time(seconds)} · {found}"

    def _text_width(self, text: str) -> float:
        return float(self.fontMetrics().horizontalAdvance(text))

    def _shade(self, role: QPalette.ColorRole) -> QColor:
        return self.palette().color(role)

    def _on_window(self, shade: QColor, opacity: float) -> QColor:
        """What a translucent colour looks like on the window's."""
        ground = self._shade(QPalette.ColorRole.Window)
        mixed = (opacity * a + (1 - opacity) * b for a, b in zip(shade.getRgb()[:3], ground.getRgb()[:3], strict=True))
        return QColor(*(round(part) for part in mixed))
