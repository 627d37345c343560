"""Frames of a video file, with the container's own time stamps."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from engine.errors import SwahrError

from . import Frame, SeekableSource, SourceInfo, VideoFormat, check_size, whole_units
from .decoding import Landing, VideoDecoder
from .fitting import fitted
from .live_names import shown_name
from .orientation import Orientation
from .passing import ChosenFrames, jump_before, stamp_at
from .seeking import Numbered, from_last_up_to, land
from .selection import WHOLE, Selection, nothing_selected


class VideoSource(SeekableSource):
    """The frames of a file's best video stream, upright, in the order in which they are shown.

    Damaged packets are skipped, and a file that breaks off ends early; ``notes`` then says how many frames
    were decodable. Raises SwahrError if the file is no video or not one frame of it can be decoded.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._path, self._name = Path(name), shown_name(name)
        self._decoder = VideoDecoder(name)
        self._orientation = Orientation()
        self._resized: str | None = None  # what is to be said of frames that are of another size
        try:
            self._describe()
        except BaseException:
            self._decoder.close()
            raise

    def _describe(self) -> None:
        decoder, stream, first = self._decoder, self._decoder.stream, self._decoder.first
        height, width = self._upright(first).shape[:2]
        check_size(self._name, width, height)
        self._promised = promised_seconds(decoder)
        expected = None if self._promised is None else max(1, round(self._promised * decoder.rate))
        self.info = SourceInfo(
            name=self._name,
            kind="video",
            path=self._path,
            size=(width, height),
            frames=stream.frames if stream.frames > 0 else expected,
            video=VideoFormat(
                rate=decoder.rate,
                time_base=decoder.time_base,
                colour=(int(first.colorspace), int(first.color_primaries), int(first.color_trc)),
                pixel_aspect=self._pixel_aspect(turned=width != first.width),
                start=decoder.first_stamp * decoder.time_base,
            ),
            duration=self._promised or _container_seconds(decoder),
        )

    def _pixel_aspect(self, turned: bool) -> Fraction:
        aspect = self._decoder.stream.sample_aspect_ratio or Fraction(1)
        return 1 / aspect if turned else aspect

    def __iter__(self) -> Iterator[Frame]:
        return self.selected()

    def selected(
        self, selection: Selection = WHOLE, skip: int = 0, wanted: Callable[[], bool] = lambda: True
    ) -> Iterator[Frame]:
        """See `Source.selected`; where time stamps can be relied on, decoding begins at a key frame near the start."""
        frames = self._selected(selection, skip, wanted)
        if self.info.duration is None or selection.start < self.info.duration:
            return frames
        first = next(frames, None)  # most likely there is none, which is rather said now
        return itertools.chain([] if first is None else [first], frames)

    def _selected(self, selection: Selection, skip: int, wanted: Callable[[], bool]) -> Iterator[Frame]:
        decoder = self._decoder
        jumped = jump_before(decoder, stamp_at(decoder, selection.start), wanted)
        damaged_before = 0 if jumped is None else decoder.damaged
        chosen = ChosenFrames(jumped or decoder.frames(), decoder, selection, wanted)
        index = -1
        for index, (decoded, pts, duration) in enumerate(chosen):
            if index >= skip:
                yield Frame(self._image(decoded, pts), index, pts, decoder.time_base, duration)
        if chosen.given_up:
            return
        shown = (chosen.reached - decoder.first_stamp) * decoder.time_base
        if index < 0:
            raise nothing_selected(self._name, selection, shown if chosen.at_end else self.info.duration or shown)
        whole = jumped is None and chosen.at_end
        self._report(chosen.decoded if whole else None, shown, chosen.at_end, decoder.damaged - damaged_before)

    def frames(self, start: Fraction | float, wanted: Callable[[], bool] = lambda: True) -> Iterator[Frame]:
        """See `SeekableSource.frames`; a file whose container cannot jump is decoded from its beginning."""
        target = self._decoder.first_stamp + whole_units(start, self._decoder.time_base)
        landing = land(self._decoder, target, wanted)
        if landing is not None:
            for decoded, pts, index in from_last_up_to(self._numbered(landing), target, wanted):
                yield self._frame(decoded, pts, index)

    def position(self, frame: Frame) -> Fraction:
        """Seconds from the first frame."""
        return (frame.pts - self._decoder.first_stamp) * frame.time_base

    def _frame(self, decoded: av.VideoFrame, pts: int, index: int) -> Frame:
        return Frame(self._image(decoded, pts), index, pts, self._decoder.time_base, decoded.duration or 0)

    def _image(self, decoded: av.VideoFrame, pts: int) -> NDArray[np.uint8]:
        """A frame's pixels, in the size of the first frame."""
        image = self._upright(decoded)
        height, width = image.shape[:2]
        if (width, height) == self.info.size:
            return image
        if self._resized is None:
            seconds = float((pts - self._decoder.first_stamp) * self._decoder.time_base)
            self._resized = (
                f"{self._name} becomes {width}×{height} pixels at {seconds:.2f} s; it is fitted into {{}}×{{}}.".format(
                    *self.info.size
                )
            )
        return fitted(image, self.info.size)

    def _upright(self, decoded: av.VideoFrame) -> NDArray[np.uint8]:
        try:
            return self._orientation.upright(decoded)
        except (av.FFmpegError, ValueError):
            raise SwahrError(
                f"{self._name} has frames in a format that cannot be shown ({decoded.format.name}); convert it."
            ) from None

    def _numbered(self, landing: Landing) -> Iterator[Numbered]:
        """A landing's frames with stamp and index."""
        index = landing.number
        for decoded, pts in landing.frames:
            if index is None:
                index = round((pts - self._decoder.first_stamp) * self._decoder.time_base * self._decoder.rate)
            yield decoded, pts, index
            index += 1

    def _report(self, frames: int | None, shown: Fraction, at_end: bool, damaged: int) -> None:
        """Note what is missing: the header promises more time than the decodable frames fill.

        frames: how many were decoded, where that is the whole file. shown: seconds up to which frames were decoded.
        at_end: whether there were no more. damaged: how many packets could not be decoded.
        """
        missing = Fraction(0) if self._promised is None or not at_end else self._promised - shown
        if missing > 2 / self._decoder.rate and not self._decoder.stamps.gaps:
            seconds = f"{float(shown):.2f} s of {float(self._promised):.2f} s"
            what = f"it ends at {seconds}"
            if frames is not None:
                what = f"{frames} of {self.info.frames} frames could be decoded, {seconds}"
            self.notes.append(f"{self._name} is damaged or cut off: {what}.")
        elif damaged:
            could = "" if frames is None else f", {frames} frames could"
            self.notes.append(f"{self._name} is damaged: {damaged} of its packets could not be decoded{could}.")
        if repaired := self._decoder.stamps.repaired:
            self.notes.append(
                f"{repaired} frames of {self._name} had no usable time stamp; "
                "they follow their predecessors at the nominal frame rate."
            )

        if self._resized is not None:
            self.notes.append(self._resized)

    def close(self) -> None:
        """Close the file."""
        self._decoder.close()


def promised_seconds(decoder: VideoDecoder) -> Fraction | None:
    """How long the header says the video is, from its first frame; None where it does not speak of the video alone."""
    stream, container = decoder.stream, decoder.container
    if container.format.name == "avi" and stream.frames > 0:
        return stream.frames / decoder.rate  # what it gives as duration follows from the file's size
    if stream.duration:
        return stream.duration * stream.time_base
    if tag := re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", "")):
        hours, minutes, seconds = tag.groups()
        return _from_first(decoder, (int(hours) * 60 + int(minutes)) * 60 + Fraction(seconds))
    return None if container.streams.audio else _container_seconds(decoder)


def _container_seconds(decoder: VideoDecoder) -> Fraction | None:
    duration = decoder.container.duration
    return _from_first(decoder, Fraction(duration, av.time_base)) if duration else None


def _from_first(decoder: VideoDecoder, end: Fraction) -> Fraction:
    """Matroska and FLV count from zero, wherever the first frame lies."""
    first = decoder.first_stamp * decoder.time_base
    return end - first if 0 < first < end else end
