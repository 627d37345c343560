"""Frames of a video file, with the container's own time stamps."""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from engine.errors import SwahrError

from . import Frame, Source, SourceInfo, VideoFormat, check_size
from .time_stamps import TimeStamps


class VideoSource(Source):
    """The frames of a file's best video stream, upright, in the order in which they are shown.

    Damaged packets are skipped, and a file that breaks off ends early; ``notes`` then says how many frames
    were decodable. Raises SwahrError if the file is no video or not one frame of it can be decoded.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        try:
            self._container = av.open(name)
        except (av.FFmpegError, OSError) as error:
            raise SwahrError(
                f"{name} cannot be read as a video or picture ({_reason(error)}); "
                "check that it is one and that it is complete."
            ) from None
        try:
            self._open_stream()
        except BaseException:
            self._container.close()
            raise

    def _open_stream(self) -> None:
        self._stream = self._container.streams.best("video")
        if self._stream is None or self._stream.codec_context is None:
            raise SwahrError(f"{self._name} has no video stream that can be decoded; name a video or a picture.")
        self._stream.thread_type = "AUTO"
        # AVI stores no presentation stamps, and those made up for H.264 follow the order of decoding.
        self._stamped_by_decoding = self._container.format.name == "avi" and (
            self._stream.codec_context.name in ("h264", "hevc")
        )
        self._first_dts: int | None = None
        self._rate = self._stream.average_rate or self._stream.guessed_rate or Fraction(25)
        self._damaged = 0
        self._stamps = TimeStamps(max(1, round(1 / (self._rate * self._stream.time_base))))
        self._decoded = self._decode()
        self._first = next(self._decoded, None)
        if self._first is None:
            raise SwahrError(f"Not one frame of {self._name} can be decoded; copy or download it again.")
        picture = upright(self._first)
        height, width = picture.shape[:2]
        check_size(self._name, width, height)
        self.info = SourceInfo(
            name=self._name,
            kind="video",
            path=Path(self._name),
            size=(width, height),
            frames=self._expected_frames(),
            video=VideoFormat(
                rate=self._rate,
                time_base=self._stream.time_base,
                colour=(
                    int(self._first.colorspace),
                    int(self._first.color_primaries),
                    int(self._first.color_trc),
                ),
                pixel_aspect=self._pixel_aspect(turned=width != self._first.width),
            ),
        )

    def _expected_frames(self) -> int | None:
        if self._stream.frames > 0:
            return self._stream.frames
        duration = self._duration()
        return None if duration is None else max(1, round(duration * self._rate))

    def _duration(self) -> Fraction | None:
        """How long the header says the video is; None where it does not speak of the video alone."""
        stream, container = self._stream, self._container
        if container.format.name == "avi" and stream.frames > 0:
            return stream.frames / self._rate  # what it gives as duration follows from the file's size
        if stream.duration:
            return stream.duration * stream.time_base
        if tag := re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", "")):
            hours, minutes, seconds = tag.groups()
            return (int(hours) * 60 + int(minutes)) * 60 + Fraction(seconds)
        if container.duration and not container.streams.audio:
            return Fraction(container.duration, av.time_base)
        return None

    def _pixel_aspect(self, turned: bool) -> Fraction:
        aspect = self._stream.sample_aspect_ratio or Fraction(1)
        return 1 / aspect if turned else aspect

    def __iter__(self) -> Iterator[Frame]:
        time_base = self._stream.time_base
        index, first, last = -1, None, None
        for index, (decoded, pts) in enumerate(self._stamped()):
            duration = decoded.duration or 0
            frame = Frame(upright(decoded), index, pts, time_base, duration)
            first = pts if first is None else first
            last = pts + (duration or self._stamps.step)
            yield frame
        if last is not None:
            self._report(index + 1, (last - first) * time_base)

    def _stamped(self) -> Iterator[tuple[av.VideoFrame, int]]:
        delay = 0
        if self._stamped_by_decoding and self._first.dts is not None and self._first_dts is not None:
            delay = self._first.dts - self._first_dts
        first, self._first = self._first, None
        for decoded in itertools.chain([first], self._decoded):
            if self._stamped_by_decoding:
                dts = None if decoded.dts is None else decoded.dts - delay
                yield decoded, self._stamps.next(None, dts)
            else:
                yield decoded, self._stamps.next(decoded.pts, decoded.dts)

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Every frame that can be decoded, past damaged packets and up to where the file breaks off."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                packet = None  # the file breaks off here
                self._damaged += 1
            if self._first_dts is None and packet is not None:
                self._first_dts = packet.dts
            try:
                frames = self._stream.decode(packet)  # None: what the decoder still holds
            except av.EOFError:
                return
            except av.FFmpegError:
                self._damaged += 1
                frames = []
            yield from frames
            if packet is None:
                return

    def _report(self, frames: int, shown: Fraction) -> None:
        """Note what is missing: the header promises more time than the decodable frames fill."""
        duration = self._duration()
        missing = Fraction(0) if duration is None else duration - shown
        if missing > 2 / self._rate:
            self.notes.append(
                f"{self._name} is damaged or cut off: {frames} of {self.info.frames} frames could be "
                f"decoded, {float(shown):.2f} s of {float(duration):.2f} s."
            )
        elif self._damaged:
            self.notes.append(
                f"{self._name} is damaged: {self._damaged} of its packets could not be decoded, {frames} frames could."
            )
        if self._stamps.repaired:
            self.notes.append(
                f"{self._stamps.repaired} frames of {self._name} had no usable time stamp; "
                "they follow their predecessors at the nominal frame rate."
            )

    def close(self) -> None:
        """Close the file."""
        self._container.close()


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


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).rstrip(".").lower()
