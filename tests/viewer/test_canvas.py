"""The canvas shows a frame's pixels and people where its transform says, whatever the zoom."""

from __future__ import annotations

import numpy as np
import pytest

from app.map_overlay import MapLayer, MapStyle
from app.overlay import colour, person_hues
from app.viewer.canvas import HOVER_DISTANCE, Canvas, hover_text
from app.viewer.viewport import MAX_ZOOM
from grouping import COCO17, PairedSkeleton, People

# isort: split
from PyQt6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt
from PyQt6.QtGui import QImage, QMouseEvent, QWheelEvent
from PyQt6.QtWidgets import QApplication

WIDTH, HEIGHT = 160, 90
GREY = 90
NONE, LEFT, MIDDLE = Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton
MOVE, PRESS = QEvent.Type.MouseMove, QEvent.Type.MouseButtonPress
RELEASE, DOUBLE_CLICK = QEvent.Type.MouseButtonRelease, QEvent.Type.MouseButtonDblClick


@pytest.fixture
def canvas(application):
    """640 x 480: a picture of 160 x 90 is fitted at 4 x, with 60 pixels of background above and below."""
    widget = Canvas()
    widget.resize(640, 480)
    widget.hovers = []
    widget.hovered.connect(widget.hovers.append)
    yield widget
    widget.deleteLater()


def grey() -> np.ndarray:
    return np.full((HEIGHT, WIDTH, 3), GREY, np.uint8)


def people_at(*places: tuple[float, float], score: float = 0.9, sigma: float | None = None, ids=None) -> People:
    """One person a place, of whom only the nose was found, there."""
    keypoints = np.zeros((len(places), 17, 3), np.float32)
    for person, place in enumerate(places):
        keypoints[person, 0] = *place, score
    sigmas = None if sigma is None else np.full((len(places), 17), sigma, np.float32)
    scores = np.linspace(0.8, 0.5, len(places), dtype=np.float32)
    return People(keypoints=keypoints, scores=scores, sigmas=sigmas, skeleton=COCO17, ids=ids)


def as_array(image: QImage) -> np.ndarray:
    image = image.convertToFormat(QImage.Format.Format_RGBA8888)
    values = np.frombuffer(image.constBits().asstring(image.sizeInBytes()), np.uint8)
    return values.reshape(image.height(), image.width(), 4)[..., :3].astype(int)


def seen(canvas: Canvas) -> np.ndarray:
    """What the widget shows, [H, W, 3]."""
    return as_array(canvas.grab().toImage())


def mouse(canvas: Canvas, kind: QEvent.Type, position: QPointF, button=NONE) -> None:
    held = NONE if kind == RELEASE else button
    event = QMouseEvent(kind, position, position, NONE if kind == MOVE else button, held, Qt.KeyboardModifier(0))
    QApplication.sendEvent(canvas, event)


def wheel(canvas: Canvas, position: QPointF, notches: float) -> None:
    turned, phase = QPoint(0, round(120 * notches)), Qt.ScrollPhase.NoScrollPhase
    event = QWheelEvent(position, position, QPoint(), turned, NONE, Qt.KeyboardModifier(0), phase, False)
    QApplication.sendEvent(canvas, event)


def leave(canvas: Canvas) -> None:
    QApplication.sendEvent(canvas, QEvent(QEvent.Type.Leave))


def drag(canvas: Canvas, start: QPointF, end: QPointF, button=LEFT) -> None:
    mouse(canvas, PRESS, start, button)
    mouse(canvas, MOVE, (start + end) / 2, button)
    mouse(canvas, MOVE, end, button)
    mouse(canvas, RELEASE, end, button)


def extent(canvas: Canvas) -> QRectF:
    return canvas.image_to_widget().mapRect(QRectF(0, 0, WIDTH, HEIGHT))


def close(first: QPointF, second: QPointF) -> bool:
    return (first - second).manhattanLength() < 1e-6


def on_widget(canvas: Canvas, x: float, y: float) -> QPointF:
    return canvas.image_to_widget().map(QPointF(x, y))


def on_picture(canvas: Canvas, position: QPointF) -> QPointF:
    return canvas.image_to_widget().inverted()[0].map(position)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((640, 480), QRectF(0, 60, 640, 360)), ((800, 360), QRectF(80, 0, 640, 360)), ((80, 45), QRectF(0, 0, 80, 45))],
)
def test_a_fitted_picture_keeps_its_proportions_in_the_middle(canvas, size, expected):
    canvas.resize(*size)
    canvas.show_picture(grey())
    assert extent(canvas) == expected
    shown = (seen(canvas) == GREY).all(axis=2)
    rows, columns = np.nonzero(shown)
    assert (columns.min(), rows.min()) == (expected.left(), expected.top())
    assert (columns.max() + 1, rows.max() + 1) == (expected.right(), expected.bottom())
    assert shown.sum() == expected.width() * expected.height()


@pytest.mark.parametrize("notches", [0, 4])
def test_a_pixel_appears_where_the_transform_says(canvas, notches):
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[30, 100] = 250, 120, 30
    canvas.show_picture(image)
    wheel(canvas, QPointF(430, 200), notches)
    light = seen(canvas)[..., 0].clip(30) - 30.0  # above the background
    rows, columns = np.mgrid[: light.shape[0], : light.shape[1]] + 0.5
    place = on_widget(canvas, 100.5, 30.5)
    assert (light * columns).sum() / light.sum() == pytest.approx(place.x(), abs=0.6)
    assert (light * rows).sum() / light.sum() == pytest.approx(place.y(), abs=0.6)
    brightest = seen(canvas)[int(place.y()), int(place.x())]
    assert brightest[0] > 180  # a smooth enlargement has its peak between four pixels
    assert brightest / brightest[0] == pytest.approx([1, 120 / 250, 30 / 250], abs=0.02)


def test_the_picture_is_copied_and_its_rows_need_no_padding(canvas):
    image = np.full((7, 5, 3), 200, np.uint8)
    canvas.show_picture(image)
    image[:] = 0
    canvas.resize(50, 70)
    assert (seen(canvas) == 200).all()


def test_parts_and_read_only_arrays_are_shown(canvas):
    image = np.zeros((2 * HEIGHT, 2 * WIDTH, 3), np.uint8)
    image[::2, ::2] = GREY
    part = image[::2, ::2]
    part.flags.writeable = False
    canvas.show_picture(part)
    assert (seen(canvas)[240, 320] == GREY).all()


@pytest.mark.parametrize("wrong", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_other_arrays_are_refused(canvas, wrong):
    with pytest.raises(ValueError, match="expected uint8"):
        canvas.show_picture(wrong)


@pytest.mark.parametrize("notches", [0, 3])
def test_a_keypoint_lands_on_its_pixel(canvas, notches):
    people = people_at((100.5, 30.5))
    canvas.show_picture(grey(), people)
    wheel(canvas, QPointF(400, 200), notches)
    with_people = seen(canvas)
    canvas.show_skeletons = False
    plain = seen(canvas)
    rows, columns = np.nonzero((with_people != plain).any(axis=2))
    place = on_widget(canvas, 100.5, 30.5)
    assert columns.mean() + 0.5 == pytest.approx(place.x(), abs=0.3)
    assert rows.mean() + 0.5 == pytest.approx(place.y(), abs=0.3)
    expected = colour(person_hues(people)[0], "centre")
    assert with_people[int(place.y()), int(place.x())] == pytest.approx(expected, abs=3)


def test_limbs_do_not_grow_with_the_zoom(canvas):
    people = people_at((80, 20))
    people.keypoints[0, [11, 13]] = (80, 30, 0.9), (80, 70, 0.9)
    canvas.show_picture(grey(), people)
    widths = []
    for notches in (0, 6):
        wheel(canvas, on_widget(canvas, 80, 50), notches)
        leave(canvas)
        widths.append((seen(canvas)[260] != GREY).any(axis=1).sum())
    assert canvas.zoom > 3
    assert widths[0] == widths[1] < 10


def test_limbs_are_drawn_in_the_colour_of_their_side(canvas):
    people = people_at((80, 10))
    people.keypoints[0, [11, 13]] = (40, 20, 0.9), (60, 80, 0.9)
    people.keypoints[0, [12, 14]] = (120, 20, 0.9), (100, 80, 0.9)
    canvas.show_picture(grey(), people)
    picture, hue = seen(canvas), person_hues(people)[0]
    for x, side in ((50, "left"), (110, "right")):
        middle = on_widget(canvas, x, 50)
        assert picture[int(middle.y()), int(middle.x())] == pytest.approx(colour(hue, side), abs=40)


def test_a_skeleton_of_ones_own_is_drawn_by_its_own_limbs_and_sides(canvas):
    hand = PairedSkeleton("hand", ("wrist", "thumb", "little"), ((0, 1), (0, 2)), (0.1,) * 3, pairs=((1, 2),))
    keypoints = np.array([[(80, 80, 0.9), (40, 20, 0.9), (120, 20, 0.9)]], np.float32)
    people = People(keypoints, np.array([0.9], np.float32), skeleton=hand)
    canvas.show_picture(grey(), people)
    picture, hue = seen(canvas), person_hues(people)[0]
    for x, side in ((60, "left"), (100, "right")):
        middle = on_widget(canvas, x, 50)
        assert picture[int(middle.y()), int(middle.x())] == pytest.approx(colour(hue, side), abs=40)
    assert "little · 0.90" in hover_text(people, 0, 2)


def test_low_scores_are_faint(canvas):
    strength = []
    for score in (0.9, 0.1):
        canvas.show_picture(grey(), people_at((80, 45), score=score))
        strength.append(np.abs(seen(canvas)[100:380] - GREY).sum())
    assert 0.3 * strength[0] < strength[1] < 0.5 * strength[0]


def test_boxes_are_drawn_on_demand(canvas):
    people = people_at((60, 30), ids=np.array([7]))
    people.keypoints[0, 16] = 100, 70, 0.9
    canvas.show_picture(grey(), people)
    plain = seen(canvas)
    canvas.show_boxes = True
    changed = (seen(canvas) != plain).any(axis=2)
    corner = on_widget(canvas, 100, 30)
    assert changed[int(corner.y()) - 2 : int(corner.y()) + 3, int(corner.x()) - 2 : int(corner.x()) + 3].any()
    assert changed[int(corner.y()) - 15 : int(corner.y()) - 5].any()  # id and score above the box


def test_a_ring_has_the_radius_of_its_sigma(canvas):
    canvas.show_picture(grey(), people_at((80, 45), sigma=8))
    canvas.show_skeletons = False
    assert (seen(canvas)[100:380] == GREY).all()
    canvas.show_rings = True
    for zoom, notches in ((1, 0), (1.25**2, 2)):
        wheel(canvas, QPointF(320, 240), notches)
        leave(canvas)
        marks = (seen(canvas)[100:380] != GREY).any(axis=2)
        columns = np.flatnonzero(marks.any(axis=0))
        assert (columns.max() - columns.min() + 1) / 2 == pytest.approx(8 * 4 * zoom, abs=2.5)


def test_without_sigmas_there_are_no_rings(canvas):
    canvas.show_picture(grey(), people_at((80, 45)))
    plain = seen(canvas)
    canvas.show_rings = True
    assert (seen(canvas) == plain).all()


def test_zooming_keeps_the_point_under_the_cursor(canvas):
    canvas.show_picture(grey())
    cursor = QPointF(500, 130)
    place = on_picture(canvas, cursor)
    for notches in (1, 0.5, 3, 2, -1, -3):
        wheel(canvas, cursor, notches)
        assert close(on_widget(canvas, place.x(), place.y()), cursor)
    assert canvas.zoom == pytest.approx(1.25**2.5)


def test_zoom_has_limits(canvas):
    canvas.show_picture(grey())
    fitted = extent(canvas)
    wheel(canvas, QPointF(100, 100), 40)
    assert canvas.zoom == MAX_ZOOM
    wheel(canvas, QPointF(600, 300), -40)
    assert canvas.zoom == 1
    assert extent(canvas) == fitted


@pytest.mark.parametrize("button", [LEFT, MIDDLE])
def test_dragging_pans(canvas, button):
    canvas.show_picture(grey())
    wheel(canvas, QPointF(320, 240), 6)
    start, end = QPointF(300, 200), QPointF(350, 260)
    place = on_picture(canvas, start)
    drag(canvas, start, end, button)
    assert close(on_widget(canvas, place.x(), place.y()), end)
    mouse(canvas, MOVE, QPointF(0, 0))  # the button was let go
    assert close(on_widget(canvas, place.x(), place.y()), end)


def test_the_picture_cannot_be_dragged_away(canvas):
    canvas.show_picture(grey())
    fitted = extent(canvas)
    drag(canvas, QPointF(300, 200), QPointF(10, 10))
    assert extent(canvas) == fitted
    wheel(canvas, QPointF(320, 240), 3)
    for far in (QPointF(9000, 9000), QPointF(-9000, -9000)):
        drag(canvas, QPointF(300, 200), far)
        assert extent(canvas).adjusted(-1e-6, -1e-6, 1e-6, 1e-6).contains(fitted)


def test_a_double_click_fits_again(canvas):
    canvas.show_picture(grey())
    fitted = extent(canvas)
    wheel(canvas, QPointF(100, 100), 5)
    assert extent(canvas) != fitted
    mouse(canvas, DOUBLE_CLICK, QPointF(200, 200), LEFT)
    assert (canvas.zoom, extent(canvas)) == (1, fitted)


def test_the_view_is_kept_until_the_size_changes(canvas):
    canvas.show_picture(grey())
    wheel(canvas, QPointF(100, 100), 5)
    before = canvas.image_to_widget()
    canvas.show_picture(grey() + 1)
    assert canvas.image_to_widget() == before
    canvas.show_picture(np.zeros((HEIGHT, HEIGHT, 3), np.uint8))
    assert canvas.zoom == 1


def test_a_legend_has_the_colours_and_values_of_its_map(canvas):
    canvas.show_picture(grey())
    plain = seen(canvas)
    layer = MapLayer(np.zeros((HEIGHT, WIDTH), np.float32), "1/s", 0.5, 1.75)
    canvas.show_picture(grey(), legend=(layer, MapStyle()))
    changed = (seen(canvas) != plain).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert columns.min() > 320 and rows.min() > 60 and rows.max() < 420  # at the lower right, inside the picture
    bar = seen(canvas)[:, columns.max() - 14]
    reddest, bluest = (bar[:, 0] - bar[:, 2]).argmax(), (bar[:, 2] - bar[:, 0]).argmax()
    assert reddest < bluest  # the high end is on top
    other = MapLayer(layer.values, "1/s", 0.5, 3.25)
    before = seen(canvas)
    canvas.show_picture(grey(), legend=(other, MapStyle()))
    assert (seen(canvas) != before).any()
    canvas.show_picture(grey())
    assert (seen(canvas) == plain).all()


def test_zooming_by_key_keeps_the_middle(canvas):
    canvas.show_picture(grey())
    middle = on_picture(canvas, QPointF(320, 240))
    canvas.zoom_by(3)
    assert canvas.zoom == pytest.approx(3) and close(on_picture(canvas, QPointF(320, 240)), middle)
    canvas.fit()
    assert canvas.zoom == 1


def test_pointing_at_one_person_after_the_other_follows_them(canvas):
    ids = np.array([5, 9])
    canvas.show_picture(grey(), people_at((40, 45), (120, 45), ids=ids))
    canvas.point_at_next()
    canvas.point_at_next()
    canvas.show_picture(grey(), people_at((125, 20), (30, 45), ids=ids[::-1]))  # person 9 is now the first
    canvas.point_at_next()
    assert canvas.hovers == [0, 1, 0, 1]
    mouse(canvas, MOVE, QPointF(5, 5))  # the mouse takes over
    assert canvas.hovers[-1] == -1


def test_every_painting_is_timed(canvas):
    times = []
    canvas.painted.connect(times.append)
    canvas.show_picture(grey(), people_at((80, 45)))
    seen(canvas)
    assert times and 0 < times[-1] < 1


def test_the_cursor_finds_the_nearest_person(canvas):
    canvas.show_picture(grey(), people_at((40, 45), (120, 45)))
    first, second = on_widget(canvas, 40, 45), on_widget(canvas, 120, 45)
    plain = seen(canvas)
    mouse(canvas, MOVE, second + QPointF(HOVER_DISTANCE - 1, 0))
    label = (seen(canvas) != plain).any(axis=2)
    assert label[:, int(second.x()) - 12 :].sum() > 500
    assert not label[:, : int(second.x()) - 40].any()
    mouse(canvas, MOVE, second)
    mouse(canvas, MOVE, first)
    mouse(canvas, MOVE, first + QPointF(0, HOVER_DISTANCE + 1))
    assert (seen(canvas) == plain).all()
    mouse(canvas, MOVE, first)
    leave(canvas)
    assert canvas.hovers == [1, 0, -1, 0, -1]


def test_the_cursor_notices_that_people_move_and_vanish(canvas):
    canvas.show_picture(grey(), people_at((40, 45), (120, 45)))
    mouse(canvas, MOVE, on_widget(canvas, 40, 45))
    canvas.show_picture(grey(), people_at((120, 45), (40, 45)))
    canvas.show_skeletons = False
    canvas.show_skeletons = True
    canvas.clear()
    assert canvas.hovers == [0, 1, -1, 1, -1]


def test_the_label_stays_inside_the_widget(canvas):
    canvas.show_picture(grey(), people_at((158, 88)))
    plain = seen(canvas)
    mouse(canvas, MOVE, on_widget(canvas, 158, 88))
    changed = np.flatnonzero((seen(canvas) != plain).any(axis=2).any(axis=0))
    assert changed.min() < 580  # the label is wider than what lies right of the cursor


def test_what_the_label_says():
    assert hover_text(people_at((1, 1)), 0, 0) == "Person · 0.80\nnose · 0.90"
    people = people_at((1, 1), (9, 9), sigma=3.14, ids=np.array([4, 12]))
    assert hover_text(people, 1, 0) == "Person 12 · 0.50\nnose · 0.90 · σ 3.1 px"
    assert "left shoulder" in hover_text(people, 1, 5)


def test_a_message_takes_the_place_of_the_picture(canvas):
    canvas.show_picture(grey(), people_at((80, 45)))
    canvas.clear()
    blank = seen(canvas)
    assert (blank == blank[0, 0]).all()
    canvas.clear("Opening the camera …")
    rows, columns = np.nonzero((seen(canvas) != blank).any(axis=2))
    assert (columns.min() + columns.max()) / 2 == pytest.approx(320, abs=4)
    assert rows.mean() == pytest.approx(240, abs=8)
    wheel(canvas, QPointF(10, 10), 3)
    drag(canvas, QPointF(10, 10), QPointF(90, 90))
    assert canvas.zoom == 1
    canvas.show_picture(grey())
    assert (seen(canvas)[240, 320] == GREY).all()


@pytest.mark.parametrize("people", [None, People.empty(COCO17), people_at((9, 9), score=0), people_at((1e5, -1e5))])
@pytest.mark.parametrize("size", [(640, 480), (3, 2), (1, 1), (0, 0), (300, 1)])
def test_nothing_to_draw_and_no_place_to_draw_it(canvas, people, size):
    canvas.resize(*size)
    canvas.show_boxes = canvas.show_rings = True
    for show in (lambda: canvas.show_picture(grey(), people), canvas.clear):
        show()
        mouse(canvas, MOVE, QPointF(1, 1))
        wheel(canvas, QPointF(1, 1), 2)
        assert canvas.image_to_widget().isInvertible()
        canvas.grab()
    canvas.clear("A message")
    canvas.grab()
    assert canvas.hovers == []


def test_a_screen_with_smaller_pixels_gets_finer_skeletons(canvas):
    canvas.show_picture(grey(), people_at((100.5, 30.5)))
    screen = QImage(1280, 960, QImage.Format.Format_RGB32)
    screen.setDevicePixelRatio(2)
    canvas.render(screen)
    fine = as_array(screen)[200:760]
    rows, columns = np.nonzero((fine != GREY).any(axis=2))
    place = on_widget(canvas, 100.5, 30.5) * 2
    assert columns.mean() + 0.5 == pytest.approx(place.x(), abs=0.3)
    assert rows.mean() + 200.5 == pytest.approx(place.y(), abs=0.3)
    coarse = np.nonzero((seen(canvas)[100:380] != GREY).any(axis=2))[0]
    assert 1.5 < np.ptp(rows) / np.ptp(coarse) < 2.5
