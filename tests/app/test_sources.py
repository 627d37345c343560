"""What frames the sources give: order, orientation, times, and refusals."""

from __future__ import annotations

import gc
import io
import os
import struct
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext

from app.sources import PICTURE_SECONDS, SeekableSource, check_size, open_source, whole_units
from app.sources.demo import parse_options
from app.sources.fitting import fitted
from app.sources.live_names import shown_name
from app.sources.picture_headers import picture_size
from app.sources.pictures import natural_order, read_picture
from app.sources.quiet import quietly
from app.sources.time_stamps import GREATEST_GAP, TimeStamps
from engine.errors import SwahrError


def save(path, image):
    assert cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return path


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """The JPEG with an EXIF block that names an orientation."""
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    exif = b"Exif\0\0" + b"MM\0*\0\0\0\x08" + b"\0\x01" + entry + b"\0\0\0\0"
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


def test_video_frames_come_with_exact_times(tools, tmp_path):
    path = tools.write_video(tmp_path / "in.mp4", tools.VideoSpec(frames=12, time_base=Fraction(1001, 30000)))
    with open_source(str(path)) as source:
        assert source.info.kind == "video"
        assert source.info.size == (160, 120)
        assert source.info.frames == 12
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(12))
    assert [frame.time for frame in frames] == [index * Fraction(1001, 30000) for index in range(12)]
    assert frames[0].image.dtype == np.uint8
    assert np.abs(frames[5].image.astype(int) - tools.picture(5, 160, 120)).mean() < 5
    assert source.notes == []


def test_frame_count_is_estimated_where_the_container_gives_none(tools, tmp_path):
    path = tools.write_video(tmp_path / "in.mkv", tools.VideoSpec(frames=45))
    with open_source(str(path)) as source:
        assert source.info.frames == 45


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG", ".bmp", ".webp", ".tiff"])
def test_picture_is_one_rgb_frame_without_time(tools, tmp_path, suffix):
    image = tools.picture(0, 160, 120)
    path = save(tmp_path / f"in{suffix}", image)
    with open_source(str(path)) as source:
        assert source.info.kind == "image"
        (frame,) = source
    assert frame.time is None
    assert np.abs(frame.image.astype(int) - image).mean() < 5


def test_picture_with_alpha_or_one_channel_becomes_rgb(tmp_path):
    cv2.imwrite(str(tmp_path / "alpha.png"), np.full((40, 50, 4), 120, np.uint8))
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((40, 50), 120, np.uint16) * 257)
    for name in ("alpha.png", "grey.png"):
        image = read_picture(tmp_path / name).image
        assert image.shape == (40, 50, 3)
        assert (image == 120).all()


@pytest.mark.parametrize(("orientation", "quarter_turns"), [(1, 0), (3, 2), (6, -1), (8, 1)])
def test_exif_orientation_is_applied(tools, tmp_path, orientation, quarter_turns):
    image = tools.picture(0, 160, 120)
    path = save(tmp_path / "in.jpg", image)
    path.write_bytes(with_orientation(path.read_bytes(), orientation))
    expected = np.rot90(image, quarter_turns)
    got = read_picture(path).image
    assert got.shape == expected.shape
    assert np.abs(got.astype(int) - expected).mean() < 6


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".jpg", []),
        (".jpg", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 4]),
        (".png", []),
        (".bmp", []),
        (".webp", [cv2.IMWRITE_WEBP_QUALITY, 80]),
        (".webp", [cv2.IMWRITE_WEBP_QUALITY, 101]),
        (".tiff", []),
    ],
)
def test_a_header_tells_the_size_that_is_decoded(tools, suffix, options):
    for width, height in ((160, 120), (33, 71), (640, 48)):
        done, data = cv2.imencode(suffix, tools.picture(0, width, height), options)
        assert done
        assert picture_size(io.BytesIO(data.tobytes())) == (width, height)
        for length in range(0, 60, 3):
            picture_size(io.BytesIO(data.tobytes()[:length]))  # raises nothing


def test_an_alpha_webp_and_a_jpeg_with_a_preview_tell_their_own_size(tools):
    done, data = cv2.imencode(".webp", np.full((50, 70, 4), 120, np.uint8))
    assert done and picture_size(io.BytesIO(data.tobytes())) == (70, 50)
    done, small = cv2.imencode(".jpg", tools.picture(0, 32, 24))
    done, large = cv2.imencode(".jpg", tools.picture(0, 320, 240))
    preview = b"\xff\xe1" + struct.pack(">H", len(small) + 2) + small.tobytes()
    assert picture_size(io.BytesIO(large.tobytes()[:2] + preview + large.tobytes()[2:])) == (320, 240)


@pytest.mark.parametrize(("order", "mark"), [("<", b"II"), (">", b"MM")])
def test_tiff_of_either_order_and_of_the_big_kind_tells_its_size(order, mark):
    small = mark + struct.pack(order + "HIH", 42, 8, 2)
    small += struct.pack(order + "HHII", 256, 4, 1, 70_000) + struct.pack(order + "HHII", 257, 4, 1, 9)
    big = mark + struct.pack(order + "HHHQQ", 43, 8, 0, 16, 2)
    big += struct.pack(order + "HHQHHI", 256, 3, 1, 333, 0, 0) + struct.pack(order + "HHQQ", 257, 16, 1, 2**40)
    assert picture_size(io.BytesIO(small)) == (70_000, 9)
    assert picture_size(io.BytesIO(big)) == (333, 2**40)


def test_only_what_picture_decoders_print_is_caught(capfd):
    with quietly() as complaints:
        os.write(2, b"libpng warning: iCCP: known incorrect sRGB profile\nsomething else\nCorrupt JPEG data: x\n")
        assert complaints == []
    os.write(2, b"afterwards\n")
    assert complaints == ["libpng warning: iCCP: known incorrect sRGB profile", "Corrupt JPEG data: x"]
    assert capfd.readouterr().err == "something else\nafterwards\n"


def test_a_decoder_that_raises_gives_standard_error_back(capfd):
    with pytest.raises(ZeroDivisionError), quietly():
        raise ZeroDivisionError
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "afterwards\n"


def test_without_standard_error_pictures_are_read_all_the_same(tmp_path, tools, monkeypatch):
    path = save(tmp_path / "a.png", tools.picture(0, 64, 48))
    monkeypatch.setattr("os.dup", lambda number: (_ for _ in ()).throw(OSError(9, "Bad file descriptor")))
    assert read_picture(path).image.shape == (48, 64, 3)


def test_a_damaged_and_an_animated_picture_are_named_in_a_folder(tools, tmp_path):
    for number in range(3):
        save(tmp_path / f"{number}.jpg", tools.picture(number, 640, 480))
    data = bytearray((tmp_path / "1.jpg").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 40] = bytes([255, 0]) * 20
    (tmp_path / "1.jpg").write_bytes(data)
    animation = cv2.Animation()
    animation.frames = [np.full((64, 96, 4), 40 * index, np.uint8) for index in (1, 2)]
    animation.durations = [100, 100]
    cv2.imwriteanimation(str(tmp_path / "2.webp"), animation)
    with open_source(str(tmp_path)) as source:
        assert [frame.index for frame in source] == [0, 1, 2, 3]
    assert source.notes == [
        "Damaged; parts may look wrong: 1.jpg (1 of 4 pictures).",
        "Animated; only the first picture is used: 2.webp (1 of 4 pictures).",
    ]


def test_a_folder_that_may_not_be_looked_into_is_told(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    with pytest.raises(SwahrError, match=r"The folder .* cannot be read \(Permission denied\)\.$"):
        open_source(str(tmp_path))


@pytest.mark.parametrize("name", ["a.png", "a.mp4"])
@pytest.mark.parametrize("what", ["pathlib.Path.stat", "pathlib.Path.open"])
def test_a_file_that_may_not_be_read_is_told(tmp_path, tools, monkeypatch, name, what):
    path = tmp_path / name
    path.write_bytes(b"no video")

    def refuse(self, *arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(what, refuse)
    with pytest.raises(SwahrError, match=rf"{name} cannot be [a-z ]+ \(permission denied\)"):
        open_source(str(path))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["a.png", "a.mp4", "folder"])
def test_what_is_really_forbidden_is_told(tmp_path, tools, name):
    path = tmp_path / name
    path.mkdir() if name == "folder" else path.write_bytes(b"secret")
    path.chmod(0)
    try:
        with pytest.raises(SwahrError, match="ermission denied"):
            open_source(str(path))
    finally:
        path.chmod(0o700)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.ts"])
def test_a_file_that_shrinks_while_it_is_read_ends_early(tools, tmp_path, name):
    settings = {"codec": "mpeg2video"} if name == "a.ts" else {"codec": "mjpeg", "pixels": "yuvj420p"}
    path = tools.write_video(tmp_path / name, tools.VideoSpec(frames=300, size=(320, 240), **settings))
    with open_source(str(path)) as source:
        frames = iter(source)
        first = [next(frames) for _ in range(3)]
        os.truncate(path, path.stat().st_size // 2)
        count = len(first) + sum(1 for _ in frames)
    assert 3 < count < 300
    assert "is damaged" in source.notes[0]


def test_a_file_that_disappears_while_it_is_read_is_read_to_its_end(tools, tmp_path):
    path = tools.write_video(tmp_path / "a.mp4", tools.VideoSpec(frames=60))
    with open_source(str(path)) as source:
        frames = iter(source)
        next(frames)
        path.unlink()
        assert sum(1 for _ in frames) == 59
        with pytest.raises(SwahrError, match=r"a\.mp4 cannot be read"):
            next(iter(source))
    assert source.notes == []


def test_a_stream_that_appears_late_does_no_harm(tools, tmp_path):
    silent = tools.write_video(tmp_path / "1.ts", tools.VideoSpec(frames=300, gop=30, size=(32, 32)))
    spec = tools.VideoSpec(frames=60, gop=30, size=(32, 32), stamps=range(300, 360), audio="mp2")
    loud = tools.write_video(tmp_path / "2.ts", spec)
    path = tmp_path / "a.ts"
    path.write_bytes(silent.read_bytes() + loud.read_bytes())
    with open_source(str(path)) as source:
        assert len(list(source)) == 360


def alive(kind: type) -> int:
    return sum(type(thing) is kind for thing in gc.get_objects())


def test_frames_and_decoders_are_let_go_at_once(tools, tmp_path):
    """Or a video in 4K would hold gigabytes, and each file that was opened the threads of its decoder."""
    paths = [
        tools.write_video(tmp_path / f"{rotation}.mp4", tools.VideoSpec(frames=30, rotation=rotation))
        for rotation in (0, 90)
    ]
    gc.collect()
    gc.disable()  # nothing may depend on when it happens to run
    frames, decoders = alive(av.VideoFrame), alive(VideoCodecContext)  # which others may hold
    try:
        for path in paths * 2:
            with open_source(str(path)) as source:
                for index, _ in enumerate(source):
                    assert index != 25 or alive(av.VideoFrame) < frames + 12
            del source
        assert alive(av.VideoFrame) <= frames + len(paths) * 2  # of one pixel or so
        assert alive(VideoCodecContext) <= decoders
    finally:
        gc.enable()


def test_pictures_that_disappear_are_left_out(tools, tmp_path):
    for number in range(4):
        save(tmp_path / f"{number}.png", tools.picture(number, 64, 48))
    with open_source(str(tmp_path)) as source:
        frames = iter(source)
        next(frames)
        (tmp_path / "2.png").unlink()
        assert [frame.name for frame in frames] == ["1.png", "3.png"]
    assert source.notes == ["Left out, for they could not be read: 2.png (1 of 4 pictures)."]


@pytest.mark.parametrize(
    ("size", "filled"), [((64, 48), (0, 48, 0, 64)), ((96, 48), (8, 40, 0, 64)), ((20, 60), (0, 48, 24, 40))]
)
def test_a_frame_of_another_size_is_fitted_in_its_own_shape(size, filled):
    image = fitted(np.full((size[1], size[0], 3), 200, np.uint8), (64, 48))
    assert image.shape == (48, 64, 3)
    top, bottom, left, right = filled
    assert (image[top:bottom, left:right] == 200).all()
    assert image.sum() == 600 * (bottom - top) * (right - left)


def test_names_that_cannot_be_printed_are_shown_all_the_same():
    assert shown_name("a\nb\x1b[31m" + os.fsdecode(b"\xff")) == "a�b�[31m�"
    assert shown_name("Übung 🤸.mp4") == "Übung 🤸.mp4"


def test_folder_gives_its_pictures_in_natural_order(tools, tmp_path):
    for name in ("p10.png", "p9.png", "P1.jpg", ".hidden.png"):
        save(tmp_path / name, tools.picture(0, 64, 48))
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "p2.png").write_text("no picture either")
    with open_source(str(tmp_path)) as source:
        assert source.info.kind == "folder"
        assert [frame.name for frame in source] == ["P1.jpg", "p9.png", "p10.png"]
    assert source.notes == ["Left out, for they could not be read: p2.png (1 of 4 pictures)."]


def test_folder_begins_at_any_picture(tools, tmp_path):
    for number in (1, 2, 4, 5):
        save(tmp_path / f"{number}.png", tools.picture(number, 64, 48))
    for number in (0, 3, 6):
        (tmp_path / f"{number}.png").write_text("no picture")
    with open_source(str(tmp_path)) as source:
        assert source.info.duration == 7 * PICTURE_SECONDS
        for turn, names in (
            (5, "5"),
            (3, "245"),
            (6, "5"),
            (0, "1245"),
            (2.5, "245"),
            (99, "5"),
            (-1, "1245"),
            (4, "45"),
        ):
            frames = list(source.frames(turn * PICTURE_SECONDS))
            assert [frame.name[0] for frame in frames] == list(names)
            assert [source.position(frame) / PICTURE_SECONDS for frame in frames] == list(map(int, names))
        assert [frame.index for frame in source.frames(4 * PICTURE_SECONDS)] == [2, 3]
        assert [frame.index for frame in source] == [0, 1, 2, 3]
    assert source.notes == ["Left out, for they could not be read: 0.png, 3.png, 6.png (3 of 7 pictures)."]


def test_folder_without_a_readable_picture_is_told_wherever_it_begins(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.png").write_text("no picture")
    with open_source(str(tmp_path)) as source:
        for start in (0, 2, 4):
            with pytest.raises(SwahrError, match="Not one of the 3 pictures"):
                list(source.frames(start))


def test_single_picture_has_no_timeline(tools, tmp_path):
    with open_source(str(save(tmp_path / "a.png", tools.picture(0, 64, 48)))) as source:
        assert not isinstance(source, SeekableSource)
        assert source.info.duration is None


def test_rounded_times_still_hold_their_whole_units():
    for unit in (Fraction(1, 30), Fraction(1, 90000), Fraction(1, 10**9), Fraction(2)):
        for number in (0, 1, 3, 7, 10**6, 10**7 + 1):
            assert whole_units(float(number * unit), unit) == number
            assert whole_units(number * unit, unit) == number
            assert whole_units((number + Fraction(1, 2)) * unit, unit) == number
            assert whole_units((number - Fraction(1, 2)) * unit, unit) == max(0, number - 1)
    assert whole_units(-5, Fraction(1)) == 0


def test_natural_order_counts_numbers():
    names = ["a10b2", "a10b10", "a2", "a", "B1", "10", "9"]
    assert sorted(names, key=natural_order) == ["9", "10", "a", "a2", "a10b2", "a10b10", "B1"]


def test_demo_renders_people_at_its_times():
    with open_source("demo:?people=2&seed=3&seconds=0.2&size=160x96&fps=10") as source:
        assert source.info.frames == 2
        first, second = source
    assert first.image.shape == (96, 160, 3)
    assert [first.time, second.time] == [0, Fraction(1, 10)]
    assert (first.image != second.image).any()


def test_demo_begins_at_any_time():
    with open_source("demo:?people=2&seconds=0.4&size=160x96&fps=10") as source:
        assert source.info.duration == Fraction(2, 5)
        frames = list(source)
        for start, first in ((0.25, 2), (0.3, 3), (0, 0), (-1, 0), (Fraction(1, 10), 1), (99, 3), (0.09999, 0)):
            again = list(source.frames(start))
            assert [frame.index for frame in again] == list(range(first, 4))
            for frame in again:
                assert (frame.image == frames[frame.index].image).all()
                assert source.position(frame) == frame.time == frames[frame.index].time


def test_demo_options_have_defaults_and_exact_rates():
    assert parse_options("demo:").size == (640, 360)
    options = parse_options("demo:?fps=30000/1001&seconds=2.5")
    assert (options.fps, options.seconds) == (Fraction(30000, 1001), Fraction(5, 2))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("persons=3", "has no option 'persons'"),
        ("people=many", "people=many"),
        ("people=-1", "from 0 to 50"),
        ("size=640", "640x360"),
        ("size=10x10", "640x360"),
        ("fps=0", "fps=0"),
        ("seconds=1/0", "seconds"),
        ("seconds=", "seconds"),
    ],
)
def test_demo_refuses_wrong_options(options, told):
    with pytest.raises(SwahrError, match="demo:") as error:
        parse_options(f"demo:?{options}")
    assert told in str(error.value)


def test_too_small_and_too_narrow_is_refused():
    check_size("x", 16, 16)
    for width, height in ((15, 400), (400, 15), (1, 1), (20, 401)):
        with pytest.raises(SwahrError, match=f"{width}×{height}"):
            check_size("x", width, height)


def test_sound_time_stamps_pass_unchanged():
    stamps = TimeStamps(step=3)
    given = [-4, 0, 1, 50, 51, 1000]
    assert [stamps.next(pts, None) for pts in given] == given
    assert stamps.repaired == 0


def test_bad_time_stamps_are_repaired_and_counted():
    stamps = TimeStamps(step=3)
    given = [(None, None), (3, 3), (3, 3), (6, 9), (None, 12), (None, None), (2, None), (100, None)]
    times = [stamps.next(pts, dts) for pts, dts in given]
    assert times == [0, 3, 4, 6, 12, 15, 18, 100]
    assert stamps.repaired == 3


def test_stamps_that_are_all_equal_end_up_at_the_nominal_rate():
    stamps = TimeStamps(step=100)
    assert [stamps.next(7, None) for _ in range(4)] == [7, 8, 108, 208]


def test_a_gap_that_no_video_has_is_not_believed():
    stamps = TimeStamps(step=3)
    given = [0, 3, 2**33, 9, 12, 12 + GREATEST_GAP - 1, 2**34]
    assert [stamps.next(pts, None) for pts in given] == [0, 3, 6, 9, 12, 12 + GREATEST_GAP - 1, 14 + GREATEST_GAP]
    assert (stamps.repaired, stamps.gaps) == (2, 2)
