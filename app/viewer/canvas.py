"""One frame with its people, fitted to the widget, to zoom into and to ask about."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import (
    QColor,
    QEnterEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QTransform,
    QWheelEvent,
)
from PyQt6.QtWidgets import QWidget

from app.map_overlay import MapLayer, MapStyle
from app.overlay import person_hues
from app.viewer.legend import draw_legend
from app.viewer.painting import FAINT_OPACITY, draw_box, draw_label, draw_mark, draw_rings, draw_skeleton, hover_text
from app.viewer.viewport import Viewport
from grouping import People

HOVER_DISTANCE = 24.0  # of the cursor to a keypoint, in device-independent pixels
ZOOM_STEP = 1.25  # a notch of the wheel

_NOTCH = 120  # Qt counts eighths of a degree, and a notch has 15 degrees
_PAN_PART = 0.1  # of the widget, for a press of Shift and an arrow
_PAN_KEYS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}
_DRAG_BUTTONS = (Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton)

_BACKGROUND = QColor(20, 20, 22)
_MESSAGE = QColor(170, 170, 176)


@dataclass(frozen=True)
class _Pixels:
    """An RGB array as Qt paints it quickest, which is with 32 bits a pixel; ``image`` does not copy ``array``."""

    array: NDArray[np.uint8]
    image: QImage

    @classmethod
    def of(cls, array: NDArray[np.uint8]) -> _Pixels:
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
            raise ValueError(f"the picture is {array.dtype} {list(array.shape)}, expected uint8 [H, W, 3], not empty")
        array = cv2.cvtColor(array, cv2.COLOR_RGB2BGRA)
        height, width, _ = array.shape
        return cls(array, QImage(array.data, width, height, 4 * width, QImage.Format.Format_RGB32))


class _Redrawn:
    """An attribute of the canvas; setting it shows its effect."""

    def __init__(self, initial: bool):
        self._initial = initial

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = f"_{name}"

    def __get__(self, canvas: Canvas | None, owner: type) -> Any:
        return self if canvas is None else canvas.__dict__.get(self._name, self._initial)

    def __set__(self, canvas: Canvas, value: bool) -> None:
        canvas.__dict__[self._name] = bool(value)
        canvas._redraw()


class Canvas(QWidget):
    """Shows one frame and the people in it.

    The wheel zooms around the cursor, dragging with the left or middle button pans, a double click fits the frame to
    the widget again. A picture of another size is fitted; one of the same size keeps the view, so a video can be
    watched enlarged. With the keyboard's focus Shift and the arrows pan.

    show_skeletons, show_boxes, show_rings: what is drawn of people; a ring's radius is its keypoint's sigma, and
    without sigmas there are none. People of whom nothing is drawn are not found by the cursor.
    hovered: the index of the person under the cursor, -1 for none; emitted when it changes.
    painted: after each painting, with the seconds that it took.
    """

    hovered = pyqtSignal(int)
    painted = pyqtSignal(float)

    show_skeletons = _Redrawn(True)
    show_boxes = _Redrawn(False)
    show_rings = _Redrawn(False)

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self._picture: _Pixels | None = None
        self._people: People | None = None
        self._legend: tuple[MapLayer, MapStyle] | None = None
        self._message = ""
        self._last_viewport = Viewport()
        self._cursor: QPointF | None = None
        self._grabbed: QPointF | None = None  # while dragging: the place of the picture that follows the cursor
        self._hover: tuple[int, int] | None = None  # person, keypoint
        self._followed: int | None = None  # the id of the person whom the cursor is thought to be at
        self._last_emitted = -1
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("The picture with its people")
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)

    # What is shown

    def show_picture(
        self,
        image: NDArray[np.uint8],
        people: People | None = None,
        legend: tuple[MapLayer, MapStyle] | None = None,
    ) -> None:
        """Show a frame and its people.

        image: RGB uint8 [H, W, 3], which is copied. people: in pixels of the image. legend: of the map that the image
        lies under. Raises ValueError for another kind of array.
        """
        self._picture = _Pixels.of(image)
        self._people = people
        self._legend = legend
        self._viewport.show(image.shape[1], image.shape[0])
        self._redraw()

    def clear(self, message: str = "") -> None:
        """Show a text instead of a picture."""
        self._picture = self._people = self._legend = None
        self._message = message
        self._redraw()

    # Where it is shown

    @property
    def _viewport(self) -> Viewport:
        self._last_viewport.widget = (self.width(), self.height())  # a hidden widget is not told that it was resized
        return self._last_viewport

    @property
    def zoom(self) -> float:
        """1 (fitted) to 16."""
        return self._viewport.zoom

    def fit(self) -> None:
        """Fit the picture to the widget again."""
        self._viewport.fit()
        self._redraw()

    def zoom_by(self, factor: float) -> None:
        """Enlarge around the widget's middle."""
        self._viewport.zoom_by(factor, QPointF(self.width() / 2, self.height() / 2))
        self._redraw()

    def point_at_next(self) -> None:
        """Point at the next person, as the mouse would, and follow that person."""
        if self._people is None or self._people.is_empty:
            return
        ids = self._ids().tolist()
        place = ids.index(self._followed) + 1 if self._followed in ids else 0
        self._followed = ids[place % len(ids)]
        self._redraw()

    def image_to_widget(self) -> QTransform:
        """From pixels of the picture, its top left corner at (0, 0), to the widget's device-independent pixels."""
        return self._viewport.transform

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(960, 540)

    # What the mouse does

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        if self._picture is None or event.angleDelta().y() == 0:
            event.ignore()
            return
        self._viewport.zoom_by(ZOOM_STEP ** (event.angleDelta().y() / _NOTCH), event.position())
        self._cursor = event.position()
        self._redraw()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if self._picture is None or event.button() not in _DRAG_BUTTONS:
            event.ignore()
            return
        self._grabbed = self._viewport.to_picture(event.position())
        if self.zoom > 1:
            self.setCursor(Qt.CursorShape.ClosedHandCursor)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        self._cursor, self._followed = event.position(), None
        if self._grabbed is not None and self.zoom > 1:
            self._viewport.place(self._grabbed, event.position())
            self._redraw()
        else:
            self._update_hover()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if event.button() in _DRAG_BUTTONS:
            self._grabbed = None
            self.unsetCursor()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if event.button() == Qt.MouseButton.LeftButton:
            self.fit()
        else:
            self.mousePressEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        if event.modifiers() != Qt.KeyboardModifier.ShiftModifier or event.key() not in _PAN_KEYS:
            super().keyPressEvent(event)
            return
        x, y = _PAN_KEYS[event.key()]
        self._viewport.pan(x * self.width() * _PAN_PART, y * self.height() * _PAN_PART)
        self._redraw()

    def enterEvent(self, event: QEnterEvent) -> None:  # noqa: N802
        self._cursor = event.position()
        self._update_hover()

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        self._cursor = self._followed = None
        self._update_hover()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        self._redraw()

    def _redraw(self) -> None:
        """What the cursor points at may have changed along with the picture."""
        self._update_hover()
        self.update()

    def _update_hover(self) -> None:
        self._follow()
        self._hover = self._under_cursor()
        if self._hover is not None or self._last_emitted != -1:
            self.update()  # the label moves with the cursor
        person = -1 if self._hover is None else self._hover[0]
        if person != self._last_emitted:
            self._last_emitted = person
            self.hovered.emit(person)

    def _follow(self) -> None:
        if self._followed is None or self._people is None or self._followed not in self._ids():
            return
        person = int(np.flatnonzero(self._ids() == self._followed)[0])
        surest = int(self._people.keypoints[person, :, 2].argmax())
        self._cursor = QPointF(*self._keypoints_in_widget(self._people)[person, surest])

    def _ids(self) -> NDArray[np.int64]:
        return np.arange(len(self._people)) if self._people.ids is None else self._people.ids

    def _under_cursor(self) -> tuple[int, int] | None:
        """The person and the keypoint nearest to the cursor, None if the cursor is far from all."""
        drawn = self.show_skeletons or self.show_boxes or self.show_rings
        if self._cursor is None or self._people is None or self._people.is_empty or not drawn:
            return None
        offsets = self._keypoints_in_widget(self._people) - (self._cursor.x(), self._cursor.y())
        distances = np.where(self._people.credible, np.hypot(offsets[..., 0], offsets[..., 1]), np.inf)
        person, keypoint = np.unravel_index(distances.argmin(), distances.shape)
        return (int(person), int(keypoint)) if distances[person, keypoint] <= HOVER_DISTANCE else None

    def _keypoints_in_widget(self, people: People) -> NDArray[np.float64]:
        """[P, K, 2] in the widget's pixels."""
        transform = self.image_to_widget()
        return people.keypoints[..., :2].astype(np.float64) * transform.m11() + (transform.dx(), transform.dy())

    # How it is drawn

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        start = time.perf_counter()
        painter = QPainter(self)
        painter.fillRect(event.rect(), _BACKGROUND)
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
        if self._picture is None:
            self._paint_message(painter)
            return
        extent = self.image_to_widget().mapRect(QRectF(0, 0, *self._viewport.picture))
        painter.drawImage(extent, self._picture.image)
        if self._people is not None and not self._people.is_empty:
            self._paint_people(painter, self._people)
        if self._legend is not None:
            draw_legend(painter, *self._legend, extent.intersected(QRectF(self.rect())))
        painter.end()
        self.painted.emit(time.perf_counter() - start)

    def _paint_message(self, painter: QPainter) -> None:
        painter.setPen(_MESSAGE)
        margin = min(24, self.width() // 8)
        around = QRectF(self.rect()).adjusted(margin, margin, -margin, -margin)
        painter.drawText(around, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._message)

    def _paint_people(self, painter: QPainter, people: People) -> None:
        points = self._keypoints_in_widget(people)
        scale = self.image_to_widget().m11()
        hues = person_hues(people)
        surest_last = [int(person) for person in np.argsort(people.scores, kind="stable")]
        if self.show_rings and people.sigmas is not None:
            for person in surest_last:
                draw_rings(painter, people[person], points[person], people.sigmas[person] * scale, hues[person])
        if self.show_skeletons:
            for faint in (True, False):
                painter.setOpacity(FAINT_OPACITY if faint else 1)
                for person in surest_last:
                    width = self._line_width(people[person])
                    draw_skeleton(painter, people[person], points[person], hues[person], width, faint)
        if self.show_boxes:
            for person in surest_last:
                draw_box(painter, people[person], self.image_to_widget(), hues[person], self.rect())
        if self._hover is not None and self._cursor is not None:
            draw_mark(painter, QPointF(*points[self._hover]))
            text = hover_text(people, *self._hover)
            draw_label(painter, text, self._cursor + QPointF(18, 18), QColor("white"), self.rect())

    def _line_width(self, person: People) -> float:
        """Device-independent pixels of a limb: by the widget's size, thinner on people who are small when fitted."""
        _, top, _, bottom = person.boxes[0]
        on_screen = float(bottom - top) * self._viewport.fitted_scale
        return max(1.5, min(self.width() / 260, self.height() / 180, on_screen / 40, 6.0))
