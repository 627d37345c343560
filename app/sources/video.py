"""Frames of a video file, with the container's own time stamps."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from . import Frame, SeekableSource, SourceInfo, VideoFormat, check_size, whole_units
from .decoding import Landing, VideoDecoder
from .seeking import Numbered, from_last_up_to, land


class VideoSource(SeekableSource):
    """The frames of a file's best video stream, upright, in the order in which they are shown.

    Damaged packets are skipped, and a file that breaks off ends early; ``notes`` then says how many frames
    were decodable. Raises SwahrError if the file is no video or not one frame of it can be decoded.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._decoder = VideoDecoder(name)
        try:
            self._describe()
        except BaseException:
            self._decoder.close()
            raise

    def _describe(self) -> None:
        decoder, stream, first = self._decoder, self._decoder.stream, self._decoder.first
        height, width = upright(first).shape[:2]
        check_size(self._name, width, height)
        self._promised = promised_seconds(decoder)
        expected = None if self._promised is None else max(1, round(self._promised * decoder.rate))
        self.info = SourceInfo(
            name=self._name,
            kind="video",
            path=Path(self._name),
            size=(width, height),
            frames=stream.frames if stream.frames > 0 else expected,
            video=VideoFormat(
                rate=decoder.rate,
                time_base=decoder.time_base,
                colour=(int(first.colorspace), int(first.color_primaries), int(first.color_trc)),
                pixel_aspect=self._pixel_aspect(turned=width != first.width),
            ),
            duration=self._promised or _container_seconds(decoder),
        )

    def _pixel_aspect(self, turned: bool) -> Fraction:
        aspect = self._decoder.stream.sample_aspect_ratio or Fraction(1)
        return 1 / aspect if turned else aspect

    def __iter__(self) -> Iterator[Frame]:
        index, first, last = -1, self._decoder.first_stamp, None
        for index, (decoded, pts) in enumerate(self._decoder.frames()):
            frame = self._frame(decoded, pts, index)
            last = pts + (frame.duration or self._decoder.step)
            yield frame
        if last is not None:
            self._report(index + 1, (last - first) * self._decoder.time_base)

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
        return Frame(upright(decoded), index, pts, self._decoder.time_base, decoded.duration or 0)

    def _numbered(self, landing: Landing) -> Iterator[Numbered]:
        """A landing's frames with stamp and index."""
        index = landing.number
        for decoded, pts in landing.frames:
            if index is None:
                index = round((pts - self._decoder.first_stamp) * self._decoder.time_base * self._decoder.rate)
            yield decoded, pts, index
            index += 1

    def _report(self, frames: int, shown: Fraction) -> None:
        """Note what is missing: the header promises more time than the decodable frames fill."""
        duration, repaired, damaged = self._promised, self._decoder.stamps.repaired, self._decoder.damaged
        missing = Fraction(0) if duration is None else duration - shown
        if missing > 2 / self._decoder.rate:
            self.notes.append(
                f"{self._name} is damaged or cut off: {frames} of {self.info.frames} frames could be "
                f"decoded, {float(shown):.2f} s of {float(duration):.2f} s."
            )
        elif damaged:
            self.notes.append(
                f"{self._name} is damaged: {damaged} of its packets could not be decoded, {frames} frames could."
            )
        if repaired:
            self.notes.append(
                f"{repaired} frames of {self._name} had no usable time stamp; "
                "they follow their predecessors at the nominal frame rate."
            )

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


def upright(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """The frame as RGB uint8 [H, W, 3], turned and mirrored as the container's display matrix says."""
    image = frame.to_ndarray(format="rgb24")
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return image
    # Nine 32-bit numbers, row vectors: x' = a x + c y, y' = b x + d y.
    a, b, _, c, d = struct.unpack("=9i", bytes(matrix))[:5]
    if abs(a) + abs(d) < abs(b) + abs(c):
        image, a, d = image.transpose(1, 0, 2), c, b
    image = image[:, ::-1] if a < 0 else image
    image = image[::-1] if d < 0 else image
    return np.ascontiguousarray(image)
