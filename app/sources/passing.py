"""Passing over the frames of a video that are not wanted: decoded, for others need them, but not converted."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import pairwise

import av

from .decoding import Stamped, VideoDecoder
from .seeking import land_before
from .selection import Selection
from .time_stamps import GREATEST_GAP

_REORDERED = 16  # frames; no codec shows a frame later than so many that are decoded after it


class ChosenFrames:
    """The frames of a selection as they are decoded, each with its stamp and duration; iterate once.

    at_end: whether the file was read to where it ends or breaks off. decoded: how many frames were, those before the
    selection included. reached: the stamp up to which they are shown. given_up: whether they were wanted no longer.
    """

    def __init__(
        self, stamped: Iterable[Stamped], decoder: VideoDecoder, selection: Selection, wanted: Callable[[], bool]
    ) -> None:
        self._stamped, self._every, self._step, self._wanted = stamped, selection.every, decoder.step, wanted
        self._begins = stamp_at(decoder, selection.start)
        self._ends = None if selection.end is None else stamp_at(decoder, selection.end)
        self.at_end, self.given_up = False, False
        self.decoded, self.reached = 0, decoder.first_stamp

    def __iter__(self) -> Iterator[tuple[av.VideoFrame, int, int]]:
        held: Stamped | None = None  # until it is known how long it lasts
        for number, (frame, stamp) in enumerate(self._within()):
            if self._every == 1:
                yield frame, stamp, frame.duration or 0
            elif number % self._every == 0:
                if held is not None:
                    yield *held, stamp - held[1]
                held = frame, stamp
        if held is not None and not self.given_up:
            yield *held, self.reached - held[1]

    def _within(self) -> Iterator[Stamped]:
        for frame, stamp in self._stamped:
            if not self._wanted():
                self.given_up = True
                return
            if self._ends is not None and stamp >= self._ends:
                self.reached = stamp
                return
            self.decoded += 1
            self.reached = stamp + (frame.duration or self._step)
            if stamp >= self._begins:
                yield frame, stamp
        self.at_end = True


def stamp_at(decoder: VideoDecoder, seconds: Fraction) -> int:
    """The least stamp that lies no less than so many seconds after the first frame's."""
    return decoder.first_stamp + math.ceil(seconds / decoder.time_base)


def jump_before(decoder: VideoDecoder, target: int, wanted: Callable[[], bool]) -> Iterator[Stamped] | None:
    """The frames from a key frame up to the stamp `target` on, exactly as decoding from the beginning gives them.

    None where that cannot be promised, for then stamps before the key frame may have to be repaired, or come twice.
    Near damage, what is decodable may differ by some frames.
    """
    if target <= decoder.first_stamp:
        return None
    keys = None if decoder.lists_every_frame else _ordered_keys(decoder, target, wanted)
    if keys is not None and not keys:
        return None
    landing = land_before(decoder, target, wanted)
    if landing is None or (keys is not None and landing.place not in keys):
        return None
    return landing.frames


def _ordered_keys(decoder: VideoDecoder, target: int, wanted: Callable[[], bool]) -> set[int]:
    """Where in the file the key frames up to a stamp lie; none unless all stamps up to there grow, without a doubt."""
    keys: set[int] = set()
    waiting: list[int] = []
    decoded = shown = -math.inf
    try:
        for packet in decoder.packets_again():
            if packet.pts is None or (packet.dts is not None and packet.dts <= decoded) or not wanted():
                return set()
            decoded = decoded if packet.dts is None else packet.dts
            if packet.is_keyframe and packet.pos is not None:
                keys.add(packet.pos)
            heapq.heappush(waiting, packet.pts)
            if len(waiting) > _REORDERED:
                before, shown = shown, heapq.heappop(waiting)
                if not _follows(before, shown):
                    return set()
            if shown > target:
                break
    except (av.FFmpegError, OSError):  # where the file breaks off, or is gone
        return set()
    in_order = [shown, *sorted(waiting)]
    return keys if all(_follows(before, after) for before, after in pairwise(in_order)) else set()


def _follows(before: float, stamp: int) -> bool:
    """Whether a stamp needs no repair after the one before; the first one never does."""
    return before == -math.inf or before < stamp < before + GREATEST_GAP
