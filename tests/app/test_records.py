"""What is read is what was written, as far as the format holds it; what is damaged is named by its line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.records import read_poses
from app.sinks.coco import CocoWriter, image_ids
from app.sinks.csv_rows import CsvWriter
from app.sinks.json_lines import JsonLinesWriter, bare_header
from app.sinks.openpose import OpenPoseWriter
from app.sinks.poses import PosedFrame
from engine.errors import SwahrError
from grouping import COCO17, CROWDPOSE14, People, Skeleton

ONE_SENTENCE = re.compile(r"[^\n]+[^.\n]\.")
# Whatever a file may be called, bytes that are no text included; no NUL and no slash.
NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0/") | st.sampled_from('\udcff\r\n,"\ufeff'),
    min_size=1,
    max_size=12,
)


@st.composite
def people_of(draw, skeleton: Skeleton) -> People:
    """Up to three people, rounded as they are written; not found are (0, 0, 0), with a sigma of 0."""
    number = draw(st.integers(0, 3))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    keypoints = random.uniform(-50, 4000, (number, skeleton.num_keypoints, 3)).round(3)
    keypoints[:, :, 2] = random.uniform(0.001, 1, keypoints.shape[:2]).round(4)
    sigmas = random.uniform(0, 20, keypoints.shape[:2]).round(3)
    missing = random.random(keypoints.shape[:2]) < draw(st.sampled_from([0.0, 0.4]))
    missing[:, 0] = False
    keypoints[missing], sigmas[missing] = 0, 0
    return People(
        keypoints=keypoints,
        scores=random.random(number).round(4),
        sigmas=sigmas if draw(st.booleans()) else None,
        skeleton=skeleton,
        ids=random.integers(-(2**62), 2**62, number) if draw(st.booleans()) else None,
    )


@st.composite
def all_frames(draw) -> list[PosedFrame]:
    """The frames of a video, or of a folder of pictures."""
    skeleton = draw(st.sampled_from([COCO17, CROWDPOSE14]))
    people = draw(st.lists(people_of(skeleton), max_size=5))
    if draw(st.booleans()):
        names = draw(st.lists(NAMES, min_size=len(people), max_size=len(people), unique=True))
        return [PosedFrame(i, None, one, name=names[i], size=(i, 9)) for i, one in enumerate(people)]
    times = sorted(draw(st.lists(st.floats(0, 1e6), min_size=len(people), max_size=len(people))))
    return [PosedFrame(i, times[i], one, pts=7 * i) for i, one in enumerate(people)]


def read_back(make_sink, frames, name="p"):
    """The poses that are read after frames were written with a sink."""
    with TemporaryDirectory() as folder:
        with make_sink(Path(folder) / name) as sink:
            for frame in frames:
                sink.add(frame)
        return read_poses(sink.path)


def assert_same_people(read: People, people: People) -> None:
    np.testing.assert_array_equal(read.keypoints, people.keypoints)
    np.testing.assert_array_equal(read.scores, people.scores)
    if not people.is_empty:
        assert (read.skeleton, read.ids is None, read.sigmas is None) == (
            people.skeleton, people.ids is None, people.sigmas is None,
        )  # fmt: skip
        np.testing.assert_array_equal(read.ids, people.ids)
        np.testing.assert_array_equal(read.sigmas, people.sigmas)


@settings(deadline=None, max_examples=80)
@given(all_frames(), NAMES)
def test_json_lines_give_back_everything(frames, source):
    header = {**bare_header(frames[0].people.skeleton if frames else COCO17), "source": source}
    poses = read_back(lambda path: JsonLinesWriter(path, lambda: header), frames)
    assert (poses.format, poses.header, poses.notes) == ("json", header, [])
    assert len(poses.frames) == len(frames)
    for read, frame in zip(poses.frames, frames, strict=True):
        for name in ("index", "time", "pts", "name", "size"):
            assert getattr(read, name) == getattr(frame, name)
        assert_same_people(read.people, frame.people)


@settings(deadline=None, max_examples=80)
@given(all_frames())
def test_csv_gives_back_people_times_and_names(frames):
    poses = read_back(CsvWriter, frames)
    assert (poses.format, poses.header, poses.notes) == ("csv", None, [])
    if any(len(frame.people) for frame in frames):
        assert poses.skeleton == frames[0].people.skeleton
    assert {frame.people.skeleton for frame in poses.frames} <= {poses.skeleton}
    assert len(poses.frames) == len(frames)
    for read, frame in zip(poses.frames, frames, strict=True):
        name = frame.name and frame.name.encode(errors="backslashreplace").decode()  # what is no text is escaped
        assert (read.index, read.time, read.name) == (frame.index, frame.time, name)
        if frame.people.skeleton == read.people.skeleton:
            assert_same_people(read.people, frame.people)


@pytest.mark.parametrize("sink", [CsvWriter, lambda path: JsonLinesWriter(path, lambda: bare_header(COCO17))])
def test_odd_names_come_back(sink):
    names = ["a\rb", "a\r\n", "\n", '"', 'a,"b"', "\ufeffa", " a ", "ä𝄞", "\x85\u2028", "-"]
    poses = read_back(sink, [PosedFrame(i, None, People.empty(COCO17), name=name) for i, name in enumerate(names)])
    assert [frame.name for frame in poses.frames] == names


@pytest.mark.parametrize(
    ("sink", "read"),
    [(CsvWriter, "\\udcff.png"), (lambda path: JsonLinesWriter(path, lambda: bare_header(COCO17)), "\udcff.png")],
)
def test_names_that_are_no_text_are_written_as_escapes(sink, read):
    (frame,) = read_back(sink, [PosedFrame(0, None, People.empty(COCO17), name="\udcff.png")]).frames
    assert frame.name == read


@settings(deadline=None, max_examples=40)
@given(all_frames())
def test_coco_gives_back_positions_and_scores(frames):
    names = [frame.name for frame in frames if frame.name is not None]
    ids = image_ids(names)
    poses = read_back(lambda path: CocoWriter(path, names), frames)
    expected = sorted((ids.get(frame.name, frame.index), frame.people) for frame in frames if len(frame.people))
    assert [frame.index for frame in poses.frames] == [image_id for image_id, _ in expected]
    for read, (_, people) in zip(poses.frames, expected, strict=True):
        np.testing.assert_array_equal(read.people.found, people.found)
        np.testing.assert_allclose(read.people.keypoints[:, :, :2], people.keypoints[:, :, :2], atol=1e-3)
        np.testing.assert_array_equal(read.people.scores, people.scores)
        assert read.people.skeleton == people.skeleton
        assert read.people.ids is None and read.people.sigmas is None
        assert set(read.people.keypoints[:, :, 2].ravel()) <= {0, 1}


@settings(deadline=None, max_examples=40)
@given(all_frames())
def test_openpose_gives_back_keypoints_ids_and_empty_frames(frames):
    frames = [PosedFrame(frame.index, frame.time, frame.people) for frame in frames]
    assume(frames)
    poses = read_back(lambda path: OpenPoseWriter(path, "a clip"), frames)
    assert [frame.index for frame in poses.frames] == [frame.index for frame in frames]
    for read, frame in zip(poses.frames, frames, strict=True):
        assert (read.name, read.time) == (None, None)
        assert len(read.people) == len(frame.people)
        if len(frame.people):
            np.testing.assert_array_equal(read.people.keypoints, frame.people.keypoints)
            np.testing.assert_array_equal(read.people.ids, frame.people.ids)
            means = frame.people.keypoints[:, :, 2].mean(axis=1)
            np.testing.assert_allclose(read.people.scores, means, atol=1e-6)


@pytest.fixture
def lines(tools, tmp_path) -> Path:
    """JSON lines: a header and three frames."""
    person = tools.standing_person(160, 120)
    with JsonLinesWriter(tmp_path / "p.jsonl", lambda: bare_header(COCO17)) as sink:
        for index in range(3):
            sink.add(PosedFrame(index, index / 10, person))
    return sink.path


@pytest.fixture
def rows(tools, tmp_path) -> Path:
    """CSV: names, then 17 rows for each of two frames."""
    person = tools.standing_person(160, 120)
    with CsvWriter(tmp_path / "p.csv") as sink:
        for index in range(2):
            sink.add(PosedFrame(index, index / 10, person))
    return sink.path


def refused(path: Path) -> str:
    """The one sentence about what cannot be read."""
    with pytest.raises(SwahrError) as error:
        read_poses(path)
    said = str(error.value)
    assert ONE_SENTENCE.fullmatch(said) and not re.search(r"\.\s+[A-Z]", said), said
    return said


def test_json_lines_cut_off_anywhere_in_the_last_yield_the_others(lines):
    whole = lines.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for end in (last + 1, last + 30, len(whole) - 2):
        lines.write_bytes(whole[:end])
        poses = read_poses(lines)
        assert [frame.index for frame in poses.frames] == [0, 1]
        assert poses.notes == [f"The last line of {lines} was cut off and is left out."]
    for end, frames in ((last, 2), (len(whole) - 1, 3)):
        lines.write_bytes(whole[:end])
        poses = read_poses(lines)
        assert (len(poses.frames), poses.notes) == (frames, [])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"people":[', '"people":['),
        ('"time":0.1', '"time":NaN'),
        ('"time":0.1', '"time":1e999'),
        ('"frame":1', '"frame":1.5'),
        ('"people"', '"persons"'),
        ('"score":0.9', '"score":1e99'),
        ('"score":0.9', '"score":"high"'),
        ('"keypoints":[[', '"keypoints":[[1,2,3,4],['),
        ('"keypoints":[[', '"keypoints":[[null,'),
        ('"id":null', '"id":99999999999999999999'),
        ('"frame":1', '"frame":1,"file":7'),
        ("{", "[" * 100_000),
    ],
)
def test_a_damaged_line_is_named(lines, old, new):
    damaged = lines.read_text().splitlines()
    damaged[2] = damaged[2].replace(old, new, 1) if old != new else damaged[2][:-9]
    lines.write_text("\n".join(damaged) + "\n")
    assert refused(lines).startswith(f"{lines}, line 3, is damaged (")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"version":1', '"version":2', "version is 2, and only 1 can be read"),
        ('"swahr-poses"', '"poses"', "'poses'"),
        ('"limbs"', '"arms"', "lacks limbs"),
        ('"skeleton"', '"bones"', "lacks 'skeleton'"),
    ],
)
def test_a_header_that_is_none_is_refused(lines, old, new, told):
    lines.write_text(lines.read_text().replace(old, new, 1))
    said = refused(lines)
    assert said.startswith(f"{lines}, line 1,") and told in said


@pytest.mark.parametrize(
    ("line", "old", "new"),
    [
        (1, "frame,time", "frame,when"),
        (4, ",right_eye,", ",left_eye,"),
        (4, "0,0.0", "zero,0.0"),
        (4, "0,0.0", "0,nan"),
        (4, "0.9", ""),
        (4, "0.9", "0.9,1"),
        (4, "0,0.0,", '0,0.0,"'),
        (2, ",nose,80.0,", ",nose,,"),
        (2, ",nose,", ",head,"),
    ],
)
def test_a_damaged_row_is_named(rows, line, old, new):
    damaged = rows.read_text().splitlines()
    assert old in damaged[line - 1]
    damaged[line - 1] = damaged[line - 1].replace(old, new, 1)
    rows.write_text("\n".join(damaged) + "\n")
    said = refused(rows)
    number = 35 if '"' in new else line  # quotes are open to the file's end
    assert re.match(rf"{re.escape(str(rows))}, line {number}, is damaged \(", said), said


def test_csv_without_its_last_rows_is_refused(rows):
    for end in (34, 33):
        rows.write_text("\n".join(rows.read_text().splitlines()[:end]) + "\n")
        assert refused(rows).startswith(f"{rows}, line {end}, is damaged (a person needs 17 rows")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "holds no poses"),
        ("1,2,3\n", "holds no poses"),
        ('[{"image_id": 1, "keypoints": [1, 2, 2], "score": 1}]', "result 1, is damaged (it has 3 numbers"),
        ('[{"image_id": 1, "bbox": [1, 2, 3, 4], "score": 1}]', "result 1, is damaged (it lacks 'keypoints')"),
        ("[1]", "result 1, is damaged"),
        ('[{"image_id": 1}', "is damaged (Expecting"),
    ],
)
def test_what_holds_no_poses_is_refused(tmp_path, content, told):
    (tmp_path / "p").write_text(content)
    said = refused(tmp_path / "p")
    assert str(tmp_path / "p") in said and told in said


def test_what_is_not_there_is_refused(tmp_path):
    assert "There is no file or folder named" in refused(tmp_path / "p.csv")
    assert "holds no files that end in _keypoints.json" in refused(tmp_path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"people": [{"pose_keypoints_2d": [1] * 75}]}, "75 numbers a person"),
        ({"people": [{"pose_keypoints_2d": [1] * 42}]}, "keypoints of those before"),
        ({"people": [{"pose_keypoints_2d": [[1]] * 54}]}, None),
        ({"people": [{"pose_keypoints_2d": ["a"] * 54}]}, "could not convert"),
        ({"persons": []}, "lacks 'people'"),
        ([], "is damaged"),
    ],
)
def test_damaged_openpose_files_are_named(tmp_path, content, told):
    first = {"version": 1.3, "people": [{"pose_keypoints_2d": [0.5] * 54}]}
    for index, one in enumerate((first, content)):
        (tmp_path / f"a_{index:012d}_keypoints.json").write_text(json.dumps(one))
    if told is None:
        assert len(read_poses(tmp_path).frames) == 2
    else:
        assert refused(tmp_path).startswith(str(tmp_path / "a_000000000001_keypoints.json")) and told in refused(
            tmp_path
        )


def test_results_of_other_programs_keep_their_keypoint_scores(tmp_path):
    keypoints = [10.0, 20.0, 0.25] * 17
    results = [{"image_id": image_id, "category_id": 1, "keypoints": keypoints, "score": 0.5} for image_id in (9, 2, 9)]
    (tmp_path / "p.json").write_text(json.dumps(results))
    poses = read_poses(tmp_path / "p.json")
    assert [(frame.index, len(frame.people)) for frame in poses.frames] == [(2, 1), (9, 2)]
    assert poses.frames[0].people.keypoints[0, 3].tolist() == [10.5, 20.5, 0.25]


def test_files_of_several_videos_are_pictures(tmp_path):
    for name in ("a_000000000004", "b_000000000001"):
        (tmp_path / f"{name}_keypoints.json").write_text('{"people": []}')
    frames = read_poses(tmp_path).frames
    assert [(frame.index, frame.name) for frame in frames] == [(0, "a_000000000004"), (1, "b_000000000001")]
