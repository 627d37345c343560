"""Files damaged at random give frames or one sentence: no other error, no crash of a decoder, nothing that hangs."""

from __future__ import annotations

import json
import random
import resource
import select
import subprocess
import sys
import zlib
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path

import cv2
import numpy as np
import pytest

SECONDS = 10  # that one file may take
MEMORY = 6 << 30  # bytes that the worker may reserve
MOST_FRAMES = 2000  # that are read of one file

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="there is no select for pipes")]

CLIPS = {
    "b_frames.mp4": {"b_frames": 2, "audio": "aac"},
    "faststart.mp4": {"b_frames": 2, "audio": "aac", "options": (("movflags", "faststart"),)},
    "a.mkv": {"b_frames": 2, "audio": "libopus"},
    "a.avi": {"codec": "mpeg4", "audio": "libmp3lame"},
    "a.ts": {"b_frames": 2, "audio": "aac"},
    "hevc.mp4": {"codec": "libx265", "b_frames": 2, "size": (64, 64), "coding": (("x265-params", "log-level=none"),)},
}
SEEDS = {"b_frames.mp4": 320, "faststart.mp4": 320, "a.mkv": 120, "a.avi": 120, "a.ts": 120, "hevc.mp4": 120}
PICTURES = {"a.jpg": 70, "a.png": 70, "a.webp": 60}


def damaged(data: bytes, seed: int) -> bytes:
    """The data with damage of one of several kinds."""
    randomly = random.Random(seed)
    spoilt = bytearray(data)
    size = len(data)

    def flip(place: int) -> None:
        spoilt[place] ^= randomly.randrange(1, 256)

    kind = seed % 6
    if kind == 0:
        flip(randomly.randrange(size))
    elif kind == 1:
        for _ in range(randomly.randrange(2, 40)):
            flip(randomly.randrange(size))
    elif kind == 2:  # a burst
        place = randomly.randrange(size)
        for offset in range(min(randomly.randrange(2, 200), size - place)):
            flip(place + offset)
    elif kind == 3:  # where the header is, or at its like at the end
        place = 0 if randomly.random() < 0.7 else max(0, size - 2500)
        for _ in range(randomly.randrange(1, 6)):
            flip(min(size - 1, place + randomly.randrange(2500)))
    elif kind == 4:
        del spoilt[randomly.randrange(size) :]
        if spoilt and randomly.random() < 0.5:
            spoilt[randomly.randrange(len(spoilt))] = randomly.randrange(256)
    else:  # a piece is missing, or is there twice
        first, last = sorted(randomly.sample(range(size), 2))
        last = min(last, first + 400)
        if randomly.random() < 0.5:
            del spoilt[first:last]
        else:
            spoilt[last:last] = spoilt[first:last]
    return bytes(spoilt)


def with_right_sums(png: bytes) -> bytes:
    """A damaged PNG as if it had been written that way, for decoders look no further where a sum is wrong."""
    mended, place = bytearray(png), 8
    while place + 12 <= len(mended):
        end = place + 8 + int.from_bytes(mended[place : place + 4], "big")
        if end + 4 > len(mended):
            break
        mended[end : end + 4] = zlib.crc32(mended[place + 4 : end]).to_bytes(4, "big")
        place = end + 4
    return bytes(mended)


# The worker: this file run as a program.


def serve() -> None:
    """Read each file that comes in and answer what became of it."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from engine.errors import SwahrError

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for line in sys.stdin:
        request = json.loads(line)
        path = Path(request["path"])
        data = damaged(Path(request["clip"]).read_bytes(), request["seed"])
        path.write_bytes(with_right_sums(data) if path.suffix == ".png" and request["seed"] % 4 else data)
        try:
            outcome = read(str(path), request["seed"])
        except SwahrError as error:
            outcome = "refused" if "\n" not in str(error) and str(error).endswith(".") else f"two lines: {error}"
        except BaseException as error:
            import traceback

            outcome = f"{type(error).__name__}: {error} {traceback.format_exc()[-700:]}"
        print(json.dumps(outcome), flush=True)


def read(name: str, seed: int) -> str:
    """Read all there is, in one of three ways, and check what all frames have in common."""
    way = seed // 6 % 4
    from app.sources import SeekableSource, open_source
    from app.sources.selection import Selection

    with open_source(name) as source:
        frames = iter(source)
        if way == 1 and isinstance(source, SeekableSource):
            frames = source.selected(Selection(Fraction(1, 3), every=2))
        elif way == 2 and isinstance(source, SeekableSource):
            frames = chain(source.frames(0.5), source.frames(0.1))
        last = None
        for frame in islice(frames, MOST_FRAMES):
            assert frame.image.dtype == np.uint8 and frame.image.shape == (*source.info.size[::-1], 3)
            if way != 2 and last is not None:
                assert frame.index == last.index + 1 and frame.pts > last.pts
            last = frame
    return "nothing" if last is None else "frames"


class Worker:
    """Has files read in a process of its own, so that a crash or a hang is seen."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None

    def outcome(self, clip: Path, path: Path, seed: int) -> str:
        fresh = self._process is None
        if fresh:
            self._process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        request = {"clip": str(clip), "path": str(path), "seed": seed}
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        answered, _, _ = select.select([self._process.stdout], [], [], 60 if fresh else SECONDS)
        line = self._process.stdout.readline() if answered else b""
        if line:
            return json.loads(line)
        if answered:
            return f"the decoder crashed with exit code {self.end()}"
        self.end()
        return f"no end after {SECONDS} s"

    def end(self) -> int | None:
        code = None
        if self._process is not None:
            self._process.stdin.close()
            try:
                code = self._process.wait(1)
            except subprocess.TimeoutExpired:
                self._process.kill()
                code = self._process.wait()
            self._process.stdout.close()
            self._process = None
        return code


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.end()


def check(worker: Worker, clip: Path, seeds: range) -> None:
    """Every damaged file is read or refused."""
    path = clip.with_name(f"damaged{clip.suffix}")
    outcomes = {seed: worker.outcome(clip, path, seed) for seed in seeds}
    wrong = {seed: outcome for seed, outcome in outcomes.items() if outcome not in ("frames", "refused")}
    assert not wrong, f"{clip.name}, by seed: {wrong}"


@pytest.mark.parametrize("name", CLIPS)
def test_a_damaged_video_gives_frames_or_a_sentence(name, worker, tools, tmp_path):
    spec = tools.VideoSpec(**{"frames": 20, "size": (48, 32), "gop": 6, **CLIPS[name]})
    check(worker, tools.write_video(tmp_path / name, spec), range(SEEDS[name]))


@pytest.mark.parametrize("name", PICTURES)
def test_a_damaged_picture_is_one_frame_or_a_sentence(name, worker, tools, tmp_path, capfd):
    picture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8), (5, 5), 0)
    path = tmp_path / name
    assert cv2.imwrite(str(path), picture)
    check(worker, path, range(PICTURES[name]))
    assert capfd.readouterr().err == ""


if __name__ == "__main__":
    serve()
