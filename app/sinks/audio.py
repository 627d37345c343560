"""A video's sound, copied packet by packet."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer


class AudioCopy:
    """Copies the audio packets of a file into an output, unchanged, as far as its video has got.

    The file is opened a second time for it, so that decoding and writing need not wait for each other.
    skipped: how many packets the output refused, as damaged files may have them.
    """

    def __init__(self, path: Path) -> None:
        self.skipped = 0
        self._input = av.open(str(path))
        self._streams = [stream for stream in self._input.streams.audio if stream.codec_context is not None]
        self._output: OutputContainer | None = None
        self._targets: dict[int, av.AudioStream] = {}
        self._packets: Iterator[av.Packet] = iter(())
        self._waiting: av.Packet | None = None

    @property
    def sample_rates(self) -> list[int]:
        """Samples a second of each audio stream."""
        return [stream.codec_context.sample_rate for stream in self._streams]

    def attach(self, output: OutputContainer) -> list[str]:
        """Add the audio streams to an output; returns the names of codecs that its format cannot hold."""
        self._output = output
        refused = []
        for stream in self._streams:
            try:
                self._targets[stream.index] = output.add_stream_from_template(stream)
            except (ValueError, av.FFmpegError):
                refused.append(stream.codec_context.name)
        if self._targets:
            self._packets = self._read([stream for stream in self._streams if stream.index in self._targets])
            self._waiting = next(self._packets, None)
        return refused

    def copy_until(self, time: Fraction | None) -> None:
        """Copy what begins before a time in seconds; None: all there is."""
        while self._waiting is not None:
            packet = self._waiting
            if time is not None and packet.dts * packet.time_base >= time:
                return
            packet.stream = self._targets[packet.stream.index]
            try:
                self._output.mux(packet)
            except (av.InvalidDataError, av.ArgumentError):
                self.skipped += 1
            self._waiting = next(self._packets, None)

    def _read(self, streams: list[av.AudioStream]) -> Iterator[av.Packet]:
        """The packets in the order of the file, up to where it breaks off."""
        unwrap = {
            stream.index: BitStreamFilterContext("aac_adtstoasc", stream) for stream in streams if _is_adts(stream)
        }
        packets = self._input.demux(*streams)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                index = packet.stream.index
                if packet.dts is None:
                    continue  # only tells a decoder that the stream is over
                for ready in unwrap[index].filter(packet) if index in unwrap else [packet]:
                    ready.stream = packet.stream
                    yield ready
            except av.FFmpegError:
                return

    def close(self) -> None:
        """Close the file that was copied from."""
        self._input.close()


def _is_adts(stream: av.AudioStream) -> bool:
    """Whether AAC packets bring their own headers, as in broadcasts; MP4 wants them once, for all."""
    return stream.codec_context.name == "aac" and not stream.codec_context.extradata
