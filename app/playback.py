"""A source shown at its own pace, with pauses, steps and jumps, for as long as it is open."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from threading import Condition

from app.sources import Frame, SeekableSource, Source, SourceInfo, open_source
from app.sources.cursor import Cursor

SLOWEST, FASTEST = 0.1, 4.0
_SEARCH_SECONDS = 1.0  # a place is looked for so long even if a newer one is wanted: who drags a slider sees something
_SAME_END = 0.5  # seconds; a file that is longer or shorter than it says by less is believed


@dataclass(frozen=True)
class _Order:
    """To a time, where one is given, and from there, or from what is shown, so many frames on."""

    seconds: Fraction | None = None
    steps: int = 0


class Playback:
    """The frames of a source when they are due, for the capturing thread of a live pipeline.

    A video, ``demo:`` or folder is played, over and over where `loop` says so; else its last frame stays, paused, until
    something else is asked for. A single picture stays. Cameras and streams, which have a pace of their own, are passed
    on as they come; while paused they are read and thrown away, so that what comes next is new.

    Iterate over it in one thread. All else may be called from another, at any time; nothing there waits for a frame.
    name: what to open. live: whether the source has its own pace.
    capture_seconds: how long the source took for the last frame; for a live one that is mostly waiting for it.
    on_state: told "lost" or "running" and a sentence when a live source vanishes and comes back.
    on_change: called on the iterating thread when `info`, `duration`, `paused` or `ended` changed by itself.
    """

    def __init__(
        self, name: str, loop: bool = True, opener: Callable[[str], Source] = open_source, live: bool = False
    ) -> None:
        self.name, self.loop, self.live = name, loop, live
        self.on_state: Callable[[str, str], None] | None = None
        self.on_change: Callable[[], None] | None = None
        self._opener = opener
        self._speed = 1.0
        self.capture_seconds = 0.0
        self._source: Source | None = None
        self._position: Fraction | None = None
        self._end: Fraction | None = None  # where the source was found to end
        self._changed = Condition()  # of what follows
        self._closed = self._paused = self._ended = False
        self._order: _Order | None = None
        self._taken = 0.0  # when an order was taken last
        self._resumed = False  # and no frame was played since

    @property
    def info(self) -> SourceInfo | None:
        """What is known of the source; None until it is open."""
        return None if self._source is None else self._source.info

    @property
    def position(self) -> float | None:
        """Seconds from the source's beginning to the last frame that was given; None before, and without a timeline."""
        return None if self._position is None else float(self._position)

    @property
    def has_timeline(self) -> bool:
        """Whether it can be sought and stepped: as far as is known, before it is open."""
        return not self.live and (self._source is None or isinstance(self._source, SeekableSource))

    def position_of(self, frame: Frame) -> float | None:
        """Where a frame that was given lies, in the same seconds; None without a timeline."""
        return float(self._source.position(frame)) if isinstance(self._source, SeekableSource) else None

    @property
    def duration(self) -> float | None:
        """Seconds, as the file says and then as it turned out to be; None if not known, or without end."""
        told = None if self.info is None else self.info.duration
        duration = told if self._end is None else self._end
        return None if duration is None else float(duration)

    @property
    def speed(self) -> float:
        """1: as recorded; SLOWEST to FASTEST. What is set counts from the next frame on; ValueError if out of range."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        if not SLOWEST <= speed <= FASTEST:
            raise ValueError(f"A speed of {speed} is not from {SLOWEST} to {FASTEST}.")
        self._speed = speed

    @property
    def paused(self) -> bool:
        """Whether no frame comes by itself."""
        return self._paused

    @property
    def ended(self) -> bool:
        """Whether the last frame stays because there is none after it."""
        return self._ended

    def pause(self) -> None:
        """Give no further frame until something is asked for."""
        with self._changed:
            self._paused = True
            self._changed.notify_all()

    def resume(self) -> None:
        """Go on where it was paused; at the end, from the beginning."""
        with self._changed:
            self._paused, self._resumed = False, True
            self._changed.notify_all()

    def seek(self, seconds: float) -> None:
        """Give the frame that is shown at a time next, and go on from there; while paused, only that frame.

        Of several calls that were not answered yet the last one counts. Where there is no timeline nothing happens.
        """
        if self.has_timeline:
            with self._changed:
                self._order = _Order(max(Fraction(0), Fraction(seconds)))
                self._changed.notify_all()

    def step(self, frames: int) -> None:
        """Pause, and give the frame so many on, or back; at most the last or first. Calls not answered yet add up."""
        if self.has_timeline:
            with self._changed:
                self._paused = True
                order = self._order or _Order()
                self._order = _Order(order.seconds, order.steps + frames)
                self._changed.notify_all()

    def close(self) -> None:
        """End the iteration, which may be waiting in another thread; safe to call twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            source = self._source
        if self.live and source is not None:  # files are closed by the thread that reads them
            source.close()

    def __iter__(self) -> Iterator[Frame]:
        if self._closed:
            return
        with self._opener(self.name) as source:
            with self._changed:
                if self._closed:
                    return
                self._source = source
            self._tell_change()
            if self.live:
                source.on_state = self.on_state
                yield from self._current(source)
            elif isinstance(source, SeekableSource):
                yield from self._recorded(source)
            else:
                yield from source
                with self._changed:
                    self._changed.wait_for(lambda: self._closed)

    def _current(self, source: Source) -> Iterator[Frame]:
        began = time.perf_counter()
        for frame in source:
            if self._closed:
                return
            self.capture_seconds = time.perf_counter() - began
            if not self._paused:
                yield frame
            began = time.perf_counter()

    def _recorded(self, source: SeekableSource) -> Iterator[Frame]:
        cursor = Cursor(source, self._wanted)
        shown = time.monotonic()
        while not self._closed:
            if (order := self._take_order()) is not None:
                frame = self._follow(order, cursor)
                shown = time.monotonic()
            elif self._paused:
                self._asked(paused=True)
                shown = time.monotonic()
                continue
            else:
                seconds = float(cursor.seconds_to_next())
                # What was missed is not made up for.
                due = max(shown + seconds / self.speed, time.monotonic() - seconds)
                if self._asked(paused=False, within=due - time.monotonic()):
                    continue
                frame, shown = self._play_on(cursor), due
            if frame is not None:
                self._position, self.capture_seconds = cursor.position, cursor.capture_seconds
                yield frame

    def _follow(self, order: _Order, cursor: Cursor) -> Frame | None:
        """The frame that was asked for; None if there is none further on, or a newer order came in between."""
        frame = None
        if order.seconds is not None:
            frame = cursor.seek(order.seconds)
        if order.steps and (frame is not None or order.seconds is None):
            frame = cursor.step(order.steps) or frame
        if frame is not None:
            self._set_ended(False)
        elif order.steps > 0 and self._order is None and not self._closed:
            self._found_end(cursor)
            self._set_ended(True)
        return frame

    def _play_on(self, cursor: Cursor) -> Frame | None:
        """The next frame; at the end the first one again, or None."""
        frame = cursor.take()
        if frame is None:
            self._found_end(cursor)
            if self.loop or self._resumed:
                frame = cursor.seek(Fraction(0))
            else:
                self._set_ended(True)
                return None
        self._resumed = False
        self._set_ended(False)
        return frame

    def _found_end(self, cursor: Cursor) -> None:
        if self.duration is None or abs(self.duration - cursor.end) > _SAME_END:
            self._end = cursor.end
            self._tell_change()

    def _set_ended(self, ended: bool) -> None:
        with self._changed:
            if ended == self._ended or (ended and self._order is not None):
                return
            self._ended = ended
            self._paused = self._paused or ended
        self._tell_change()

    def _tell_change(self) -> None:
        if self.on_change is not None and not self._closed:
            self.on_change()

    def _take_order(self) -> _Order | None:
        with self._changed:
            order, self._order = self._order, None
            self._taken = time.monotonic()
            return order

    def _asked(self, paused: bool, within: float | None = None) -> bool:
        """Wait until something is asked for, at most so many seconds; whether something was."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._closed or self._order is not None or self._paused != paused, within
            )

    def _wanted(self) -> bool:
        """Whether what is looked for is still of use."""
        newer = self._order is not None and self._order.seconds is not None
        return not self._closed and not (newer and time.monotonic() - self._taken > _SEARCH_SECONDS)
