"""Poses as others read them: CSV, COCO's results and OpenPose's files; a run with all of them, and conversion."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.convert import convert
from app.records import read_poses
from app.sinks.coco import CocoWriter, image_ids
from app.sinks.csv_rows import CsvWriter
from app.sinks.json_lines import JsonLinesWriter, bare_header
from app.sinks.openpose import OpenPoseWriter, file_names
from app.sinks.poses import PosedFrame
from engine.errors import SwahrError
from engine.training.evaluation import average_precision, coco_results
from grouping import COCO17, CROWDPOSE14, People

ALL = ("--json", "--csv", "--coco", "--openpose")


def written(sink, *frames):
    """The path of what a sink made of people, one after the other, or of frames."""
    with sink:
        for index, frame in enumerate(frames):
            sink.add(frame if isinstance(frame, PosedFrame) else PosedFrame(index, index / 10, frame))
    return sink.path


@pytest.fixture
def two(tools) -> People:
    """Two people, the second without a right shoulder and a nose."""
    people = tools.standing_person(160, 120)[[0, 0]]
    keypoints = people.keypoints.copy()
    keypoints[1, [0, 6]] = (7, 7, 0)
    return People(keypoints, np.array([0.75, 0.5]), people.sigmas, COCO17, np.array([4, 2]))


def test_csv_has_a_row_a_keypoint_and_one_for_nobody(two, tmp_path):
    path = written(CsvWriter(tmp_path / "p.csv"), People.empty(COCO17), two, two)
    with path.open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert [row["frame"] for row in rows] == ["0"] + ["1"] * 34 + ["2"] * 34
    assert rows[0] == {**dict.fromkeys(rows[0], ""), "frame": "0", "time": "0.0"}
    assert [row["keypoint"] for row in rows[1:35]] == list(COCO17.names) * 2
    assert [(row["person"], row["id"], row["person_score"]) for row in (rows[1], rows[18])] == [
        ("0", "4", "0.75"),
        ("1", "2", "0.5"),
    ]
    assert [float(rows[2][name]) for name in ("x", "y", "score", "sigma")] == [96.0, 12.0, 0.9, 2.0]
    assert [rows[18][name] for name in ("x", "y", "score", "sigma")] == ["", "", "0.0", ""]


def test_cocos_own_evaluation_reads_the_results(two, tmp_path):
    pytest.importorskip("faster_coco_eval")
    path = written(CocoWriter(tmp_path / "p.json"), People.empty(COCO17), two[[0]], two[[1, 0]])
    results = json.loads(path.read_text())
    assert [result["image_id"] for result in results] == [1, 2, 2]
    truth = {"images": [{"id": index, "width": 160, "height": 120} for index in range(3)], "annotations": []}
    for number, index in enumerate((1, 2), 1):
        (labelled,) = coco_results(two[[0]], index)
        labelled["keypoints"][2::3] = [2] * 17
        area = {"area": 5000, "bbox": [60, 10, 40, 100], "iscrowd": 0, "num_keypoints": 17, "id": number}
        truth["annotations"].append({**labelled, **area})
    assert average_precision(truth, results, COCO17)["AP"] == pytest.approx(1)


def test_coco_coordinates_are_those_of_the_evaluation(two, tmp_path):
    ours = json.loads(written(CocoWriter(tmp_path / "p.json"), two).read_text())
    for result, person, theirs in zip(ours, two, coco_results(two, 0), strict=True):
        keypoints = np.reshape(result["keypoints"], (17, 3))
        found = person.found[0]
        assert (keypoints[found, :2] == np.reshape(theirs["keypoints"], (17, 3))[found, :2]).all()
        assert keypoints[:, 2].tolist() == [2 if one else 0 for one in found]
        assert not keypoints[~found].any()
        assert (result["image_id"], result["category_id"], result["score"]) == (0, 1, theirs["score"])


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["000000000139.jpg", "285.png"], [139, 285]),
        (["1.jpg", "1.png"], [0, 1]),
        (["1.jpg", "b.png"], [0, 1]),
        (["²1.jpg"], [0]),
    ],
)
def test_pictures_with_numbers_for_names_have_them_for_ids(two, tmp_path, names, ids):
    frames = [PosedFrame(index, None, two[0], name=name) for index, name in enumerate(names)]
    path = written(CocoWriter(tmp_path / "p.json", names), *frames)
    assert [result["image_id"] for result in json.loads(path.read_text())] == ids
    assert image_ids([]) == {}


def test_openpose_has_its_own_order_and_a_neck(two, tmp_path):
    folder = written(OpenPoseWriter(tmp_path / "p", "clip"), two, People.empty(COCO17))
    assert sorted(path.name for path in folder.iterdir()) == [
        "clip_000000000000_keypoints.json",
        "clip_000000000001_keypoints.json",
    ]
    full, empty = (json.loads(path.read_text()) for path in sorted(folder.iterdir()))
    assert empty == {"version": 1.3, "people": []}
    assert [person["person_id"] for person in full["people"]] == [[4], [2]]
    first, second = (np.reshape(person["pose_keypoints_2d"], (18, 3)) for person in full["people"])
    names = [
        *("nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist"),
        *("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
        *("right_eye", "left_eye", "right_ear", "left_ear"),
    ]
    for place, name in enumerate(names):
        if name != "neck":
            np.testing.assert_allclose(first[place], two.keypoints[0, COCO17.names.index(name)], atol=1e-3)
    shoulders = two.keypoints[0, [5, 6]]
    np.testing.assert_allclose(first[1], shoulders.mean(axis=0), atol=1e-3)
    assert not second[[0, 1, 2]].any() and second[3:].all()


def test_the_neck_is_as_sure_as_the_less_sure_shoulder(two, tmp_path):
    two.keypoints[0, 5, 2] = 0.25
    (file,) = written(OpenPoseWriter(tmp_path / "p", "clip"), two).iterdir()
    assert json.loads(file.read_text())["people"][0]["pose_keypoints_2d"][5] == 0.25


def test_crowdpose_keeps_its_order_and_people_without_ids_have_none(tmp_path):
    keypoints = np.arange(1, 43, dtype=np.float32).reshape(1, 14, 3) / 64
    people = People(keypoints, np.ones(1), skeleton=CROWDPOSE14)
    (file,) = written(OpenPoseWriter(tmp_path / "p", "clip"), people).iterdir()
    (person,) = json.loads(file.read_text())["people"]
    assert person["person_id"] == [-1]
    np.testing.assert_allclose(person["pose_keypoints_2d"], keypoints.ravel(), atol=1e-3)


def test_pictures_with_one_stem_have_different_files():
    assert set(file_names(["a.png", "A.jpg", "b.c.png"]).values()) == {
        "a.png_keypoints.json",
        "A.jpg_keypoints.json",
        "b.c_keypoints.json",
    }


def test_a_run_writes_all_formats_at_once_and_they_agree(swahr, tools, tmp_path, capsys):
    source = tools.write_video(tmp_path / "clip.mp4", tools.VideoSpec(frames=7))
    assert swahr("process", source, *ALL) == 0
    names = ["clip.swahr.mp4", "clip.swahr.jsonl", "clip.swahr.csv", "clip.swahr.coco.json", "clip.swahr.openpose"]
    assert {path.name for path in tmp_path.iterdir()} == {"clip.mp4", *names}
    said = capsys.readouterr().out
    assert all(name in said for name in names)
    poses = [read_poses(tmp_path / name) for name in names[1:]]
    assert [one.format for one in poses] == ["json", "csv", "coco", "openpose"]
    assert [[len(frame.people) for frame in one.frames] for one in poses if one.format != "coco"] == [
        [1, 1, 0, 1, 1, 0, 1]
    ] * 3
    assert [frame.index for frame in poses[2].frames] == [0, 1, 3, 4, 6]
    for one in poses:
        np.testing.assert_allclose(
            one.frames[-1].people.keypoints[:, :, :2], poses[0].frames[-1].people.keypoints[:, :, :2], atol=1e-3
        )
    assert poses[1].frames[0].people.sigmas is not None
    assert swahr("process", source, *ALL) == 2
    assert swahr("process", source, *ALL, "--overwrite") == 0


@pytest.mark.parametrize("option", ALL[1:])
def test_any_poses_come_with_sigmas(option, swahr, tools, monkeypatch):
    wanted = []

    def load(model, sigmas, **settings):
        wanted.append(sigmas)
        return tools.FakeEstimator(model)

    monkeypatch.setattr("engine.PoseEstimator.load", load)
    cv2.imwrite("in.png", np.zeros((40, 40, 3), np.uint8))
    assert swahr("process", "in.png", option) == 0
    assert wanted == [True]


def test_a_folder_of_pictures_keeps_their_names(swahr, tmp_path):
    Path("in").mkdir()
    for name in ("9", "10", "42"):
        cv2.imwrite(f"in/{name}.png", np.full((60, 80, 3), 90, np.uint8))
    assert swahr("process", "in", *ALL) == 0
    assert [frame.name for frame in read_poses(Path("in.swahr.csv")).frames] == ["9.png", "10.png", "42.png"]
    assert {path.name for path in Path("in.swahr.openpose").iterdir()} == {
        "9_keypoints.json", "10_keypoints.json", "42_keypoints.json",
    }  # fmt: skip
    assert [frame.name for frame in read_poses(Path("in.swahr.openpose")).frames] == ["9", "10", "42"]
    assert [frame.index for frame in read_poses(Path("in.swahr.coco.json")).frames] == [9, 10]


@pytest.mark.parametrize("option", ALL)
def test_nothing_is_written_over(option, swahr, tools, tmp_path, capsys):
    source = tools.write_video(tmp_path / "in.mp4", tools.VideoSpec(frames=2))
    old = {
        "--json": Path("out.jsonl"),
        "--csv": Path("out.csv"),
        "--coco": Path("out.coco.json"),
        "--openpose": Path("out.openpose/in_000000000001_keypoints.json"),
    }[option]
    old.parent.mkdir(exist_ok=True)
    old.write_text("old")
    assert swahr("process", source, "-o", "out.mp4", *ALL) == 2
    assert f"{old} exists already; add --overwrite" in capsys.readouterr().err
    assert old.read_text() == "old"
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"in.mp4", old.name}
    assert swahr("process", source, "-o", "out.mp4", *ALL, "--overwrite") == 0
    assert old.read_text() != "old"


def test_openpose_files_of_a_longer_run_do_not_stay_and_others_do(two, tmp_path):
    folder = tmp_path / "p"
    written(OpenPoseWriter(folder, "clip"), two, two, two)
    for name in ("note.txt", "clip_x_keypoints.json", "other_000000000001_keypoints.json"):
        (folder / name).write_text("mine")
    written(OpenPoseWriter(folder, "clip", overwrite=True), two)
    assert sorted(path.name for path in folder.iterdir()) == [
        "clip_000000000000_keypoints.json",
        "clip_x_keypoints.json",
        "note.txt",
        "other_000000000001_keypoints.json",
    ]


def test_what_was_written_before_a_failure_stays_and_is_named(swahr, tools, tmp_path, monkeypatch, capsys):
    class Failing(tools.FakeEstimator):
        def __call__(self, image):
            if self.seen == 5:
                raise SwahrError("The accelerator fell out.")
            return super().__call__(image)

    monkeypatch.setattr("engine.PoseEstimator", Failing)
    source = tools.write_video(tmp_path / "in.mp4", tools.VideoSpec(frames=9))
    assert swahr("process", source, "-o", "out.mp4", *ALL) == 2
    kept = ["out.partial.jsonl", "out.partial.csv", "out.coco.partial.json", "out.openpose"]
    said = capsys.readouterr().err
    assert all(name in said for name in kept)
    assert [len(read_poses(Path(name)).frames) for name in kept] == [5, 5, 4, 5]
    assert {path.name for path in tmp_path.iterdir()} == {"in.mp4", "out.partial.mp4", "out.mp4.people", *kept}


@pytest.mark.parametrize("sink", [CsvWriter, CocoWriter, OpenPoseWriter])
def test_a_failure_before_the_first_frame_leaves_nothing(sink, tmp_path):
    arguments = ("clip",) if sink is OpenPoseWriter else ()
    with pytest.raises(RuntimeError), sink(tmp_path / "p", *arguments):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is always full")
@pytest.mark.parametrize("sink", [CsvWriter, CocoWriter])
def test_a_full_disk_is_one_sentence(sink, tmp_path, two):
    (tmp_path / "p.partial").symlink_to("/dev/full")
    with pytest.raises(SwahrError, match=r"p cannot be written \(No space left on device\); free space"):
        written(sink(tmp_path / "p", overwrite=True), two)
    assert not (tmp_path / "p").exists()


@pytest.fixture
def poses(two, tmp_path) -> Path:
    """JSON lines of three frames, the second without people."""
    header = {**bare_header(COCO17), "source": "clip.mp4"}
    frames = [PosedFrame(index, index / 10, people, pts=index) for index, people in enumerate((two, two[:0], two))]
    return written(JsonLinesWriter(tmp_path / "clip.swahr.jsonl", lambda: header), *frames)


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("out.jsonl", None),
        ("out.csv", "CSV cannot hold the header and time stamps, which were left out."),
        (
            "out.coco.json",
            "COCO results cannot hold the header, time stamps, times, frames without people, ids, keypoint scores and "
            "sigmas, which were left out.",
        ),
        (
            "out",
            "OpenPose files cannot hold the header, time stamps, times, person scores and sigmas, which were left out.",
        ),
    ],
)
def test_conversion_says_what_is_lost(name, lost, swahr, poses, capsys):
    assert swahr("convert", poses, "-o", name) == 0
    frames = f"Converted 3 frames with 4 people from {poses} to {name}"
    assert capsys.readouterr().out == (f"{frames}.\n" if lost is None else f"{frames}; {lost}\n")
    if lost is None:
        assert Path(name).read_bytes() == poses.read_bytes()
    assert swahr("convert", poses, "-o", name) == 2
    assert "exists already" in capsys.readouterr().err
    assert swahr("convert", poses, "-o", name, "--overwrite") == 0


def test_a_conversion_is_what_the_run_would_have_written(swahr, tools, tmp_path):
    source = tools.write_video(tmp_path / "clip.mp4", tools.VideoSpec(frames=7))
    assert swahr("process", source, *ALL) == 0
    for suffix in ("csv", "coco.json"):
        convert(Path("clip.swahr.jsonl"), Path(f"out.{suffix}"))
        assert Path(f"out.{suffix}").read_bytes() == Path(f"clip.swahr.{suffix}").read_bytes()
    convert(Path("clip.swahr.jsonl"), Path("out"))
    there, here = (
        {path.name: path.read_bytes() for path in Path(name).iterdir()} for name in ("clip.swahr.openpose", "out")
    )
    assert here == there


def test_what_no_format_knows_is_not_said_to_be_lost(poses, tmp_path):
    convert(poses, tmp_path / "a")
    assert convert(tmp_path / "a", tmp_path / "b.csv").endswith("b.csv.")
    assert "cannot hold frames without people, ids and keypoint scores," in convert(tmp_path / "a", tmp_path / "b.json")
    assert convert(tmp_path / "b.json", tmp_path / "b.jsonl").endswith("b.jsonl.")


@pytest.mark.parametrize(("names", "lost"), [(("7.png", "9.png"), False), (("7.png", "b.png"), True)])
def test_names_that_are_numbers_are_no_loss_in_coco(names, lost, two, tmp_path):
    frames = [PosedFrame(index, None, two[0], name=name, size=(160, 120)) for index, name in enumerate(names)]
    poses = written(JsonLinesWriter(tmp_path / "p.jsonl", lambda: bare_header(COCO17)), *frames)
    said = convert(poses, tmp_path / "out.json")
    assert "picture sizes" in said and "header" not in said
    assert ("file names" in said) is lost


def test_poses_are_not_converted_onto_themselves(poses):
    before = poses.read_bytes()
    with pytest.raises(SwahrError, match="written over"):
        convert(poses, poses.parent / "." / poses.name, overwrite=True)
    assert poses.read_bytes() == before
