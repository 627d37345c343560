"""Pictures become packets, in segments that can be decoded by themselves."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction

import av
import cv2
import numpy as np
from av.container import OutputContainer
from numpy.typing import NDArray

from app.sources import Frame, VideoFormat

from .containers import is_matroska, muxer
from .encoding import Encoding
from .segments import GREATEST_RATE, key_frame_distance, segment_length
from .shapes import SIDES, Shape

# From RGB to YUV: the numbers of H.264 -> those of swscale, which have one for both kinds of BT.601. What is
# not said, or makes no sense for YUV, is written as BT.601, as swscale does by itself.
_NOT_SAID = 2
_SWSCALE_MATRIX = {1: 1, _NOT_SAID: None, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}
_RGB = 0
_GLOBAL_HEADER = 1 << 22
os.environ.setdefault("SVT_LOG", "0")  # the AV1 encoder listens to nothing else, and would fill the terminal
_THREADS = 4  # always, for what an encoder decides depends on their number, and so would be another thing elsewhere


class SegmentEncoder:
    """Encodes the frames of a video; each segment has an encoder of its own, and its bits depend on its frames alone.

    video: what to take over from the source. preset: x264's own. shape: of the encoded pictures; those that have
    another size are stretched to it, or padded by the one column or row that they lack.
    """

    def __init__(self, video: VideoFormat, encoding: Encoding, preset: str | None, shape: Shape) -> None:
        encoding.refuse_too_small(*shape.size)
        self.shape, self.time_base = shape, video.time_base
        self._video, self._codec = video, encoding.details
        self._options = encoding.options | ({"preset": preset} if preset and encoding.codec == "h264" else {})
        self._length = segment_length(video)
        self._context: av.VideoCodecContext | None = None
        self._encoded = 0  # frames of the segment
        self._durations: dict[int, int] = {}

    def add_stream(self, output: OutputContainer, suffix: str) -> av.VideoStream:
        """Add the stream to which the packets belong. Its own encoder does no more than say what the header holds."""
        stream = output.add_stream(self._codec.encoder, rate=self._video.rate)
        self._configure(stream.codec_context)
        if self._codec.tag is not None and not is_matroska(suffix):
            stream.codec_context.codec_tag = self._codec.tag
        return stream

    def encode(self, frame: Frame, picture: NDArray[np.uint8]) -> Iterator[av.Packet]:
        """The packets that are ready after one more frame; all of a segment are after its last."""
        if self._context is None:
            self._context = av.CodecContext.create(self._codec.encoder, "w")
            self._configure(self._context)
        self._durations[frame.pts] = frame.duration
        yield from self._timed(self._context.encode(self._encodable(frame, picture)))
        self._encoded += 1
        if self._encoded == self._length:
            yield from self.finish()

    def finish(self) -> Iterator[av.Packet]:
        """The packets that are still missing; the next frame begins a segment."""
        context, self._context, self._encoded = self._context, None, 0
        if context is not None:
            yield from self._timed(context.encode(None))

    def _configure(self, context: av.VideoCodecContext) -> None:
        video = self._video
        context.width, context.height, context.pix_fmt = *self.shape.size, self._codec.pixels
        context.time_base = video.time_base
        context.framerate = min(video.rate, Fraction(GREATEST_RATE), 1 / video.time_base)
        context.gop_size = key_frame_distance(video)
        context.sample_aspect_ratio = self.shape.pixel_aspect
        context.colorspace, context.color_primaries, context.color_trc = self._colour
        context.options = dict(self._options)
        context.flags |= _GLOBAL_HEADER
        context.thread_count, context.thread_type = _THREADS, "FRAME"

    @property
    def _colour(self) -> tuple[int, int, int]:
        matrix, primaries, transfer = self._video.colour
        if self._is_rgb:
            return _RGB, primaries, transfer
        return matrix if matrix in _SWSCALE_MATRIX else _NOT_SAID, primaries, transfer

    @property
    def _is_rgb(self) -> bool:
        return self._codec.pixels == "bgr0"

    def _encodable(self, frame: Frame, picture: NDArray[np.uint8]) -> av.VideoFrame:
        height, width = picture.shape[:2]
        across, down = (-side % step for side, step in zip((width, height), SIDES[self._codec.pixels], strict=True))
        if (width, height) != self.shape.size == (width + across, height + down):
            picture = cv2.copyMakeBorder(picture, 0, down, 0, across, cv2.BORDER_REPLICATE)
        # The matrix that decoding used, or the colours would come out different.
        encodable = av.VideoFrame.from_ndarray(picture).reformat(
            *self.shape.size,
            self._codec.pixels,
            dst_colorspace=None if self._is_rgb else _SWSCALE_MATRIX.get(self._video.colour[0]),
            interpolation="AREA" if width > self.shape.size[0] else None,
        )
        encodable.colorspace, encodable.color_primaries, encodable.color_trc = self._colour
        encodable.pts, encodable.time_base = frame.pts, frame.time_base
        return encodable

    def _timed(self, packets: Iterable[av.Packet]) -> Iterator[av.Packet]:
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts, 0)
            yield packet


def header_of(encoder: SegmentEncoder, suffix: str) -> bytes:
    """What a file says to decoders before the first packet, as read from a file of one frame."""
    memory = io.BytesIO()
    with av.open(memory, "w", format=muxer(suffix)) as output:
        stream = encoder.add_stream(output, suffix)
        width, height = encoder.shape.size
        black = Frame(np.zeros((height, width, 3), np.uint8), 0, 0, encoder.time_base)
        for packet in (*encoder.encode(black, black.image), *encoder.finish()):
            packet.stream = stream
            output.mux(packet)
    memory.seek(0)
    with av.open(memory) as written:
        return bytes(written.streams.video[0].codec_context.extradata or b"")
