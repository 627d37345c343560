"""Outputs: names, completeness, what is left after a failure, and the lines of JSON."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.outputs import BESIDE_OUTPUT, annotated_path, plan_sinks, planned_paths
from app.processing.options import ProcessOptions
from app.sinks.json_lines import JsonLinesWriter, frame_record, people_records
from app.sinks.partial import PartialFile
from app.sinks.video import VideoWriter
from app.sources import Frame, SourceInfo, VideoFormat
from engine.errors import SwahrError
from grouping import COCO17, People

VIDEO = VideoFormat(rate=Fraction(30), time_base=Fraction(1, 30))


def planned(info, output=None, json_path=None, **poses):
    if json_path is not None:
        poses["json"] = json_path
    options = ProcessOptions(info.name, output, **poses)
    paths = [sink.path for sink in plan_sinks(options, info, annotated_path(info, options), dict, None)]
    assert paths == planned_paths(options, info)
    return paths


def test_default_names_lie_beside_the_source(tmp_path):
    clip = SourceInfo("clip.avi", "video", tmp_path / "clip.avi", video=VIDEO)
    assert planned(clip, json_path=BESIDE_OUTPUT) == [tmp_path / "clip.swahr.mp4", tmp_path / "clip.swahr.jsonl"]
    assert planned(clip, Path("b.mp4"), BESIDE_OUTPUT) == [Path("b.mp4"), Path("b.jsonl")]
    assert planned(clip, tmp_path) == [tmp_path / "clip.swahr.mp4"]
    photo = SourceInfo("a.jpg", "image", Path("a.jpg"))
    assert planned(photo) == [Path("a.swahr.jpg")]
    assert planned(SourceInfo("a.webp", "image", Path("a.webp"))) == [Path("a.swahr.png")]
    folder = SourceInfo("p", "folder", Path("some/p.d"), names=("1.png",))
    assert planned(folder, json_path=BESIDE_OUTPUT) == [Path("some/p.d.swahr"), Path("some/p.d.swahr.jsonl")]
    assert planned(SourceInfo("demo:", "demo", video=VIDEO)) == [Path("demo.swahr.mp4")]
    others = dict.fromkeys(("csv", "coco", "openpose"), BESIDE_OUTPUT)
    names = ["clip.swahr.mp4", "clip.swahr.csv", "clip.swahr.coco.json", "clip.swahr.openpose"]
    assert planned(clip, **others) == [tmp_path / name for name in names]
    assert planned(photo, csv=BESIDE_OUTPUT, coco=Path("c.json"))[1:] == [Path("a.swahr.csv"), Path("c.json")]


def test_a_source_is_never_written_over(tmp_path):
    clip = SourceInfo("clip.mp4", "video", tmp_path / "clip.mp4", video=VIDEO)
    for output, json_path in ((tmp_path / "x" / ".." / "clip.mp4", None), (None, tmp_path / "clip.mp4")):
        with pytest.raises(SwahrError, match="written over"):
            planned(clip, output, json_path)
    with pytest.raises(SwahrError, match="cannot be both"):
        planned(clip, tmp_path / "out.mp4", tmp_path / "out.mp4")
    pictures = SourceInfo("p", "folder", tmp_path / "p", names=("1.png",))
    for first, second in (("json", "coco"), ("csv", "coco"), ("coco", "openpose")):
        with pytest.raises(SwahrError, match=r"out cannot be both"):
            planned(clip, **{first: tmp_path / "out", second: tmp_path / "x" / ".." / "out"})
    with pytest.raises(SwahrError, match="cannot be both"):
        planned(pictures, tmp_path / "out", openpose=tmp_path / "out")


def test_file_appears_only_when_complete(tmp_path):
    path = tmp_path / "out.txt"
    with PartialFile(path, overwrite=False) as file:
        file.writing.write_text("half")
        assert not path.exists()
    assert path.read_text() == "half"
    assert list(tmp_path.iterdir()) == [path]


def test_failure_keeps_what_was_written_and_the_old_file(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")
    file = PartialFile(path, overwrite=True)
    with pytest.raises(RuntimeError), file:
        file.writing.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert file.partial == tmp_path / "out.partial.txt"
    assert file.partial.read_text() == "half"


def test_nothing_is_written_over_without_being_asked(tmp_path):
    (tmp_path / "out.txt").write_text("old")
    (tmp_path / "cut.partial.txt").write_text("old part")
    for name, told in (("out.txt", "exists already"), ("cut.txt", "cut off"), ("no/out.txt", "does not exist")):
        with pytest.raises(SwahrError, match=told):
            PartialFile(tmp_path / name, overwrite=False).__enter__()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.partial.txt", "out.txt"]
    assert (tmp_path / "cut.partial.txt").read_text() == "old part"


def test_failure_before_the_first_byte_leaves_nothing(tmp_path):
    file = PartialFile(tmp_path / "out.txt", overwrite=False)
    with pytest.raises(RuntimeError), file:
        raise RuntimeError
    assert file.partial is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
@pytest.mark.parametrize("sink", [JsonLinesWriter, VideoWriter])
def test_a_full_disk_is_one_sentence(tmp_path, sink):
    suffix = ".jsonl" if sink is JsonLinesWriter else ".mp4"
    (tmp_path / f"out.partial{suffix}").symlink_to("/dev/full")
    content = dict if sink is JsonLinesWriter else VIDEO
    writer = sink(tmp_path / f"out{suffix}", content, overwrite=True)
    noise = np.random.default_rng(0).integers(0, 255, (60, 120, 160, 3), dtype=np.uint8)
    with pytest.raises(SwahrError, match=r"out\.\w+ cannot be written \(No space left on device\); free space"), writer:
        for index, picture in enumerate(noise):
            writer.write(Frame(picture, index, index, VIDEO.time_base, 1), picture, People.empty(COCO17))
    assert not writer.path.exists()


def test_a_partial_file_that_someone_removed_hides_no_error(tmp_path):
    for failure, told in ((RuntimeError("the reason"), RuntimeError), (None, SwahrError)):
        file = PartialFile(tmp_path / "out.txt", overwrite=False)
        with pytest.raises(told), file:
            file.writing.unlink()
            if failure is not None:
                raise failure
        assert file.partial is None


def test_json_lines_have_a_header_and_every_frame(swahr, tools, tmp_path):
    source = tools.write_video(tmp_path / "in.mp4", tools.VideoSpec(frames=7))
    assert swahr("process", source, "-o", "out.mp4", "--json", "poses.jsonl", "--threshold", "0.3") == 0
    header, *lines = map(json.loads, Path("poses.jsonl").read_text().splitlines())
    assert header["source"] == str(source)
    assert header["size"] == [160, 120]
    assert header["time_base"] == "1/15360"
    assert header["model"] == "default"
    assert (header["backend"], header["device"], header["precision"]) == ("none", "cpu", "float32")
    assert header["skeleton"] == json.loads(json.dumps(COCO17.to_dict()))
    assert header["settings"]["detection_threshold"] == 0.3
    assert header["settings"]["scales"] == [1.0]
    assert [line["frame"] for line in lines] == list(range(7))
    assert [len(line["people"]) for line in lines] == [1, 1, 0, 1, 1, 0, 1]
    assert lines[2] == {"frame": 2, "time": 2 / 30, "pts": 1024, "people": []}
    (person,) = lines[0]["people"]
    assert person.keys() == {"id", "score", "box", "keypoints"}
    expected = tools.standing_person(160, 120)
    np.testing.assert_allclose(person["box"], expected.boxes[0], atol=1e-3)
    np.testing.assert_allclose(np.array(person["keypoints"])[:, :3], expected.keypoints[0], atol=1e-3)
    assert np.shape(person["keypoints"]) == (17, 4)
    assert person["keypoints"][0][3] == 2


def test_people_without_sigmas_or_with_ids():
    keypoints = np.full((2, 17, 3), 0.123456, np.float32)
    people = People(
        keypoints=keypoints, scores=np.array([0.5, 0.25], np.float32), skeleton=COCO17, ids=np.array([7, 3])
    )
    first, second = people_records(people)
    assert (first["id"], second["id"]) == (7, 3)
    assert first["keypoints"][0] == [0.123, 0.123, 0.1235, None]
    json.dumps([first, second], allow_nan=False)


def test_record_of_a_picture_in_a_folder_names_file_and_size():
    frame = Frame(np.zeros((20, 30, 3), np.uint8), 4, name="b.png")
    assert frame_record(frame, People.empty(COCO17)) == {
        "frame": 4,
        "time": None,
        "file": "b.png",
        "size": [30, 20],
        "people": [],
    }


def test_picture_is_annotated(swahr, tools, tmp_path, capsys):
    cv2.imwrite("in.png", np.full((120, 160, 3), 90, np.uint8))
    assert swahr("process", "in.png", "--json") == 0
    annotated = cv2.imread("in.swahr.png")
    assert annotated.shape == (120, 160, 3)
    assert (annotated != 90).any()
    assert capsys.readouterr().out.startswith("Found 1 person in in.png. Written: in.swahr.png and in.swahr.jsonl.")
    header, line = map(json.loads, Path("in.swahr.jsonl").read_text().splitlines())
    assert header["time_base"] is None
    assert line["time"] is None


def test_a_picture_that_is_complete_when_the_poses_fail_is_named(swahr, monkeypatch, capsys):
    def failing(self, frame, picture, people):
        raise SwahrError("The disk is full.")

    monkeypatch.setattr(JsonLinesWriter, "write", failing)
    cv2.imwrite("in.png", np.full((120, 160, 3), 90, np.uint8))
    assert swahr("process", "in.png", "--json") == 2
    assert "The disk is full. What was written so far is in in.swahr.partial.png." in capsys.readouterr().err


def test_folder_becomes_a_folder(swahr, tmp_path, capsys):
    Path("in").mkdir()
    for index in (1, 2, 10):
        cv2.imwrite(f"in/{index}.png", np.full((60, 80, 3), 90 + index, np.uint8))
    Path("in/3.png").write_text("no picture")
    assert swahr("process", "in", "--json") == 0
    assert sorted(path.name for path in Path("in.swahr").iterdir()) == ["1.png", "10.png", "2.png"]
    said = capsys.readouterr().out
    assert "3.png (1 of 4 pictures)" in said
    lines = [json.loads(line) for line in Path("in.swahr.jsonl").read_text().splitlines()]
    assert [line["file"] for line in lines[1:]] == ["1.png", "2.png", "10.png"]
    assert swahr("process", "in") == 2
    assert swahr("process", "in", "--overwrite") == 0


def test_scale_map_is_blended_in(swahr, tools, tmp_path):
    cv2.imwrite("in.png", np.full((240, 320, 3), 90, np.uint8))
    assert swahr("process", "in.png", "--scale-map") == 0
    blue, _, red = np.moveaxis(cv2.imread("in.swahr.png").astype(int), 2, 0)
    assert (blue - red)[:200, 5].mean() > 40
    assert (red - blue)[:100, 300].mean() > 40


def test_scale_map_needs_a_scale_branch(swahr, tools, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("engine.PoseEstimator.load", lambda *_, **__: tools.FakeEstimator(scale_branch=False))
    cv2.imwrite("in.png", np.full((240, 320, 3), 90, np.uint8))
    assert swahr("process", "in.png", "--scale-map", "--json") == 2
    assert "no scale branch" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]


def test_failure_midway_keeps_a_playable_part_and_says_where(swahr, tools, tmp_path, monkeypatch, capsys):
    class Failing(tools.FakeEstimator):
        def __call__(self, image):
            if self.seen == 12:
                raise SwahrError("The accelerator fell out.")
            return super().__call__(image)

    monkeypatch.setattr("engine.PoseEstimator", Failing)
    source = tools.write_video(tmp_path / "in.mp4", tools.VideoSpec(audio="aac"))
    assert swahr("process", source, "-o", "out.mp4", "--json") == 2
    said = capsys.readouterr().err
    assert "The accelerator fell out. What was written so far is in out.partial.mp4 and out.partial.jsonl." in said
    assert tools.video_stamps(tmp_path / "out.partial.mp4") == tools.video_stamps(source)[:12]
    assert len(Path("out.partial.jsonl").read_text().splitlines()) == 13
    assert not Path("out.mp4").exists()
    assert not Path("out.jsonl").exists()
    monkeypatch.setattr("engine.PoseEstimator", tools.FakeEstimator)
    assert swahr("process", source, "-o", "out.mp4", "--json") == 0
    assert tools.video_stamps(tmp_path / "out.mp4") == tools.video_stamps(source)
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name or path.suffix == ".people"]


def test_a_bug_is_one_sentence_and_debug_shows_where(swahr, tools, tmp_path, monkeypatch, capsys):
    def broken(self, image):
        raise ZeroDivisionError("0/0")

    monkeypatch.setattr(tools.FakeEstimator, "__call__", broken)
    cv2.imwrite("in.png", np.full((240, 320, 3), 90, np.uint8))
    assert swahr("process", "in.png") == 1
    plain = capsys.readouterr().err
    assert "bug of swahr (ZeroDivisionError: 0/0)" in plain
    assert "Traceback" not in plain
    assert swahr("process", "in.png", "--debug") == 1
    assert "in broken" in capsys.readouterr().err


STALLING = """
import runpy, sys, time
import engine
Fake = runpy.run_path(sys.argv[1])["FakeEstimator"]
class Stalling(Fake):
    def __call__(self, image):
        if self.seen == 100:
            open("stalled", "w").close()
            time.sleep(float(sys.argv[2]))
        return super().__call__(image)
engine.PoseEstimator = Stalling
from app.cli import main
sys.exit(main(["process", "in.mp4", "-o", "out.mp4", "--json"]))
"""


def stalled_run(tools, tmp_path, seconds) -> subprocess.Popen:
    """The command in a process of its own, at work on frame 100 of 150 for some seconds."""
    tools.write_video(tmp_path / "in.mp4", tools.VideoSpec(frames=150))
    conftest = Path(__file__).with_name("conftest.py")
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", STALLING, str(conftest), str(seconds)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "stalled").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.3)  # the frames before are on their way to the file
    return process


def test_ctrl_c_finishes_the_partial_files(tools, tmp_path):
    process = stalled_run(tools, tmp_path, 1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said == (
        "Stopped after 101 frames. What was written so far is in out.partial.mp4 and out.partial.jsonl. "
        "The same command goes on from there.\n"
    )
    assert len(tools.video_stamps(tmp_path / "out.partial.mp4")) == 101
    assert len((tmp_path / "out.partial.jsonl").read_text().splitlines()) == 102
    assert not (tmp_path / "out.mp4").exists()


def test_a_killed_process_leaves_a_partial_video_that_plays(tools, tmp_path):
    process = stalled_run(tools, tmp_path, 60)
    process.kill()
    process.communicate(timeout=30)
    assert len(tools.video_stamps(tmp_path / "out.partial.mp4")) >= 60
    assert len((tmp_path / "out.partial.jsonl").read_text().splitlines()) == 101
