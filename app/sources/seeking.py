"""The way to a time in a video file: a key frame before it, or else the beginning."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import av

from .decoding import Landing, VideoDecoder

Numbered = tuple[av.VideoFrame, int, int]  # a decoded frame, its stamp, its index

_FIRST_STEP_BACK = 1  # seconds
_NEAR_ENOUGH = 8  # seconds; so much is rather decoded than a nearer key frame looked for


def land(decoder: VideoDecoder, target: int, wanted: Callable[[], bool]) -> Landing | None:
    """The frames from a key frame up to the stamp `target`, as near as can be found; None if no longer wanted.

    Where there is nothing to land on, for a container that cannot jump or lists more than the file still holds, places
    ever further back are tried; without any, everything is decoded from the beginning.
    """
    if target > decoder.first_stamp or decoder.first is None:
        landing = land_before(decoder, target, wanted)
        if landing is not None or not wanted():
            return landing
    return Landing(decoder.frames(), 0)


def land_before(decoder: VideoDecoder, target: int, wanted: Callable[[], bool]) -> Landing | None:
    """The frames from a key frame up to the stamp `target`; None if there is none to be had, or no longer wanted."""
    second = max(1, round(1 / decoder.time_base))
    place, back, nothing = target, _FIRST_STEP_BACK * second, target
    while (landing := decoder.jump(place, target)) is None:
        if place == decoder.first_stamp or not wanted():
            return None
        nothing, place, back = place, max(decoder.first_stamp, place - back), 2 * back
    while nothing - place > _NEAR_ENOUGH * second and wanted():
        middle = (place + nothing) // 2
        landing = decoder.jump(middle, target)
        place, nothing = (place, middle) if landing is None else (middle, nothing)
    return landing or decoder.jump(place, target)


def from_last_up_to(frames: Iterator[Numbered], target: int, wanted: Callable[[], bool]) -> Iterator[Numbered]:
    """Leave out the frames before the last one whose stamp is at most `target`; all, if no longer wanted."""
    before = None
    for frame in frames:
        if frame[1] >= target:
            if before is not None and frame[1] > target:
                yield before
            yield frame
            break
        before = frame
        if not wanted():
            return
    else:
        if before is not None:
            yield before
    yield from frames
