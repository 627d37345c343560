"""Parts of a video: which frames, which sound, and when they are shown."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest


@pytest.fixture
def source(tools, tmp_path):
    """Ten seconds with sound that begin at 7/30 s."""
    spec = tools.VideoSpec(frames=300, size=(96, 64), stamps=list(range(7, 307)), audio="aac", b_frames=2)
    return tools.write_video(tmp_path / "in.mp4", spec)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_part_begins_at_0_and_its_poses_keep_the_sources_times(swahr, tools, source, tmp_path):
    assert swahr("process", source, "-o", "out.mp4", "--json", "--from", "2", "--to", "0:05.5") == 0
    times = tools.video_stamps(source)
    selected = [time for time in times if 2 <= time - times[0] < Fraction(11, 2)]
    header, *frames = lines(tmp_path / "out.jsonl")
    assert header["selection"] == {"from": 2, "to": 5.5, "every": 1}
    assert [line["pts"] * Fraction(header["time_base"]) for line in frames] == selected
    assert [line["frame"] for line in frames] == list(range(len(selected)))
    shift = times[0] + 2
    assert tools.video_stamps(tmp_path / "out.mp4") == [time - shift for time in selected]
    assert tools.video_stamps(tmp_path / "out.mp4")[0] < Fraction(1, 30)
    sound = [(data, time) for data, time in tools.audio_packets(source) if shift <= time < times[0] + Fraction(11, 2)]
    copied = tools.audio_packets(tmp_path / "out.mp4")
    assert [data for data, _ in copied] == [data for data, _ in sound]
    assert all(abs(one[1] - (other[1] - shift)) <= Fraction(1, 48000) for one, other in zip(copied, sound, strict=True))


def test_the_right_pictures_are_shown(swahr, tools, source, tmp_path):
    assert swahr("process", source, "-o", "out.mp4", "--from", "2", "--to", "3") == 0
    whole, part = tools.video_frames(source), tools.video_frames(tmp_path / "out.mp4")
    assert len(part) == 30
    for index in (0, 13, 29):
        difference = [np.abs(part[index].astype(int) - whole[frame].astype(int)).mean() for frame in range(55, 95)]
        assert int(np.argmin(difference)) + 55 == 60 + index


def test_every_fifth_frame_keeps_time_and_sound(swahr, tools, source, tmp_path):
    assert swahr("process", source, "-o", "out.mp4", "--json", "--every", "5") == 0
    assert tools.video_stamps(tmp_path / "out.mp4") == tools.video_stamps(source)[::5]
    assert tools.audio_packets(tmp_path / "out.mp4") == tools.audio_packets(source)
    assert len(lines(tmp_path / "out.jsonl")) == 61


def test_an_end_alone_leaves_times_and_earlier_sound_as_they_are(swahr, tools, source, tmp_path):
    assert swahr("process", source, "-o", "out.mp4", "--to", "1") == 0
    assert tools.video_stamps(tmp_path / "out.mp4") == tools.video_stamps(source)[:30]
    sound = tools.audio_packets(source)
    assert tools.audio_packets(tmp_path / "out.mp4") == sound[: len(tools.audio_packets(tmp_path / "out.mp4"))]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--from", "abc"], "'abc' is no time"),
        (["--from", "5", "--to", "4"], "cannot end at 4 s"),
        (["--from", "20"], "lies from 20 s on; it is 10 s long"),
        (["--every", "0"], "--every"),
        (["--codec", "theora"], "There is no codec 'theora'"),
        (["--codec", "ffv1"], "out.mp4 cannot hold FFV1"),
        (["--quality", "101"], "--quality"),
        (["--video-size", "wide"], "--video-size wide is no size"),
        (["--video-size", "101x64"], "101×64 pixels cannot be written"),
    ],
)
def test_what_cannot_be_is_one_sentence(swahr, source, tmp_path, options, said, capsys):
    assert swahr("process", source, "-o", "out.mp4", *options) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_codec_quality_and_size_reach_the_file(swahr, source, tmp_path):
    import av

    assert swahr("process", source, "-o", "a.mkv", "--codec", "vp9", "--video-size", "64x48", "--to", "1") == 0
    with av.open(str(tmp_path / "a.mkv")) as container:
        video = container.streams.video[0]
        assert (video.codec_context.name, video.width, video.height) == ("vp9", 64, 48)
    for quality in (20, 90):
        assert swahr("process", source, "-o", f"{quality}.mp4", "--quality", quality, "--to", "2") == 0
    assert (tmp_path / "20.mp4").stat().st_size < (tmp_path / "90.mp4").stat().st_size


def test_a_part_that_was_cut_off_goes_on(swahr, tools, source, tmp_path, monkeypatch):
    part = ("--from", "0.5", "--every", "1", "--json")
    assert swahr("process", source, "-o", "whole.mp4", *part) == 0

    class Failing(tools.FakeEstimator):
        def __call__(self, image):
            if self.seen == 260:
                raise KeyboardInterrupt
            return super().__call__(image)

    monkeypatch.setattr("engine.PoseEstimator", Failing)
    assert swahr("process", source, "-o", "out.mp4", *part) == 130
    monkeypatch.setattr("engine.PoseEstimator", tools.FakeEstimator)
    assert swahr("process", source, "-o", "out.mp4", *part) == 0
    assert tools.video_stamps(tmp_path / "out.mp4") == tools.video_stamps(tmp_path / "whole.mp4")
    assert tools.audio_packets(tmp_path / "out.mp4") == tools.audio_packets(tmp_path / "whole.mp4")
    assert len(lines(tmp_path / "out.jsonl")) == len(lines(tmp_path / "whole.jsonl"))
