"""The timeline says where people were found, and where the user wants to go."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PyQt6.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt6.QtGui import QColor, QImage, QKeyEvent, QMouseEvent, QPalette
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication

from app.viewer.theme import palette_of
from app.viewer.timeline import MOST_BINS, UNSEEN, PeopleFound, Timeline, format_time

LEFT = Qt.MouseButton.LeftButton
STRIP_ROW, TRACK_ROW = 8, 31  # near the strip's upper edge; in the middle of the track


@pytest.fixture(params=[True, False], ids=["dark", "light"])
def timeline(qtbot, request):
    """600 pixels and 60 seconds wide, 0 at x = 10, with a record of its signals."""
    widget = Timeline()
    qtbot.addWidget(widget)
    widget.setPalette(palette_of(request.param))
    widget.resize(620, widget.sizeHint().height())
    widget.set_duration(60.0)
    widget.told = []
    widget.sought.connect(widget.told.append)
    widget.scrub_began.connect(lambda: widget.told.append("began"))
    widget.scrub_ended.connect(lambda: widget.told.append("ended"))
    return widget


def point(timeline: Timeline, seconds: float) -> QPoint:
    return QPoint(round(timeline.x_of(seconds)), TRACK_ROW)


def move(timeline: Timeline, seconds: float) -> None:
    """Move the mouse, with the button as it is, over a widget that need not be shown."""
    place, none = QPointF(point(timeline, seconds)), Qt.MouseButton.NoButton
    event = QMouseEvent(QEvent.Type.MouseMove, place, place, none, none, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(timeline, event)


def pixels(timeline: Timeline, ratio: float = 1.0) -> np.ndarray:
    """What the widget shows, [H, W, 3], on a screen with so many pixels each way in the place of one."""
    image = QImage(round(timeline.width() * ratio), round(timeline.height() * ratio), QImage.Format.Format_RGBA8888)
    image.setDevicePixelRatio(ratio)
    timeline.render(image)
    values = np.frombuffer(image.constBits().asstring(image.sizeInBytes()), np.uint8)
    return values.reshape(image.height(), image.width(), 4)[..., :3].astype(int)


def rgb(timeline: Timeline, role: QPalette.ColorRole) -> list[int]:
    return list(QColor(timeline.palette().color(role)).getRgb()[:3])


def watch(timeline: Timeline, start: float, end: float, people: int) -> None:
    for seconds in np.arange(start, end, 1 / 30):
        timeline.add(float(seconds), people)


# -- time in words ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00.000"),
        (7.25, "0:07.250"),
        (59.9994, "0:59.999"),
        (59.9996, "1:00.000"),
        (754.001, "12:34.001"),
        (3599.9999, "1:00:00.000"),
        (3727.25, "1:02:07.250"),
        (-3, "0:00.000"),
    ],
)
def test_a_time_in_words(seconds, text):
    assert format_time(seconds) == text


# -- where people were found -----------------------------------------------------------------------------------


@given(st.floats(0.001, 1e6), st.floats(-0.5, 1.5))
def test_every_time_has_a_bin_and_there_are_never_more_than_a_thousand(duration, part):
    found = PeopleFound(duration)
    assert 1 <= len(found.counts) <= MOST_BINS
    assert found.at(part * duration) is None
    found.add(part * duration, 3)
    assert found.at(part * duration) == 3


@pytest.mark.parametrize("duration", [2.0, 10.0, 33.3, 600.0, 7200.0])
@pytest.mark.parametrize("rate", [3.0, 25.0, 30.0, 60.0])
def test_what_was_watched_has_no_holes(duration, rate):
    found = PeopleFound(duration)
    frames = int(duration / 2 * rate)
    for frame in range(frames):
        found.add(frame / rate, 1)
    seen = found.counts == 1
    last = int((frames - 1) / rate / duration * len(seen))
    assert seen[:last].all()
    assert (found.counts[last + 2 :] == UNSEEN).all()


def test_what_was_jumped_over_was_not_seen():
    found = PeopleFound(60.0)
    found.add(10.0, 2)
    found.add(10.2, 5)  # soon after: the frame before was shown until then
    assert found.at(10.1) == 2
    found.add(11.0, 1)
    assert found.at(10.6) is None
    found.add(9.0, 1)
    assert found.at(9.5) is None


def test_one_frame_with_people_among_many_is_kept_and_watching_again_counts_anew():
    found = PeopleFound(3600.0)  # 3.6 s a bin
    for once_more in (4, 0):
        for frame in range(90):
            found.add(frame / 30, once_more if frame == 20 else 0)
        assert found.at(1.0) == once_more
        found.add(30.0, 0)


@given(st.lists(st.integers(-1, 40), min_size=1, max_size=MOST_BINS), st.integers(1, 3000))
def test_no_peak_is_lost_on_few_pixels(counts, number):
    found = PeopleFound(len(counts) * 0.04)
    found.counts = np.array(counts, np.int32)
    columns = found.columns(number)
    assert len(columns) == number
    if number < len(counts):
        assert columns.max() == max(counts)
    else:
        assert set(columns) == set(counts)


# -- where the user wants to go --------------------------------------------------------------------------------


def test_places_and_times_are_inverse_and_end_at_the_ends(timeline):
    for seconds in (0.0, 0.001, 12.5, 59.99, 60.0):
        assert timeline.seconds_at(timeline.x_of(seconds)) == pytest.approx(seconds)
    assert (timeline.seconds_at(-50), timeline.seconds_at(5000)) == (0, 60)


def test_a_click_seeks(timeline):
    QTest.mouseClick(timeline, LEFT, pos=point(timeline, 15))
    assert timeline.told == ["began", pytest.approx(15), "ended"]
    assert timeline.position == pytest.approx(15)
    QTest.mouseClick(timeline, Qt.MouseButton.RightButton, pos=point(timeline, 30))
    assert len(timeline.told) == 3


def test_dragging_seeks_at_each_move_and_frames_do_not_move_the_handle(timeline):
    QTest.mousePress(timeline, LEFT, pos=point(timeline, 10))
    for seconds in (20, 40, 90):
        move(timeline, seconds)
        timeline.set_position(3.0)  # a late frame
        assert timeline.position == pytest.approx(min(60, seconds))
    QTest.mouseRelease(timeline, LEFT, pos=point(timeline, 90))
    assert timeline.told == ["began", *map(pytest.approx, (10, 20, 40, 60)), "ended"]
    move(timeline, 5)
    assert len(timeline.told) == 6
    timeline.set_position(3.0)
    assert timeline.position == 3


@pytest.mark.parametrize(
    ("key", "expected"),
    [("Left", 29), ("Right", 31), ("PageUp", 40), ("PageDown", 20), ("Home", 0), ("End", 60)],
)
def test_keys_seek(timeline, key, expected):
    timeline.set_position(30.0)
    QTest.keyClick(timeline, Qt.Key[f"Key_{key}"])
    assert timeline.told == [expected]
    assert timeline.position == expected


def test_keys_stop_at_the_ends_and_other_keys_are_left_to_the_window(timeline):
    QTest.keyClick(timeline, Qt.Key.Key_Left)
    timeline.set_position(59.5)
    QTest.keyClick(timeline, Qt.Key.Key_PageUp)
    QTest.keyClick(timeline, Qt.Key.Key_Right)
    assert timeline.told == [60]
    for key, modifiers, own in (("Left", "NoModifier", True), ("Left", "ControlModifier", False), ("S", None, False)):
        modifier = Qt.KeyboardModifier[modifiers or "NoModifier"]
        event = QKeyEvent(QEvent.Type.ShortcutOverride, Qt.Key[f"Key_{key}"], modifier)
        event.ignore()
        QApplication.sendEvent(timeline, event)
        assert event.isAccepted() == own
        press = QKeyEvent(QEvent.Type.KeyPress, Qt.Key[f"Key_{key}"], modifier)
        QApplication.sendEvent(timeline, press)
        assert press.isAccepted() == own
    assert timeline.told == [60, 59]


@pytest.mark.parametrize("duration", [None, 0.0, -1.0, float("nan"), float("inf")])
def test_without_a_duration_there_is_nowhere_to_go(timeline, duration):
    timeline.add(10.0, 2)
    timeline.set_duration(duration)
    assert not timeline.isEnabled()
    QTest.mouseClick(timeline, LEFT, pos=QPoint(100, TRACK_ROW))
    QTest.keyClick(timeline, Qt.Key.Key_Right)
    timeline.add(1.0, 1)
    timeline.set_position(5.0)
    pixels(timeline)
    assert (timeline.told, timeline.position, timeline.people_at(1.0)) == ([], 0, None)
    timeline.set_duration(20.0)
    assert timeline.isEnabled()
    assert timeline.people_at(10.0) is None


def test_another_source_ends_a_drag(timeline):
    QTest.mousePress(timeline, LEFT, pos=point(timeline, 10))
    timeline.set_duration(30.0)
    assert timeline.told[-1] == "ended"
    QTest.mouseRelease(timeline, LEFT, pos=point(timeline, 10))
    assert timeline.told.count("ended") == 1
    timeline.set_position(7.0)
    assert timeline.position == 7


def test_a_position_is_kept_within_the_duration(timeline):
    for given_seconds, shown in ((61.0, 60.0), (-2.0, 0.0), (12.5, 12.5)):
        timeline.set_position(given_seconds)
        assert timeline.position == shown
    assert timeline.told == []


def test_screen_readers_are_told_where_it_is(timeline):
    assert timeline.accessibleName() == "Timeline"
    timeline.set_position(12.25)
    assert timeline.accessibleDescription() == "0:12.250 of 1:00.000"
    timeline.set_duration(None)
    assert "No recorded source" in timeline.accessibleDescription()


# -- how it looks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0])
def test_people_nobody_and_unseen_look_different(timeline, ratio):
    watch(timeline, 0, 20, people=4)
    watch(timeline, 20, 40, people=0)
    picture = pixels(timeline, ratio)
    parts = [
        picture[round(8 * ratio) : round(24 * ratio), round(timeline.x_of(a) * ratio) : round(timeline.x_of(b) * ratio)]
        for a, b in ((2, 18), (22, 38), (42, 58))
    ]
    people, nobody, unseen = (part.reshape(-1, 3) for part in parts)
    assert (people == people[0]).all()
    assert (nobody == nobody[0]).all()
    assert len(np.unique(unseen, axis=0)) == 2  # hatched
    assert np.abs(people[0] - nobody[0]).sum() > 100
    assert (unseen != nobody[0]).any(axis=1).mean() > 0.7


def test_bars_are_as_high_as_there_are_people(timeline):
    counts = (1, 2, 4, 8)
    for number, people in enumerate(counts):
        watch(timeline, 10 * number + 5, 10 * number + 15, people)
    columns = pixels(timeline)[6:26, [round(timeline.x_of(10 * number + 10)) for number in range(4)]]
    bar = columns[-1, 0]
    heights = (np.abs(columns - bar).sum(axis=2) < 10).sum(axis=0)
    assert list(heights) == sorted(set(heights))
    assert heights[0] >= 4
    assert heights[-1] == 20


def test_what_was_played_has_the_accent_and_the_handle_is_where_it_is(timeline):
    watch(timeline, 0, 60, people=2)
    timeline.set_position(30.0)
    accent, text = rgb(timeline, QPalette.ColorRole.Accent), rgb(timeline, QPalette.ColorRole.WindowText)
    picture = pixels(timeline)
    for row in (STRIP_ROW, TRACK_ROW):
        same = (picture[row] == accent).all(axis=1)
        assert same[20:290].all()
        assert not same[330:].any()
    columns = np.flatnonzero((picture[TRACK_ROW] == text).all(axis=1))
    assert columns.mean() + 0.5 == pytest.approx(timeline.x_of(30), abs=0.6)


def test_the_cursor_is_told_the_time_and_the_people_there(timeline):
    watch(timeline, 20, 30, people=3)
    texts = {2: "0:02.000", 25: "0:25.000 · 3 people"}
    assert {seconds: timeline._hover_text(seconds) for seconds in texts} == texts
    timeline.add(40.0, 0)
    timeline.add(50.0, 1)
    assert timeline._hover_text(40.0).endswith("nobody")
    assert timeline._hover_text(50.0).endswith("1 person")
    plain = pixels(timeline)
    for seconds in (0, 25, 60):
        move(timeline, seconds)
        changed = (pixels(timeline) != plain).any(axis=2)[36:]
        columns = np.flatnonzero(changed.any(axis=0))
        assert 10 <= columns.min() <= timeline.x_of(seconds) <= columns.max() + 1 <= 611
    QApplication.sendEvent(timeline, QEvent(QEvent.Type.Leave))
    assert (pixels(timeline) == plain).all()


def test_the_label_at_the_cursor_takes_the_place_of_what_it_would_cover(timeline):
    move(timeline, 0)
    rows = []
    for seconds in (10.0, 20.0):
        timeline.set_position(seconds)
        rows.append(pixels(timeline)[40:])
    assert (rows[0] == rows[1]).all()
    move(timeline, 30)
    assert (pixels(timeline)[40:, :100] != rows[0][:, :100]).any()


def test_the_focus_is_visible(timeline, qtbot):
    plain = pixels(timeline)
    timeline.show()
    timeline.activateWindow()
    timeline.setFocus()
    qtbot.waitUntil(timeline.hasFocus)
    changed = (pixels(timeline) != plain).any(axis=2)
    assert changed[10:-10, :3].any(axis=1).all()
    assert changed[:3, 10:-10].any(axis=0).all()
    assert not changed[4:-4, 4:-4].any()


def test_clear_forgets_people_and_keeps_the_position(timeline):
    blank = pixels(timeline)
    watch(timeline, 0, 30, people=2)
    timeline.clear()
    assert (pixels(timeline) == blank).all()
    timeline.set_position(20.0)
    timeline.clear()
    assert timeline.position == 20


@pytest.mark.parametrize("size", [(200, 60), (20, 60), (1, 1), (0, 0)])
def test_there_may_be_little_room(timeline, size):
    watch(timeline, 0, 30, people=2)
    timeline.resize(*size)
    move(timeline, 30)
    timeline.set_position(60.0)
    timeline.grab()
    assert 0 <= timeline.seconds_at(0) <= timeline.seconds_at(size[0]) <= 60
