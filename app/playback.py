"""A source shown at its own pace: as fast as its time stamps say, again from the beginning, with pauses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from app.sources import Frame, Source, open_source

PICTURE_SECONDS = 2.0  # how long a picture of a folder is shown


class Playback:
    """The frames of a source when they are due, for the capturing thread of a live pipeline.

    A video or ``demo:`` starts again when it has ended, as does a folder; a single picture stays. Cameras and streams,
    which have a pace of their own, are passed on as they come.
    name: what to open. speed: 1 as recorded; may be replaced at any time. live: whether the source has its own pace.
    on_state: told "lost" or "running" and a sentence when a live source vanishes and comes back.
    """

    def __init__(
        self, name: str, loop: bool = True, opener: Callable[[str], Source] = open_source, live: bool = False
    ) -> None:
        self.name, self.loop, self.live = name, loop, live
        self.speed = 1.0
        self.on_state: Callable[[str, str], None] | None = None
        self._opener = opener
        self._closed, self._going_on = threading.Event(), threading.Event()
        self._going_on.set()
        self._source: Source | None = None
        self._lock = threading.Lock()

    @property
    def paused(self) -> bool:
        return not self._going_on.is_set()

    def pause(self) -> None:
        """Show no further frame until `resume`."""
        self._going_on.clear()

    def resume(self) -> None:
        """Go on where it was paused."""
        self._going_on.set()

    def close(self) -> None:
        """End the iteration, which may be waiting in another thread; safe to call twice."""
        self._closed.set()
        self._going_on.set()
        if self.live:  # files are closed by the thread that reads them
            with self._lock:
                if self._source is not None:
                    self._source.close()

    def __iter__(self) -> Iterator[Frame]:
        while not self._closed.is_set():
            with self._lock:
                self._source = None if self._closed.is_set() else self._opener(self.name)
            if self._source is None:
                return
            with self._source as source:
                if self.live:
                    source.on_state = self.on_state
                yield from self._once(source)
                stays = source.info.kind == "image"
            if stays:
                self._closed.wait()
            if not self.loop:
                return

    def _once(self, source: Source) -> Iterator[Frame]:
        due, last = time.monotonic(), None
        for frame in source:
            if not self.live:
                if not self._going_on.is_set():
                    self._going_on.wait()
                    due = time.monotonic()
                seconds = self._seconds_since(last, frame)
                due = max(due + seconds / self.speed, time.monotonic() - seconds)  # what was missed is not made up for
                if self._closed.wait(max(0.0, due - time.monotonic())):
                    return
                last = frame
            if self._closed.is_set():
                return
            yield frame

    @staticmethod
    def _seconds_since(last: Frame | None, frame: Frame) -> float:
        if last is None:
            return 0.0
        if frame.time is None or last.time is None:
            return PICTURE_SECONDS
        return float(frame.time - last.time)
