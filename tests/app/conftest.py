"""A fake estimator and small videos for the tests of the application."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from grouping import COCO17, GroupingOptions, People


class FakeEstimator:
    """Finds one person in the middle of every image, but nobody in every third; has PoseEstimator's surface."""

    def __init__(self, model: str = "fake", scale_branch: bool = True) -> None:
        self.model, self.backend, self.device, self.precision = model, "none", "cpu", "float32"
        self.size, self.flip, self.scales = 256, False, (1.0,)
        self.skeleton = COCO17
        self.options = self.own_options = GroupingOptions()
        self.seen = 0
        self.messages: list[str] = []
        self.scale_branch = scale_branch

    @classmethod
    def load(cls, model: str = "default", **settings: object) -> FakeEstimator:
        return cls(model)

    def prepare(self, width: int, height: int, sigmas: bool | None = None) -> None:
        pass

    def __call__(self, image: np.ndarray) -> People:
        self.seen += 1
        return standing_person(image.shape[1], image.shape[0]) if self.seen % 3 else People.empty(COCO17)

    images_per_run = 1

    def batch(self, images: Sequence[np.ndarray]) -> list[People]:
        return list(map(self, images))

    def detailed(self, image: np.ndarray) -> tuple[People, SimpleNamespace]:
        height, width = image.shape[:2]
        alphas = np.broadcast_to(np.linspace(-0.5, 1, 8, dtype=np.float32), (17, 6, 8)).copy()
        to_source = np.array([[width / 8, 0, 0], [0, height / 6, 0]])
        maps = SimpleNamespace(alphas=alphas if self.scale_branch else None, to_source=to_source)
        return self(image), maps


def standing_person(width: int, height: int, score: float = 0.9) -> People:
    """A person upright in the middle, whose 17 keypoints lie apart; sigmas are 2 pixels."""
    keypoints = np.zeros((1, 17, 3), np.float32)
    for index, side in enumerate(COCO17.keypoint_sides):
        offset = {"left": 0.1, "right": -0.1, "centre": 0.0}[side]
        keypoints[0, index] = width * (0.5 + offset), height * (0.1 + 0.8 * (index // 2) / 8), score
    return People(
        keypoints=keypoints,
        scores=np.array([score], np.float32),
        skeleton=COCO17,
        sigmas=np.full((1, 17), 2, np.float32),
    )


@dataclass(frozen=True)
class VideoSpec:
    """What a test video looks like; stamps are in units of time_base. options: the muxer's; coding: the encoder's."""

    frames: int = 30
    size: tuple[int, int] = (160, 120)
    time_base: Fraction = Fraction(1, 30)
    stamps: Sequence[int] | None = None
    b_frames: int = 0
    gop: int | None = None
    audio: str | None = None
    rotation: int = 0
    mirrored: bool = False
    codec: str = "libx264"
    pixels: str = "yuv420p"
    matrix: int = 2
    options: tuple[tuple[str, str], ...] = ()
    coding: tuple[tuple[str, str], ...] = ()


def picture(index: int, width: int, height: int) -> np.ndarray:
    """A frame with a red corner at the top left and something green that moves."""
    image = np.full((height, width, 3), 60, np.uint8)
    image[: height // 3, : width // 3] = (220, 20, 20)
    image[height // 2 : height // 2 + 20, (index * 3) % (width - 20) : (index * 3) % (width - 20) + 20] = (0, 190, 80)
    return image


def write_video(path: Path, spec: VideoSpec) -> Path:
    container = av.open(str(path), "w", container_options=dict(spec.options))
    video = container.add_stream(spec.codec, rate=30, options=dict(spec.coding))
    video.width, video.height, video.pix_fmt = *spec.size, spec.pixels
    video.codec_context.time_base = spec.time_base
    video.codec_context.max_b_frames = spec.b_frames
    if spec.gop is not None:
        video.codec_context.gop_size = spec.gop
    if spec.matrix != 2:
        for name in ("colorspace", "color_primaries", "color_trc"):
            setattr(video.codec_context, name, spec.matrix)
    if spec.rotation or spec.mirrored:
        video.set_display_rotation(spec.rotation, hflip=spec.mirrored)
    sound = container.add_stream(spec.audio, rate=48000, layout="mono") if spec.audio else None
    for index in range(spec.frames):
        frame = av.VideoFrame.from_ndarray(picture(index, *spec.size))
        frame = frame.reformat(format=spec.pixels, dst_colorspace=None if spec.matrix == 2 else spec.matrix)
        frame.pts = spec.stamps[index] if spec.stamps else index
        frame.time_base = spec.time_base
        container.mux(video.encode(frame))
        if sound is not None:
            wave = (np.sin(np.arange(1600) * 0.05 + index) * 8000).astype(np.int16)
            samples = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
            samples.sample_rate, samples.pts, samples.time_base = 48000, index * 1600, Fraction(1, 48000)
            container.mux(sound.encode(samples))
    container.mux(video.encode(None))
    if sound is not None:
        container.mux(sound.encode(None))
    container.close()
    return path


def video_stamps(path: Path) -> list[Fraction]:
    """The time of every frame in seconds, in the order in which they are shown."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stamps = []
        for packet in container.demux(stream):
            with contextlib.suppress(av.error.InvalidDataError):  # the last packet of a file that was cut off
                stamps += [frame.pts * stream.time_base for frame in packet.decode()]
        return stamps


def video_frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def audio_packets(path: Path) -> list[tuple[bytes, Fraction]]:
    """The data and the time of every audio packet."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return [
            (bytes(packet), packet.pts * packet.time_base)
            for packet in container.demux(stream)
            if packet.dts is not None
        ]


@pytest.fixture
def tools() -> SimpleNamespace:
    """The functions above, for test modules, which cannot import this one."""
    return SimpleNamespace(
        FakeEstimator=FakeEstimator,
        standing_person=standing_person,
        VideoSpec=VideoSpec,
        picture=picture,
        write_video=write_video,
        video_stamps=video_stamps,
        video_frames=video_frames,
        audio_packets=audio_packets,
    )


@pytest.fixture
def swahr(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Runs the command with the fake estimator, in a folder of its own; returns the exit code."""
    from app.cli import main

    monkeypatch.setattr("engine.PoseEstimator", FakeEstimator, raising=False)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: main([str(argument) for argument in arguments])
