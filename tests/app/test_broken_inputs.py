"""Whatever is given to ``swahr process``: one sentence, soon, without gigabytes of memory, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import select
import socket
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

SECONDS = 10  # in which every case must be over
MEGABYTES = 1500  # which no case may take beyond what the program takes anyway

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the worker measures itself in /proc")


# The worker: this file run as a program, which runs `swahr` with the fake estimator, again and again.


def serve() -> None:
    """Run each command line that comes in, and answer with what it said, how long it took and how much memory."""
    sys.path.insert(0, str(Path(__file__).parent))
    import conftest

    import engine
    from app.cli import main

    engine.PoseEstimator = conftest.FakeEstimator
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request = json.loads(line)
        os.chdir(request["folder"])
        with open("/proc/self/clear_refs", "w") as peak:  # noqa: PTH123
            peak.write("5")
        before, began = _memory("VmRSS"), time.perf_counter()
        with open(".said", "wb") as out, open(".error", "wb") as error:  # noqa: PTH123
            os.dup2(out.fileno(), 1)
            os.dup2(error.fileno(), 2)
            code = main([os.fsdecode(bytes.fromhex(argument)) for argument in request["arguments"]])
            sys.stdout.flush()
            sys.stderr.flush()
        answer = {"code": code, "seconds": time.perf_counter() - began, "megabytes": _memory("VmHWM") - before}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _memory(what: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{what}:\s+(\d+) kB", status)[1]) / 1024


@dataclass(frozen=True)
class Answer:
    """How a run ended. said, error: on standard output and standard error."""

    code: int
    seconds: float
    megabytes: float
    said: str
    error: str


class Worker:
    """A process that runs commands; one that hangs is killed, one that crashes is told by its exit code."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None

    def run(self, folder: Path, *arguments: str) -> Answer:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
            )
            self._ask(folder, ["--version"], 120)
        answer = self._ask(folder, ["process", *arguments], 4 * SECONDS)
        said, error = ((folder / name).read_text(errors="surrogateescape") for name in (".said", ".error"))
        for name in (".said", ".error"):
            (folder / name).unlink()
        return Answer(**answer, said=said, error=error)

    def _ask(self, folder: Path, arguments: list[str], patience: float) -> dict:
        request = {"folder": str(folder), "arguments": [os.fsencode(argument).hex() for argument in arguments]}
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        answered, _, _ = select.select([self._process.stdout], [], [], patience)
        if not answered:
            self.end()
            pytest.fail(f"no answer within {patience} s")
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            self._process = None
            pytest.fail(f"the program crashed with exit code {code}")
        return json.loads(line)

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.end()


# What the inputs are made of.


@dataclass(frozen=True)
class Kitchen:
    """Makes broken inputs in a folder."""

    folder: Path
    tools: object

    def path(self, name: str) -> Path:
        return self.folder / name

    def video(self, name: str, **settings) -> Path:
        spec = {"frames": 60, "size": (64, 48), "b_frames": 2, "gop": 12, **settings}
        return self.tools.write_video(self.path(name), self.tools.VideoSpec(**spec))

    def picture(self, name: str, width: int = 96, height: int = 64, suffix: str | None = None) -> Path:
        """A picture; suffix: of the format it is in, if that is another than its name says."""
        path = self.path(name)
        image = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
        image = cv2.GaussianBlur(image, (9, 9), 0)
        done, data = cv2.imencode(suffix or path.suffix, image)
        assert done
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data.tobytes())
        return path

    def file(self, name: str, data: bytes) -> Path:
        path = self.path(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return path

    def sound(self, name: str, codec: str, cover: bool = False) -> Path:
        path = self.path(name)
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, rate=44100, layout="mono")
            picture = None
            if cover:
                picture = container.add_stream("mjpeg", rate=1)
                picture.width, picture.height, picture.pix_fmt = 96, 64, "yuvj420p"
                picture.disposition = av.stream.Disposition.attached_pic
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.int16), format="s16", layout="mono")
            samples.sample_rate = 44100
            packets = [*stream.encode(samples), *stream.encode(None)]
            if picture is not None:
                frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 90, np.uint8)).reformat(format="yuvj420p")
                container.mux([*picture.encode(frame), *picture.encode(None)])
            container.mux(packets)
        return path

    def packets(self, name: str, codec: str, data: bytes, claimed: tuple[int, int] = (64, 48)) -> Path:
        """A video whose three packets are all this data, in a container that claims a size."""
        pixels = "rgb24" if codec == "png" else "yuvj420p"
        source = self.video(f"source{Path(name).suffix}", codec=codec, pixels=pixels, frames=3, b_frames=0)
        path = self.path(name)
        with av.open(str(source)) as read, av.open(str(path), "w") as write:
            stream = write.add_stream_from_template(read.streams.video[0])
            for index in range(3):
                packet = av.Packet(data)
                packet.stream, packet.pts, packet.dts, packet.time_base = stream, index, index, Fraction(1, 30)
                packet.is_keyframe = True
                write.mux_one(packet)
        source.unlink()
        if claimed != (64, 48):
            form = "<ii" if path.suffix == ".avi" else ">hh"
            replaced(path, struct.pack(form, 64, 48), struct.pack(form.upper(), *claimed))
        return path


def cut(path: Path, percent: int) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * percent // 100])
    return path


def with_damage(path: Path, first: int, last: int) -> Path:
    """The video with 255 in place of some of its packets."""
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for place, size in packets[first:last]:
        data[place : place + size] = bytes([255]) * size
    path.write_bytes(data)
    return path


def replaced(path: Path, old: bytes, new: bytes) -> Path:
    data = path.read_bytes()
    assert old in data and len(old) == len(new)
    path.write_bytes(data.replace(old, new))
    return path


def png(width: int, height: int, rows: bytes = b"") -> bytes:
    """A PNG that claims a size, whatever it holds."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(99)


def tiff(width: int, height: int) -> bytes:
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: 99}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0) + bytes(99)


def jpeg(width: int, height: int) -> bytes:
    done, data = cv2.imencode(".jpg", np.full((64, 96, 3), 90, np.uint8))
    assert done
    data = bytearray(data.tobytes())
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def webp(width: int, height: int) -> bytes:
    frame = b"\x30\x01\x00\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(20)
    return b"RIFF" + struct.pack("<I", len(frame) + 12) + b"WEBPVP8 " + struct.pack("<I", len(frame)) + frame


def h264(width: int, height: int) -> bytes:
    """A bare H.264 stream whose header claims a size (multiples of 16), with slices that do not matter."""
    bits = ""

    def golomb(value: int) -> str:
        code = f"{value + 1:b}"
        return "0" * (len(code) - 1) + code

    # Identifier, frame number and order count, references, gaps, size, progressive, direct, cropping, VUI.
    for value in (0, 0, 0, 0, 1):
        bits += golomb(value)
    bits += "0" + golomb(width // 16 - 1) + golomb(height // 16 - 1) + "11" + "0" + "0" + "1"
    bits += "0" * (-len(bits) % 8)
    sequence = bytes([0x67, 66, 0, 62]) + int(bits, 2).to_bytes(len(bits) // 8, "big")
    picture = bytes([0x68, 0xCE, 0x38, 0x80])
    slices = b"".join(b"\0\0\0\1\x65\x88\x84" + bytes([number]) * 50 for number in range(1, 9))
    return b"\0\0\0\1" + sequence + b"\0\0\0\1" + picture + slices


def restamped(kitchen: Kitchen, name: str, stamps: list[int]) -> Path:
    """A video in Matroska whose packets have these time stamps, in milliseconds."""
    source = kitchen.video("source.mkv", frames=len(stamps), b_frames=0)
    with av.open(str(source)) as read, av.open(str(kitchen.path(name)), "w") as write:
        stream = write.add_stream_from_template(read.streams.video[0])
        packets = [packet for packet in read.demux(video=0) if packet.size]
        for packet, stamp in zip(packets, stamps, strict=True):
            packet.pts = packet.dts = stamp
            packet.duration = 0
            packet.stream = stream
            write.mux_one(packet)
    source.unlink()
    return kitchen.path(name)


def joined(kitchen: Kitchen, name: str, *settings: dict) -> Path:
    """Transport streams, one after another in one file."""
    parts = [kitchen.video(f"part{index}.ts", **spec) for index, spec in enumerate(settings)]
    path = kitchen.file(name, b"".join(part.read_bytes() for part in parts))
    for part in parts:
        part.unlink()
    return path


def animated(kitchen: Kitchen, name: str) -> Path:
    path = kitchen.path(name)
    animation = cv2.Animation()
    animation.frames = [np.full((64, 96, 4), 40 * index, np.uint8) for index in range(1, 5)]
    animation.durations = [100] * 4
    assert cv2.imwriteanimation(str(path), animation)
    return path


def zipped(kitchen: Kitchen, name: str) -> Path:
    with zipfile.ZipFile(kitchen.path(name), "w") as archive:
        archive.writestr("clip.txt", "text " * 100)
    return kitchen.path(name)


def socket_file(kitchen: Kitchen) -> Path:
    server = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    os.chdir(kitchen.folder)  # for the path of a socket must be short
    try:
        server.bind("socket.mp4")
    finally:
        os.chdir(here)
        server.close()
    return kitchen.path("socket.mp4")


def pipe(kitchen: Kitchen) -> Path:
    os.mkfifo(kitchen.path("pipe.mp4"))
    return kitchen.path("pipe.mp4")


def link(kitchen: Kitchen, name: str, target: str) -> Path:
    kitchen.path(name).symlink_to(target)
    return kitchen.path(name)


def sparse(kitchen: Kitchen, name: str, size: int) -> Path:
    with kitchen.path(name).open("wb") as file:
        file.truncate(size)
    return kitchen.path(name)


def sparse_behind(kitchen: Kitchen) -> Path:
    """A picture that is the beginning of a file of 6 GB."""
    path = kitchen.picture("a.png")
    with path.open("r+b") as file:
        file.truncate(6 << 30)
    return path


def spoilt(data: bytes) -> bytes:
    spoilt = bytearray(data)
    spoilt[len(data) // 2 : len(data) // 2 + 40] = bytes([255, 0]) * 20
    return bytes(spoilt)


def titled(kitchen: Kitchen, name: str, title: str) -> Path:
    source = kitchen.video("source.avi", codec="mpeg4", b_frames=0)
    with av.open(str(source)) as read, av.open(str(kitchen.path(name)), "w") as write:
        write.metadata["title"] = title
        stream = write.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.size:
                packet.stream = stream
                write.mux_one(packet)
    source.unlink()
    return kitchen.path(name)


def folder_of(kitchen: Kitchen, good: int, broken: int) -> Path:
    for number in range(good):
        kitchen.picture(f"in/{number}.png")
    for number in range(good, good + broken):
        kitchen.file(f"in/{number}.png", b"no picture")
    return kitchen.path("in")


FIRST = (("movflags", "faststart"),)  # what tells where the frames are stands before them
FRAGMENTS = (("movflags", "frag_keyframe+empty_moov"),)
NOISE = np.random.default_rng(1).bytes(300_000)
UNREADABLE = r"cannot be read as a video or picture \([a-z ]+\); check that it is one and that it is complete\.$"
NO_PICTURE = r"cannot be decoded as a picture; check that it is one and that it is complete\.$"
TOO_LARGE = r"is [0-9]+×[0-9]+ pixels, more than can be processed; make it smaller"
CUT_OFF = r"is damaged or cut off: [0-9]+ of 60 frames could be decoded, [0-9.]+ s of 2\.00 s\.$"
NO_FRAME = r"Not one frame of .* can be decoded; copy or download it again\.$"
NO_FILE = r"There is no file or folder named .*; check the path\.$"

# What is given, what is told; a case that can be processed in part ends in 0 and tells it in the summary.
REFUSED: dict[str, tuple[Callable[[Kitchen], Path | str], str]] = {
    "an empty file": (lambda k: k.file("a.mp4", b""), r"is empty \(0 bytes\)"),
    "an empty picture": (lambda k: k.file("a.png", b""), r"is empty \(0 bytes\)"),
    "one byte": (lambda k: k.file("a.mp4", b"x"), UNREADABLE),
    "a picture of one byte": (lambda k: k.file("a.jpg", b"\xff"), UNREADABLE),
    "text named as a video": (lambda k: k.file("a.mp4", b"This is no video.\n" * 50), UNREADABLE),
    "text named as a picture": (lambda k: k.file("a.png", b"This is no picture.\n" * 50), UNREADABLE),
    "text": (lambda k: k.file("notes.txt", b"Meet me at noon.\n" * 500), UNREADABLE),
    "a web page": (lambda k: k.file("a.mp4", b"<!DOCTYPE html><html><body>Not found</body></html>"), UNREADABLE),
    "a PDF": (lambda k: k.file("a.mp4", b"%PDF-1.7\n" + NOISE[:5000]), UNREADABLE),
    "a ZIP": (lambda k: zipped(k, "a.mp4"), UNREADABLE),
    "a ZIP named .bin": (lambda k: zipped(k, "a.bin"), UNREADABLE),
    "noise": (lambda k: k.file("a.mp4", NOISE), "a.mp4"),
    "noise named as a picture": (lambda k: k.file("a.jpg", NOISE), "a.jpg"),
    "noise that begins as a JPEG": (lambda k: k.file("a.jpg", b"\xff\xd8\xff\xe0" + NOISE), TOO_LARGE),
    "noise that begins as a PNG": (lambda k: k.file("a.png", b"\x89PNG\r\n\x1a\n" + NOISE), TOO_LARGE),
    "noise that begins as a TIFF": (lambda k: k.file("a.tif", b"II*\0" + NOISE), NO_PICTURE),
    "noise that begins as a WebP": (lambda k: k.file("a.webp", b"RIFF\0\0\1\0WEBPVP8 " + NOISE), NO_PICTURE),
    "gigabytes of zeros": (lambda k: sparse(k, "a.mp4", 6 << 30), UNREADABLE),
    "gigabytes of zeros named as a picture": (lambda k: sparse(k, "a.png", 6 << 30), UNREADABLE),
    "a picture with gigabytes behind it": (sparse_behind, "is larger than any picture of 96×64 pixels can be"),
    "a list of things on the net": (
        lambda k: k.file("a.mp4", b"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"),
        "is a list of pieces and no video",
    ),
    "a list of things on the net, named as one": (
        lambda k: k.file("a.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n"),
        "is a list of pieces and no video",
    ),
    "MP4, a tenth of it": (lambda k: cut(k.video("a.mp4"), 10), UNREADABLE),
    "MP4, most of it": (lambda k: cut(k.video("a.mp4"), 80), UNREADABLE),
    "MP4, its index first, a tenth of it": (lambda k: cut(k.video("a.mp4", options=FIRST), 10), UNREADABLE),
    "MP4 without an index": (lambda k: replaced(k.video("a.mp4"), b"moov", b"none"), UNREADABLE),
    "Matroska, nothing but its header": (
        lambda k: k.file("a.mkv", k.video("b.mkv").read_bytes()[:400]),
        "a.mkv",
    ),
    "every packet damaged": (lambda k: with_damage(k.video("a.mp4"), 0, 60), NO_FRAME),
    "sound in MP4": (lambda k: k.sound("a.m4a", "aac"), "has no video"),
    "sound in WAV": (lambda k: k.sound("a.wav", "pcm_s16le"), "has no video"),
    "MP3 named as a video": (
        lambda k: k.sound("a.mp3", "libmp3lame").rename(k.path("a.mp4")),
        "has no video",
    ),
    "MP3 with a cover": (lambda k: k.sound("a.mp3", "libmp3lame", cover=True), "only the picture of a cover"),
    "a huge PNG": (lambda k: k.file("a.png", png(100_000, 100_000)), TOO_LARGE),
    "a PNG of 40,000 pixels a side": (lambda k: k.file("a.png", png(40_000, 40_000)), TOO_LARGE),
    "a huge BMP": (lambda k: k.file("a.bmp", bmp(60_000, -60_000)), TOO_LARGE),
    "a huge TIFF": (lambda k: k.file("a.tif", tiff(70_000, 70_000)), TOO_LARGE),
    "a huge JPEG": (lambda k: k.file("a.jpg", jpeg(65_500, 65_500)), TOO_LARGE),
    "a huge WebP": (lambda k: k.file("a.webp", webp(16_383, 16_383)), TOO_LARGE),
    "a huge PNG in MOV": (lambda k: k.packets("a.mov", "png", png(65_500, 65_500), (65_500, 65_500)), NO_FRAME),
    "a huge PNG in MOV that says it is small": (
        lambda k: k.packets("a.mov", "png", png(20_000, 20_000)),
        NO_FRAME,
    ),
    "a huge JPEG in MP4": (lambda k: k.packets("a.mp4", "mjpeg", jpeg(16_384, 16_384), (16_384, 16_384)), NO_FRAME),
    "a huge JPEG in AVI": (lambda k: k.packets("a.avi", "mjpeg", jpeg(65_500, 65_500), (65_500, 65_500)), NO_FRAME),
    "a huge JPEG in AVI that says it is small": (
        lambda k: k.packets("a.avi", "mjpeg", jpeg(65_500, 65_500)),
        NO_FRAME,
    ),
    "huge H.264": (lambda k: k.file("a.h264", h264(16_384, 16_384)), "a.h264"),
    "a picture of one pixel": (lambda k: k.file("a.png", png(1, 1, b"\0abc")), "is 1×1 pixels; people can be"),
    "a picture without pixels": (lambda k: k.file("a.png", png(0, 0)), "a.png"),
    "a tiny video": (lambda k: k.video("a.mp4", size=(32, 8), codec="mpeg4"), "is 32×8 pixels; people can be"),
    "a very long picture": (lambda k: k.file("a.png", png(20_000, 16, bytes(60_001) * 16)), "too long and narrow"),
    "a picture, half of it": (lambda k: cut(k.picture("a.jpg"), 50), NO_PICTURE),
    "PNG, half of it": (lambda k: cut(k.picture("a.png"), 50), NO_PICTURE),
    "PNG, nearly all of it": (lambda k: cut(k.picture("a.png"), 99), NO_PICTURE),
    "WebP, half of it": (lambda k: cut(k.picture("a.webp"), 50), NO_PICTURE),
    "TIFF, half of it": (lambda k: cut(k.picture("a.tif"), 50), NO_PICTURE),
    "BMP, half of it": (lambda k: cut(k.picture("a.bmp"), 50), NO_PICTURE),
    "PNG with a wrong sum": (
        lambda k: k.file("a.png", png(32, 32, bytes(97) * 32).replace(b"IDAT", b"IDAT")[:-20] + b"\1" * 20),
        NO_PICTURE,
    ),
    "an empty folder": (lambda k: k.path("in").mkdir() or k.path("in"), "holds no pictures"),
    "a folder of texts": (lambda k: k.file("in/a.txt", b"text").parent, "holds no pictures"),
    "a folder named as a video": (lambda k: k.path("a.mp4").mkdir() or k.path("a.mp4"), "holds no pictures"),
    "a folder of folders": (
        lambda k: (k.path("in").mkdir(), k.path("in/a.png").mkdir(), k.path("in"))[-1],
        "Not one of the 1 pictures",
    ),
    "a folder of broken pictures": (lambda k: folder_of(k, 0, 4), "Not one of the 4 pictures in .*in can be read"),
    "a pipe": (pipe, "is a named pipe, no file"),
    "a socket": (socket_file, "is a socket, no file"),
    "zeros without an end": (lambda k: "/dev/zero", "is a device, no file"),
    "noise without an end": (lambda k: "/dev/urandom", "is a device, no file"),
    "nothing": (lambda k: "/dev/null", "is a device, no file"),
    "a link to noise without an end": (lambda k: link(k, "a.jpg", "/dev/urandom"), "is a device, no file"),
    "a pipe among pictures": (
        lambda k: (k.path("in").mkdir(), os.mkfifo(k.path("in/a.png")), k.path("in"))[-1],
        "Not one of the 1 pictures",
    ),
    "a broken link": (lambda k: link(k, "a.mp4", "gone.mp4"), NO_FILE),
    "a link to itself": (lambda k: link(k, "a.mp4", "a.mp4"), NO_FILE),
    "no file": (lambda k: k.path("gone.mp4"), NO_FILE),
    "no name": (lambda k: "", "name of the source is empty"),
    "a name with a line break": (lambda k: "no\nfile.mp4", NO_FILE),
    "a name with a bell": (lambda k: "no\afile.mp4", NO_FILE),
    "a name that is no UTF-8": (lambda k: os.fsdecode(b"no\xff\xfe.mp4"), NO_FILE),
    "a name of 300 letters": (lambda k: "a" * 300 + ".mp4", NO_FILE),
    "a name of 5000 letters": (lambda k: "a/" * 2500, NO_FILE),
    "an address without protocol": (lambda k: "example.com/clip.mp4", NO_FILE),
    "an address of a protocol that is not used": (lambda k: "ftp://example.com/clip.mp4", NO_FILE),
    "a camera": (lambda k: "camera:0", "never ends; name a video"),
    "a stream": (lambda k: "rtsp://user:secret@127.0.0.1:9/a", r"rtsp://127.0.0.1:9/a never ends"),
    "an address": (lambda k: "http://127.0.0.1:9/a.mp4", "never ends"),
    "text in a file whose name is no UTF-8": (lambda k: k.file(os.fsdecode(b"a\xff.mp4"), b"text"), "cannot be read"),
    "text in a file whose name breaks a line": (lambda k: k.file("a\nb.mp4", b"text" * 99), "cannot be read"),
}  # fmt: skip

PROCESSED: dict[str, tuple[Callable[[Kitchen], Path | str], str]] = {
    "MP4, its index first, half of it": (lambda k: cut(k.video("a.mp4", options=FIRST), 50), CUT_OFF),
    "MP4, its index first, nearly all of it": (lambda k: cut(k.video("a.mp4", options=FIRST), 97), "frames|damaged"),
    "MP4 with sound, its index first, half of it": (
        lambda k: cut(k.video("a.mp4", options=FIRST, audio="aac"), 50),
        "is damaged or cut off",
    ),
    "MP4, nearly all of it": (lambda k: cut(k.video("a.mp4"), 99), "60 frames"),
    "MP4 in fragments, half of it": (lambda k: cut(k.video("a.mp4", options=FRAGMENTS), 50), "frames of"),
    "Matroska, a third of it": (lambda k: cut(k.video("a.mkv", size=(320, 240)), 30), CUT_OFF),
    "Matroska, half of it": (lambda k: cut(k.video("a.mkv"), 50), CUT_OFF),
    "Matroska, nearly all of it": (lambda k: cut(k.video("a.mkv"), 90), CUT_OFF),
    "AVI, half of it": (lambda k: cut(k.video("a.avi", codec="mpeg4", b_frames=0, size=(320, 240)), 50), CUT_OFF),
    "AVI, 90 % of it": (lambda k: cut(k.video("a.avi", codec="mjpeg", pixels="yuvj420p", b_frames=0), 90), CUT_OFF),
    "a broadcast, half of it": (lambda k: cut(k.video("a.ts"), 50), "frames of"),
    "Flash, half of it": (lambda k: cut(k.video("a.flv"), 50), "damaged or cut off"),
    "damage in the middle": (lambda k: with_damage(k.video("a.mp4"), 20, 30), r"is damaged: [0-9]+ of its packets"),
    "the beginning damaged": (lambda k: with_damage(k.video("a.mp4"), 0, 13), "is damaged"),
    "a video named as a picture": (lambda k: k.video("b.mp4").rename(k.path("a.jpg")), "60 frames"),
    "a picture named as a video": (lambda k: k.picture("a.mp4", suffix=".jpg"), "Found 1 person in"),
    "a PNG named as a JPEG": (lambda k: k.picture("a.jpg", suffix=".png"), "Found 1 person in"),
    "a JPEG that is damaged": (
        lambda k: k.file("a.jpg", spoilt(k.picture("a.jpg", 640, 480).read_bytes())),
        r"a\.jpg is damaged; parts may look wrong\.$",
    ),
    "an animated GIF": (lambda k: animated(k, "a.gif"), "in 4 frames of"),
    "an animated WebP": (lambda k: animated(k, "a.webp"), r"a\.webp is animated; only the first picture is used\.$"),
    "an animated PNG": (lambda k: animated(k, "a.png"), r"a\.png is animated; only the first picture is used\.$"),
    "time stamps that are all equal": (
        lambda k: restamped(k, "a.mkv", [0] * 30),
        r"29 frames of .*a\.mkv had no usable time stamp",
    ),
    "time stamps that run backwards": (
        lambda k: joined(k, "a.ts", {"frames": 30, "stamps": range(900, 930)}, {"frames": 30}),
        r"frames of .*a\.ts had no usable time stamp",
    ),
    "time stamps that jump by 2^33": (
        lambda k: restamped(k, "a.mkv", [*range(0, 500, 33), *range(2**33, 2**33 + 500, 33)]),
        r"frames of .*a\.mkv had no usable time stamp",
    ),
    "another size in the middle": (
        lambda k: joined(k, "a.ts", {"frames": 30}, {"frames": 30, "size": (96, 48), "stamps": range(30, 60)}),
        r"becomes 96×48 pixels at 1\.00 s; it is fitted into 64×48",
    ),
    "a folder in which some pictures are broken": (lambda k: folder_of(k, 3, 2), r"3\.png, 4\.png \(2 of 5 pictures\)"),
    "a folder with a pipe in it": (
        lambda k: (folder_of(k, 2, 0), os.mkfifo(k.path("in/2.png")))[0],
        r"2\.png \(1 of 3 pictures\)",
    ),
    "a folder with a huge picture in it": (
        lambda k: (folder_of(k, 2, 0), k.file("in/2.png", png(90_000, 90_000)))[0],
        r"2\.png \(1 of 3 pictures\)",
    ),
    "a title that is no UTF-8": (
        lambda k: replaced(titled(k, "a.avi", "Gruesse!"), b"Gruesse!", b"Gr\xfc\xdfe!!!"),
        "60 frames",
    ),
    "a picture in a folder whose name is no UTF-8": (
        lambda k: (folder_of(k, 2, 0), k.picture("in/0.png").rename(k.path(os.fsdecode(b"in/a\xff.png"))))[0],
        "in 2 pictures of",
    ),
    "a name with a colon": (lambda k: k.video("b.mp4").rename(k.path("12:30.mp4")).name, "60 frames"),
    "a name that looks like a protocol": (lambda k: k.video("b.mp4").rename(k.path("concat:a.mp4")).name, "60 frames"),
    "a name with a line break": (lambda k: k.video("b.mp4").rename(k.path("a\nb.mp4")), "60 frames"),
    "a name that is no UTF-8": (lambda k: k.video("b.mp4").rename(k.path(os.fsdecode(b"a\xff.mp4"))), "60 frames"),
    "a name with an emoji": (lambda k: k.video("b.mp4").rename(k.path("🤸 🏽.mp4")), "60 frames"),
    "a name of 250 letters": (lambda k: k.video("b.mp4").rename(k.path("a" * 246 + ".mp4")), "60 frames"),
}  # fmt: skip


@pytest.fixture
def kitchen(tmp_path, tools) -> Kitchen:
    return Kitchen(tmp_path, tools)


def one_sentence(text: str) -> bool:
    """Whether it is one line and, names of files aside, has one full stop, at its end."""
    return text.endswith(".\n") and text.count("\n") == 1 and not re.search(r"[.!?] [A-Z]", text)


def things(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*")}


def check(answer: Answer) -> None:
    for text in (answer.said, answer.error):
        assert "Traceback" not in text and "bug of swahr" not in text, text
    assert answer.seconds < SECONDS, answer
    assert answer.megabytes < MEGABYTES, answer


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_processed_is_refused_in_a_sentence(case, worker, kitchen):
    make, told = REFUSED[case]
    source = str(make(kitchen))
    before = things(kitchen.folder)
    answer = worker.run(kitchen.folder, source, "-o", "out", "--json=out.jsonl")
    print(answer)
    check(answer)
    assert answer.code == 2
    assert answer.said == ""
    assert answer.error.startswith("Error: ") and one_sentence(answer.error), answer.error
    assert re.search(told, answer.error.rstrip("\n")), answer.error
    assert things(kitchen.folder) == before


@pytest.mark.parametrize("case", PROCESSED)
def test_what_is_left_of_it_is_processed_and_the_rest_told(case, worker, kitchen):
    make, told = PROCESSED[case]
    source = str(make(kitchen))
    before = things(kitchen.folder)
    for output in ("out.mp4", "out.png", "out"):  # the one that suits what it turns out to be
        answer = worker.run(kitchen.folder, source, "-o", output, "--json=out.jsonl")
        if "let it end" not in answer.error:
            break
    print(answer)
    check(answer)
    assert answer.code == 0
    assert answer.error == "" and answer.said.count("\n") == 1
    assert re.search(told, answer.said.rstrip("\n")), answer.said
    written = {Path(path).name for path in things(kitchen.folder) - before}
    assert {output, "out.jsonl"} <= written and not any(".partial" in name for name in written)


if __name__ == "__main__":
    serve()
