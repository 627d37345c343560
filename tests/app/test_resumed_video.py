"""A video whose writing was cut off anywhere goes on to what it would have been without that."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from app.sinks.encoding import Encoding
from app.sinks.partial import partial_path, previous_path
from app.sinks.segments import segment_length, whole_segments
from app.sinks.video import VideoWriter
from app.sources import Frame, VideoFormat
from engine.errors import SwahrError
from grouping import COCO17, People

VIDEO = VideoFormat(Fraction(5), Fraction(1, 1000))  # so slow that 40 frames are a segment
LENGTH = segment_length(VIDEO)
FRAMES = 300
NOBODY = People.empty(COCO17)


def frame(index: int) -> Frame:
    """Something that moves before a background that changes slowly, at times that are not quite even."""
    image = np.empty((64, 96, 3), np.uint8)
    image[:] = np.arange(96)[None, :, None] + (index // 3, index // 2, index)
    left = index * 2 % 76
    image[20:40, left : left + 20] = (250, 20 + index % 200, 30)
    return Frame(image, index, 37 + index * 200 + index * index % 17, VIDEO.time_base, 200)


@dataclass(frozen=True)
class Job:
    """Something to write, the whole of it once written, and the partial file at every moment of that."""

    path: Path
    audio: Path | None
    encoding: Encoding
    frames: int
    whole: Path
    moments: list[bytes]

    def writer(self, **settings) -> VideoWriter:
        return VideoWriter(self.path, VIDEO, self.audio, encoding=self.encoding, **settings)

    def resumed(self, **settings) -> int:
        """Go on with what is there, to the end; returns how many frames were kept."""
        with self.writer(resume=True, **settings) as writer:
            for index in range(writer.frames_kept, self.frames):
                one = frame(index)
                writer.write(one, one.image, NOBODY)
        return writer.frames_kept

    def check(self) -> None:
        """The result is what it would have been, and nothing else is left."""
        assert sorted(path.name for path in self.path.parent.iterdir()) == [self.path.name]
        assert content(self.path) == content(self.whole)
        self.path.unlink()


def content(path: Path) -> list[list]:
    """Every frame's stamp and picture, and every packet of sound and subtitles."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        found: list[list] = [
            [(one.pts * video.time_base, pixels(one)) for one in container.decode(video)],
            [(one.pts * one.time_base, one.duration) for one in packets(path, video.index)],
        ]
        for stream in container.streams:
            if stream is not video:
                found.append([(one.pts * one.time_base, bytes(one)) for one in packets(path, stream.index)])
    return found


def pixels(picture: av.VideoFrame) -> bytes:
    if picture.format.name == "bgr0":
        picture = picture.reformat(format="rgb24")
    return picture.to_ndarray().tobytes()


def packets(path: Path, stream: int) -> Iterator[av.Packet]:
    with av.open(str(path)) as container:
        yield from (packet for packet in container.demux(container.streams[stream]) if packet.size)


def write_sound_and_text(path: Path, seconds: int) -> Path:
    """Sound all the time, and now and then a subtitle, the first of which is late."""
    webm = path.suffix in (".mkv", ".webm")
    with av.open(str(path), "w") as container:
        sound = container.add_stream("libopus" if webm else "aac", rate=48000, layout="mono")
        text = container.add_mux_stream("webvtt" if webm else "mov_text")
        container.start_encoding()
        for second in range(seconds):
            wave = (np.sin(np.arange(48000) * (0.02 + second / 1000)) * 8000).astype(np.int16)
            samples = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
            samples.sample_rate, samples.pts = 48000, second * 48000
            container.mux(sound.encode(samples))
            if second % 7 == 3 and second > 10:
                words = f"second {second}".encode()
                packet = av.Packet(words if webm else len(words).to_bytes(2, "big") + words)
                packet.stream, packet.time_base = text, Fraction(1, 1000)
                packet.pts = packet.dts = second * 1000
                packet.duration = 1500
                container.mux(packet)
        container.mux(sound.encode(None))
    return path


@pytest.fixture(scope="module")
def job(request, tmp_path_factory) -> Job:
    """Written once without interruption, the file being looked at all the while; param: suffix, codec, frames."""
    suffix, codec, frames = request.param
    folder = tmp_path_factory.mktemp(codec)
    (folder / "new").mkdir()
    audio = write_sound_and_text(folder / f"in{suffix}", frames // 5 + 2)
    job = Job(folder / "new" / f"out{suffix}", audio, Encoding(codec), frames, folder / f"whole{suffix}", [])
    with job.writer() as writer:
        for index in range(frames):
            one = frame(index)
            writer.write(one, one.image, NOBODY)
            data = partial_path(job.path).read_bytes()
            if not job.moments or data != job.moments[-1]:
                job.moments.append(data)
    assert writer.frames_kept == 0
    shutil.move(job.path, job.whole)
    return job


H264 = [(".mp4", "h264", FRAMES), (".mkv", "h264", FRAMES)]
OTHERS = [
    (".mp4", "hevc", 130),
    (".mp4", "av1", 130),
    (".webm", "vp9", 130),
    (".mov", "prores", 130),
    (".mkv", "ffv1", 130),
]


@pytest.mark.parametrize("job", H264, indirect=True, ids=str)
def test_the_whole_has_every_frame_and_packet(job):
    stamps, _, *others = content(job.whole)
    assert [stamp for stamp, _ in stamps] == [frame(index).time for index in range(FRAMES)]
    sources = content_of_streams(job.audio)
    assert len(others) == len(sources) == 2
    for other, source in zip(others, sources, strict=True):
        assert [one for one in other if one[1] != bytes(2)] == [one for one in source if one[1] != bytes(2)]


def content_of_streams(path: Path) -> list[list]:
    with av.open(str(path)) as container:
        indices = [stream.index for stream in container.streams if stream.type != "video"]
    return [[(one.pts * one.time_base, bytes(one)) for one in packets(path, index)] for index in indices]


@pytest.mark.parametrize("job", H264, indirect=True, ids=str)
def test_killed_at_any_moment(job):
    chosen = np.linspace(0, len(job.moments) - 1, 24).astype(int)
    kept = []
    for moment in chosen:
        partial_path(job.path).write_bytes(job.moments[moment])
        kept.append(job.resumed())
        job.check()
    assert kept == sorted(kept)
    assert kept[-1] >= FRAMES - 2 * LENGTH - FRAMES % LENGTH
    assert all(frames % LENGTH == 0 for frames in kept)


@pytest.mark.parametrize("job", H264, indirect=True, ids=str)
@pytest.mark.parametrize("finished", [False, True])
def test_cut_off_at_any_byte(job, finished):
    data = job.whole.read_bytes() if finished else job.moments[-1]
    numbers = np.random.default_rng(5)
    places = [0, 1, 30, 50, *numbers.integers(60, len(data), 16), *(len(data) - numbers.integers(0, 5000, 6))]
    for place in sorted(places):
        partial_path(job.path).write_bytes(data[:place])
        kept = job.resumed()
        assert kept <= FRAMES * place / len(data) + LENGTH
        assert kept >= FRAMES * place / len(data) * 0.6 - 2 * LENGTH
        job.check()


@pytest.mark.parametrize("job", H264, indirect=True, ids=str)
def test_killed_while_the_segments_are_copied(job):
    data = job.moments[-1]
    for place in np.linspace(0, len(data), 8).astype(int):
        previous_path(job.path).write_bytes(data)
        partial_path(job.path).write_bytes(data[:place])
        assert job.resumed() >= FRAMES - 2 * LENGTH - FRAMES % LENGTH
        job.check()


@pytest.mark.parametrize("job", OTHERS, indirect=True, ids=str)
def test_other_codecs_are_resumed_as_well(job):
    for moment in np.linspace(len(job.moments) // 2, len(job.moments) - 1, 3).astype(int):
        partial_path(job.path).write_bytes(job.moments[moment])
        kept = job.resumed()
        job.check()
    assert kept >= LENGTH
    data = job.whole.read_bytes()
    for place in (len(data) * 2 // 3, len(data) - 20):
        partial_path(job.path).write_bytes(data[:place])
        assert job.resumed() >= LENGTH
        job.check()
