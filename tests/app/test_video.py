"""A processed video keeps its source's times, sound, colours and upright pictures."""

from __future__ import annotations

import json
from fractions import Fraction

import av
import numpy as np
import pytest

UNEVEN = [4001 + 200 * index + 7 * index * index for index in range(30)]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("plain.mp4", {}),
        ("uneven.mp4", {"stamps": UNEVEN, "time_base": Fraction(1, 90000)}),
        ("uneven.mkv", {"stamps": [5 + 33 * index + index % 3 for index in range(30)], "time_base": Fraction(1, 1000)}),
        ("ntsc.mp4", {"time_base": Fraction(1001, 30000)}),
        ("late.mp4", {"stamps": list(range(7, 37))}),
        ("b_frames.mp4", {"b_frames": 3}),
        ("b_frames.mkv", {"b_frames": 3}),
        ("broadcast.ts", {"b_frames": 2, "time_base": Fraction(1, 90000), "stamps": UNEVEN}),
        ("xvid.avi", {"codec": "mpeg4"}),
    ],
)
def test_time_stamps_are_those_of_the_source(swahr, tools, tmp_path, name, settings):
    source = tools.write_video(tmp_path / name, tools.VideoSpec(**settings))
    expected = tools.video_stamps(source)
    assert len(expected) == 30

    assert swahr("process", source, "-o", "out.mp4", "--json") == 0

    assert tools.video_stamps(tmp_path / "out.mp4") == expected
    header, *lines = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert [line["pts"] * Fraction(header["time_base"]) for line in lines] == expected
    assert [line["time"] for line in lines] == [float(time) for time in expected]


def test_time_base_is_kept(swahr, tools, tmp_path):
    source = tools.write_video(
        tmp_path / "in.mp4",
        tools.VideoSpec(time_base=Fraction(1, 90), options=(("video_track_timescale", "90"),)),
    )
    assert swahr("process", source, "-o", "out.mp4") == 0
    with av.open("out.mp4") as container:
        assert container.streams.video[0].time_base == Fraction(1, 90)


def test_frames_out_of_order_in_avi_get_rising_times(swahr, tools, tmp_path):
    source = tools.write_video(tmp_path / "in.avi", tools.VideoSpec(b_frames=2))
    assert swahr("process", source, "-o", "out.mp4") == 0
    times = tools.video_stamps(tmp_path / "out.mp4")
    assert times == [Fraction(index, 30) for index in range(30)]


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "aac"), ("a.mkv", "libopus"), ("a.avi", "libmp3lame"), ("a.flv", "aac")]
)
def test_sound_is_copied_byte_for_byte(swahr, tools, tmp_path, name, codec):
    source = tools.write_video(tmp_path / name, tools.VideoSpec(audio=codec))
    expected = tools.audio_packets(source)
    assert len(expected) > 20
    assert swahr("process", source, "-o", "out.mp4") == 0
    assert tools.audio_packets(tmp_path / "out.mp4") == expected


def test_sound_stays_in_time_with_a_video_that_begins_late(swahr, tools, tmp_path):
    spec = tools.VideoSpec(stamps=UNEVEN, time_base=Fraction(1, 90000), audio="aac")
    source = tools.write_video(tmp_path / "in.mp4", spec)
    assert swahr("process", source, "-o", "out.mp4") == 0
    assert tools.audio_packets(tmp_path / "out.mp4") == tools.audio_packets(source)
    assert tools.video_stamps(tmp_path / "out.mp4") == tools.video_stamps(source)


def test_sound_of_a_broadcast_plays(swahr, tools, tmp_path):
    source = tools.write_video(tmp_path / "in.ts", tools.VideoSpec(audio="aac"))
    assert swahr("process", source, "-o", "out.mp4") == 0

    def waves(path):
        with av.open(str(path)) as container:
            return np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)

    expected, copied = waves(source), waves(tmp_path / "out.mp4")
    assert copied.shape == expected.shape
    np.testing.assert_allclose(copied, expected, atol=1e-4)


def test_sound_that_mp4_cannot_hold_is_named(swahr, tools, tmp_path, capsys):
    source = tools.write_video(tmp_path / "in.mkv", tools.VideoSpec(audio="wavpack"))
    assert swahr("process", source, "-o", "out.mp4") == 0
    assert "without its wavpack sound" in capsys.readouterr().out
    assert len(tools.video_stamps(tmp_path / "out.mp4")) == 30


@pytest.mark.parametrize("rotation", [90, 180, -90])
@pytest.mark.parametrize("mirrored", [False, True])
def test_rotation_is_applied_and_not_repeated(swahr, tools, tmp_path, rotation, mirrored):
    source = tools.write_video(tmp_path / "in.mp4", tools.VideoSpec(frames=3, rotation=rotation, mirrored=mirrored))
    expected = np.rot90(tools.picture(0, 160, 120), rotation // 90)
    if mirrored:
        expected = expected[:, ::-1]
    assert swahr("process", source, "-o", "out.mp4") == 0
    with av.open("out.mp4") as container:
        frame = next(container.decode(video=0))
    assert frame.rotation == 0
    got = frame.to_ndarray(format="rgb24")
    assert got.shape == expected.shape
    red = (expected == (220, 20, 20)).all(axis=2)
    assert np.abs(got[red].mean(axis=0) - (220, 20, 20)).max() < 12
    assert (got[~red][:, 0] > 150).mean() < 0.03


def test_odd_sides_are_padded_and_said(swahr, tools, tmp_path, capsys):
    spec = tools.VideoSpec(frames=3, size=(161, 121), pixels="yuv444p")
    source = tools.write_video(tmp_path / "in.mp4", spec)
    assert swahr("process", source, "-o", "out.mp4", "--json") == 0
    assert "162×122 pixels instead of 161×121" in capsys.readouterr().out
    assert json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])["size"] == [161, 121]
    written = tools.video_frames(tmp_path / "out.mp4")[2]  # the frame in which the estimator finds nobody
    assert written.shape == (122, 162, 3)
    difference = np.abs(written[:121, :161].astype(int) - tools.picture(2, 161, 121))
    assert np.median(difference) < 3


@pytest.mark.parametrize("matrix", [1, 2])
def test_colours_are_kept(swahr, tools, tmp_path, matrix):
    source = tools.write_video(tmp_path / "in.mp4", tools.VideoSpec(frames=3, matrix=matrix))
    assert swahr("process", source, "-o", "out.mp4") == 0
    before, after = (tools.video_frames(path)[2] for path in (source, tmp_path / "out.mp4"))
    assert np.abs(before.astype(float) - after).mean() < 3
    with av.open("out.mp4") as container:
        frame = next(container.decode(video=0))
    assert (frame.colorspace, frame.color_primaries, frame.color_trc) == (matrix,) * 3


@pytest.mark.parametrize(("codec", "pixels"), [("qtrle", "rgb24"), ("png", "rgb24"), ("mjpeg", "yuvj420p")])
def test_colours_of_rgb_and_full_range_sources_are_kept(swahr, tools, tmp_path, codec, pixels):
    spec = tools.VideoSpec(frames=3, codec=codec, pixels=pixels)
    source = tools.write_video(tmp_path / "in.mov", spec)
    assert swahr("process", source, "-o", "out.mp4") == 0
    written = tools.video_frames(tmp_path / "out.mp4")[2]
    assert np.abs(written.astype(float) - tools.picture(2, 160, 120)).mean() < 5


def test_mov_can_be_written_too(swahr, tools, tmp_path):
    source = tools.write_video(tmp_path / "in.mov", tools.VideoSpec(audio="pcm_s16le"))
    assert swahr("process", source, "-o", "out.mov") == 0
    assert tools.video_stamps(tmp_path / "out.mov") == tools.video_stamps(source)
    joined = [b"".join(data for data, _ in tools.audio_packets(path)) for path in (source, tmp_path / "out.mov")]
    assert joined[0] == joined[1]


def test_truncated_video_gives_what_was_decodable_and_says_how_much(swahr, tools, tmp_path, capsys):
    whole = tools.write_video(
        tmp_path / "whole.mp4", tools.VideoSpec(frames=90, audio="aac", options=(("movflags", "faststart"),))
    )
    data = whole.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: len(data) * 6 // 10])
    decodable = len(tools.video_stamps(cut))
    assert 20 < decodable < 80

    assert swahr("process", cut, "-o", "out.mp4", "--json") == 0

    said = capsys.readouterr().out
    assert f"damaged or cut off: {decodable} of 90 frames could be decoded" in said
    assert f"{decodable / 30:.2f} s of 3.00 s" in said
    assert tools.video_stamps(tmp_path / "out.mp4") == tools.video_stamps(whole)[:decodable]
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 1 + decodable


def test_whole_video_is_not_called_damaged(swahr, tools, tmp_path, capsys):
    for name in ("a.mp4", "a.mkv", "a.avi", "a.ts"):
        source = tools.write_video(tmp_path / name, tools.VideoSpec(codec="mpeg4"))
        assert swahr("process", source, "-o", "out.mp4", "--overwrite") == 0
    said = capsys.readouterr().out
    assert said.count("30 frames of") == 4
    assert "damaged" not in said


def test_damage_in_the_middle_is_passed_over(swahr, tools, tmp_path, capsys):
    source = tools.write_video(tmp_path / "in.mp4", tools.VideoSpec(frames=60))
    with av.open(str(source)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        place, size = packets[30].pos, packets[30].size
    data = bytearray(source.read_bytes())
    data[place : place + size] = bytes([255]) * size
    source.write_bytes(data)

    assert swahr("process", source, "-o", "out.mp4") == 0

    times = tools.video_stamps(tmp_path / "out.mp4")
    assert times[0] == 0
    assert times[-1] == Fraction(59, 30)
    assert len(times) == 59
    assert "1 of its packets could not be decoded, 59 frames could" in capsys.readouterr().out
