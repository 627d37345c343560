"""A place among the frames of a source: to the next one, to any time, some frames on or back."""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction

from . import PICTURE_SECONDS, Frame, SeekableSource


class Cursor:
    """Takes the frames of a source one by one, from the first on, until it is moved.

    position: of the frame that was taken last, in seconds; None before the first.
    capture_seconds: how long the source took for the frame that it gave last.
    wanted: says no when a place that is still looked for is of no use any more; then there is no frame.
    """

    def __init__(self, source: SeekableSource, wanted: Callable[[], bool]) -> None:
        self._source, self._wanted = source, wanted
        self._frames = source.frames(0)
        self._upcoming: Frame | None = None
        self.position: Fraction | None = None
        self.capture_seconds = 0.0
        video = source.info.video
        self._nominal = 1 / video.rate if video else PICTURE_SECONDS  # seconds from frame to frame
        self._unit = self._lasts = self._nominal

    def take(self) -> Frame | None:
        """The next frame; None at the end."""
        frame, self._upcoming = self._peek(), None
        if frame is not None:
            self.position = self._source.position(frame)
            if frame.time is not None:
                self._unit = frame.time_base
                self._lasts = frame.duration * frame.time_base or self._nominal
        return frame

    @property
    def end(self) -> Fraction:
        """When the frame that was taken last is over, if it is the last one there is."""
        return (self.position or 0) + self._lasts

    def seconds_to_next(self) -> Fraction:
        """How long the frame that was taken last is to be shown."""
        upcoming = self._peek()
        if self.position is None:
            return Fraction(0)
        if upcoming is None or upcoming.time is None:
            return self._lasts
        return self._source.position(upcoming) - self.position

    def seek(self, seconds: Fraction) -> Frame | None:
        """Take the last frame whose position is at most so much, or the first."""
        self._upcoming, self._frames = None, self._source.frames(seconds, self._wanted)
        return self.take()

    def step(self, number: int) -> Frame | None:
        """Take the frame that lies so many after, or before, the last one; at most the last or first there is."""
        if number < 0 and self.position is not None:
            return self.seek(self._before(-number))
        taken = frame = self.take()
        for _ in range(number - 1):
            if frame is None or not self._wanted():
                break
            frame = self.take()
            taken = frame or taken
        return taken

    def _peek(self) -> Frame | None:
        if self._upcoming is None:
            began = time.perf_counter()
            self._upcoming = next(self._frames, None)
            self.capture_seconds = time.perf_counter() - began
        return self._upcoming

    def _before(self, number: int) -> Fraction:
        """A position at which the frame so many before the last one is shown."""
        if number == 1:
            return self.position - self._unit
        reach = number * self._nominal
        while True:
            start = max(Fraction(0), self.position - reach)
            earlier = []
            for frame in self._source.frames(start, self._wanted):
                if self._source.position(frame) >= self.position:
                    break
                earlier.append(self._source.position(frame))
            if len(earlier) >= number:
                return earlier[-number]
            if start == 0:
                return start
            reach *= 2
