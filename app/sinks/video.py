"""The annotated video: H.264 in MP4, with the source's time stamps and sound."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from app.sources import Frame, VideoFormat
from engine.errors import SwahrError
from grouping import People

from .audio import AudioCopy
from .partial import PartialFile

VIDEO_SUFFIXES = frozenset((".mp4", ".m4v", ".mov"))
_LARGEST_TIMESCALE = 2**31 - 1
_SECONDS_BETWEEN_KEY_FRAMES = 2
# From RGB to YUV: the numbers of H.264 -> those of swscale, which have one for both kinds of BT.601. What is
# not said, or makes no sense for YUV, is written as BT.601, as swscale does by itself.
_NOT_SAID = 2
_SWSCALE_MATRIX = {1: 1, _NOT_SAID: None, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}


class VideoWriter:
    """Writes the annotated video frame by frame, each at its source's time stamp, and copies the sound.

    path: ends in .mp4, .m4v or .mov. video: what to take over from the source.
    audio: the file whose sound is copied; None for silence.
    preset: x264's name for how much time it may take to make the file small.

    The file is written in fragments and made an ordinary MP4 at the end, so that even a process that is
    killed leaves a partial file that plays. Frames of odd width or height are padded by one column or row; a
    frame of another size than the first is stretched to it.
    """

    def __init__(
        self,
        path: Path,
        video: VideoFormat,
        audio: Path | None = None,
        overwrite: bool = False,
        preset: str = "veryfast",
    ) -> None:
        if path.suffix.lower() not in VIDEO_SUFFIXES:
            raise SwahrError(f"{path} does not end like a video that can be written; let it end in .mp4.")
        self.path = path
        self.notes: list[str] = []
        self._video, self._preset = video, preset
        self._audio_path = audio
        self._audio: AudioCopy | None = None
        self._container: av.container.OutputContainer | None = None
        self._stream: av.VideoStream | None = None
        self._durations: dict[int, int] = {}
        self._file = PartialFile(path, overwrite)

    @property
    def partial(self) -> Path | None:
        """Where what was written is found after a failure."""
        return self._file.partial

    def __enter__(self) -> Self:
        self._file.__enter__()
        return self

    def write(self, frame: Frame, picture: NDArray[np.uint8], people: People) -> None:
        """Encode one picture at the frame's time stamp; SwahrError if it cannot be written."""
        try:
            if self._container is None:
                self._open(*picture.shape[1::-1])
            self._durations[frame.pts] = frame.duration
            self._mux(self._stream.encode(self._encodable(frame, picture)))
            if self._audio is not None:
                self._audio.copy_until(frame.time)
        except (av.FFmpegError, OSError) as error:
            self._stream = None  # whose last packets would crash a container that could not be begun
            raise self._failure(error) from None

    def _open(self, width: int, height: int) -> None:
        rates = []
        if self._audio_path is not None:
            self._audio = AudioCopy(self._audio_path)
            rates = self._audio.sample_rates
        self._container = av.open(
            str(self._file.writing),
            "w",
            format="mov" if self.path.suffix.lower() == ".mov" else "mp4",
            container_options=_container_options(self._video.time_base, rates),
        )
        even = (width + width % 2, height + height % 2)
        if even != (width, height):
            self.notes.append(
                f"The video is {even[0]}×{even[1]} pixels instead of {width}×{height}, for H.264 needs even "
                "sides; the last column or row is repeated."
            )
        self._stream = self._add_stream(*even)
        if self._audio is not None and (refused := self._audio.attach(self._container)):
            self.notes.append(f"The video is without its {', '.join(refused)} sound, which MP4 cannot hold.")

    def _add_stream(self, width: int, height: int) -> av.VideoStream:
        video = self._video
        # No B-frames: then every frame is stored in the order and at the time at which it is shown.
        options = {"preset": self._preset, "crf": "20", "bf": "0"}
        stream = self._container.add_stream("libx264", rate=video.rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        context = stream.codec_context
        context.time_base = video.time_base
        context.gop_size = max(1, round(_SECONDS_BETWEEN_KEY_FRAMES * video.rate))
        context.sample_aspect_ratio = video.pixel_aspect
        matrix, context.color_primaries, context.color_trc = video.colour
        context.colorspace = matrix if matrix in _SWSCALE_MATRIX else _NOT_SAID
        return stream

    def _encodable(self, frame: Frame, picture: NDArray[np.uint8]) -> av.VideoFrame:
        height, width = picture.shape[:2]
        if width % 2 or height % 2:
            picture = cv2.copyMakeBorder(picture, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        stream = self._stream
        # The matrix that decoding used, or the colours would come out different.
        encodable = av.VideoFrame.from_ndarray(picture).reformat(
            stream.width, stream.height, "yuv420p", dst_colorspace=_SWSCALE_MATRIX.get(self._video.colour[0])
        )
        encodable.pts, encodable.time_base = frame.pts, frame.time_base
        return encodable

    def _mux(self, packets: Iterable[av.Packet]) -> None:
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts, 0)
            self._container.mux(packet)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._finish(whole=kind is None)
        except (av.FFmpegError, OSError) as failure:
            self._file.__exit__(type(failure), failure, None)
            if kind is None:
                raise self._failure(failure) from None
        else:
            self._file.__exit__(kind, error, traceback)

    def _finish(self, whole: bool) -> None:
        """Write what the encoder still holds and the file's index."""
        with ExitStack() as closing:
            closing.callback(self._let_go)
            for opened in (self._audio, self._container):
                if opened is not None:
                    closing.callback(opened.close)
            if self._stream is not None:
                self._mux(self._stream.encode(None))
                if self._audio is not None and whole:
                    self._copy_rest_of_the_sound()

    def _copy_rest_of_the_sound(self) -> None:
        self._audio.copy_until(None)
        if self._audio.skipped:
            self.notes.append(f"{self._audio.skipped} damaged packets of its sound were left out.")

    def _let_go(self) -> None:
        """Whoever keeps the writer is not to keep the encoder, which holds hundreds of megabytes at 4K."""
        self._container = self._stream = self._audio = None

    def _failure(self, error: Exception) -> SwahrError:
        reason = getattr(error, "strerror", None) or str(error)
        return SwahrError(f"{self.path} cannot be written ({reason}); free space on the disk or write elsewhere.")


def _container_options(time_base: Fraction, sample_rates: Iterable[int]) -> dict[str, str]:
    """What makes the MP4 writer keep every time stamp, and keep what is written when the process dies.

    Tracks count in units of the source's time base, and the offset of a first frame that is not at 0 is
    counted in units of the whole film's, which must therefore divide all of them.
    """
    ticks = time_base.denominator
    film_ticks = math.lcm(ticks, *(rate for rate in sample_rates if rate > 0))
    return {
        "video_track_timescale": str(ticks),
        "movie_timescale": str(film_ticks if film_ticks <= _LARGEST_TIMESCALE else ticks),
        "movflags": "+hybrid_fragmented+frag_keyframe+delay_moov",
        "flush_packets": "1",
    }
