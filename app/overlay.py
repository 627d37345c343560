"""Skeletons drawn over a frame."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from grouping import People

Colour = tuple[int, int, int]  # RGB
Place = tuple[int, int]  # x, y

_HUES = (0.08, 0.55, 0.33, 0.86, 0.15, 0.70, 0.45, 0.97)  # one a person; neighbours lie far apart
# (saturation, value) by side of the body: left is pale, right is deep.
_SHADES = {"left": (0.42, 1.0), "centre": (0.80, 1.0), "right": (1.0, 0.78)}
_OUTLINE: Colour = (12, 12, 12)
_FAINT_OPACITY = 0.4
_FRACTION_BITS = 4  # OpenCV places what it draws to a sixteenth of a pixel


@dataclass(frozen=True)
class OverlayStyle:
    """How people are drawn.

    boxes: also each person's box, with id and score. skeletons: limbs and keypoints. rings: around each keypoint one
    as wide as its sigma, where people have sigmas.
    faint_below: keypoints that score less, and limbs that end in one, are drawn faintly.
    """

    boxes: bool = False
    faint_below: float = 0.25
    skeletons: bool = True
    rings: bool = False


def draw_people(image: NDArray[np.uint8], people: People, style: OverlayStyle | None = None) -> None:
    """Draw people into an image, in place; image: RGB uint8 [H, W, 3], contiguous.

    Each person has a hue, in which left limbs are pale and right limbs deep. Keypoints are rings.
    """
    style = style or OverlayStyle()
    if people.is_empty:
        return
    hues = person_hues(people)
    surest_last = np.argsort(people.scores, kind="stable")
    if style.rings and people.sigmas is not None:
        for person in surest_last:
            _draw_rings(image, people[int(person)], hues[person])
    if style.skeletons:
        _draw_skeletons(image, people, hues, surest_last, style)
    if style.boxes:
        for person in surest_last:
            _draw_box(image, people[int(person)], hues[person])


def _draw_skeletons(
    image: NDArray[np.uint8], people: People, hues: list[float], surest_last: NDArray[np.intp], style: OverlayStyle
) -> None:
    figures = _figures(people, hues, style.faint_below, image.shape[:2])
    last = [figures[person] for person in surest_last]
    if any(figure.faint for figure in last):
        faint = image.copy()
        for figure in last:
            _draw_parts(faint, figure.faint, figure.thickness)
        cv2.addWeighted(faint, _FAINT_OPACITY, image, 1 - _FAINT_OPACITY, 0, dst=image)
    for figure in last:
        _draw_parts(image, figure.sure, figure.thickness)


def person_hues(people: People) -> list[float]:
    """One hue a person, 0 to 1: by id where people have one, else from left to right.

    The order from left to right changes less from frame to frame than the order of scores.
    """
    if people.ids is not None:
        order = people.ids
    else:
        boxes = people.boxes
        order = (boxes[:, 0] + boxes[:, 2]).argsort().argsort()
    return [_HUES[int(place) % len(_HUES)] for place in order]


@lru_cache(maxsize=1024)
def colour(hue: float, side: str) -> Colour:
    """The colour of one person's left, right or centre, RGB."""
    red, green, blue = colorsys.hsv_to_rgb(hue, *_SHADES[side])
    return round(255 * red), round(255 * green), round(255 * blue)


def line_width(height: int, width: int, person_height: float) -> int:
    """Pixels of a limb's width: by the size of the image, and thinner on people too small for it."""
    return max(1, round(min(min(height, width) / 180, person_height / 24)))


@dataclass
class _Parts:
    """Limbs from a place to another, and keypoints, all with a colour; places in sixteenths of a pixel."""

    limbs: list[tuple[Place, Place, Colour]] = field(default_factory=list)
    keypoints: list[tuple[Place, Colour]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.limbs or self.keypoints)


@dataclass
class _Figure:
    """What is drawn of one person, faintly and surely, with limbs of so many pixels."""

    thickness: int
    faint: _Parts = field(default_factory=_Parts)
    sure: _Parts = field(default_factory=_Parts)


def _figures(people: People, hues: list[float], faint_below: float, size: tuple[int, int]) -> list[_Figure]:
    """For each person a figure; size: height and width of the image."""
    skeleton, boxes = people.skeleton, people.boxes
    # Lists, as reading numbers one by one from arrays takes most of the time otherwise.
    places = [[tuple(place) for place in person] for person in _fixed_points(people.keypoints[:, :, :2])]
    credible, faint = people.credible.tolist(), (people.keypoints[:, :, 2] < faint_below).tolist()
    figures = []
    for person, height in enumerate((boxes[:, 3] - boxes[:, 1]).tolist()):
        figure, hue, at = _Figure(line_width(*size, height)), hues[person], places[person]
        drawn, weak = credible[person], faint[person]
        for (first, second), side in zip(skeleton.limbs, skeleton.limb_sides, strict=True):
            if drawn[first] and drawn[second]:
                parts = figure.faint if weak[first] or weak[second] else figure.sure
                parts.limbs.append((at[first], at[second], colour(hue, side)))
        for index, side in enumerate(skeleton.keypoint_sides):
            if drawn[index]:
                parts = figure.faint if weak[index] else figure.sure
                parts.keypoints.append((at[index], colour(hue, side)))
        figures.append(figure)
    return figures


def _draw_parts(image: NDArray[np.uint8], parts: _Parts, thickness: int) -> None:
    for start, end, _ in parts.limbs:
        cv2.line(image, start, end, _OUTLINE, thickness + 2, cv2.LINE_AA, _FRACTION_BITS)
    for start, end, limb_colour in parts.limbs:
        cv2.line(image, start, end, limb_colour, thickness, cv2.LINE_AA, _FRACTION_BITS)
    radius = (thickness + 1) << _FRACTION_BITS
    for centre, own_colour in parts.keypoints:
        cv2.circle(image, centre, radius + (1 << _FRACTION_BITS), _OUTLINE, -1, cv2.LINE_AA, _FRACTION_BITS)
        cv2.circle(image, centre, radius, own_colour, -1, cv2.LINE_AA, _FRACTION_BITS)
        cv2.circle(image, centre, radius // 2, _OUTLINE, -1, cv2.LINE_AA, _FRACTION_BITS)


def _draw_rings(image: NDArray[np.uint8], person: People, hue: float) -> None:
    sides, sigmas = person.skeleton.keypoint_sides, person.sigmas[0]
    centres = _fixed_points(person.keypoints[0, :, :2])
    for index in np.flatnonzero(person.credible[0]):
        centre = centres[index]
        radius = round(float(sigmas[index]) * (1 << _FRACTION_BITS))
        for ring_colour, width in ((_OUTLINE, 3), (colour(hue, sides[index]), 1)):
            cv2.circle(image, centre, radius, ring_colour, width, cv2.LINE_AA, _FRACTION_BITS)


def _fixed_points(positions: NDArray[np.float32]) -> list:
    """Positions [.., 2] in sixteenths of a pixel, as nested lists."""
    # OpenCV counts pixel centres at integers, people at integers + 0.5.
    return np.rint((positions.astype(np.float64) - 0.5) * (1 << _FRACTION_BITS)).astype(int).tolist()


def _draw_box(image: NDArray[np.uint8], person: People, hue: float) -> None:
    left, top, right, bottom = (round(float(side)) for side in person.boxes[0])
    box_colour = colour(hue, "centre")
    cv2.rectangle(image, (left, top), (right, bottom), box_colour, 1, cv2.LINE_AA)
    name = "" if person.ids is None else f"{int(person.ids[0])}: "
    draw_label(image, f"{name}{person.scores[0]:.2f}", (left, top), box_colour)


def draw_label(
    image: NDArray[np.uint8],
    text: str,
    corner: tuple[int, int],
    text_colour: Colour,
    to_the_left: bool = False,
) -> None:
    """Small text on a dark ground, in place, moved inside the image.

    corner: x, y of its lower left end in pixels; of its lower right end with ``to_the_left``.
    """
    size = max(0.35, min(image.shape[:2]) / 1100)
    (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)
    x = max(0, min(corner[0] - width * to_the_left, image.shape[1] - width))
    y = max(height + below, min(corner[1], image.shape[0]))
    cv2.rectangle(image, (x, y - height - below), (x + width, y), _OUTLINE, -1)
    cv2.putText(image, text, (x, y - below), cv2.FONT_HERSHEY_SIMPLEX, size, text_colour, 1, cv2.LINE_AA)
