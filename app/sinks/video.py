"""The annotated video, with its source's time stamps, sound and subtitles; one that was cut off is gone on with."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from numpy.typing import NDArray

from app.sources import Frame, VideoFormat
from engine.errors import SwahrError
from grouping import People

from .containers import is_exact, muxer, refuse_encoding, writing_options
from .copies import StreamCopies
from .encoder import SegmentEncoder, header_of
from .encoding import Encoding
from .leftover import LeftOver
from .packets import Cut
from .partial import PartialFile, flush_to_disk, refuse_left_over
from .segments import Segments, segment_length
from .shapes import Shape, shape_of


class VideoWriter:
    """Writes the annotated video frame by frame, each at its source's time stamp, and copies sound and subtitles.

    path: its suffix, see VIDEO_SUFFIXES, decides the kind of file. video: what to take over from the source.
    audio: the file whose sound and subtitles are copied; None for silence. cut: which part of them, and by how much all
    is shown earlier than in the source.
    preset: x264's name for how much time it may take to make the file small.
    resume: go on with what an earlier run of the same settings has left; `write` then begins with frame number
    `frames_kept`, of which as many are kept as whole segments hold, at most `keep_at_most`.

    The file is written in fragments and made an ordinary one at the end, so that even a process that is killed
    leaves a partial file that plays. Frames of odd width or height are padded by one column or row where the codec
    wants even ones; a frame of another size than the first is stretched to it.
    Raises SwahrError, before anything is written, if such a file cannot hold the codec or may not be written.
    """

    def __init__(
        self,
        path: Path,
        video: VideoFormat,
        audio: Path | None = None,
        overwrite: bool = False,
        preset: str | None = None,
        *,
        resume: bool = False,
        keep_at_most: int | None = None,
        encoding: Encoding | None = None,
        cut: Cut | None = None,
    ) -> None:
        self._encoding = encoding or Encoding()
        refuse_encoding(path, self._encoding)
        self.path = path
        self.notes: list[str] = []
        self.frames_kept = 0
        self._suffix = path.suffix.lower()
        self._video, self._preset = video, preset
        self._audio, self._cut = audio, None if cut is None else Cut(*cut)
        self._overwrite, self._resume, self._keep_at_most = overwrite, resume, keep_at_most
        self._length = segment_length(video)
        self._file = PartialFile(path, overwrite, resume)
        self._left_over = LeftOver(path, self._length, self._encoding.codec)
        self._kept: Segments | None = None
        self._copies: StreamCopies | None = None
        self._container: av.container.OutputContainer | None = None
        self._stream: av.VideoStream | None = None
        self._encoder: SegmentEncoder | None = None
        self._muxed = self._inexact = 0

    @property
    def partial(self) -> Path | None:
        """Where what was written is found after a failure."""
        return self._file.partial

    def __enter__(self) -> Self:
        self._file.check()
        if self._resume:
            self._kept = self._to_keep()
        else:
            if not self._overwrite:
                refuse_left_over(self._left_over.path)
            self._left_over.remove()
        self._file.__enter__()
        if self._kept is not None:
            self._copy(self._kept)
        return self

    def _to_keep(self) -> Segments | None:
        """The segments of an earlier run that this one would write in the same way."""
        left = self._left_over.set_aside()
        if left is None:
            return None
        limit = left.frames if self._keep_at_most is None else self._keep_at_most
        frames = min(left.frames, limit // self._length * self._length)
        if frames and left.header == header_of(self._encoder_for(left.shape), self._suffix):
            return replace(left, frames=frames)
        self._left_over.remove()
        return None

    def _encoder_for(self, shape: Shape) -> SegmentEncoder:
        return SegmentEncoder(self._video, self._encoding, self._preset, shape)

    def _copy(self, kept: Segments) -> None:
        self.frames_kept = kept.frames
        try:
            self._open(kept.shape)
            self._mux(kept.packets())
            if self._muxed < kept.frames:
                raise OSError(errno.EIO, f"{kept.path} has changed meanwhile")
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            if isinstance(error, (av.FFmpegError, OSError)):
                raise self._failure(error) from None
            raise

    def write(self, frame: Frame, picture: NDArray[np.uint8], people: People) -> None:
        """Encode one picture at the frame's time stamp, less a cut's shift; SwahrError if it cannot be written."""
        if self._cut is not None and self._cut.shift:
            frame = replace(frame, pts=frame.pts - round(self._cut.shift / frame.time_base))
        try:
            if self._encoder is None:
                self._begin(picture.shape[1::-1])
            self._inexact += not is_exact(self._suffix, frame.time)
            self._mux(self._encoder.encode(frame, picture))
        except (av.FFmpegError, OSError) as error:
            self._encoder = None  # whose last packets would crash a container that could not be begun
            raise self._failure(error) from None

    def _begin(self, picture: tuple[int, int]) -> None:
        shape, note = shape_of(picture, self._video, self._encoding, self._suffix)
        self._encoder = self._encoder_for(shape)
        self.notes.extend([] if note is None else [note])
        if self._container is None:
            self._open(shape)

    def _open(self, shape: Shape) -> None:
        rates = []
        if self._audio is not None:
            self._copies = StreamCopies(self._audio, self.path, self._cut)
            rates = self._copies.sample_rates
            self.notes.extend(self._copies.notes)
        self._container = av.open(
            str(self._file.writing),
            "w",
            format=muxer(self._suffix),
            container_options=writing_options(self._suffix, self._video.time_base, rates),
        )
        self._stream = self._encoder_for(shape).add_stream(self._container, self._suffix)
        if self._copies is not None:
            self._copies.attach(self._container)

    def _mux(self, packets: Iterable[av.Packet]) -> None:
        for packet in packets:
            if self._copies is not None:
                self._copies.copy_until(packet.pts * packet.time_base)
            packet.stream = self._stream
            self._container.mux(packet)
            # A segment goes to the system with the next one's first packet, and that may wait for one more.
            if self._muxed > self.frames_kept + 1 and self._muxed % self._length == 1:
                self._secure()
            self._muxed += 1

    def _secure(self) -> None:
        """Have the disk hold the segments so far; what an earlier run has left may then go."""
        flush_to_disk(self._file.writing)
        if self._kept is not None and self._left_over.is_copied(self._kept):
            self._left_over.remove()
            self._kept = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._finish(whole=kind is None)
        except (av.FFmpegError, OSError) as failure:
            self._leave(type(failure), failure, None)
            if kind is None:
                raise self._failure(failure) from None
        else:
            self._leave(kind, error, traceback)

    def _leave(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give the file its name; after a failure keep of the two that there may be the one that holds more."""
        self._file.__exit__(kind, error, traceback)
        if kind is None:
            self._left_over.remove()
        elif self._kept is not None and self._left_over.put_back(self._kept):
            self._file.partial = self._file.writing

    def _finish(self, whole: bool) -> None:
        """Write what the encoder still holds, the rest of the sound, and the file's index."""
        with ExitStack() as closing:
            closing.callback(self._let_go)
            for opened in (self._copies, self._container):
                if opened is not None:
                    closing.callback(opened.close)
            if self._encoder is not None:
                self._mux(self._encoder.finish())
            if self._copies is not None and whole:
                self._copies.copy_until(None)
            if whole:
                self._note_losses()

    def _note_losses(self) -> None:
        if self._copies is not None and self._copies.skipped:
            self.notes.append(f"{self._copies.skipped} damaged packets of its sound and subtitles were left out.")
        if self._inexact:
            self.notes.append(
                f"{self._suffix} counts in milliseconds: {self._inexact} frames are shown up to half of one earlier or "
                "later than in the source, which .mp4 and .mov do not need."
            )

    def _let_go(self) -> None:
        """Whoever keeps the writer is not to keep the encoder, which holds hundreds of megabytes at 4K."""
        self._container = self._stream = self._copies = self._encoder = None

    def _failure(self, error: Exception) -> SwahrError:
        reason = getattr(error, "strerror", None) or str(error)
        return SwahrError(f"{self.path} cannot be written ({reason}); free space on the disk or write elsewhere.")
