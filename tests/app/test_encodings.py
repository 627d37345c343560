"""Every codec keeps times, colours and shapes in every kind of file that holds it, and is as good as is asked for."""

from __future__ import annotations

import itertools
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from app.sinks.containers import VIDEO_SUFFIXES
from app.sinks.encoding import CODECS, Encoding
from app.sinks.segments import key_frame_distance, segment_length
from app.sinks.video import VideoWriter
from app.sources import Frame, VideoFormat
from engine.errors import SwahrError
from grouping import COCO17, People

NOBODY = People.empty(COCO17)
KINDS = [(codec, suffix) for codec, details in CODECS.items() for suffix in details.suffixes]


def pictures(tools, count: int, size: tuple[int, int] = (160, 120)) -> list[np.ndarray]:
    return [tools.picture(index, *size) for index in range(count)]


def write(path: Path, video: VideoFormat, images: list[np.ndarray], stamps=None, **settings) -> VideoWriter:
    with VideoWriter(path, video, overwrite=True, **settings) as writer:
        for index, image in enumerate(images):
            pts = index if stamps is None else stamps[index]
            writer.write(Frame(image, index, pts, video.time_base, 1), image, NOBODY)
    return writer


@pytest.mark.parametrize(("codec", "suffix"), KINDS)
def test_times_colours_and_shape_are_kept(tools, tmp_path, codec, suffix):
    # Of pixels that are not square, only H.264 and HEVC can tell in Matroska.
    aspect = Fraction(1) if suffix in (".mkv", ".webm") and codec not in ("h264", "hevc") else Fraction(16, 15)
    video = VideoFormat(Fraction(10), Fraction(1, 1000), colour=(1, 1, 1), pixel_aspect=aspect)
    images = pictures(tools, 100)  # more than a segment
    stamps = [41 + 100 * index + index * index % 13 for index in range(100)]
    writer = write(tmp_path / f"out{suffix}", video, images, stamps, encoding=Encoding(codec))
    assert writer.notes == []
    assert tools.video_stamps(writer.path) == [stamp * video.time_base for stamp in stamps]
    with av.open(str(writer.path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.codec.canonical_name == codec
        assert (stream.sample_aspect_ratio or 1) == aspect
        packets = [packet for packet in container.demux(stream) if packet.size]
        assert [packet.pts for packet in packets] == [packet.dts for packet in packets]
        keys = [index for index, packet in enumerate(packets) if packet.is_keyframe]
        assert {0, segment_length(video)} <= set(keys)
        assert max(np.diff([*keys, 100])) <= key_frame_distance(video)
    with av.open(str(writer.path)) as container:
        decoded = list(container.decode(video=0))
    matrix = 0 if codec == "ffv1" else 1
    assert {(int(one.colorspace), int(one.color_primaries), int(one.color_trc)) for one in decoded} == {(matrix, 1, 1)}
    for image, one in zip(images, decoded, strict=True):
        difference = np.abs(one.to_ndarray(format="rgb24").astype(int) - image)
        assert difference.mean() < 3
        assert not difference.any() or codec != "ffv1"


@pytest.mark.parametrize("codec", [codec for codec, details in CODECS.items() if not details.lossless])
def test_more_quality_is_closer_and_larger(tools, tmp_path, codec):
    rng = np.random.default_rng(1)
    images = [np.clip(image + rng.normal(0, 12, image.shape), 0, 255).astype(np.uint8) for image in pictures(tools, 6)]
    video = VideoFormat(Fraction(10), Fraction(1, 10))
    sizes, errors = [], []
    for quality in (0, 35, 70, 100):
        path = tmp_path / f"{quality}{CODECS[codec].suffixes[0]}"
        write(path, video, images, encoding=Encoding(codec, quality))
        sizes.append(path.stat().st_size)
        errors.append(
            np.mean([np.abs(a.astype(int) - b) for a, b in zip(tools.video_frames(path), images, strict=True)])
        )
    assert sizes == sorted(sizes) and len(set(sizes)) == 4
    assert errors == sorted(errors, reverse=True)
    write(tmp_path / f"default{CODECS[codec].suffixes[0]}", video, images, encoding=Encoding(codec))
    assert (tmp_path / f"default{CODECS[codec].suffixes[0]}").stat().st_size == sizes[2]


def test_h264_is_encoded_as_ever(tools, tmp_path):
    assert Encoding().options == {"preset": "veryfast", "crf": "20", "bf": "0"}


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [(161, 121), (96, 96), (98, 200)])
def test_any_size_of_picture_is_written(tools, tmp_path, codec, size):
    image = np.full((size[1], size[0], 3), 200, np.uint8)
    image[: size[1] // 2] = (20, 60, 200)
    path = tmp_path / f"out{CODECS[codec].suffixes[-1]}"
    writer = write(path, VideoFormat(Fraction(10), Fraction(1, 10)), [image] * 3, encoding=Encoding(codec))
    written = tools.video_frames(path)
    assert len(written) == 3
    height, width = written[0].shape[:2]
    assert (width - size[0], height - size[1]) in {
        "ffv1": [(0, 0)],
        "prores": [(size[0] % 2, 0)],
    }.get(codec, [(size[0] % 2, size[1] % 2)])
    assert np.abs(written[2][: size[1], : size[0]].astype(int) - image).mean() < 4
    padded = (width, height) != size
    assert len(writer.notes) == padded
    if padded:
        assert f"{width}×{height} pixels instead of 161×121, for {CODECS[codec].title} needs even" in writer.notes[0]


def test_a_picture_that_is_too_small_for_a_codec_is_one_sentence(tools, tmp_path):
    video = VideoFormat(Fraction(10), Fraction(1, 10))
    for codec, size in (("h264", (16, 16)), ("vp9", (200, 16)), ("prores", (16, 16)), ("ffv1", (17, 16))):
        write(tmp_path / "out.mkv", video, [np.zeros((*size, 3), np.uint8)] * 3, encoding=Encoding(codec))
        assert len(tools.video_stamps(tmp_path / "out.mkv")) == 3
    with pytest.raises(
        SwahrError, match="AV1 cannot be 66×18 pixels, only 32×32 or more; choose another codec or size"
    ):
        write(tmp_path / "av1.mkv", video, [np.zeros((18, 66, 3), np.uint8)], encoding=Encoding("av1"))
    with pytest.raises(SwahrError, match="HEVC cannot be 62×200 pixels, only 96×96 or more; choose another codec"):
        write(tmp_path / "hevc.mkv", video, [np.zeros((200, 61, 3), np.uint8)], encoding=Encoding("hevc"))


@pytest.mark.parametrize(("codec", "suffix"), [("av1", ".mkv"), ("vp9", ".webm"), ("prores", ".mkv"), ("ffv1", ".mkv")])
def test_pixels_become_square_where_a_file_cannot_tell_their_shape(tools, tmp_path, codec, suffix):
    video = VideoFormat(Fraction(10), Fraction(1, 10), pixel_aspect=Fraction(16, 15))
    images = pictures(tools, 90)
    writer = write(tmp_path / f"out{suffix}", video, images, encoding=Encoding(codec))
    (note,) = writer.notes
    assert note.startswith("The video is 17")
    assert note.endswith(f" instead of 160×120, for with {CODECS[codec].title} {suffix} can only hold square pixels.")
    written = tools.video_frames(writer.path)[2]
    assert written.shape[0] == 120 and abs(written.shape[1] - 160 * 16 / 15) <= 1
    assert np.abs(written[:36, :53].reshape(-1, 3).mean(axis=0) - (220, 20, 20)).max() < 12
    writer.path.rename(tmp_path / f"out.partial{suffix}")
    with VideoWriter(writer.path, video, encoding=Encoding(codec), resume=True) as resumed:
        assert resumed.frames_kept == 80
    assert tools.video_frames(resumed.path)[2].shape == written.shape


@pytest.mark.parametrize("codec", ["h264", "ffv1"])
def test_a_size_is_written_and_the_shape_of_the_picture_stays(tools, tmp_path, codec):
    image = tools.picture(0, 321, 181)
    video = VideoFormat(Fraction(10), Fraction(1, 10), pixel_aspect=Fraction(4, 3))
    for size, aspect in (((160, 90), Fraction(4, 3)), ((640, 360), Fraction(4, 3)), ((160, 180), None)):
        encoding = Encoding(codec, size=size)
        writer = write(tmp_path / "out.mkv", video, [image] * 3, encoding=encoding)
        with av.open(str(writer.path)) as container:
            stream = container.streams.video[0]
            assert (stream.width, stream.height) == size
            if codec == "ffv1":
                assert stream.sample_aspect_ratio is None
                assert "The picture looks narrower than the source's, for with FFV1 .mkv" in writer.notes[0]
                continue
            assert writer.notes == []
            shown = stream.sample_aspect_ratio * Fraction(*size)
            assert abs(shown / (video.pixel_aspect * Fraction(321, 181)) - 1) < 0.01
            assert aspect in (None, stream.sample_aspect_ratio)
        red = tools.video_frames(writer.path)[2][: size[1] // 3 - 4, : size[0] // 3 - 4].reshape(-1, 3)
        assert np.abs(red.mean(axis=0) - (220, 20, 20)).max() < 12


def test_segments_follow_from_the_rate_alone():
    for rate, distance in ((30, 60), (Fraction(30000, 1001), 60), (25, 50), (1, 2), (Fraction(1, 60), 1), (90000, 480)):
        video = VideoFormat(Fraction(rate), Fraction(1, 90000))
        assert key_frame_distance(video) == distance
        assert segment_length(video) == 4 * distance


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("rate", [Fraction(1, 60), Fraction(90000), Fraction(30000, 1001)])
def test_strange_rates_and_units_are_written(tools, tmp_path, codec, rate):
    video = VideoFormat(rate, Fraction(1001, 30000))
    path = tmp_path / f"out{CODECS[codec].suffixes[0]}"
    write(path, video, pictures(tools, 12, (96, 96)), encoding=Encoding(codec))
    expected = [index * video.time_base for index in range(12)]
    stamps = tools.video_stamps(path)
    if path.suffix == ".mkv":
        assert max(abs(a - b) for a, b in zip(stamps, expected, strict=True)) <= Fraction(1, 2000)
    else:
        assert stamps == expected


def test_milliseconds_are_noted_where_they_do_not_do(tools, tmp_path):
    images = pictures(tools, 7, (96, 96))
    told = [
        write(tmp_path / f"out{suffix}", VideoFormat(Fraction(30), unit), images, stamps).notes
        for suffix, unit, stamps in (
            (".mkv", Fraction(1, 30), None),
            (".mp4", Fraction(1, 30), None),
            (".mkv", Fraction(1, 12800), [512 * index for index in range(7)]),  # 40 ms each
        )
    ]
    assert told[1:] == [[], []]
    assert told[0] == [
        ".mkv counts in milliseconds: 4 frames are shown up to half of one earlier or later than in the source, "
        "which .mp4 and .mov do not need."
    ]


def test_a_file_that_cannot_hold_a_codec_is_refused_at_once(tmp_path):
    video = VideoFormat(Fraction(30), Fraction(1, 30))
    for codec, suffix in itertools.product(CODECS, VIDEO_SUFFIXES):
        if (codec, suffix) not in KINDS:
            with pytest.raises(SwahrError, match=rf"out{suffix} cannot hold {CODECS[codec].title}; let it end in"):
                VideoWriter(tmp_path / f"out{suffix}", video, encoding=Encoding(codec))
    with pytest.raises(SwahrError, match=r"out\.MP4 cannot hold FFV1; let it end in \.mkv, or choose the codec h264,"):
        VideoWriter(tmp_path / "out.MP4", video, encoding=Encoding("ffv1"))
    with pytest.raises(SwahrError, match="does not end like a video that can be written"):
        VideoWriter(tmp_path / "out.txt", video)
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_that_is_missing_is_one_sentence(tmp_path, monkeypatch):
    def missing(name, mode):
        raise av.codec.codec.UnknownCodecError(name)

    monkeypatch.setattr(av, "Codec", missing)
    with pytest.raises(
        SwahrError, match=r"AV1 cannot be written, for the installed PyAV lacks its encoder libsvtav1; "
    ):
        VideoWriter(tmp_path / "out.mp4", VideoFormat(Fraction(30), Fraction(1, 30)), encoding=Encoding("av1"))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"codec": "xvid"}, r"There is no codec 'xvid'; choose one of h264, hevc, av1, vp9, prores, ffv1\."),
        ({"quality": 101}, r"A quality of 101 is not possible; choose one from 0 to 100"),
        ({"quality": -1}, r"A quality of -1 is not possible"),
        ({"codec": "ffv1", "quality": 50}, r"The codec ffv1 loses nothing and has no quality"),
        ({"size": (641, 360)}, r"A video of 641×360 pixels cannot be written; both sides are to be even, from 16 to"),
        ({"size": (640, 8)}, r"H\.264 cannot be 640×8 pixels, only 16×16 or more; choose another codec or size\."),
        ({"size": (640, 0)}, r"640×0"),
        ({"size": (640, -2)}, r"640×-2"),
        ({"codec": "av1", "size": (16, 64)}, r"AV1 cannot be 16×64 pixels, only 32×32 or more; choose another"),
        ({"size": (20000, 1000)}, r"20000×1000"),
    ],
)
def test_what_cannot_be_is_refused(settings, told):
    with pytest.raises(SwahrError, match=told):
        Encoding(**settings)


WRITING = """
import sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from app.sinks.encoding import CODECS, Encoding
from app.sinks.video import VideoWriter
from app.sources import Frame, VideoFormat
from grouping import COCO17, People
video = VideoFormat(Fraction(1), Fraction(1))
for codec, details in CODECS.items():
    path = Path(sys.argv[1]) / f"{codec}{details.suffixes[0]}"
    with VideoWriter(path, video, encoding=Encoding(codec)) as writer:
        for index in range(20):
            image = np.full((96, 128, 3), index * 9, np.uint8)
            writer.write(Frame(image, index, index, video.time_base, 1), image, People.empty(COCO17))
"""


def test_encoders_say_nothing(tmp_path):
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", WRITING, str(tmp_path)],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert len(list(tmp_path.iterdir())) == len(CODECS)


def test_naming_codecs_loads_no_library():
    code = "import sys, app.sinks.encoding, app.sinks.containers; print('av' in sys.modules)"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
