"""Videos of every kind keep each frame, its time, its picture, and each packet of sound and subtitles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from app.sinks.containers import suffix_for

FRAMES = 25
TICK = Fraction(1, 90000)
UNEVEN = tuple(3600 * index + 37 * index * index for index in range(FRAMES))


@dataclass(frozen=True)
class Kind:
    """A kind of video. stamps: in units of time_base. turned: what its metadata say to do with its pictures.

    tolerance: of the mean colour. grey: whether it has no colours.
    """

    name: str
    codec: str = "libx264"
    pixels: str = "yuv420p"
    size: tuple[int, int] = (160, 120)
    time_base: Fraction = Fraction(1, 25)
    stamps: tuple[int, ...] = tuple(range(FRAMES))
    options: tuple[tuple[str, str], ...] = ()
    muxing: tuple[tuple[str, str], ...] = ()
    b_frames: int = 0
    rotation: int = 0
    mirrored: bool = False
    pixel_aspect: Fraction = Fraction(1)
    sound: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    tolerance: int = 6
    grey: bool = False


KINDS = {
    "constant rate": Kind("a.mp4"),
    "variable rate": Kind("a.mp4", time_base=TICK, stamps=UNEVEN),
    "variable rate, Matroska": Kind("a.mkv", time_base=Fraction(1, 1000), stamps=tuple(x // 90 for x in UNEVEN)),
    "late beginning": Kind("a.mp4", stamps=tuple(range(30, 30 + FRAMES)), sound=("aac",)),
    "very late beginning": Kind("a.mkv", stamps=tuple(range(90000, 90000 + FRAMES))),
    "broadcast that has run for hours": Kind("a.ts", time_base=TICK, stamps=tuple(2**32 + x for x in UNEVEN)),
    "B-frames": Kind("a.mp4", b_frames=3, sound=("aac",)),
    "B-frames, Matroska": Kind("a.mkv", b_frames=2, sound=("libopus",)),
    "negative decoding stamps": Kind("a.mp4", b_frames=2, muxing=(("use_editlist", "0"),)),
    "negative composition offsets": Kind("a.mp4", b_frames=3, muxing=(("movflags", "negative_cts_offsets"),)),
    "B-frames, variable rate": Kind("a.mov", b_frames=3, time_base=TICK, stamps=UNEVEN),
    "fragments": Kind("a.mp4", b_frames=2, muxing=(("movflags", "frag_keyframe+empty_moov"),)),
    "turned to the left": Kind("a.mp4", rotation=90),
    "upside down": Kind("a.mov", rotation=180),
    "turned to the right": Kind("a.mp4", rotation=-90),
    "turned and mirrored": Kind("a.mp4", rotation=90, mirrored=True),
    "mirrored": Kind("a.mov", mirrored=True),
    "turned, pixels not square": Kind("a.mp4", rotation=90, pixel_aspect=Fraction(16, 15)),
    "pixels not square": Kind("a.mp4", pixel_aspect=Fraction(64, 45)),
    "pixels not square, Matroska": Kind("a.mkv", pixel_aspect=Fraction(8, 9)),
    "10 bit": Kind("a.mp4", pixels="yuv420p10le"),
    "10 bit HEVC": Kind("a.mp4", "libx265", "yuv420p10le", options=(("x265-params", "log-level=none"),)),
    "4:2:2": Kind("a.mkv", pixels="yuv422p"),
    "4:4:4, odd sides": Kind("a.mp4", pixels="yuv444p", size=(161, 121)),
    "full range": Kind("a.mp4", pixels="yuvj420p"),
    "alpha, animation": Kind("a.mov", "qtrle", "argb"),
    "alpha, ProRes": Kind("a.mov", "prores_ks", "yuva444p10le", options=(("profile", "4444"),)),
    "alpha, PNG": Kind("a.mov", "png", "rgba"),
    "alpha, VP9": Kind("a.webm", "libvpx-vp9", "yuva420p", options=(("auto-alt-ref", "0"),)),
    "grey": Kind("a.mkv", "ffv1", "gray", grey=True),
    "grey H.264": Kind("a.mp4", pixels="gray", grey=True, tolerance=10),  # its range is said wrongly
    "16 bit grey": Kind("a.mkv", "ffv1", "gray16le", grey=True),
    "interlaced H.264": Kind("a.mp4", options=(("x264-params", "interlaced=1"),), size=(160, 128)),
    "interlaced MPEG-2": Kind(
        "a.ts",
        "mpeg2video",
        time_base=Fraction(1, 25),
        options=(("flags", "+ildct+ilme"), ("b", "2M")),
        size=(160, 128),
    ),
    "MJPEG": Kind("a.avi", "mjpeg", "yuvj420p", options=(("q", "2"),)),
    "MJPEG, QuickTime": Kind("a.mov", "mjpeg", "yuvj422p", sound=("pcm_s16le",)),
    "ProRes": Kind("a.mov", "prores_ks", "yuv422p10le", sound=("pcm_s24le",)),
    "DNxHR": Kind("a.mov", "dnxhd", "yuv422p", size=(256, 128), options=(("profile", "dnxhr_sq"),), tolerance=20),
    "VP8": Kind("a.webm", "libvpx", options=(("b", "1M"),), sound=("libopus",)),
    "VP9 with hidden frames": Kind("a.webm", "libvpx-vp9", options=(("b", "1M"), ("auto-alt-ref", "1"))),
    "AV1": Kind("a.mp4", "libsvtav1", options=(("preset", "10"),)),
    "AV1, Matroska": Kind("a.mkv", "libsvtav1", options=(("preset", "10"),), sound=("flac",)),
    "HEVC": Kind("a.mp4", "libx265", b_frames=2, options=(("x265-params", "log-level=none:bframes=2"),)),
    "MPEG-2 broadcast": Kind(
        "a.ts", "mpeg2video", b_frames=2, options=(("b", "2M"),), sound=("mp2",), time_base=Fraction(1, 25)
    ),
    "Flash": Kind("a.flv", time_base=Fraction(1, 1000), stamps=tuple(range(0, 40 * FRAMES, 40)), sound=("aac",)),
    "Flash, old": Kind("a.flv", "flv", options=(("b", "2M"),), sound=("libmp3lame",)),
    "AVI": Kind("a.avi", "mpeg4", options=(("b", "2M"),), sound=("libmp3lame",)),
    "AVI, raw": Kind("a.avi", "rawvideo", "bgr24", sound=("pcm_s16le",)),
    "AVI with B-frames": Kind("a.avi", "mpeg4", b_frames=2, options=(("b", "2M"),)),
    "Windows Media": Kind("a.wmv", "wmv2", options=(("b", "2M"),), tolerance=10),
    "MPEG-1 programme": Kind("a.mpg", "mpeg1video", options=(("b", "2M"),), sound=("mp2",)),
    "MPEG-4, Matroska": Kind("a.mkv", "mpeg4", options=(("b", "2M"),), sound=("libopus",)),
    "animation": Kind("a.gif", "gif", "rgb8", tolerance=40),
    "several sounds": Kind("a.mp4", sound=("aac", "libmp3lame", "ac3", "libopus")),
    "several sounds, Matroska": Kind("a.mkv", sound=("libopus", "flac", "ac3", "wavpack")),
    "text": Kind("a.mp4", sound=("aac",), text=("mov_text", "mov_text")),
    "text, Matroska": Kind("a.mkv", sound=("libopus",), text=("subrip", "ass")),
    "text without sound": Kind("a.mkv", text=("webvtt",)),
}


def make(path: Path, kind: Kind, picture) -> Path:
    with av.open(str(path), "w", container_options=dict(kind.muxing)) as container:
        video = container.add_stream(kind.codec, rate=25, options=dict(kind.options))
        video.width, video.height, video.pix_fmt = *kind.size, kind.pixels
        video.codec_context.time_base = kind.time_base
        video.codec_context.max_b_frames = kind.b_frames
        video.codec_context.sample_aspect_ratio = kind.pixel_aspect
        if kind.rotation or kind.mirrored:
            video.set_display_rotation(kind.rotation, hflip=kind.mirrored)
        sounds = [container.add_stream(codec, rate=48000, layout="mono") for codec in kind.sound]
        texts = [container.add_mux_stream(codec) for codec in kind.text]
        for index, stamp in enumerate(kind.stamps):
            one = av.VideoFrame.from_ndarray(picture(index, *kind.size)).reformat(format=kind.pixels)
            one.pts, one.time_base = stamp, kind.time_base
            container.mux(video.encode(one))
            for sound in sounds:
                container.mux(sound.encode(beep(index)))
            if index % 10 == 5:
                for text in texts:
                    container.mux(words(text, kind.text[texts.index(text)], index))
        for stream in (video, *sounds):
            container.mux(stream.encode(None))
    return path


def beep(index: int) -> av.AudioFrame:
    wave = (np.sin(np.arange(1920) * 0.05 + index) * 8000).astype(np.int16)
    samples = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
    samples.sample_rate, samples.pts, samples.time_base = 48000, index * 1920, Fraction(1, 48000)
    return samples


def words(stream: av.stream.Stream, codec: str, index: int) -> av.Packet:
    text = f"Words at {index}".encode()
    if codec == "mov_text":
        text = len(text).to_bytes(2, "big") + text
    elif codec == "ass":
        text = f"{index},0,Default,,0,0,0,,".encode() + text
    packet = av.Packet(text)
    packet.stream, packet.time_base = stream, Fraction(1, 25)
    packet.pts = packet.dts = index
    packet.duration = 10
    return packet


def others(path: Path) -> list[list[tuple[Fraction, bytes]]]:
    """Every packet of sound and subtitles, those that show nothing aside."""
    with av.open(str(path)) as container:
        found = []
        for stream in container.streams:
            if stream.type in ("audio", "subtitle"):
                found.append([])
        order = [stream.index for stream in container.streams if stream.type in ("audio", "subtitle")]
        for packet in container.demux():
            if packet.dts is not None and packet.stream_index in order and bytes(packet) != bytes(2):
                time = (packet.dts if packet.pts is None else packet.pts) * packet.time_base
                found[order.index(packet.stream_index)].append((time, bytes(packet)))
    return found


def upright(kind: Kind, picture: np.ndarray) -> np.ndarray:
    turned = np.rot90(picture, kind.rotation // 90)
    return turned[:, ::-1] if kind.mirrored else turned


@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_lost(swahr, tools, tmp_path, name):
    kind = KINDS[name]
    source = make(tmp_path / f"in{Path(kind.name).suffix}", kind, tools.picture)
    stamps = tools.video_stamps(source)
    assert len(stamps) == FRAMES
    output = tmp_path / f"out{suffix_for(source)}"

    assert swahr("process", source, "-o", output) == 0

    inexact = Fraction(1, 2000) if output.suffix == ".mkv" else 0
    written = tools.video_stamps(output)
    assert len(written) == FRAMES
    assert max(abs(a - b) for a, b in zip(written, stamps, strict=True)) <= inexact
    check_streams(source, output)
    check_pictures(kind, source, output, tools)


def check_streams(source: Path, output: Path) -> None:
    with av.open(str(source)) as container:
        units = [stream.time_base for stream in container.streams if stream.type in ("audio", "subtitle")]
    before, after = others(source), others(output)
    assert len(before) == len(after) == len(units)
    for unit, old, new in zip(units, before, after, strict=True):
        if source.suffix not in (".avi", ".mov"):  # which put any number of samples into a packet
            assert [data for _, data in new] == [data for _, data in old]
            # A file that counts in milliseconds, on either side, rounds by half of one.
            coarse = max(unit, Fraction(1, 1000) if output.suffix == ".mkv" else Fraction(1, 48000))
            assert max(abs(a[0] - b[0]) for a, b in zip(old, new, strict=True)) <= coarse / 2
        assert b"".join(data for _, data in new) == b"".join(data for _, data in old)
        assert abs(new[0][0] - old[0][0]) <= Fraction(1, 2000)


def check_pictures(kind: Kind, source: Path, output: Path, tools) -> None:
    frames = tools.video_frames(output)
    height, width = upright(kind, tools.picture(0, *kind.size)).shape[:2]
    assert frames[0].shape == (height + height % 2, width + width % 2, 3)
    with av.open(str(output)) as container:
        turned = abs(kind.rotation) == 90
        expected = 1 / kind.pixel_aspect if turned else kind.pixel_aspect
        assert (container.streams.video[0].sample_aspect_ratio or 1) == expected
        assert next(container.decode(video=0)).rotation == 0
    for index in (2, 11, 23):  # in which the estimator finds nobody
        picture = upright(kind, tools.picture(index, *kind.size))
        if kind.grey:
            picture = np.repeat(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)
        difference = np.abs(frames[index][:height, :width].astype(int) - picture)
        assert difference.mean() < kind.tolerance
        # The red corner is where it belongs, and the green square where it has moved to.
        for colour, tolerance in (((220, 20, 20), 14), ((0, 190, 80), 30)):
            place = (upright(kind, tools.picture(index, *kind.size)) == colour).all(axis=2)
            inner = cv2.erode(place.astype(np.uint8), np.ones((9, 9))).astype(bool)
            assert inner.any()
            assert difference[inner].mean(axis=0).max() < max(tolerance, kind.tolerance)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_every_kind_of_file_holds_a_video_of_many_streams(swahr, tools, tmp_path, suffix):
    kind = replace(KINDS["text"], sound=("aac", "ac3"), b_frames=2)
    source = make(tmp_path / "in.mp4", kind, tools.picture)
    assert swahr("process", source, "-o", f"out{suffix}") == 0
    assert tools.video_stamps(tmp_path / f"out{suffix}") == tools.video_stamps(source)
    streams = others(tmp_path / f"out{suffix}")
    assert len(streams) == (2 if suffix == ".mkv" else 4)
    for old, new in zip(others(source), streams, strict=False):
        assert [data for _, data in new] == [data for _, data in old]
