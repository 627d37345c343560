"""A video's sound and subtitles, copied packet by packet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer
from av.stream import Stream

from app.sources.opening import open_container

from .containers import LATE, can_hold, is_copied, is_matroska, language_in, suffix_that_holds
from .packets import Cut, packets, with_exact_durations

_SAID_OF_STREAMS = ("language", "title", "handler_name")
_NO_TEXT = b"\0\0"  # a subtitle of MP4 that shows nothing


class StreamCopies:
    """Copies the sound and the subtitles of a file into an output, unchanged, as far as its video has got.

    The file is opened a second time for it, so that decoding and writing need not wait for each other.
    path: the file. target: the output, whose suffix decides which streams it can hold. cut: None for all of the file.
    notes: sentences about what is left out. skipped: how many packets the output refused, as damaged files may have
    them. Raises av.FFmpegError or OSError if the file cannot be read.
    """

    def __init__(self, path: Path, target: Path, cut: Cut | None = None) -> None:
        self.notes: list[str] = []
        self.skipped = 0
        self._suffix = target.suffix.lower()
        self._cut = cut
        self._shift = Fraction(0) if cut is None else cut.shift
        self._input = open_container(path)
        self._output: OutputContainer | None = None
        self._targets: dict[int, Stream] = {}
        self._silent: list[Stream] = []
        self._waiting: av.Packet | None = None
        self._streams = self._that_fit()
        self._packets: Iterator[av.Packet] = packets(self._input, self._streams, self._cut)
        if self._streams and not is_matroska(self._suffix):
            self._look_ahead()
            self._packets = with_exact_durations(self._packets)

    @property
    def sample_rates(self) -> list[int]:
        """Samples a second of each audio stream."""
        return [stream.codec_context.sample_rate for stream in self._streams if stream.type == "audio"]

    def attach(self, output: OutputContainer) -> None:
        """Add the streams to an output of which nothing is written yet, and the chapters."""
        self._output = output
        for stream in self._streams:
            target = self._targets[stream.index] = output.add_stream_from_template(stream)
            target.metadata.update(self._said_of(stream))
            target.disposition = stream.disposition
        if self._suffix == ".mkv":
            for attachment in self._input.streams.attachments:  # fonts of the subtitles
                output.add_stream_from_template(attachment)
        if chapters := self._chapters():
            output.set_chapters(chapters)
        self._waiting = next(self._packets, None)

    def copy_until(self, time: Fraction | None) -> None:
        """Copy what begins before a time in seconds; None: all there is."""
        while self._silent and time is not None:
            self._begin_silently(self._silent.pop(), time)
        while self._waiting is not None:
            packet = self._waiting
            if time is not None and packet.dts * packet.time_base - self._shift >= time:
                return
            self._mux(packet)
            self._waiting = next(self._packets, None)

    def close(self) -> None:
        """Close the file that was copied from."""
        self._input.close()

    def _that_fit(self) -> list[Stream]:
        """The streams that the output can hold; the others are noted."""
        streams = [stream for stream in self._input.streams if stream.type in ("audio", "subtitle")]
        fitting = [stream for stream in streams if is_copied(stream) and can_hold(self._suffix, stream)]
        if refused := [stream for stream in streams if stream not in fitting]:
            other = suffix_that_holds(refused)
            hint = "" if other is None else f"; {other} would"
            self.notes.append(f"The video is without its {_named(refused)}, which {self._suffix} cannot hold{hint}.")
        return fitting

    def _look_ahead(self) -> None:
        """See which streams do not begin at once: until all have, MP4 writes nothing that could be played.

        Text can begin with nothing. What cannot is left out, or nothing could be had of a file that is cut off.
        """
        ahead: list[av.Packet] = []
        late = {stream.index: stream for stream in self._streams}
        for packet in self._packets:
            ahead.append(packet)
            late.pop(packet.stream.index, None)
            if not late or packet.dts * packet.time_base - ahead[0].dts * ahead[0].time_base > LATE:
                over = False
                break
        else:
            over = True  # so that what is late has no packets at all
        self._silent = [stream for stream in late.values() if stream.codec_context.name == "mov_text"]
        refused = [stream for stream in late.values() if stream not in self._silent]
        if refused and not over:
            self.notes.append(
                f"The video is without its {_named(refused)}, of which there is nothing in the first {LATE} seconds; "
                ".mkv would hold it."
            )
        self._streams = [stream for stream in self._streams if stream not in refused]
        kept = {stream.index for stream in self._streams}
        self._packets = (packet for packet in chain(ahead, self._packets) if packet.stream.index in kept)

    def _said_of(self, stream: Stream) -> dict[str, str]:
        said = {key: stream.metadata[key] for key in _SAID_OF_STREAMS if key in stream.metadata}
        if "language" in said:
            said["language"] = language_in(self._suffix, said["language"])
        return said

    def _chapters(self) -> list[dict[str, Any]]:
        """Those of the file, as far as they lie in the cut."""
        chapters = self._input.chapters()
        if self._cut is None:
            return chapters
        kept = []
        for chapter in chapters:
            unit = chapter["time_base"]
            first, last = self._cut.start / unit, None if self._cut.end is None else self._cut.end / unit
            start, end = max(chapter["start"], first), chapter["end"] if last is None else min(chapter["end"], last)
            if start < end:
                times = {"start": round(start - self._shift / unit), "end": round(end - self._shift / unit)}
                kept.append(chapter | times)
        return kept

    def _begin_silently(self, stream: Stream, time: Fraction) -> None:
        self._output.start_encoding()
        packet = av.Packet(_NO_TEXT)
        packet.stream = target = self._targets[stream.index]
        packet.time_base = target.time_base
        packet.pts = packet.dts = round(time / target.time_base)
        self._output.mux(packet)

    def _mux(self, packet: av.Packet) -> None:
        target = self._targets[packet.stream.index]
        self._output.start_encoding()  # which decides in what units the stream counts
        unit, shift = packet.time_base / target.time_base, self._shift / target.time_base
        for name, moved in (("pts", shift), ("dts", shift), ("duration", 0)):
            if (value := getattr(packet, name)) is not None:
                setattr(packet, name, round(value * unit - moved))
        packet.stream, packet.time_base = target, target.time_base
        try:
            self._output.mux(packet)
        except (av.InvalidDataError, av.ArgumentError):
            self.skipped += 1


def _named(streams: Sequence[Stream]) -> str:
    """As "aac and opus sound"."""
    words = []
    for kind, word in (("audio", "sound"), ("subtitle", "subtitles")):
        codecs = dict.fromkeys(
            "unknown" if stream.codec_context is None else stream.codec_context.codec.canonical_name
            for stream in streams
            if stream.type == kind
        )
        if codecs:
            words.append(f"{', '.join(codecs)} {word}")
    return " and its ".join(words)
