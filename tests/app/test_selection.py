"""A part of a source gives the very frames that are there when the whole is read, and the rest is passed over."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import pytest

from app.sources import PICTURE_SECONDS, Frame, SourceInfo, VideoFormat, open_source
from app.sources.decoding import VideoDecoder
from app.sources.orientation import Orientation
from app.sources.selection import WHOLE, Selection, expected_frames, parse_time
from engine.errors import SwahrError

UNEVEN = [4001 + 3000 * index + 17 * index * index for index in range(40)]
FINE = Fraction(1, 90000)
KINDS = {
    "plain.mp4": {"b_frames": 3},
    "late.mp4": {"b_frames": 3, "stamps": list(range(700, 740))},
    "uneven.mp4": {"b_frames": 3, "stamps": UNEVEN, "time_base": FINE},
    "open_gop.mp4": {"b_frames": 3, "coding": (("x264-params", "open-gop=1:scenecut=0"),)},
    "refreshed.mp4": {"coding": (("x264-params", "intra-refresh=1:keyint=10"),)},
    "fragments.mp4": {"b_frames": 2, "options": (("movflags", "frag_keyframe+empty_moov"),)},
    "late.mkv": {"b_frames": 2, "stamps": list(range(300, 340)), "audio": "libopus"},
    "broadcast.ts": {"b_frames": 2, "audio": "aac"},
    "uneven.ts": {"b_frames": 2, "stamps": UNEVEN, "time_base": FINE},
    "a.flv": {"b_frames": 2, "audio": "aac"},
    "a.webm": {"codec": "libvpx-vp9", "coding": (("deadline", "realtime"), ("auto-alt-ref", "1"))},
    "mjpeg.avi": {"codec": "mjpeg", "pixels": "yuvj420p"},
    "h264.avi": {"b_frames": 2},
    "xvid.avi": {"codec": "mpeg4", "b_frames": 2},
    "dvd.mpg": {"codec": "mpeg2video", "b_frames": 2, "audio": "mp2"},
    "unmarked.mov": {"codec": "qtrle", "pixels": "rgb24"},
    "bare.h264": {"b_frames": 2},
}
JUMPING = ("plain.mp4", "late.mp4", "uneven.mp4", "late.mkv", "a.flv", "mjpeg.avi")


@pytest.fixture
def write(tools, tmp_path):
    """Writes a video of 40 frames with a key frame in every 8."""

    def written(name, **settings):
        spec = {"frames": 40, "gop": 8, "size": (64, 48), **settings}
        return tools.write_video(tmp_path / name, tools.VideoSpec(**spec))

    return written


@pytest.fixture
def converted(monkeypatch):
    """Which frames of videos were converted to RGB, by their own time stamps."""
    stamps, before = [], Orientation.upright
    monkeypatch.setattr(Orientation, "upright", lambda self, frame: stamps.append(frame.pts) or before(self, frame))
    return stamps


@pytest.fixture
def decoded(monkeypatch):
    """The frames that are decoded, each with its stamp."""
    frames, before = [], VideoDecoder._stamped

    def counted(self, given):
        for one in before(self, given):
            frames.append(one)
            yield one

    monkeypatch.setattr(VideoDecoder, "_stamped", counted)
    return frames


def chosen(path, selection=WHOLE, skip=0) -> list[Frame]:
    with open_source(str(path)) as source:
        return list(source.selected(selection, skip))


def reference(path, selection: Selection, skip: int = 0) -> list[tuple]:
    """What a selection is to give, by its definition, from the whole source."""
    with open_source(str(path)) as source:
        frames = list(source)
        positions = [source.position(frame) for frame in frames]
        step = round(1 / (source.info.video.rate * source.info.video.time_base))
    inside = [
        place
        for place, position in enumerate(positions)
        if position >= selection.start and (selection.end is None or position < selection.end)
    ]
    ends = [frame.pts for frame in frames[1:]] + [frames[-1].pts + (frames[-1].duration or step)]
    rows = []
    for index, place in enumerate(inside[:: selection.every]):
        frame, duration = frames[place], frames[place].duration
        if selection.every > 1:
            duration = ends[min(place + selection.every - 1, inside[-1])] - frame.pts
        rows.append((index, frame.pts, frame.time_base, duration, frame.image))
    return rows[skip:]


def check(frames: list[Frame], expected: list[tuple]) -> None:
    assert [(one.index, one.pts, one.time_base, one.duration) for one in frames] == [row[:4] for row in expected]
    assert all(np.array_equal(one.image, row[4]) for one, row in zip(frames, expected, strict=True))


@pytest.mark.parametrize("name", KINDS)
def test_a_part_is_what_the_whole_has_there(write, name):
    path = write(name, **KINDS[name])
    with open_source(str(path)) as source:
        positions = [source.position(frame) for frame in source]
    assert len(positions) == 40
    randomly = random.Random(name)
    for _ in range(12):
        first, last = sorted(randomly.sample(range(41), 2))
        start = positions[first] - (Fraction(1, 1000) if first and randomly.random() < 0.4 else 0)
        end = None if last == 40 else positions[last]
        selection = Selection(start, end, randomly.choice((1, 1, 2, 3, 7)))
        skip = randomly.choice((0, 0, 1, 5))
        check(chosen(path, selection, skip), reference(path, selection, skip))


@pytest.mark.parametrize("name", JUMPING)
def test_what_comes_before_a_late_start_is_not_decoded(write, decoded, name):
    path = write(name, **KINDS[name])
    frames = chosen(path, Selection(Fraction(1)))
    assert 5 <= len(frames) < 15
    assert len(decoded) < 24


def test_what_comes_long_before_a_late_start_of_a_broadcast_is_not_decoded(write, decoded):
    path = write("a.ts", frames=900, gop=30, size=(32, 32), b_frames=2)
    assert len(chosen(path, Selection(Fraction(25)))) == 150
    assert len(decoded) < 450


def test_what_is_passed_over_is_not_converted(write, converted):
    path = write("a.mp4", b_frames=2)
    with open_source(str(path)) as source:
        converted.clear()
        frames = list(source.selected(Selection(Fraction(1, 2), Fraction(1), every=4), skip=1))
    assert converted == [frame.pts for frame in frames] and len(frames) == 3


def test_what_is_passed_over_is_not_drawn(monkeypatch):
    from engine.training.synthetic import SyntheticScene

    drawn, before = [], SyntheticScene.render
    monkeypatch.setattr(SyntheticScene, "render", lambda self, time: drawn.append(time) or before(self, time))
    frames = chosen("demo:?size=96x64&seconds=2&fps=10", Selection(Fraction(1, 2), every=4), skip=1)
    assert [(frame.index, frame.pts, frame.duration) for frame in frames] == [(1, 9, 4), (2, 13, 4), (3, 17, 3)]
    assert drawn == [float(frame.time) for frame in frames]


@pytest.mark.parametrize("source", ["a.mp4", "a.ts", "demo:?size=96x64&seconds=1.3&fps=30"])
@pytest.mark.parametrize(
    "selection", [Selection(), Selection(Fraction(1, 5), Fraction(11, 10)), Selection(every=3)], ids=str
)
def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(write, source, selection):
    path = source if source.startswith("demo:") else write(source, b_frames=2)
    whole = chosen(path, selection)
    rows = [(one.index, one.pts, one.time_base, one.duration, one.image) for one in whole]
    assert [frame.index for frame in whole] == list(range(len(whole)))
    for skip in (0, 1, 4, len(whole) - 1, len(whole), len(whole) + 9):
        check(chosen(path, selection, skip), rows[skip:])


def test_the_whole_is_the_source_itself(write):
    path = write("a.mkv", b_frames=2)
    with open_source(str(path)) as source:
        frames = list(source)
        again = list(source.selected())
    rows = [(one.index, one.pts, one.time_base, one.duration, one.image) for one in frames]
    assert len(rows) == 40
    check(again, rows)


def test_every_other_frame_lasts_until_the_next_one(write):
    path = write("a.mp4", stamps=UNEVEN, time_base=FINE)
    frames = chosen(path, Selection(Fraction(1, 5), every=3))
    for one, following in pairwise(frames):
        assert one.pts + one.duration == following.pts
    assert frames[-1].pts + frames[-1].duration > UNEVEN[-1]


def test_stamps_that_begin_anew_are_found_where_decoding_puts_them(write):
    path = write("a.ts", codec="mpeg2video", frames=80)
    path.write_bytes(path.read_bytes() * 2)
    for start in (1, 3, 4.5):
        selection = Selection(Fraction(start), Fraction(start) + Fraction(1, 3))
        expected = reference(path, selection)
        assert len(expected) == 10
        check(chosen(path, selection), expected)


@pytest.mark.parametrize("skip", [0, 3])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_truncated_file_is_reported_by_a_selection_that_reaches_its_end(write, name, skip):
    path = write(name, frames=90, options=(("movflags", "faststart"),) if name == "a.mp4" else ())
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with open_source(str(path)) as source:
        frames = list(source)
        whole = source.notes[:]
        end = source.position(frames[-1])
    cut_off = name != "a.ts"  # whose header does not say how long it is
    assert bool(whole) is cut_off
    for selection, notes in (
        (Selection(), whole),
        (Selection(every=2), whole),
        (Selection(end=end - 1), []),
        (Selection(end=end + 5), whole),
        (Selection(end - 1, end - Fraction(1, 2)), []),
    ):
        with open_source(str(path)) as source:
            assert list(source.selected(selection, skip))
            assert source.notes == notes
    with open_source(str(path)) as source:
        assert list(source.selected(Selection(Fraction(1)), skip))
        assert len(source.notes) == cut_off
        assert (
            not cut_off
            or f"is damaged or cut off: it ends at {float(end) + 1 / 30:.2f} s of 3.00 s." in source.notes[0]
        )


@pytest.mark.parametrize(
    ("selection", "told"),
    [
        (Selection(Fraction(100)), "lies from 100 s on; it is 1.333 s long"),
        (Selection(Fraction(4, 3)), "lies from 1.333 s on; it is 1.333 s long"),
        (Selection(Fraction(1, 1000), Fraction(1, 50)), "lies from 0.001 s to 0.02 s; it is 1.333 s long"),
        (Selection(Fraction(2), every=5), "lies from 2 s on"),
    ],
)
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_selection_without_frames_is_refused(write, name, selection, told):
    path = write(name)
    with pytest.raises(SwahrError) as error:
        chosen(path, selection)
    assert told in str(error.value) and str(error.value).startswith(f"No frame of {path} ")


def test_a_start_beyond_the_end_is_told_before_anything_is_read(write, tools, tmp_path):
    for name in (write("a.mp4"), "demo:?seconds=1", tmp_path):
        if name is tmp_path:
            cv2.imwrite(str(tmp_path / "a.png"), tools.picture(0, 64, 48))
        with open_source(str(name)) as source, pytest.raises(SwahrError, match="No frame of"):
            source.selected(Selection(Fraction(9)))


def test_a_truncated_file_says_where_it_really_ends(write):
    path = write("a.mp4", frames=90, options=(("movflags", "faststart"),))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(SwahrError, match=r"lies from 2\.9 s on; it is 1\.\d+ s long"):
        chosen(path, Selection(Fraction(29, 10)))


def test_passing_over_ends_when_nobody_wants_it_any_more(write, tools, tmp_path):
    asked = []
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(9):
        cv2.imwrite(str(folder / f"{number}.png"), tools.picture(number, 64, 48))
    for name in (write("a.mp4"), folder):
        asked.clear()
        with open_source(str(name)) as source:
            assert list(source.selected(skip=8, wanted=lambda: asked.append(1) or len(asked) < 5)) == []
            assert source.notes == []
        assert len(asked) == 5


@pytest.fixture
def folder(tools, tmp_path):
    """Pictures 0 … 9, of which 0, 3 and 4 are no pictures."""
    for number in range(10):
        cv2.imwrite(str(tmp_path / f"{number}.png"), tools.picture(number, 64, 48))
    for number in (0, 3, 4):
        (tmp_path / f"{number}.png").write_text("no picture")
    return tmp_path


@pytest.mark.parametrize(
    ("selection", "names", "left_out"),
    [
        (Selection(), "1256789", "0.png, 3.png, 4.png (3 of 10 pictures)"),
        (Selection(start=PICTURE_SECONDS), "1256789", "3.png, 4.png (2 of 9 pictures)"),
        (Selection(start=PICTURE_SECONDS + 1, end=8 * PICTURE_SECONDS), "2567", "3.png, 4.png (2 of 6 pictures)"),
        (Selection(every=3), "69", "0.png, 3.png (2 of 4 pictures)"),
        (Selection(start=5 * PICTURE_SECONDS, every=2), "579", None),
        (Selection(end=Fraction(10**6)), "1256789", "0.png, 3.png, 4.png (3 of 10 pictures)"),
    ],
)
def test_pictures_of_a_folder_are_selected_by_their_turn(folder, selection, names, left_out):
    for skip in range(len(names) + 2):
        with open_source(str(folder)) as source:
            frames = list(source.selected(selection, skip))
        assert [(frame.index, frame.name[0]) for frame in frames] == list(enumerate(names))[skip:]
        assert source.notes == ([f"Left out, for they could not be read: {left_out}."] if left_out else [])


def test_a_folder_without_a_readable_picture_in_the_selection_is_told(folder):
    with pytest.raises(SwahrError, match="Not one of the 2 pictures"):
        chosen(folder, Selection(start=3 * PICTURE_SECONDS, end=5 * PICTURE_SECONDS))


def test_a_single_picture_has_no_parts(tools, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), tools.picture(0, 64, 48))
    for selection in (Selection(Fraction(1)), Selection(end=Fraction(1)), Selection(every=2)):
        with pytest.raises(SwahrError, match=r"a\.png has no parts to select from; leave out the selection\."):
            chosen(tmp_path / "a.png", selection)
    assert len(chosen(tmp_path / "a.png")) == 1
    assert chosen(tmp_path / "a.png", skip=1) == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("90", 90),
        ("90.5", Fraction(181, 2)),
        ("1:30", 90),
        ("0:00.04", Fraction(1, 25)),
        ("1:02:03.25", Fraction(14893, 4)),
        ("90:00", 5400),
        ("100:00:00", 360000),
        (" 7 ", 7),
        ("0.1", Fraction(1, 10)),
    ],
)
def test_times_are_read_exactly(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "+1",
        "1:60",
        "1:60:00",
        "1:2:3:4",
        "1:",
        ":30",
        "1:-2",
        "1.",
        ".5",
        "1e3",
        "nan",
        "inf",
        "1,5",
        "1/3",
        "٣",
        "1 2",
        "0x10",
        "1:30.5:00",
        "ten",
        " ",
    ],
)
def test_other_texts_are_no_times(text):
    with pytest.raises(SwahrError, match="is no time; write seconds or"):
        parse_time(text)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"start": Fraction(-1)}, "cannot begin at -1 s"),
        ({"start": Fraction(2), "end": Fraction(2)}, "cannot end at 2 s, for it begins at 2 s"),
        ({"end": Fraction(0)}, "cannot end at 0 s"),
        ({"every": 0}, "Every 0th frame"),
        ({"every": -3}, "Every -3th frame"),
    ],
)
def test_selections_without_sense_are_refused(wrong, told):
    with pytest.raises(SwahrError) as error:
        Selection(**wrong)
    assert told in str(error.value)


@pytest.mark.parametrize("name", ["plain.mp4", "late.mkv", "mjpeg.avi", "demo:?size=96x64&seconds=1.3&fps=24"])
def test_as_many_frames_come_as_are_expected(write, name):
    path = name if name.startswith("demo:") else write(name, **KINDS[name])
    with open_source(str(path)) as source:
        for start, end, every in ((0, None, 1), (0.5, None, 1), (0.25, 1, 1), (0, 0.9, 4), (0.4, None, 7), (1, 99, 2)):
            selection = Selection(Fraction(start), end and Fraction(end), every)
            assert expected_frames(source.info, selection) == len(list(source.selected(selection)))


def test_nothing_is_expected_where_nothing_is_known(folder):
    with open_source(str(folder)) as source:
        assert expected_frames(source.info, Selection(every=3)) == 4
    assert expected_frames(SourceInfo("camera:0", "camera"), Selection()) is None
    clip = SourceInfo("a.ts", "video", video=VideoFormat(Fraction(25), FINE))
    assert expected_frames(clip, Selection(Fraction(3))) is None
    assert expected_frames(clip, Selection(Fraction(3), Fraction(5), every=2)) == 25
    assert expected_frames(SourceInfo("a.png", "image", frames=1), Selection()) == 1
