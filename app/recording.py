"""What the window shows, recorded: an annotated video and the poses beside it, as ``process`` writes them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.sinks import Sink
from app.sinks.json_lines import JsonLinesWriter
from app.sinks.partial import free_path
from app.sinks.video import VideoWriter
from app.sources import Frame, SourceInfo, VideoFormat
from app.sources.live_names import shown_name
from app.summary import counted, listed
from engine.errors import SwahrError
from grouping import People

# What players know best. A distance between two frames must be below 2**31 of it, so a camera may be gone for hours;
# in microseconds it could for half an hour only.
TIME_BASE = Fraction(1, 90_000)
MOST_WAITING = 64  # frames, about two seconds: what a disk that stalls may take
MOST_WAITING_BYTES = 128 * 2**20  # of frames, which is 5 at 4K; what is laid over them comes on top
_NOMINAL_RATE = 30
_LONGEST_NAME = 40

Picture = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class _Taken:
    frame: Frame
    picture: Callable[[], Picture]
    people: People


class _NothingRecordedError(Exception):
    """Not one frame came before the end."""


class Recorder:
    """Records frames to an MP4 at ``path`` and their people to JSON lines beside it, on a thread of its own.

    info: whose frames. A camera's or stream's keep their distances in time; others, which may be repeated, paused or
    sought in, come at the time at which they are added. The first is at 0, and the frames are numbered from 0 on.
    Where their size changes, pictures and people are stretched to the first.
    header: gives the first line of the poses, see `app.sinks.json_lines.header`; called once, on the recorder's thread.
    on_error: called once, on the recorder's thread, with a sentence if the recording ended because it cannot be
    written; what was recorded so far is kept. rate: frames a second as observed, 0 if that is not known yet.
    frames, dropped: how many were taken so far, and how many were not, for encoding lagged too far behind.
    seconds: from the first frame to the last. error: what `on_error` was told, or None.
    Raises SwahrError if the files cannot be begun.
    """

    def __init__(
        self,
        path: Path,
        info: SourceInfo,
        header: Callable[[], Mapping[str, Any]],
        on_error: Callable[[str], None] = lambda sentence: None,
        rate: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path, self.poses_path = path, path.with_suffix(".jsonl")
        self.frames = self.dropped = 0
        self.error: str | None = None
        self._live = info.kind in ("camera", "stream")
        self._on_error, self._clock = on_error, clock
        self._began: Fraction | None = None
        self._last = -1
        self._size: tuple[int, int] | None = None
        self._waiting: SimpleQueue[_Taken | None] = SimpleQueue()
        video = _video_format(info, rate)
        self._duration = max(1, round(1 / (video.rate * TIME_BASE)))
        self._sinks: list[Sink] = [
            VideoWriter(path, video, preset="ultrafast"),  # beside a network every millisecond counts
            JsonLinesWriter(self.poses_path, lambda: {**header(), "size": self._size, "time_base": str(TIME_BASE)}),
        ]
        with ExitStack() as stack:
            for sink in reversed(self._sinks):
                stack.enter_context(sink)
            self._open = stack.pop_all()
        self._thread = Thread(target=self._record, name="record", daemon=True)
        self._thread.start()

    @property
    def seconds(self) -> float:
        return float(max(0, self._last) * TIME_BASE)

    def add(self, frame: Frame, picture: Callable[[], Picture], people: People) -> None:
        """Take a frame that is shown, at once; always from the same thread.

        picture: makes the annotated one, RGB uint8 [H, W, 3], when it is wanted on the recorder's thread, for example
        with `annotated`; what it needs must not change any more.
        Where too many wait to be encoded the frame is dropped; after an error or `stop` it is ignored.
        """
        if self.error is not None:
            return
        room = min(MOST_WAITING, max(1, MOST_WAITING_BYTES // frame.image.nbytes))
        if self._waiting.qsize() >= room:
            self.dropped += 1
            return
        stamped = Frame(frame.image, self.frames, self._stamp(frame), TIME_BASE, self._duration)
        self.frames += 1
        self._waiting.put(_Taken(stamped, picture, people))

    def _stamp(self, frame: Frame) -> int:
        """When the frame is shown in the recording, in units of TIME_BASE: after the one before, in any case."""
        now = frame.time if self._live else Fraction(self._clock())
        if self._began is None:
            self._began = now
        self._last = max(self._last + 1, round((now - self._began) / TIME_BASE))
        return self._last

    def stop(self) -> str:
        """Encode what waits, finish the files, and say in a sentence where they are, or why they are not.

        May be called again, but not by `on_error`. It takes as long as what waits takes to be encoded.
        """
        self._waiting.put(None)
        self._thread.join()
        return self.error or self._summary()

    def _summary(self) -> str:
        if not self.frames:
            return "Nothing was recorded, for not one frame was shown."
        told = f"Recorded {counted(self.frames, 'frame', 'frames')}, {_in_words(self.seconds)}"
        if self.dropped:
            told += f" ({self.dropped} more dropped, for encoding could not keep up)"
        notes = [note for sink in self._sinks for note in sink.notes]
        return " ".join([f"{told}, in {self.path} and {self.poses_path}.", *notes])

    def _record(self) -> None:
        try:
            with self._open:
                while (taken := self._waiting.get()) is not None:
                    self._write(taken)
                if not self.frames:
                    raise _NothingRecordedError  # so that no empty files are left
        except _NothingRecordedError:
            pass
        except Exception as error:
            self._end(error)

    def _write(self, taken: _Taken) -> None:
        picture, people = taken.picture(), taken.people
        height, width = picture.shape[:2]
        self._size = self._size or (width, height)
        if (width, height) != self._size:
            people = people.transformed([[self._size[0] / width, 0, 0], [0, self._size[1] / height, 0]])
        for sink in self._sinks:
            sink.write(taken.frame, picture, people)

    def _end(self, error: Exception) -> None:
        """Tell of an error, and let go of what still waits."""
        if isinstance(error, SwahrError):
            sentence = str(error)
        else:
            sentence = f"The recording has ended by a bug of swahr ({type(error).__name__}: {error})."
        if kept := [str(sink.partial) for sink in self._sinks if sink.partial is not None]:
            sentence = f"{sentence.rstrip('.')}; what was recorded so far is in {listed(kept)}."
        self.error = sentence
        try:
            while True:
                self._waiting.get_nowait()
        except Empty:
            self._on_error(sentence)


def _in_words(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def _video_format(info: SourceInfo, rate: float) -> VideoFormat:
    usual = VideoFormat(Fraction(_NOMINAL_RATE), TIME_BASE) if info.video is None else info.video
    observed = Fraction(min(240.0, max(1.0, rate or _NOMINAL_RATE))).limit_denominator(1000)
    return replace(usual, rate=observed, time_base=TIME_BASE)


def default_path(folder: Path, info: SourceInfo, now: datetime, suffix: str = ".mp4", beside: str = ".jsonl") -> Path:
    """Where to record a source, or with other suffixes to save a snapshot: ``swahr-2026-11-23-101530-camera-0.mp4``.

    The name tells the source without what may be secret in its address, and no file has it yet.
    """
    address = shown_name(info.name).partition("?")[0].split("/")
    # Of an address no more than the host: streams may be had by who knows their path.
    source = "/".join(address[:3]) if info.path is None else info.path.resolve().stem
    words = re.sub(r"\W+", "-", source.replace("_", "-"))[:_LONGEST_NAME].strip("-") or info.kind
    return free_path(folder / f"swahr-{now:%Y-%m-%d-%H%M%S}-{words}{suffix}", beside)
