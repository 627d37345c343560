"""What is shown is recorded as it is shown, and recording never holds the live view up."""

from __future__ import annotations

import errno
import json
import threading
import time
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from app import recording
from app.annotated import annotated
from app.map_overlay import MapLayer
from app.overlay import OverlayStyle
from app.recording import TIME_BASE, Recorder, default_path
from app.sinks.json_lines import JsonLinesWriter, header
from app.sinks.video import VideoWriter
from app.sources import Frame, SourceInfo, VideoFormat
from engine.errors import SwahrError
from grouping import COCO17, People

MICROSECOND = Fraction(1, 1_000_000)
CAMERA = SourceInfo("camera:0", "camera", size=(160, 120))
NOW = datetime(2026, 11, 23, 10, 15, 30)

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


@pytest.fixture
def record(tools, tmp_path):
    """Begins a recording at out.mp4; it is stopped after the test."""
    begun = []

    def begin(info: SourceInfo = CAMERA, **settings) -> Recorder:
        estimator = tools.FakeEstimator()
        begun.append(Recorder(tmp_path / "out.mp4", info, lambda: header(info, estimator, smoothed=False), **settings))
        return begun[-1]

    yield begin
    for recorder in begun:
        recorder.stop()


def grey(index: int) -> int:
    """How bright frame number so-and-so is."""
    return 30 + 9 * (index % 20)


def shot(tools, index: int, microseconds: int | None = None, size: tuple[int, int] = (160, 120)) -> tuple:
    """A frame, what makes its picture, and as many people as its number says, 0 to 4."""
    width, height = size
    pts = index * 33_333 if microseconds is None else microseconds
    frame = Frame(np.full((height, width, 3), grey(index), np.uint8), 1000 + index, pts, MICROSECOND)
    person = tools.standing_person(width, height)
    people = person[[0] * (index % 5)]
    return frame, partial(np.copy, frame.image), people


def empty(recorder: Recorder) -> None:
    """Wait until nothing waits to be encoded."""
    deadline = time.monotonic() + 10
    while recorder._waiting.qsize():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def lines_of(path: Path) -> tuple[dict, list[dict]]:
    first, *lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return first, lines


def test_times_of_a_camera_are_kept_from_the_first_frame_on(record, tools, tmp_path):
    stamps = [5_000_001 + 33_367 * index + (index * 7919) % 9000 for index in range(40)]
    stamps[20:] = [stamp + 4_000_000 for stamp in stamps[20:]]  # the camera was gone for four seconds
    recorder = record(rate=29.97)
    for index, stamp in enumerate(stamps):
        recorder.add(*shot(tools, index, stamp))
    said = recorder.stop()
    written = tools.video_stamps(tmp_path / "out.mp4")
    expected = [(stamp - stamps[0]) * MICROSECOND for stamp in stamps]
    assert written[0] == 0 and len(written) == 40
    assert max(abs(a - b) for a, b in zip(written, expected, strict=True)) <= TIME_BASE / 2
    assert said == f"Recorded 40 frames, 5.3 s, in {tmp_path / 'out.mp4'} and {tmp_path / 'out.jsonl'}."
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "out.mp4"]


def test_poses_and_video_agree_frame_by_frame(record, tools, tmp_path):
    recorder = record()
    for index in range(30):
        recorder.add(*shot(tools, index))
    recorder.stop()
    first, lines = lines_of(tmp_path / "out.jsonl")
    assert (first["source"], first["size"], first["model"]) == ("camera:0", [160, 120], "fake")
    assert Fraction(first["time_base"]) == TIME_BASE
    assert [line["frame"] for line in lines] == list(range(30))
    assert [line["pts"] * TIME_BASE for line in lines] == tools.video_stamps(tmp_path / "out.mp4")
    assert [line["time"] for line in lines] == [float(line["pts"] * TIME_BASE) for line in lines]
    assert [len(line["people"]) for line in lines] == [index % 5 for index in range(30)]
    brightness = [frame.mean() for frame in tools.video_frames(tmp_path / "out.mp4")]
    np.testing.assert_allclose(brightness, [grey(index) for index in range(30)], atol=2)


def test_times_grow_even_where_those_given_do_not(record, tools, tmp_path):
    recorder = record()
    for index, stamp in enumerate((0, 0, 3, 100_000, 90_000, 200_000)):
        recorder.add(*shot(tools, index, stamp))
    recorder.stop()
    assert [stamp / TIME_BASE for stamp in tools.video_stamps(tmp_path / "out.mp4")] == [0, 1, 2, 9000, 9001, 18000]


def test_a_video_that_is_played_is_recorded_at_the_pace_at_which_it_is_shown(record, tools, tmp_path):
    video = VideoFormat(Fraction(25), Fraction(1, 25), pixel_aspect=Fraction(4, 3))
    moments = iter((100.0, 100.5, 100.75, 103.0))
    recorder = record(SourceInfo("in.mp4", "video", Path("in.mp4"), (160, 120), video=video), clock=moments.__next__)
    for index in (7, 8, 0, 1):  # it began again
        recorder.add(*shot(tools, index))
    recorder.stop()
    assert tools.video_stamps(tmp_path / "out.mp4") == [0, Fraction(1, 2), Fraction(3, 4), 3]
    assert lines_of(tmp_path / "out.jsonl")[0]["time_base"] == "1/90000"


def test_pictures_without_a_time_can_be_recorded(record, tools, tmp_path):
    recorder = record(SourceInfo("photos", "folder", Path("photos")))
    for index in range(3):
        frame, picture, people = shot(tools, index)
        recorder.add(replace(frame, pts=None), picture, people)
    recorder.stop()
    assert len(tools.video_stamps(tmp_path / "out.mp4")) == 3


def test_where_the_size_changes_pictures_and_people_are_stretched_to_the_first(record, tools, tmp_path):
    recorder = record()
    recorder.add(*shot(tools, 1))
    recorder.add(*shot(tools, 6, size=(320, 480)))
    recorder.stop()
    assert [frame.shape for frame in tools.video_frames(tmp_path / "out.mp4")] == [(120, 160, 3)] * 2
    first, (before, after) = lines_of(tmp_path / "out.jsonl")
    assert first["size"] == [160, 120]
    assert after["people"][0]["box"] == pytest.approx(before["people"][0]["box"], abs=0.01)


def test_pictures_are_made_on_the_recorders_thread(record, tools):
    threads = []
    recorder = record()
    frame, picture, people = shot(tools, 0)
    recorder.add(frame, lambda: threads.append(threading.current_thread().name) or picture(), people)
    recorder.stop()
    assert threads == ["record"]


def test_a_slow_disk_does_not_slow_the_view(record, tools, tmp_path, monkeypatch):
    write, going_on = VideoWriter.write, threading.Event()

    def slow(self, *arguments):
        going_on.wait(5)
        write(self, *arguments)

    monkeypatch.setattr(VideoWriter, "write", slow)
    monkeypatch.setattr(recording, "MOST_WAITING", 8)
    recorder = record()
    shots = [shot(tools, index) for index in range(110)]
    began = time.perf_counter()
    for one in shots[:100]:
        recorder.add(*one)
    assert time.perf_counter() - began < 2, "adding waits for the disk"
    assert 8 <= recorder.frames <= 9
    assert recorder.frames + recorder.dropped == 100
    going_on.set()
    empty(recorder)
    for one in shots[100:]:
        empty(recorder)
        recorder.add(*one)
    said = recorder.stop()
    assert f"Recorded {recorder.frames} frames" in said
    assert f"({recorder.dropped} more dropped, for encoding could not keep up)" in said
    assert recorder.frames == len(tools.video_stamps(tmp_path / "out.mp4"))
    _, lines = lines_of(tmp_path / "out.jsonl")
    assert [line["frame"] for line in lines] == list(range(recorder.frames))
    times = [round(one[0].time / TIME_BASE) for one in shots]
    assert [line["pts"] for line in lines][-10:] == times[100:], "what was dropped moves the times of others"


def test_large_frames_take_no_more_memory_than_is_allowed(record, tools, monkeypatch):
    going_on = threading.Event()
    monkeypatch.setattr(recording, "MOST_WAITING_BYTES", 3 * 160 * 120 * 3 + 1)
    recorder = record()
    frame, picture, people = shot(tools, 0)
    recorder.add(frame, lambda: going_on.wait(10) and picture(), people)
    empty(recorder)
    for index in range(1, 10):
        recorder.add(*shot(tools, index))
    assert (recorder.frames, recorder.dropped) == (1 + 3, 6)
    going_on.set()


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("sink", "error", "told"),
    [
        (VideoWriter, SwahrError("The disk is full."), "The disk is full; what was recorded so far is in "),
        (JsonLinesWriter, SwahrError("The disk is full."), "The disk is full; what was recorded so far is in "),
        (VideoWriter, ZeroDivisionError("0/0"), "a bug of swahr (ZeroDivisionError: 0/0); what was recorded"),
    ],
)
def test_a_failure_ends_the_recording_and_is_told_once(record, tools, tmp_path, monkeypatch, sink, error, told):
    write, sentences = sink.write, []

    def failing(self, frame, *rest):
        if frame.index == 5:
            raise error
        write(self, frame, *rest)

    monkeypatch.setattr(sink, "write", failing)
    recorder = record(on_error=sentences.append)
    for index in range(20):
        recorder.add(*shot(tools, index))
    said = recorder.stop()
    recorder.add(*shot(tools, 20))
    assert sentences == [said] == [recorder.error]
    assert told in said and ". " not in said
    assert said.endswith(f"{tmp_path / 'out.partial.mp4'} and {tmp_path / 'out.partial.jsonl'}.")
    assert 5 <= len(tools.video_stamps(tmp_path / "out.partial.mp4")) <= 6
    assert [line["frame"] for line in lines_of(tmp_path / "out.partial.jsonl")[1]] == list(range(5))
    assert not (tmp_path / "out.mp4").exists() and not (tmp_path / "out.jsonl").exists()
    assert recorder._waiting.empty(), "frames are kept in memory"
    assert recorder.stop() == said


def test_a_disk_that_is_full_at_the_very_end_is_told(record, tools, tmp_path, monkeypatch):
    monkeypatch.setattr(VideoWriter, "_finish", lambda self, whole: (_ for _ in ()).throw(FULL))
    sentences = []
    recorder = record(on_error=sentences.append)
    recorder.add(*shot(tools, 0))
    said = recorder.stop()
    assert sentences == [said]
    assert "No space left on device" in said
    assert not (tmp_path / "out.mp4").exists() and not (tmp_path / "out.jsonl").exists()


def test_without_a_frame_nothing_is_left(record, tmp_path):
    assert record().stop() == "Nothing was recorded, for not one frame was shown."
    assert list(tmp_path.iterdir()) == []


def test_files_that_cannot_be_begun_are_refused_at_once(record, tmp_path):
    (tmp_path / "out.jsonl").write_text("old")
    with pytest.raises(SwahrError, match=r"out\.jsonl exists already"):
        record()
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]
    with pytest.raises(SwahrError, match="does not exist"):
        Recorder(tmp_path / "no" / "out.mp4", CAMERA, dict)


def test_long_recordings_are_told_in_minutes(record, tools):
    recorder = record()
    for index, seconds in enumerate((0, 754)):
        recorder.add(*shot(tools, index, seconds * 1_000_000))
    assert "Recorded 2 frames, 12 min 34 s, in" in recorder.stop()


def test_annotated_draws_into_a_picture_of_its_own(tools):
    image = np.full((240, 320, 3), 90, np.uint8)
    before = image.copy()
    person = tools.standing_person(320, 240)
    plain = annotated(image, People.empty(COCO17))
    drawn, boxed = annotated(image, person), annotated(image, person, OverlayStyle(boxes=True))
    layer = MapLayer(np.tile(np.linspace(0, 1, 320, dtype=np.float32), (240, 1)), "1/s", 0.0, 1.0)
    mapped = annotated(image, person, layer=layer)
    assert (image == before).all() and not np.shares_memory(plain, image)
    assert (plain == image).all()
    assert (drawn != plain).any() and (boxed != drawn).any()
    assert mapped[10, 5, 2] > mapped[10, 5, 0] + 40, "blue on the left, where the map is low"
    assert (mapped[-8, -20:] != mapped[60, -20:]).any(), "there is a legend"


@pytest.mark.parametrize(
    ("name", "kind", "path", "words"),
    [
        ("camera:0", "camera", None, "camera-0"),
        ("camera:1?size=1280x720&fps=30", "camera", None, "camera-1"),
        ("rtsp://user:hunter2@cam.local:554/live/hunter2?token=hunter2", "stream", None, "rtsp-cam-local-554"),
        ("rtsp://user:hun/ter2@cam.local/live", "stream", None, "rtsp"),
        ("demo:?people=8", "demo", None, "demo"),
        ("a/My clip (1).v2.mp4", "video", Path("a/My clip (1).v2.mp4"), "My-clip-1-v2"),
        ("…", "video", Path("….mp4"), "video"),
        ("long", "video", Path("x" * 200 + ".mp4"), "x" * 40),
    ],
)
def test_recordings_are_named_by_time_and_source_without_secrets(tmp_path, name, kind, path, words):
    named = default_path(tmp_path, SourceInfo(name, kind, path), NOW)
    assert named == tmp_path / f"swahr-2026-11-23-101530-{words}.mp4"
    assert default_path(tmp_path, SourceInfo(name, kind, path), NOW, ".png", ".json") == named.with_suffix(".png")


@pytest.mark.parametrize("suffix", [".mp4", ".jsonl", ".partial.mp4", ".partial.jsonl"])
def test_a_recording_is_never_named_as_a_file_that_exists(tmp_path, suffix):
    stem = "swahr-2026-11-23-101530-camera-0"
    (tmp_path / f"{stem}{suffix}").touch()
    assert default_path(tmp_path, CAMERA, NOW).name == f"{stem}-2.mp4"
    (tmp_path / f"{stem}-2{suffix}").touch()
    assert default_path(tmp_path, CAMERA, NOW).name == f"{stem}-3.mp4"
