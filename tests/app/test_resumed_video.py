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
    image = np.empty((96, 96, 3), np.uint8)
    image[:] = np.arange(96)[None, :, None] + (index // 3, index // 2, index)
    left = index * 2 % 44
    image[14:34, left : left + 20] = (250, 20 + index % 200, 30)
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
    content: list[list]

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
        assert content(self.path) == self.content
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
    job = Job(folder / "new" / f"out{suffix}", audio, Encoding(codec), frames, folder / f"whole{suffix}", [], [])
    with job.writer() as writer:
        for index in range(frames):
            one = frame(index)
            writer.write(one, one.image, NOBODY)
            data = partial_path(job.path).read_bytes()
            if not job.moments or data != job.moments[-1]:
                job.moments.append(data)
    assert writer.frames_kept == 0
    shutil.move(job.path, job.whole)
    job.content.extend(content(job.whole))
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
    stamps, _, *others = job.content
    assert [stamp for stamp, _ in stamps] == [frame(index).time for index in range(FRAMES)]
    sources = content_of_streams(job.audio)
    assert len(others) == len(sources) == 2
    for other, source in zip(others, sources, strict=True):
        assert [one for one in other if one[1] != bytes(2)] == [one for one in source if one[1] != bytes(2)]


def content_of_streams(path: Path) -> list[list]:
    with av.open(str(path)) as container:
        indices = [stream.index for stream in container.streams if stream.type != "video"]
    return [[(one.pts * one.time_base, bytes(one)) for one in packets(path, index)] for index in indices]


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("job", H264, indirect=True, ids=str)
def test_killed_while_the_segments_are_copied(job):
    data = job.moments[-1]
    for place in np.linspace(0, len(data), 8).astype(int):
        previous_path(job.path).write_bytes(data)
        partial_path(job.path).write_bytes(data[:place])
        assert job.resumed() >= FRAMES - 2 * LENGTH - FRAMES % LENGTH
        job.check()


@pytest.mark.slow
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


MP4 = pytest.mark.parametrize("job", H264[:1], indirect=True, ids=str)
BOTH = pytest.mark.parametrize("job", H264, indirect=True, ids=str)


@BOTH
def test_a_whole_file_without_its_name_is_kept_but_for_the_last_segment(job):
    shutil.copy(job.whole, partial_path(job.path))
    assert job.resumed() == FRAMES // LENGTH * LENGTH
    job.check()


@BOTH
def test_no_more_is_kept_than_the_caller_wants(job):
    for most, kept in ((2 * LENGTH + 7, 2 * LENGTH), (LENGTH - 1, 0), (0, 0)):
        partial_path(job.path).write_bytes(job.moments[-1])
        assert job.resumed(keep_at_most=most) == kept
        job.check()


@BOTH
def test_data_that_never_reached_the_disk_is_not_kept(job):
    data = bytearray(job.moments[-1])
    intact = whole_segments_in(job, data)
    with av.open(str(job.whole)) as container:
        frames = [packet for packet in container.demux(video=0) if packet.size]
    middle = frames[intact - LENGTH // 2]
    data[middle.pos : middle.pos + middle.size] = bytes(middle.size)
    partial_path(job.path).write_bytes(data)
    assert job.resumed() == intact - LENGTH
    job.check()


@pytest.mark.slow
@BOTH
def test_pages_that_never_reached_the_disk_change_nothing(job):
    """The video that comes out is right; of what was encoded before, all may have to be encoded again."""
    numbers = np.random.default_rng(3)
    for moment in (job.moments[-1], job.moments[-3]):
        for _ in range(6):
            data = bytearray(moment)
            pages = len(data) // 4096
            for page in numbers.integers(pages * 9 // 10, pages, 3):  # those before were waited for
                data[page * 4096 : (page + 1) * 4096] = bytes(4096)
            partial_path(job.path).write_bytes(data)
            job.resumed()
            job.check()


def whole_segments_in(job: Job, data: bytes) -> int:
    place = job.path.with_name(f"some{job.path.suffix}")
    place.write_bytes(data)
    found = whole_segments(place, LENGTH, "h264")
    place.unlink()
    return 0 if found is None else found.frames


@MP4
@pytest.mark.parametrize("rubbish", [b"", b"no video", bytes(5000), b"\0\0\0\x18ftypmp42\0\0\0\0mp42mp41"])
def test_what_cannot_be_read_is_begun_anew(job, rubbish):
    partial_path(job.path).write_bytes(rubbish)
    previous_path(job.path).write_bytes(rubbish[::-1])
    assert job.resumed() == 0
    job.check()
    assert job.resumed() == 0  # nor is anything there
    job.check()


@MP4
def test_a_video_that_would_be_encoded_otherwise_is_begun_anew(job):
    partial_path(job.path).write_bytes(job.moments[-1])
    with job.writer(resume=True, preset="ultrafast") as writer:
        assert writer.frames_kept == 0
        writer.write(frame(0), frame(0).image, NOBODY)
    partial_path(job.path).write_bytes(job.moments[-1])
    for settings in ({"encoding": Encoding("hevc")}, {"encoding": Encoding(size=(32, 24))}):
        with VideoWriter(job.path, VIDEO, **settings, resume=True, overwrite=True) as writer:
            assert writer.frames_kept == 0
            writer.write(frame(0), frame(0).image, NOBODY)
    job.path.unlink()


@MP4
def test_a_failure_while_the_segments_are_copied_loses_none(job, monkeypatch):
    whole = whole_segments_in(job, job.moments[-1])
    for fails_at in (0, 1, LENGTH + 3, whole - 1):
        partial_path(job.path).write_bytes(job.moments[-1])
        with monkeypatch.context() as patch:
            fail_at(patch, fails_at)
            writer = job.writer(resume=True)
            with pytest.raises(SwahrError, match=r"cannot be written \(No space left on device\)"):
                writer.__enter__()
        assert writer.partial == partial_path(job.path)
        assert partial_path(job.path).read_bytes() == job.moments[-1]
        assert job.resumed() == whole
        job.check()


def fail_at(patch: pytest.MonkeyPatch, number: int) -> None:
    """Let the writer fail at the packet of this number."""
    mux = VideoWriter._mux

    def failing(self, packets):
        for packet in packets:
            if self._muxed == number:
                raise OSError(28, "No space left on device")
            mux(self, [packet])

    patch.setattr(VideoWriter, "_mux", failing)


@BOTH
def test_a_failure_soon_after_the_copying_loses_nothing(job, monkeypatch):
    whole = whole_segments_in(job, job.moments[-1])
    for more in (0, 1, 5, LENGTH, LENGTH + 4):
        partial_path(job.path).write_bytes(job.moments[len(job.moments) // 2])
        kept = 0
        with pytest.raises(ZeroDivisionError), job.writer(resume=True) as writer:
            kept = writer.frames_kept
            for index in range(kept, kept + more):
                writer.write(frame(index), frame(index).image, NOBODY)
            raise ZeroDivisionError
        assert [path.name for path in job.path.parent.iterdir()] == [partial_path(job.path).name]
        assert kept <= job.resumed() <= whole
        job.check()


@MP4
@pytest.mark.skipif(os.name == "nt", reason="Windows limits no process's files")
@pytest.mark.parametrize("missing", [1, 10, 400, 3000, 50_000])
def test_a_disk_that_is_full_at_the_end_loses_nothing(job, missing):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (job.whole.stat().st_size - missing, limits[1]))
    try:
        with pytest.raises(SwahrError, match=r"cannot be written \(File too large\)"), job.writer() as writer:
            for index in range(FRAMES):
                writer.write(frame(index), frame(index).image, NOBODY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert writer.partial == partial_path(job.path)
    assert job.resumed() >= FRAMES * 0.7 - LENGTH
    job.check()


@MP4
def test_what_is_left_over_is_not_taken_unasked(job):
    for path in (partial_path(job.path), previous_path(job.path)):
        path.write_bytes(job.moments[-1])
        with pytest.raises(SwahrError, match=r"is left over from a run that was cut off"):
            job.writer().__enter__()
        assert path.read_bytes() == job.moments[-1]
        with job.writer(overwrite=True) as writer:
            assert writer.frames_kept == 0
            writer.write(frame(0), frame(0).image, NOBODY)
        assert [path.name for path in job.path.parent.iterdir()] == [job.path.name]
        with pytest.raises(SwahrError, match="exists already"):
            job.writer(resume=True).__enter__()
        job.path.unlink()


@MP4
def test_every_segment_is_brought_to_the_disk(job, monkeypatch):
    flushed = []
    monkeypatch.setattr("app.sinks.video.flush_to_disk", lambda path: flushed.append(path))
    monkeypatch.setattr("app.sinks.partial.flush_to_disk", lambda path: flushed.append(path))
    job.resumed()
    segments = (FRAMES - 2) // LENGTH
    assert flushed == [partial_path(job.path)] * (segments + 1) + [job.path.parent]
    job.check()


@BOTH
def test_a_partial_file_plays_from_early_on(job):
    seen = []
    for moment in job.moments[:: len(job.moments) // 8]:
        place = job.path.with_name(f"some{job.path.suffix}")
        place.write_bytes(moment)
        try:
            seen.append([len(one) for one in content(place)])
        except (av.FFmpegError, IndexError):
            assert not seen, "it played before"
        place.unlink()
    assert len(seen) >= 6  # the first subtitle, which is late, is not waited for
    assert all(frames > 30 and sound > 5 for frames, _, sound, _ in seen[2:])
