"""A source's sound, subtitles and chapters are in the annotated video, packet by packet; a note says which are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from app.sinks.containers import suffix_for
from app.sinks.encoding import Encoding
from app.sinks.partial import partial_path
from app.sinks.video import VideoWriter
from app.sources import Frame, VideoFormat
from grouping import COCO17, People

VIDEO = VideoFormat(Fraction(10), Fraction(1, 1000))
NOBODY = People.empty(COCO17)
ASS_HEADER = (
    b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name\nStyle: Default\n\n[Events]\nFormat: Text\n"
)
Packets = list[tuple[Fraction, bytes]]


@dataclass(frozen=True)
class Stream:
    """Sound that lasts from one second to another, or a subtitle at each of the seconds that are named.

    said: the stream's metadata.
    """

    codec: str
    seconds: Sequence[float]
    said: tuple[tuple[str, str], ...] = ()
    disposition: int = 0
    rate: int = 48000


def write_source(path: Path, streams: Sequence[Stream], seconds: int = 6, chapters: Sequence[dict] = ()) -> Path:
    """A video of so many seconds, 10 small frames each, and the streams."""
    packets: list[tuple[Fraction, int, av.Packet]] = []
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        targets = []
        for stream in streams:
            sound = stream.codec not in ("mov_text", "subrip", "ass", "webvtt")
            if sound:
                target = container.add_stream(stream.codec, rate=stream.rate, layout="mono")
            else:
                target = container.add_mux_stream(stream.codec)
            target.metadata.update(dict(stream.said))
            target.disposition = Disposition(stream.disposition)
            targets.append(target)
        if chapters:
            container.set_chapters(list(chapters))
        for index in range(seconds * 10):
            one = av.VideoFrame.from_ndarray(np.full((32, 32, 3), index % 256, np.uint8))
            one.pts, one.time_base = index, Fraction(1, 10)
            packets += [(Fraction(packet.pts, 10), 0, packet) for packet in video.encode(one)]
        for number, (stream, target) in enumerate(zip(streams, targets, strict=True), 1):
            made = sounds(stream, target) if target.type == "audio" else words(stream)
            for packet in made:
                packet.stream = target
                packets.append((packet.dts * packet.time_base, number, packet))
        packets += [(Fraction(seconds), 0, packet) for packet in video.encode(None)]
        for _, _, packet in sorted(packets, key=lambda entry: entry[:2]):
            container.mux(packet)
    return path


def sounds(stream: Stream, target: av.AudioStream) -> list[av.Packet]:
    packets = []
    first, last = (round(second * stream.rate) for second in stream.seconds)
    for begin in range(first, last, 1200):
        wave = (np.sin(np.arange(begin, begin + 1200) * 0.05) * 8000).astype(np.int16)
        samples = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
        samples.sample_rate, samples.pts, samples.time_base = stream.rate, begin, Fraction(1, stream.rate)
        packets += target.encode(samples)
    return packets + target.encode(None)


def words(stream: Stream) -> list[av.Packet]:
    packets = []
    for number, second in enumerate(stream.seconds):
        text = f"Words at {second}".encode()
        if stream.codec == "mov_text":
            text = len(text).to_bytes(2, "big") + text
        elif stream.codec == "ass":
            text = f"{number},0,Default,,0,0,0,,".encode() + text
        packet = av.Packet(text)
        packet.time_base = Fraction(1, 1000)
        packet.pts = packet.dts = round(second * 1000)
        packet.duration = 700
        packets.append(packet)
    return packets


def copied(path: Path) -> list[Packets]:
    """The packets of every stream but the video: when they begin, and their bytes, those that show nothing aside."""
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type in ("audio", "subtitle")]
        found: dict[int, Packets] = {stream.index: [] for stream in streams}
        for packet in container.demux(*streams) if streams else ():
            if packet.dts is not None and bytes(packet) != bytes(2):
                found[packet.stream_index].append((packet.pts * packet.time_base, bytes(packet)))
    return list(found.values())


def write(path: Path, source: Path, frames: int = 60, first: int = 0, **settings) -> VideoWriter:
    """Copy what belongs to a source whose frames go on from number `first`."""
    image = np.full((64, 64, 3), 90, np.uint8)
    encoding = Encoding("vp9" if path.suffix == ".webm" else "h264")
    with VideoWriter(path, VIDEO, source, overwrite=True, encoding=encoding, **settings) as writer:
        for index in range(frames):
            writer.write(Frame(image, index, (first + index) * 100, VIDEO.time_base, 100), image, NOBODY)
    return writer


def rounded(streams: list[Packets], unit: Fraction) -> list[list[tuple[int, bytes]]]:
    return [[(round(time / unit), data) for time, data in packets] for packets in streams]


MP4_STREAMS = [
    Stream("aac", (0, 6), (("language", "deu"), ("title", "Deutsch")), Disposition.default),
    Stream("aac", (0.5, 5), (("language", "eng"),), 0, 44100),
    Stream("mov_text", (0.2, 1, 3.5), (("language", "fra"),)),
    Stream("mov_text", (2.25, 9), (("language", "ita"),), Disposition.default),
]
MATROSKA_STREAMS = [
    Stream("libopus", (0, 6), (("language", "ger"), ("title", "Deutsch")), Disposition.default),
    Stream("flac", (0, 6), (("language", "eng"), ("title", "Commentary")), Disposition.comment, 44100),
    Stream("subrip", (0.25, 1, 3.5), (("language", "fre"), ("title", "Forced")), Disposition.forced),
    Stream("ass", (2.25, 9), (("language", "ita"),), Disposition.default),
    Stream("webvtt", (0, 4.5)),
]


@pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mov"])
def test_all_streams_of_mp4_are_copied(tmp_path, suffix):
    source = write_source(tmp_path / "in.mp4", MP4_STREAMS)
    writer = write(tmp_path / f"out{suffix}", source)
    assert writer.notes == []
    expected = copied(source)
    assert [len(packets) > 2 for packets in expected] == [True, True, True, False]
    assert copied(writer.path) == expected
    with av.open(str(source)) as before, av.open(str(writer.path)) as after:
        for old, new in zip([*before.streams][1:], [*after.streams][1:], strict=True):
            assert new.type == old.type
            assert new.language == ("ger" if suffix == ".mov" and old.language == "deu" else old.language)
            assert new.metadata.get("title") == old.metadata.get("title")
            assert new.disposition == old.disposition


def test_all_streams_of_matroska_are_copied(tmp_path):
    source = write_source(tmp_path / "in.mkv", MATROSKA_STREAMS)
    writer = write(tmp_path / "out.mkv", source)
    assert writer.notes == []
    assert copied(writer.path) == copied(source)
    assert [len(packets) for packets in copied(source)][2:] == [3, 2, 2]
    with av.open(str(source)) as before, av.open(str(writer.path)) as after:
        for old, new in zip([*before.streams][1:], [*after.streams][1:], strict=True):
            assert (new.type, new.codec_context.name) == (old.type, old.codec_context.name)
            assert (new.language, new.metadata.get("title")) == (old.language, old.metadata.get("title"))
            assert new.disposition == old.disposition


def test_mp4_is_copied_into_matroska_but_for_its_text(tmp_path):
    source = write_source(tmp_path / "in.mp4", MP4_STREAMS)
    writer = write(tmp_path / "out.mkv", source)
    unit = Fraction(1, 1000)
    assert rounded(copied(writer.path), unit) == rounded(copied(source)[:2], unit)
    assert writer.notes == ["The video is without its mov_text subtitles, which .mkv cannot hold; .mp4 would."]


def test_what_cannot_be_held_is_named(tmp_path):
    source = write_source(tmp_path / "in.mkv", [*MATROSKA_STREAMS, Stream("wavpack", (0, 6))])
    expected = copied(source)
    for suffix, held, told in (
        (".mp4", [0, 1], "wavpack sound and its subrip, ass, webvtt subtitles, which .mp4"),
        (".mov", [], "opus, flac, wavpack sound and its subrip, ass, webvtt subtitles, which .mov"),
        (".webm", [0, 4], "flac, wavpack sound and its subrip, ass subtitles, which .webm"),
    ):
        writer = write(tmp_path / f"out{suffix}", source)
        assert rounded(copied(writer.path), Fraction(1, 1000)) == rounded(
            [expected[index] for index in held], Fraction(1, 1000)
        )
        assert writer.notes == [f"The video is without its {told} cannot hold; .mkv would."]


@pytest.mark.parametrize(
    ("name", "streams", "suffix"),
    [
        ("a.mp4", MP4_STREAMS, ".mp4"),
        ("a.mkv", MATROSKA_STREAMS[:2], ".mp4"),
        ("a.mkv", MATROSKA_STREAMS, ".mkv"),
        ("a.mkv", [Stream("wavpack", (0, 6))], ".mkv"),
        ("a.mov", [Stream("pcm_s16le", (0, 6)), Stream("mov_text", (1, 2))], ".mp4"),
        ("a.avi", [Stream("libmp3lame", (0, 6))], ".mp4"),
        ("a.mp4", [], ".mp4"),
        ("a.mp4", [Stream("aac", (0, 6)), Stream("aac", (11, 12))], ".mkv"),  # it begins too late
    ],
)
def test_default_suffix_is_of_the_first_kind_that_holds_all(tmp_path, name, streams, suffix):
    source = write_source(tmp_path / name, streams, seconds=13 if len(streams) == 2 else 6)
    assert suffix_for(source) == suffix
    writer = write(tmp_path / f"out{suffix}", source)
    assert writer.notes == []
    assert len(copied(writer.path)) == len(streams)


def test_default_suffix_holds_the_codec(tmp_path):
    source = write_source(tmp_path / "a.mp4", [Stream("aac", (0, 6))])
    assert suffix_for(source, Encoding("prores")) == ".mov"
    assert suffix_for(source, Encoding("ffv1")) == ".mkv"
    assert suffix_for(write_source(tmp_path / "a.mkv", MATROSKA_STREAMS), Encoding("prores")) == ".mkv"
    (tmp_path / "no.mp4").write_bytes(b"no video")
    assert suffix_for(tmp_path / "no.mp4") == suffix_for(tmp_path / "missing.mp4") == ".mp4"


def test_text_that_begins_late_holds_nothing_back(tmp_path):
    source = write_source(tmp_path / "in.mp4", [Stream("aac", (0, 30)), Stream("mov_text", (25, 27))], seconds=30)
    image = np.full((64, 64, 3), 90, np.uint8)
    path = tmp_path / "out.mp4"
    with VideoWriter(path, VIDEO, source) as writer:
        for index in range(300):
            writer.write(Frame(image, index, index * 100, VIDEO.time_base, 100), image, NOBODY)
            if index == 130:
                with av.open(str(partial_path(path))) as container:
                    assert sum(1 for packet in container.demux(video=0) if packet.size) > 50
    assert copied(path) == copied(source)


def test_sound_that_begins_too_late_for_mp4_is_named(tmp_path):
    source = write_source(tmp_path / "in.mkv", [Stream("aac", (0, 30)), Stream("aac", (25, 30))], seconds=30)
    writer = write(tmp_path / "out.mp4", source, 300)
    assert writer.notes == [
        "The video is without its aac sound, of which there is nothing in the first 10 seconds; .mkv would hold it."
    ]
    assert len(copied(writer.path)) == 1
    writer = write(tmp_path / "out.mkv", source, 300)
    assert writer.notes == []
    assert copied(writer.path) == copied(source)


@pytest.mark.parametrize(("name", "streams"), [("in.mp4", MP4_STREAMS), ("in.mkv", MATROSKA_STREAMS)])
@pytest.mark.parametrize(("start", "end"), [(1, 3), (Fraction(1, 3), None), (0, Fraction(5, 2)), (4, None)])
def test_a_part_is_copied(tmp_path, name, streams, start, end):
    source = write_source(tmp_path / name, streams)
    cut = Fraction(start), None if end is None else Fraction(end), Fraction(start)
    writer = write(tmp_path / f"out{source.suffix}", source, 20, first=-(-start * 10 // 1), cut=cut)
    assert writer.notes == []
    expected = [
        [(time - start, data) for time, data in packets if start <= time and (end is None or time < end)]
        for packets in copied(source)
    ]
    unit = Fraction(1, 1000) if source.suffix == ".mkv" else Fraction(1, 44100)
    for found, wanted in zip(copied(writer.path), expected, strict=True):
        assert [data for _, data in found] == [data for _, data in wanted]
        assert all(abs(a[0] - b[0]) <= unit / 2 for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_part_without_sound_is_no_loss(tmp_path, suffix):
    source = write_source(tmp_path / f"in{suffix}", [Stream("aac", (0, 6)), Stream("aac", (0, 2))])
    for start, end, heard in ((Fraction(4), Fraction(6), True), (Fraction(351, 100), Fraction(352, 100), False)):
        writer = write(tmp_path / f"out{suffix}", source, 10, first=40, cut=(start, end, Fraction(3)))
        assert writer.notes == []
        assert any(copied(writer.path)) == heard


def test_a_part_far_into_a_file_is_found(tmp_path):
    streams = [Stream("aac", (0, 60)), Stream("mov_text", (0, 10, 30.5, 41, 50))]
    for name in ("in.mp4", "in.mkv", "in.ts"):
        held = [stream for stream in streams if stream.codec == "aac" or name == "in.mp4"]
        source = write_source(tmp_path / name, held, seconds=60)
        with av.open(str(source)) as container:
            begin = Fraction(container.start_time or 0, 10**6)
        cut = begin + 30, begin + 42, begin + 30
        writer = write(tmp_path / "out.mp4", source, 120, first=round((begin + 30) * 10), cut=cut)
        for found, all_of_it in zip(copied(writer.path), copied(source), strict=True):
            wanted = [time - cut[2] for time, _ in all_of_it if cut[0] <= time < cut[1]]
            assert len(found) == len(wanted) > 1
            assert all(abs(time - other) < Fraction(1, 40000) for (time, _), other in zip(found, wanted, strict=True))


CHAPTERS = [
    {"id": number, "start": 2000 * number, "end": 2000 * (number + 1), "time_base": Fraction(1, 1000), "metadata": {}}
    | {"metadata": {"title": title}}
    for number, title in enumerate(("One", "Two", "Three"))
]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_chapters_are_copied(tmp_path, suffix):
    def chapters(path: Path) -> list[tuple[float, float, str]]:
        with av.open(str(path)) as container:
            return [
                (float(one["start"] * one["time_base"]), float(one["end"] * one["time_base"]), one["metadata"]["title"])
                for one in container.chapters()
            ]

    source = write_source(tmp_path / f"in{suffix}", [Stream("aac", (0, 6))], chapters=CHAPTERS)
    assert chapters(source) == [(0, 2, "One"), (2, 4, "Two"), (4, 6, "Three")]
    assert chapters(write(tmp_path / f"out{suffix}", source).path) == chapters(source)
    cut = Fraction(1), Fraction(3), Fraction(1)
    writer = write(tmp_path / f"out{suffix}", source, 20, first=10, cut=cut)
    assert chapters(writer.path) == [(0, 1, "One"), (1, 2, "Two")]


def test_fonts_come_along_in_matroska(tmp_path):
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width = video.height = 32
        container.add_attachment("a.ttf", "application/x-truetype-font", b"letters")
        container.mux(video.encode(av.VideoFrame(32, 32)))
        container.mux(video.encode(None))
    writer = write(tmp_path / "out.mkv", source)
    with av.open(str(writer.path)) as container:
        assert [(one.name, one.data) for one in container.streams.attachments] == [("a.ttf", b"letters")]
    assert write(tmp_path / "out.mp4", source).notes == []


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_sound_of_a_source_that_breaks_off_is_copied_as_far_as_it_goes(tmp_path, suffix):
    whole = write_source(tmp_path / "in.mkv", [Stream("libopus", (0, 6)), Stream("libopus", (0, 6))])
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    writer = write(tmp_path / f"out{suffix}", cut)
    for found, all_of_it in zip(copied(writer.path), copied(whole), strict=True):
        assert 100 < len(found) < len(all_of_it)
        assert [data for _, data in found] == [data for _, data in all_of_it[: len(found)]]


def test_sound_of_a_broadcast_plays_in_matroska(tmp_path):
    source = write_source(tmp_path / "in.ts", [Stream("aac", (0, 6))])
    writer = write(tmp_path / "out.mkv", source, first=14)

    def wave(path: Path) -> np.ndarray:
        with av.open(str(path)) as container:
            return np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)

    assert writer.notes[1:] == []
    np.testing.assert_allclose(wave(writer.path), wave(source), atol=1e-4)
