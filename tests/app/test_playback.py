"""A source is shown at its own pace, again and again, until it is closed."""

from __future__ import annotations

import threading
import time
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest

from app.playback import Playback
from app.sources import Frame, Source, SourceInfo


class FakeSource(Source):
    def __init__(self, kind="video", frames=6, period=0.05):
        super().__init__()
        self.info = SourceInfo("fake", kind)
        self.frames, self.period, self.closed = frames, period, False

    def __iter__(self):
        for index in range(self.frames):
            pts = None if self.kind_without_time else round(index * self.period * 1000)
            yield Frame(np.zeros((8, 8, 3), np.uint8), index, pts, Fraction(1, 1000))

    @property
    def kind_without_time(self):
        return self.info.kind in ("image", "folder")

    def close(self):
        self.closed = True


def moments(playback, number):
    start = time.monotonic()
    return [(frame.index, time.monotonic() - start) for frame in islice(playback, number)]


def test_frames_come_when_they_are_due_and_begin_again():
    opened = []
    playback = Playback("x", opener=lambda name: opened.append(FakeSource()) or opened[-1])
    seen = moments(playback, 9)
    assert [index for index, _ in seen] == [0, 1, 2, 3, 4, 5, 0, 1, 2]
    assert seen[5][1] == pytest.approx(0.25, abs=0.1)
    assert len(opened) == 2 and opened[0].closed


@pytest.mark.parametrize(("speed", "seconds"), [(2.0, 0.125), (0.5, 0.5)])
def test_speed(speed, seconds):
    playback = Playback("x", opener=lambda name: FakeSource())
    playback.speed = speed
    assert moments(playback, 6)[-1][1] == pytest.approx(seconds, abs=0.12)


def test_without_a_loop_it_ends():
    assert len(list(Playback("x", loop=False, opener=lambda name: FakeSource(period=0.001)))) == 6


def test_a_slow_taker_does_not_make_it_hurry_afterwards():
    frames = iter(Playback("x", opener=lambda name: FakeSource(frames=20, period=0.02)))
    next(frames)
    time.sleep(0.5)
    start = time.monotonic()
    for _ in range(6):
        next(frames)
    assert time.monotonic() - start > 0.06


def test_pausing_and_going_on():
    playback = Playback("x", opener=lambda name: FakeSource(frames=1000, period=0.005))
    seen = []
    thread = threading.Thread(target=lambda: seen.extend(playback))
    collected = []
    thread = threading.Thread(target=lambda: [collected.append(frame.index) for frame in playback])
    thread.start()
    time.sleep(0.1)
    playback.pause()
    assert playback.paused
    time.sleep(0.05)
    before = len(collected)
    time.sleep(0.1)
    assert len(collected) == before > 0
    playback.resume()
    time.sleep(0.1)
    assert len(collected) > before
    playback.pause()
    playback.close()
    thread.join(5)
    assert not thread.is_alive()


def test_a_picture_stays_until_it_is_closed():
    playback = Playback("x", opener=lambda name: FakeSource("image", 1))
    collected = []
    thread = threading.Thread(target=lambda: [collected.append(frame.index) for frame in playback])
    thread.start()
    time.sleep(0.1)
    assert collected == [0] and thread.is_alive()
    playback.close()
    thread.join(5)
    assert not thread.is_alive()


def test_closing_ends_a_live_source():
    source = FakeSource("camera", 3, 0)
    playback = Playback("camera:0", opener=lambda name: source, live=True)
    assert [index for index, _ in moments(playback, 3)] == [0, 1, 2]
    playback.close()
    playback.close()
    assert source.closed
    assert list(playback) == []
