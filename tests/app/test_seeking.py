"""From any time on a video gives the very frames that it gives when it is decoded from its beginning."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import islice

import av
import numpy as np
import pytest

from app.sources import Frame, open_source
from app.sources.decoding import VideoDecoder
from engine.errors import SwahrError

UNEVEN = [4001 + 3000 * index + 17 * index * index for index in range(40)]
FINE = Fraction(1, 90000)
KINDS = {
    "late.mp4": {"b_frames": 3, "stamps": list(range(700, 740))},
    "uneven.mp4": {"b_frames": 3, "stamps": UNEVEN, "time_base": FINE},
    "open_gop.mp4": {"b_frames": 3, "coding": (("x264-params", "open-gop=1:scenecut=0"),)},
    "fragments.mp4": {"b_frames": 2, "options": (("movflags", "frag_keyframe+empty_moov"),)},
    "late.mkv": {"b_frames": 2, "stamps": list(range(300, 340)), "audio": "libopus"},
    "broadcast.ts": {"b_frames": 2, "audio": "aac"},
    "uneven.ts": {"b_frames": 2, "stamps": UNEVEN, "time_base": FINE},
    "a.flv": {"b_frames": 2, "audio": "aac"},
    "mjpeg.avi": {"codec": "mjpeg", "pixels": "yuvj420p"},
    "h264.avi": {"b_frames": 2},
    "xvid.avi": {"codec": "mpeg4", "b_frames": 2},
    "dvd.mpg": {"codec": "mpeg2video", "b_frames": 2, "audio": "mp2"},
    "unmarked.mov": {"codec": "qtrle", "pixels": "rgb24"},  # its decoder does not say which frames are key frames
    "bare.h264": {"b_frames": 2},  # neither an index nor time stamps
}


@pytest.fixture
def write(tools, tmp_path):
    """Writes a video of 40 frames with a key frame in every 8."""

    def written(name, **settings):
        spec = {"frames": 40, "gop": 8, "size": (64, 48), **settings}
        return tools.write_video(tmp_path / name, tools.VideoSpec(**spec))

    return written


@pytest.fixture
def opened(monkeypatch):
    """How often a video file was opened."""
    names = []
    before = VideoDecoder._open
    monkeypatch.setattr(VideoDecoder, "_open", lambda self: names.append(self._name) or before(self))
    return names


def in_order(path) -> list[Frame]:
    with open_source(str(path)) as source:
        return list(source)


def same(one: Frame, other: Frame) -> bool:
    return (one.pts, one.duration) == (other.pts, other.duration) and np.array_equal(one.image, other.image)


def check_every_frame(source, frames: list[Frame], indices: bool = True) -> None:
    """Each frame is found by its position, exact or rounded, and the right ones follow it."""
    places = list(range(len(frames)))
    random.Random(1).shuffle(places)
    for place in places:
        position = source.position(frames[place])
        assert position == frames[place].time - frames[0].time
        found = list(islice(source.frames(float(position) if place % 2 else position), 3))
        expected = frames[place : place + 3]
        assert len(found) == len(expected) and all(map(same, found, expected)), place
        if indices:
            assert [frame.index for frame in found] == [frame.index for frame in expected], place


@pytest.mark.parametrize("name", KINDS)
def test_every_frame_is_found_exactly(write, name):
    path = write(name, **KINDS[name])
    frames = in_order(path)
    assert len(frames) == 40
    with open_source(str(path)) as source:
        check_every_frame(source, frames, indices=name != "uneven.ts")
        assert all(map(same, source, frames))  # the whole is as it was, after all this


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv", "mjpeg.avi", "h264.avi", "a.flv"])
def test_where_the_container_can_jump_the_file_is_opened_once(write, opened, name):
    with open_source(str(write(name, **KINDS[name]))) as source:
        for position in (1.2, 0.5, 0, 0.1, 0):
            next(source.frames(position))
    assert len(opened) == 1


def test_indices_of_uneven_frames_follow_the_nominal_rate_where_the_container_does_not_count_them(write):
    stamps = [33 * index + index * index // 4 for index in range(40)]
    with open_source(str(write("uneven.mkv", stamps=stamps, time_base=Fraction(1, 1000)))) as source:
        rate = source.info.video.rate
        for first, second in (islice(source.frames(position), 2) for position in (0.4, 0.8, 1.2)):
            assert abs(first.index - source.position(first) * rate) < 3 and second.index == first.index + 1


def test_a_position_between_frames_and_outside(write):
    path = write("a.mp4", b_frames=2)
    frames = in_order(path)
    with open_source(str(path)) as source:
        between = source.position(frames[21]) - Fraction(1, 1000)
        assert same(next(source.frames(between)), frames[20])
        assert same(next(source.frames(-5.0)), frames[0])
        for beyond in (source.info.duration, 1e6):
            (last,) = source.frames(beyond)
            assert same(last, frames[-1])


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv", "broadcast.ts", "a.flv", "mjpeg.avi", "h264.avi"])
def test_the_duration_counts_from_the_first_frame(write, name):
    with open_source(str(write(name, **KINDS[name]))) as source:
        assert float(source.info.duration) == pytest.approx(40 / 30, abs=0.08)


def test_a_late_matroska_file_is_not_called_damaged(write):
    with open_source(str(write("late.mkv", stamps=list(range(300, 340))))) as source:
        assert source.info.frames == 40
        assert len(list(source)) == 40
    assert source.notes == []


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("a.mp4", {"b_frames": 2, "size": (160, 120), "options": (("movflags", "faststart"),)}),
        ("a.mkv", {"b_frames": 2}),
        ("a.ts", {"b_frames": 2}),
        ("a.flv", {"b_frames": 2}),
        ("a.avi", {"codec": "mjpeg", "pixels": "yuvj420p"}),  # its index is at its end
    ],
)
def test_a_truncated_file_is_exact_as_far_as_it_goes(write, name, settings):
    path = write(name, **settings)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    frames = in_order(path)
    assert 10 < len(frames) < 35
    with open_source(str(path)) as source:
        check_every_frame(source, frames)
        assert same(list(source.frames(1.2))[-1], frames[-1])


def test_what_a_truncated_file_lacks_is_not_looked_for_from_the_beginning(write, opened, monkeypatch):
    path = write("a.mp4", frames=1500, gop=30, size=(32, 32), options=(("movflags", "faststart"),))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    jumps, before = [], VideoDecoder.jump
    monkeypatch.setattr(VideoDecoder, "jump", lambda self, *where: jumps.append(where) or before(self, *where))
    with open_source(str(path)) as source:
        for beyond in (1000, 500, 300, 130, 90, 48):
            jumps.clear()
            (last,) = source.frames(beyond)
            assert 15 < last.time < 30
            assert len(jumps) < 25 and jumps[-1][0] * last.time_base > last.time - 10
    assert len(opened) == 1


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
@pytest.mark.parametrize("damaged", [[21], [16], [16, 24, 32], range(10, 20)])
def test_damage_does_not_change_what_is_found(write, codec, damaged):
    path = write("a.mp4", codec=codec)
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for number in damaged:
        place, size = packets[number].pos, packets[number].size
        data[place : place + size] = bytes([255]) * size
    path.write_bytes(data)
    frames = in_order(path)
    assert 15 < len(frames) < 40
    with open_source(str(path)) as source:
        check_every_frame(source, frames, indices=False)


def test_stamps_that_begin_anew_are_not_trusted_once_that_is_known(write):
    path = write("a.ts", codec="mpeg2video", frames=80)
    path.write_bytes(path.read_bytes() * 2)
    frames = in_order(path)
    assert len(frames) == 160
    with open_source(str(path)) as source:
        assert len(list(source)) == 160
        for place in (20, 100, 159):
            assert same(next(source.frames(source.position(frames[place]))), frames[place])


def test_a_place_that_is_no_longer_wanted_is_given_up(write):
    with open_source(str(write("bare.h264", **KINDS["bare.h264"]))) as source:
        asked = []
        assert list(source.frames(1.0, wanted=lambda: asked.append(1) or len(asked) < 5)) == []
        assert len(asked) == 5
        assert next(source.frames(1.0)).index == 25


def test_a_file_that_is_gone_is_told_in_a_sentence(write):
    path = write("bare.h264", **KINDS["bare.h264"])
    with open_source(str(path)) as source:
        next(source.frames(0.5))
        path.unlink()
        with pytest.raises(SwahrError, match=r"bare\.h264 cannot be read"):
            next(source.frames(0.2))
