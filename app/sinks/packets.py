"""The packets of a file's sound and subtitles, in the order of the file, of all of it or of a part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer

_AHEAD = 10  # seconds by which packets may be out of place in a file


class Cut(NamedTuple):
    """The part of a file that is copied, in the file's own seconds.

    What begins at `start` or later and before `end` (None: all the rest) is written at its own time less `shift`.
    """

    start: Fraction
    end: Fraction | None
    shift: Fraction


def begins(packet: av.Packet) -> Fraction:
    """When what is in a packet is to be heard or seen, in seconds."""
    return (packet.dts if packet.pts is None else packet.pts) * packet.time_base


def packets(container: InputContainer, streams: Sequence[av.stream.Stream], cut: Cut | None) -> Iterator[av.Packet]:
    """What is to be copied, up to where the file breaks off; AAC without the headers that broadcasts put into it."""
    unwrap = {stream.index: BitStreamFilterContext("aac_adtstoasc", stream) for stream in streams if _is_adts(stream)}
    try:
        for packet in _selected(container, streams, cut):
            for ready in unwrap[packet.stream.index].filter(packet) if packet.stream.index in unwrap else [packet]:
                ready.stream = packet.stream
                yield ready
    except av.FFmpegError:
        return


def with_exact_durations(packets: Iterator[av.Packet]) -> Iterator[av.Packet]:
    """The packets, those of sound lasting up to the next one where the file tells both only in milliseconds.

    MP4 keeps no times but how long packets last; a difference of more than rounding makes is a gap, and left.
    """
    held: dict[int, av.Packet] = {}
    for packet in packets:
        stream = packet.stream
        if stream.type != "audio" or stream.time_base * stream.codec_context.sample_rate <= 1:
            yield packet
            continue
        if (last := held.get(stream.index)) is not None:
            lasts = packet.dts - last.dts
            if abs(lasts - (last.duration or 0)) <= 1:
                last.duration = lasts
            yield last
        held[stream.index] = packet
    yield from held.values()


def _selected(container: InputContainer, streams: Sequence[av.stream.Stream], cut: Cut | None) -> Iterator[av.Packet]:
    if cut is None:
        yield from _demuxed(container, streams)
        return
    for packet in _from(container, streams, cut.start):
        time = begins(packet)
        if cut.end is not None and time >= cut.end + _AHEAD:
            return
        if time >= cut.start and (cut.end is None or time < cut.end):
            yield packet


def _from(container: InputContainer, streams: Sequence[av.stream.Stream], start: Fraction) -> Iterator[av.Packet]:
    """The packets from some place before a time on, without reading all that lies before."""
    beginning = Fraction(container.start_time or 0, av.time_base)
    if start - _AHEAD <= beginning or not _jump(container, start - _AHEAD):
        yield from _demuxed(container, streams)
        return
    demuxed = _demuxed(container, streams)
    first = next(demuxed, None)
    if first is None or begins(first) > start:  # it has jumped too far
        _jump(container, beginning)
        yield from _demuxed(container, streams)
        return
    yield first
    yield from demuxed


def _jump(container: InputContainer, place: Fraction) -> bool:
    try:
        container.seek(int(place * av.time_base))
    except av.FFmpegError:
        return False
    return True


def _demuxed(container: InputContainer, streams: Sequence[av.stream.Stream]) -> Iterator[av.Packet]:
    if streams:
        # Without a time stamp, a packet only tells a decoder that the stream is over.
        yield from (packet for packet in container.demux(*streams) if packet.dts is not None)


def _is_adts(stream: av.stream.Stream) -> bool:
    """Whether AAC packets bring their own headers, as in broadcasts; files want them once, for all."""
    return stream.type == "audio" and stream.codec_context.name == "aac" and not stream.codec_context.extradata
