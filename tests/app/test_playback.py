"""A source is played at its own pace, paused, stepped through and jumped in, and nobody who asks for it waits."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest

from app.playback import FASTEST, Playback
from app.sources import Frame, SeekableSource, Source, SourceInfo, VideoFormat, open_source, whole_units

pytestmark = pytest.mark.usefixtures("no_thread_is_left")

PATIENCE = 20
AT_ONCE = 0.3  # seconds; a busy machine's
MILLISECOND = Fraction(1, 1000)


class FakeVideo(SeekableSource):
    """Frames of milliseconds from `start` on. slow: seconds that each frame takes to decode."""

    def __init__(self, frames=6, period=50, stamps=None, slow=0.0, start=7000, duration=None):
        super().__init__()
        self.stamps = [start + stamp for stamp in stamps or range(0, frames * period, period)]
        self.info = SourceInfo(
            "fake", "video", video=VideoFormat(Fraction(1000, period), MILLISECOND), duration=duration
        )
        self.slow, self.sought, self.decoded, self.closed = slow, [], 0, False

    def __iter__(self):
        return self.frames(0)

    def frames(self, start, wanted=lambda: True):
        self.sought.append(start)
        target = self.stamps[0] + whole_units(start, MILLISECOND)
        first = max((place for place, stamp in enumerate(self.stamps) if stamp <= target), default=0)
        for index in range(first, len(self.stamps)):
            time.sleep(self.slow)
            if not wanted():
                return
            self.decoded += 1
            yield Frame(np.zeros((8, 8, 3), np.uint8), index, self.stamps[index], MILLISECOND, 50)

    def position(self, frame):
        return frame.time - self.stamps[0] * MILLISECOND

    def close(self):
        self.closed = True


class FakeCamera(Source):
    """A frame every 5 ms until it is closed. kind: or, as "image", a single one."""

    def __init__(self, kind="camera"):
        super().__init__()
        self.info, self.given, self.ended = SourceInfo("fake", kind), 0, threading.Event()

    def __iter__(self):
        while not self.ended.wait(0.005):
            self.given += 1
            yield Frame(np.zeros((8, 8, 3), np.uint8), self.given)
            if self.info.kind == "image":
                return

    def close(self):
        self.ended.set()


class Viewer:
    """Takes frames on a thread of its own. seen: their indices."""

    def __init__(self, playback):
        self.playback, self.seen, self.moments, self.error = playback, [], [], None
        self.thread = threading.Thread(target=self._take)
        self.thread.start()

    def _take(self):
        for frame in self.playback:
            self.seen.append(frame.index)
            self.moments.append(time.monotonic())

    def wait(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.seen
            time.sleep(0.002)

    def sees(self, *indices):
        """Waits for exactly these frames, and for a moment whether another one comes."""
        self.wait(lambda: len(self.seen) >= len(indices))
        time.sleep(0.1)
        assert self.seen == list(indices)
        self.seen.clear()


@contextmanager
def watched(source=None, paused=False, **settings):
    """A viewer of a source, of which the first frame was seen; paused, it is the only one."""
    source = source or FakeVideo()
    playback = Playback("x", opener=lambda name: source, **settings)
    if paused:
        playback.pause()
        playback.seek(0)
    viewer = Viewer(playback)
    try:
        viewer.wait(lambda: viewer.seen)
        if paused:
            viewer.seen.clear()
        yield playback, viewer
    finally:
        playback.close()
        viewer.thread.join(PATIENCE)
        assert not viewer.thread.is_alive()


def moments(playback, number):
    start = time.monotonic()
    return [(frame.index, time.monotonic() - start) for frame in islice(playback, number)]


def test_frames_come_when_they_are_due_and_begin_again():
    sources = [FakeVideo()]
    playback = Playback("x", opener=lambda name: sources.pop())
    seen = moments(playback, 9)
    assert [index for index, _ in seen] == [0, 1, 2, 3, 4, 5, 0, 1, 2]
    assert seen[5][1] == pytest.approx(0.25, abs=0.1)
    assert seen[6][1] - seen[5][1] > 0.02  # the last frame is shown as long as the others


@pytest.mark.parametrize(("speed", "seconds"), [(2.0, 0.125), (0.5, 0.5)])
def test_speed(speed, seconds):
    playback = Playback("x", opener=lambda name: FakeVideo())
    playback.speed = speed
    assert moments(playback, 6)[-1][1] == pytest.approx(seconds, abs=0.12)


def test_another_speed_counts_from_the_next_frame_on():
    playback = Playback("x", opener=lambda name: FakeVideo(period=100))
    frames = iter(playback)
    next(frames)
    playback.speed = FASTEST
    start = time.monotonic()
    for _ in range(4):
        next(frames)
    assert time.monotonic() - start == pytest.approx(0.1, abs=0.08)
    for speed in (0, -1, 100, float("nan")):
        with pytest.raises(ValueError, match="speed"):
            playback.speed = speed


def test_a_slow_taker_does_not_make_it_hurry_afterwards():
    frames = iter(Playback("x", opener=lambda name: FakeVideo(frames=20, period=20)))
    next(frames)
    time.sleep(0.5)
    start = time.monotonic()
    for _ in range(6):
        next(frames)
    assert time.monotonic() - start > 0.06


def test_pausing_and_going_on():
    with watched(FakeVideo(frames=1000, period=5)) as (playback, viewer):
        viewer.wait(lambda: len(viewer.seen) > 5)
        playback.pause()
        assert playback.paused
        time.sleep(0.05)
        before = len(viewer.seen)
        time.sleep(0.1)
        assert len(viewer.seen) == before
        playback.resume()
        viewer.wait(lambda: len(viewer.seen) > before + 5)
        assert viewer.seen == list(range(len(viewer.seen)))
        playback.pause()  # and it can be closed


def test_without_a_loop_the_last_frame_stays_until_something_is_asked_for():
    with watched(FakeVideo(period=20), loop=False) as (playback, viewer):
        told = []
        playback.on_change = lambda: told.append((playback.paused, playback.ended))
        viewer.wait(lambda: playback.ended)
        assert playback.paused and (True, True) in told
        viewer.sees(0, 1, 2, 3, 4, 5)
        assert viewer.thread.is_alive()
        playback.seek(0.042)
        viewer.sees(2)
        assert not playback.ended and playback.paused and told[-1] == (True, False)
        playback.resume()
        viewer.wait(lambda: playback.ended)
        viewer.sees(3, 4, 5)
        playback.resume()
        assert not playback.paused
        viewer.wait(lambda: playback.ended)
        viewer.sees(0, 1, 2, 3, 4, 5)
        playback.loop = True
        playback.resume()
        viewer.wait(lambda: viewer.seen[:8] == [0, 1, 2, 3, 4, 5, 0, 1])
        playback.loop = False
        viewer.wait(lambda: playback.ended)


def test_going_on_at_the_last_frame_begins_again():
    with watched(paused=True, loop=False) as (playback, viewer):
        playback.seek(100)
        viewer.sees(5)
        playback.resume()
        viewer.wait(lambda: viewer.seen)
        assert viewer.seen[0] == 0 and not playback.paused


def test_seeking_while_paused_shows_one_frame():
    with watched(paused=True) as (playback, viewer):
        for seconds, index in ((0.1, 2), (0.26, 5), (99, 5), (-3, 0), (0.049, 0), (0.05, 1)):
            playback.seek(seconds)
            viewer.sees(index)
            assert playback.position == pytest.approx(index * 0.05)
        assert playback.paused


def test_seeking_while_playing_goes_on_from_there_at_the_right_pace():
    with watched(FakeVideo(frames=100, period=50)) as (playback, viewer):
        playback.seek(2.0)
        viewer.wait(lambda: 44 in viewer.seen)
        sought = viewer.seen.index(40)
        assert viewer.seen[sought : sought + 5] == [40, 41, 42, 43, 44] and viewer.seen[sought - 1] < 5
        assert viewer.moments[sought + 4] - viewer.moments[sought] == pytest.approx(0.2, abs=0.08)
        playback.seek(0.5)
        viewer.wait(lambda: viewer.seen[-1] == 12)
        assert viewer.seen[-3:] == [10, 11, 12]


def test_the_frame_that_was_sought_is_shown_for_its_whole_time():
    with watched(FakeVideo(period=200)) as (playback, viewer):
        time.sleep(0.15)
        playback.seek(0.4)
        viewer.wait(lambda: len(viewer.seen) == 3)
        assert viewer.seen == [0, 2, 3] and viewer.moments[2] - viewer.moments[1] > 0.12


def test_of_many_places_that_are_sought_only_the_newest_is_shown():
    source = FakeVideo(frames=100, period=50, slow=0.05)
    with watched(source, paused=True) as (playback, viewer):
        playback.seek(0.5)
        viewer.wait(lambda: source.sought[-1] == Fraction(1, 2))
        for hundredths in range(100, 400):
            playback.seek(hundredths / 100)
        viewer.sees(10, 79)  # the first one was being looked for already
        assert len(source.sought) <= 5


def test_what_takes_long_to_find_is_given_up_for_something_newer(monkeypatch):
    monkeypatch.setattr("app.playback._SEARCH_SECONDS", 0.1)
    source = FakeVideo(frames=10, slow=0.3)
    with watched(source) as (playback, viewer):
        playback.pause()
        playback.seek(0.1)
        viewer.wait(lambda: source.sought[-1] == Fraction(0.1))
        playback.seek(0.4)
        viewer.wait(lambda: 8 in viewer.seen)
        assert 2 not in viewer.seen


def test_nobody_who_asks_waits_for_decoding_or_opening():
    opening = threading.Event()
    source = FakeVideo(frames=100, slow=1.0)
    playback = Playback("x", opener=lambda name: opening.wait(PATIENCE) and source)
    viewer = Viewer(playback)
    asked = [
        lambda: playback.seek(1),
        lambda: playback.step(1),
        lambda: playback.step(-3),
        playback.pause,
        playback.resume,
        lambda: playback.seek(2),
        lambda: (playback.position, playback.duration, playback.info, playback.paused, playback.ended, playback.speed),
        playback.close,
    ]
    for stage in ("opening", "decoding"):
        for ask in asked[: -1 if stage == "opening" else None]:
            start = time.monotonic()
            ask()
            assert time.monotonic() - start < AT_ONCE
        opening.set()
        viewer.wait(lambda: source.sought)
    viewer.thread.join(PATIENCE)
    assert source.closed


def test_what_is_asked_for_before_the_source_is_open_is_done_then():
    playback = Playback("x", opener=lambda name: FakeVideo())
    playback.pause()
    playback.seek(0.15)
    playback.step(1)
    viewer = Viewer(playback)
    viewer.sees(4)
    playback.close()
    viewer.thread.join(PATIENCE)


def test_closing_while_it_opens_leaves_nothing_open():
    opening, source = threading.Event(), FakeCamera()
    playback = Playback("camera:0", opener=lambda name: opening.wait(PATIENCE) and source, live=True)
    viewer = Viewer(playback)
    start = time.monotonic()
    playback.close()
    assert time.monotonic() - start < AT_ONCE
    opening.set()
    viewer.thread.join(PATIENCE)
    assert source.ended.is_set() and not source.given and playback.info is None


UNEVEN = [0, 40, 45, 46, 200, 203, 300, 1300, 1310, 1350]


def test_stepping_to_and_fro_shows_neighbours():
    with watched(FakeVideo(stamps=UNEVEN), paused=True) as (playback, viewer):
        for index in range(1, 10):
            playback.step(1)
            viewer.wait(lambda: viewer.seen)
            assert viewer.seen.pop() == index and playback.position == UNEVEN[index] / 1000
        for index in range(8, -1, -1):
            playback.step(-1)
            viewer.wait(lambda: viewer.seen)
            assert viewer.seen.pop() == index and playback.position == UNEVEN[index] / 1000
        for steps, index in ((7, 7), (-5, 2), (1, 3), (-2, 1), (3, 4), (-4, 0), (9, 9), (-9, 0)):
            playback.step(steps)
            viewer.sees(index)


def test_steps_stop_at_both_ends():
    with watched(paused=True) as (playback, viewer):
        for steps in (-1, -4):
            playback.step(steps)
            viewer.sees(0)
        playback.step(100)
        viewer.sees(5)
        assert not playback.ended
        playback.step(1)
        viewer.wait(lambda: playback.ended)
        playback.step(1)
        viewer.sees()
        playback.step(-1)
        viewer.sees(4)
        assert not playback.ended
        playback.step(5)
        viewer.sees(5)
        playback.step(1)
        viewer.wait(lambda: playback.ended)
        playback.resume()
        viewer.wait(lambda: viewer.seen[:3] == [0, 1, 2])


def test_a_step_pauses_and_steps_that_wait_add_up():
    source = FakeVideo(frames=30, period=20, slow=0.03)
    with watched(source) as (playback, viewer):
        viewer.wait(lambda: len(viewer.seen) > 3)
        playback.step(1)
        assert playback.paused
        time.sleep(0.2)
        assert viewer.seen == list(range(len(viewer.seen)))
        playback.seek(0.2)
        for steps in (1, 1, -1, 1, 1):
            playback.step(steps)
        time.sleep(0.5)
        before = viewer.seen.copy()
        assert before[-1] == 13
        playback.step(1)
        playback.step(-1)
        time.sleep(0.2)
        assert viewer.seen[-1] == 13 and not playback.ended


def test_times_count_from_the_first_frame_and_the_end_is_learned():
    wrong = FakeVideo(period=20, duration=Fraction(9))
    with watched(wrong, loop=False) as (playback, viewer):
        told = []
        playback.on_change = lambda: told.append(playback.duration)
        assert playback.info is wrong.info and playback.duration in (9, 0.15)
        viewer.wait(lambda: playback.ended)
        assert playback.position == 0.1 and playback.duration == 0.15 and told
        frame = next(wrong.frames(0.06))
        assert playback.position_of(frame) == 0.06
    with watched(FakeVideo(period=20, duration=Fraction(12, 100)), loop=False) as (playback, viewer):
        viewer.wait(lambda: playback.ended)
        assert playback.duration == 0.12


def test_a_picture_stays_until_it_is_closed():
    with watched(FakeCamera("image")) as (playback, viewer):
        playback.seek(1)
        playback.step(-1)
        viewer.sees(1)
        assert viewer.thread.is_alive() and not playback.paused and not playback.ended
        assert playback.position is None and playback.duration is None


def test_a_paused_camera_is_read_on_so_that_what_comes_next_is_new():
    camera = FakeCamera()
    with watched(camera, live=True) as (playback, viewer):
        playback.seek(1)
        playback.step(1)
        assert not playback.paused and playback.position is None and playback.duration is None
        playback.pause()
        time.sleep(0.05)
        before, given = len(viewer.seen), camera.given
        viewer.wait(lambda: camera.given > given + 20)
        assert len(viewer.seen) == before
        given = camera.given
        playback.resume()
        viewer.wait(lambda: len(viewer.seen) > before)
        assert viewer.seen[before] >= given
        assert playback.position_of(Frame(np.zeros((8, 8, 3), np.uint8), 0, 0)) is None


def test_closing_ends_a_live_source():
    source = FakeCamera()
    playback = Playback("camera:0", opener=lambda name: source, live=True)
    assert [index for index, _ in moments(playback, 3)] == [1, 2, 3]
    playback.close()
    playback.close()
    assert source.ended.is_set()
    assert list(playback) == []


def test_a_real_video_is_stepped_through_and_jumped_in(tools, tmp_path):
    spec = tools.VideoSpec(frames=30, gop=10, b_frames=2, stamps=range(50, 80))
    path = tools.write_video(tmp_path / "a.mp4", spec)
    with open_source(str(path)) as source:
        expected = [frame.image for frame in source]
    playback = Playback(str(path))
    playback.pause()
    playback.seek(0.5)
    frames = iter(playback)
    place = 15
    assert (next(frames).image == expected[place]).all()
    for steps in (1, 1, -1, -1, -1, -8, 20, 1, 3, -30, 1):
        playback.step(steps)
        place = min(29, max(0, place + steps))
        frame = next(frames)
        assert frame.index == place and (frame.image == expected[place]).all()
    assert playback.duration == 1.0
    frames.close()
