"""The segments of a video that is being written: each can be decoded by itself, so what is whole need not be redone."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, dropwhile, islice
from pathlib import Path

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer

from app.sources import VideoFormat

from .shapes import Shape

_SECONDS_BETWEEN_KEY_FRAMES = 2
_KEY_FRAMES = 4  # in a segment, which so lasts about 8 seconds
GREATEST_RATE = 240  # what some files claim beyond is a mistake
# Files tell the length of each part of a packet, where encoders, and what takes their packets, put a mark before it.
_AS_ENCODED = {"h264": "h264_mp4toannexb", "hevc": "hevc_mp4toannexb"}
_BETWEEN_BLOCKS = 256  # bytes; what Matroska has to say between two packets takes less, and a disk loses more
_DOUBTFUL = 2  # of the last segments; those before were waited for until the disk had them


@dataclass(frozen=True)
class Segments:
    """The whole segments at the beginning of a file.

    frames: in all of them together.
    shape: of the encoded pictures. header: what their decoder has to know.
    """

    path: Path
    frames: int
    shape: Shape
    header: bytes

    def packets(self) -> Iterator[av.Packet]:
        """Their packets as an encoder gives them, one for each frame.

        Raises FFmpegError or OSError if the file cannot be read any more.
        """
        with av.open(str(self.path)) as container:
            stream = container.streams.video[0]
            as_encoded = _AS_ENCODED.get(stream.codec_context.codec.canonical_name)
            if as_encoded is None:
                yield from islice(_frames(container), self.frames)
                return
            convert = BitStreamFilterContext(as_encoded, stream)
            for packet in islice(_frames(container), self.frames):
                yield from convert.filter(packet)


def key_frame_distance(video: VideoFormat) -> int:
    """How many frames there are from a key frame to the next."""
    return max(1, round(_SECONDS_BETWEEN_KEY_FRAMES * min(video.rate, GREATEST_RATE)))


def segment_length(video: VideoFormat) -> int:
    """How many frames there are in a segment."""
    return _KEY_FRAMES * key_frame_distance(video)


def whole_segments(path: Path, length: int, codec: str) -> Segments | None:
    """What can be kept of a file, however it was cut off; None if it holds no whole segment, or is no such video.

    length: frames in a segment. codec: FFmpeg's name of the codec that is expected.
    """
    try:
        _show_fragments(path)
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            video = stream.codec_context
            if video.codec.canonical_name != codec:
                return None
            starts = _starts(_frames(container), length)
            shape = Shape((video.width, video.height), stream.sample_aspect_ratio or Fraction(1))
            header = bytes(video.extradata or b"")
    except (av.FFmpegError, OSError, IndexError, AttributeError):
        return None
    whole = len(starts)
    for number in range(max(0, whole - _DOUBTFUL), whole):
        if not _is_decodable(path, starts[number], length):
            whole = number
            break
    return Segments(path, whole * length, shape, header) if whole else None


def _frames(container: InputContainer) -> Iterator[av.Packet]:
    """The packets of the video as long as they are in order, up to where the file breaks off."""
    video, last = container.streams.video[0], None
    packets = _without_gap(container) if "matroska" in container.format.name else container.demux(video)
    with suppress(av.FFmpegError):
        for packet in packets:
            if packet.stream_index != video.index:
                continue
            broken = packet.pts is None or packet.is_corrupt or not packet.size
            if broken or (last is not None and packet.pts < last):  # Matroska may round two stamps to one
                return
            last = packet.pts
            yield packet


def _without_gap(container: InputContainer) -> Iterator[av.Packet]:
    """All packets of a Matroska file up to where data is missing, which its reader passes over without a word."""
    end = None
    for packet in container.demux():
        if packet.pos is not None:
            if end is not None and packet.pos > end + _BETWEEN_BLOCKS:
                return
            end = packet.pos + packet.size
        yield packet


def _starts(packets: Iterator[av.Packet], length: int) -> list[int]:
    """The time stamp with which each whole segment begins."""
    starts: list[int] = []
    for index, packet in enumerate(packets, 1):
        if index % length == 1 % length:
            if not packet.is_keyframe:
                break
            start = packet.pts
        if index % length == 0:
            starts.append(start)
    return starts


def _is_decodable(path: Path, start: int, length: int) -> bool:
    """Whether the segment's frames are all there; after a power cut a file may hold nothing where data should be."""
    try:
        with av.open(str(path)) as container:
            video = container.streams.video[0]
            video.codec_context.options = {"err_detect": "explode"}
            video.thread_type = "AUTO"
            container.seek(start, stream=video)
            packets = islice(dropwhile(lambda packet: packet.pts != start, _frames(container)), length)
            frames = [frame.is_corrupt for packet in chain(packets, [None]) for frame in video.decode(packet)]
    except (av.FFmpegError, OSError):
        return False
    return len(frames) == length and not any(frames)


def _show_fragments(path: Path) -> None:
    """Undo the first step of making a file of fragments an ordinary MP4, where there was no room for the second.

    The table of contents is written behind the fragments, and then a box is put around them, in which they are not
    looked for. If the disk was full, there is a box and no table. The box takes the place of two boxes that mean
    nothing, the second of which holds a copy of the file's type: its length tells theirs.
    """
    with path.open("r+b") as file:
        begin = file.read(4096)
        place = int.from_bytes(begin[:4], "big") if begin[4:8] == b"ftyp" else len(begin)
        box = begin[place : place + 16]
        kind = begin[place + 16 : place + 24][4:]
        if kind != b"ftyp" or b"mdat" not in box or _has_contents(path):
            return
        length = int.from_bytes(begin[place + 16 : place + 20], "big")
        file.seek(place)
        file.write(struct.pack(">I4sI4s", 8, b"free", 8 + length, b"free"))


def _has_contents(path: Path) -> bool:
    try:
        with av.open(str(path)) as container:
            return len(container.streams.video) > 0
    except (av.FFmpegError, OSError):
        return False
