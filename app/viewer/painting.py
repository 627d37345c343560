"""People as crisp vectors: skeletons, rings, boxes and labels, painted at the screen's resolution."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QPointF, QRect, QRectF, Qt
from PyQt6.QtGui import (
    QColor,
    QPainter,
    QPainterPath,
    QPen,
    QTransform,
)

from app.overlay import OverlayStyle, colour
from grouping import People

_OUTLINE = QColor(12, 12, 12)
_LABEL_GROUND = QColor(12, 12, 12, 215)
FAINT_OPACITY = 0.4
_FAINT_BELOW = OverlayStyle().faint_below


def hover_text(people: People, person: int, keypoint: int) -> str:
    """What the label at the cursor says about a person and, on the second line, about a keypoint."""
    name = "Person" if people.ids is None else f"Person {int(people.ids[person])}"
    text = f"{name} · {people.scores[person]:.2f}\n"
    text += f"{people.skeleton.names[keypoint].replace('_', ' ')} · {people.keypoints[person, keypoint, 2]:.2f}"
    return text if people.sigmas is None else f"{text} · σ {people.sigmas[person, keypoint]:.1f} px"


def draw_skeleton(
    painter: QPainter, person: People, points: NDArray[np.float64], hue: float, width: float, faint: bool
) -> None:
    """Draw either the faint or the sure limbs and keypoints of one person; points: [K, 2] in the widget.

    What has one colour is one path, so that translucent limbs do not add up where they meet. Limbs end flat, which is
    several times faster than round: a keypoint covers each end.
    """
    skeleton, credible = person.skeleton, person.credible[0]
    unsure = person.keypoints[0, :, 2] < _FAINT_BELOW
    places = [QPointF(x, y) for x, y in points.tolist()]
    outline, limbs, discs = QPainterPath(), defaultdict(QPainterPath), defaultdict(QPainterPath)
    for (first, second), side in zip(skeleton.limbs, skeleton.limb_sides, strict=True):
        if credible[first] and credible[second] and (unsure[first] or unsure[second]) == faint:
            for path in (outline, limbs[side]):
                path.moveTo(places[first])
                path.lineTo(places[second])
    radius = 0.75 * width + 1
    for keypoint in np.flatnonzero(credible & (unsure == faint)):
        discs[skeleton.keypoint_sides[keypoint]].addEllipse(places[keypoint], radius, radius)
    painter.strokePath(outline, _flat_pen(_OUTLINE, width + 2))
    for side, path in limbs.items():
        painter.strokePath(path, _flat_pen(QColor(*colour(hue, side)), width))
    painter.setPen(QPen(_OUTLINE, 1))
    for side, path in discs.items():
        path.setFillRule(Qt.FillRule.WindingFill)
        painter.setBrush(QColor(*colour(hue, side)))
        painter.drawPath(path)


def draw_rings(
    painter: QPainter, person: People, points: NDArray[np.float64], radii: NDArray[np.float64], hue: float
) -> None:
    """Draw how far off each keypoint of one person may be; points: [K, 2], radii: [K], in the widget."""
    scores, sides = person.keypoints[0, :, 2], person.skeleton.keypoint_sides
    for keypoint in np.flatnonzero(person.credible[0]):
        place, radius = QPointF(*points[keypoint]), float(radii[keypoint])
        shade = QColor(*colour(hue, sides[keypoint]))
        painter.setOpacity(FAINT_OPACITY if scores[keypoint] < _FAINT_BELOW else 1)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(_OUTLINE, 2.5))
        painter.drawEllipse(place, radius, radius)
        painter.setPen(QPen(shade, 1.25))
        shade.setAlpha(50)
        painter.setBrush(shade)
        painter.drawEllipse(place, radius, radius)
    painter.setOpacity(1)


def draw_box(painter: QPainter, person: People, to_widget: QTransform, hue: float, widget: QRect) -> None:
    """Draw one person's box, with id and score."""
    left, top, right, bottom = person.boxes[0].tolist()
    box = to_widget.mapRect(QRectF(left, top, right - left, bottom - top))
    if not person.credible.any() or not box.intersects(QRectF(widget)):
        return
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for pen in (QPen(_OUTLINE, 3), QPen(QColor(*colour(hue, "centre")), 1.5)):
        pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
        painter.setPen(pen)
        painter.drawRect(box)
    name = "" if person.ids is None else f"{int(person.ids[0])}: "
    text_colour = QColor(*colour(hue, "left"))
    draw_label(painter, f"{name}{person.scores[0]:.2f}", box.topLeft(), text_colour, widget, above=True)


def draw_mark(painter: QPainter, place: QPointF) -> None:
    """Draw a ring around the keypoint that the cursor points at."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for pen in (QPen(_OUTLINE, 4), QPen(Qt.GlobalColor.white, 2)):
        painter.setPen(pen)
        painter.drawEllipse(place, 8, 8)


def draw_label(
    painter: QPainter, text: str, corner: QPointF, text_colour: QColor, widget: QRect, above: bool = False
) -> None:
    """Text on a dark ground, moved inside the widget; corner: its top left, with ``above`` its bottom left."""
    ground = painter.boundingRect(QRectF(0, 0, 4096, 4096), Qt.AlignmentFlag.AlignLeft, text)
    ground.adjust(-6, -3, 6, 3)
    ground.moveTopLeft(corner - QPointF(0, ground.height() + 2 if above else 0))
    ground.moveLeft(max(0.0, min(ground.left(), widget.width() - ground.width())))
    ground.moveTop(max(0.0, min(ground.top(), widget.height() - ground.height())))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(_LABEL_GROUND)
    painter.drawRoundedRect(ground, 4, 4)
    painter.setPen(text_colour)
    painter.drawText(ground.adjusted(6, 3, -6, -3), Qt.TextFlag.TextDontClip, text)


def _flat_pen(shade: QColor, width: float) -> QPen:
    return QPen(shade, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.FlatCap)
