"""A video file's frames as they are decoded, with time stamps that grow: from its beginning, or from a key frame on."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction

import av
from av.stream import Disposition

from engine.errors import SwahrError

from . import MOST_VIDEO_PIXELS, check_pixels
from .live_names import shown_name
from .opening import LIMITS, open_container, unreadable
from .time_stamps import TimeStamps

Stamped = tuple[av.VideoFrame, int]

_LISTING = ("avi", "mov,mp4,m4a,3gp,3g2,mj2")  # the others' lists are of key frames, or come with the frames
_TOO_MANY_REPAIRED = 50  # stamps in a row; at a file's end some few have to be, for the decoder gives them late


@dataclass(frozen=True)
class Landing:
    """Where decoding goes on after a jump.

    frames: from a key frame on, with their stamps. number: how many frames of the file come before; None if not known.
    place: where in the file the key frame lies, in bytes; None for the beginning.
    """

    frames: Iterator[Stamped]
    number: int | None
    place: int | None = None


class VideoDecoder:
    """The best video stream of a file. Stamps are in units of its time base.

    Damaged packets are skipped, and a file that breaks off ends early.
    first, first_stamp: the first frame, decoded on opening; ``first`` is None once it was given, or after a jump.
    rate: frames a second, nominal. step: by how much the stamps of two frames differ, nominally.
    damaged: how many packets could not be decoded since opening. stamps: what repairs those that are wrong.
    Raises SwahrError if the file is no video or not one frame of it can be decoded.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._shown = shown_name(name)
        self._disordered = False  # so that stamps do not say where in the file a frame is
        self._open()

    def frames(self) -> Iterator[Stamped]:
        """Every frame, from the beginning."""
        if self.first is None:
            self.close()
            self._open()
        first, self.first = self.first, None
        return self._stamped(itertools.chain([first], self._decoded))

    def jump(self, place: int, latest: int) -> Landing | None:
        """The frames from a key frame on, that is from the last one up to the stamp `place` if the container knows it.

        None if there is none up to the stamp `latest`, if it is damaged, or if it has no stamp that can be relied on.
        """
        if self._disordered:
            return None
        self.first = None
        try:
            self.container.seek(place, stream=self.stream)
        except av.FFmpegError:
            return None
        packets = self._packets()
        key = _first_key(packets, latest)
        if key is None:
            return None
        leading: list[av.Packet] = []  # shown before the key frame, and decoded after it
        packets = itertools.chain([key], _noting(packets, leading, key.pts))
        damaged = self.damaged
        frames = self._stamped(self._decode(packets))  # the decoder leaves out what lacks its references
        first = next(frames, None)
        if first is None or first[1] > latest or self.damaged > damaged or self._own_stamps(first[0]) == (None, None):
            return None
        number = self._number(key, len(leading)) if first[0].pts == key.pts else None
        return Landing(itertools.chain([first], frames), number, key.pos)

    @property
    def lists_every_frame(self) -> bool:
        """Whether the container has a list of all its frames, by which it tells their stamps."""
        entries = self.stream.index_entries
        listed = 0 < len(entries) == self.stream.frames and not entries[0].is_discard
        return listed and self.container.format.name in _LISTING

    def packets_again(self) -> Iterator[av.Packet]:
        """The packets of the file from its beginning on, read beside those that are decoded."""
        with open_container(self._name) as container:
            packets = _demuxed(container, container.streams[self.stream.index])
            yield from (packet for packet in packets if packet.size)

    def close(self) -> None:
        """Close the file, and let go of the decoder, whose threads would else live until Python tidies up."""
        self._decoded = iter(())
        self.container.close()

    def _open(self) -> None:
        try:
            self.container = open_container(self._name)
        except (av.FFmpegError, OSError) as error:
            raise unreadable(self._name, error) from None
        try:
            self._open_stream()
        except BaseException:
            self.container.close()
            raise

    def _open_stream(self) -> None:
        self.stream = self._best_stream()
        context = self.stream.codec_context
        check_pixels(self._shown, context.width, context.height, MOST_VIDEO_PIXELS)
        context.options = {**context.options, **LIMITS}
        # The threads that decode whole frames of a damaged HEVC file may wait for each other for ever.
        self.stream.thread_type = "SLICE" if context.name == "hevc" else "AUTO"
        # AVI stores no presentation stamps, and those made up for H.264 follow the order of decoding.
        self._stamped_by_decoding = self.container.format.name == "avi" and (
            self.stream.codec_context.name in ("h264", "hevc")
        )
        self.time_base = self.stream.time_base
        self.rate = self.stream.average_rate or self.stream.guessed_rate or Fraction(25)
        self.step = max(1, round(1 / (self.rate * self.time_base)))
        self.stamps = TimeStamps(self.step)
        self.damaged = 0
        self._first_dts: int | None = None
        self._decoded = self._decode(self._packets())
        self.first = next(self._decoded, None)
        if self.first is None:
            raise SwahrError(f"Not one frame of {self._shown} can be decoded; copy or download it again.")
        self._delay = 0  # of a frame's stamp behind that of its packet
        if self._stamped_by_decoding and self.first.dts is not None and self._first_dts is not None:
            self._delay = self.first.dts - self._first_dts
        self.first_stamp = TimeStamps(self.step).next(*self._own_stamps(self.first))

    def _best_stream(self) -> av.VideoStream:
        """The video that is meant to be watched; SwahrError if there is none, or only a cover."""
        streams = [stream for stream in self.container.streams.video if stream.codec_context is not None]
        moving = [stream for stream in streams if not stream.disposition & Disposition.attached_pic]
        best = self.container.streams.best("video")
        best = best if best in moving else next(iter(moving), None)
        if best is None:
            cover = ", only the picture of a cover" if streams else ""
            raise SwahrError(f"{self._shown} has no video that can be decoded{cover}; name a video or a picture.")
        return best

    def _packets(self) -> Iterator[av.Packet]:
        """What the container holds from where it is, up to where it ends or breaks off."""
        try:
            yield from _demuxed(self.container, self.stream)
        except av.FFmpegError:
            self.damaged += 1

    def _decode(self, packets: Iterable[av.Packet]) -> Iterator[av.VideoFrame]:
        """Every frame that can be decoded, past damaged packets."""
        for packet in itertools.chain(packets, [None]):  # None: what the decoder still holds
            if self._first_dts is None and packet is not None:
                self._first_dts = packet.dts
            try:
                frames = self.stream.decode(packet)
            except av.EOFError:
                return
            except av.FFmpegError:
                self.damaged += 1
                frames = []
            yield from frames

    def _own_stamps(self, frame: av.VideoFrame) -> tuple[int | None, int | None]:
        """A frame's presentation and decoding stamp, as far as they mean something."""
        if not self._stamped_by_decoding:
            return frame.pts, frame.dts
        return None, None if frame.dts is None else frame.dts - self._delay

    def _stamped(self, frames: Iterable[av.VideoFrame]) -> Iterator[Stamped]:
        self.stamps = stamps = TimeStamps(self.step)
        in_a_row = 0
        for frame in frames:
            repaired = stamps.repaired
            stamp = stamps.next(*self._own_stamps(frame))
            in_a_row = in_a_row + 1 if stamps.repaired > repaired else 0
            self._disordered = self._disordered or in_a_row > _TOO_MANY_REPAIRED
            yield frame, stamp

    def _number(self, key: av.Packet, leading: int) -> int | None:
        """How many frames are shown before a key frame; None unless the container lists all frames, and shows all."""
        entries = self.stream.index_entries
        if not 0 < len(entries) == self.stream.frames or entries[0].is_discard:
            return None
        if self._stamped_by_decoding or key.dts is None:
            return None
        decoded = entries.search_timestamp(key.dts, any_frame=True)
        return decoded + leading if decoded >= 0 else None


def _demuxed(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.Packet]:
    with suppress(IndexError):  # PyAV's, at the end of a file in which streams appear late; all packets were given
        yield from container.demux(stream)


def _first_key(packets: Iterator[av.Packet], latest: int) -> av.Packet | None:
    """The first key frame whose stamp is the file's own; None if none comes before the stamp `latest`."""
    for packet in packets:
        stamp = _stamp(packet)
        if stamp is not None and packet.is_keyframe and packet.pos is not None:
            return packet
        if stamp is not None and stamp > latest:
            return None
    return None


def _noting(packets: Iterable[av.Packet], noted: list[av.Packet], pts: int | None) -> Iterator[av.Packet]:
    """The packets, having noted those that are shown before `pts`."""
    for packet in packets:
        if pts is not None and packet.pts is not None and packet.pts < pts:
            noted.append(packet)
        yield packet


def _stamp(one: av.Packet | av.VideoFrame) -> int | None:
    return one.pts if one.pts is not None else one.dts
