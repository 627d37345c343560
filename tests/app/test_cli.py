"""The command line: quick to start, and every wrong input ends in one sentence and exit code 2."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from app.cli import main
from app.options import with_optional_paths
from grouping import COCO17, GroupingOptions, People

ROOT = Path(__file__).parents[2]
ONE_SENTENCE = re.compile(r"\AError: [^\n]+[^.\n]\.\n\Z")


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess:
    """The real command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def assert_refused(capfd, *told: str) -> None:
    """Exactly one sentence on stderr, which says what was told; nothing on stdout."""
    said = capfd.readouterr()
    assert ONE_SENTENCE.match(said.err), said.err
    assert not re.search(r"\.\s+[A-Z]", said.err), f"more than one sentence: {said.err}"
    assert "Traceback" not in said.err
    for words in told:
        assert words in said.err
    assert said.out == ""


def test_help_starts_quickly():
    """Hardly later than the library for command lines does by itself, whatever else the machine does."""
    alone, whole = [], []
    for _ in range(3):
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", "import typer.main, rich"], check=True)
        alone.append(time.monotonic() - began)
        began = time.monotonic()
        done = run("--help")
        whole.append(time.monotonic() - began)
        assert done.returncode == 0
        assert "process" in done.stdout
        assert done.stderr == ""
    assert min(whole) < 4 * min(alone)


def test_slow_libraries_are_not_imported_to_start():
    code = (
        "import sys, app.cli; app.cli.main(['process', '--help']); "
        "print(sorted({'torch', 'cv2', 'numpy', 'numba', 'av', 'PyQt6'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_version_and_bare_command(capsys, monkeypatch):
    opened = []
    monkeypatch.setattr("app.viewer.start.view", lambda source=None, *_: opened.append(source) or 0)
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("swahr ") and opened == []
    assert main([]) == 0
    assert opened == [None]


def test_models_lists_the_presets(capsys):
    assert main(["models"]) == 0
    said = capsys.readouterr().out
    for preset in ("default", "w32-512", "w48-640", "w48-640-crowdpose"):
        assert preset in said
    assert "crowdpose14" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["proces", "x.mp4"],
        ["process"],
        ["process", "x.mp4", "--colour"],
        ["process", "x.mp4", "--size", "big"],
        ["process", "x.mp4", "--size", "3"],
        ["process", "x.mp4", "--threshold", "2"],
        ["process", "x.mp4", "--threshold", "nan"],
        ["process", "x.mp4", "--tag-threshold", "0"],
        ["process", "x.mp4", "--max-people", "0"],
        ["evaluate", "demo:", "--tag-threshold", "0"],
        ["process", "x.mp4", "--output"],
        ["evaluate", "x.json", "--scales", "one"],
        ["train", "missing.toml"],
        ["evaluate", "missing.json"],
        ["convert", "missing.jsonl"],
        ["convert", "missing.jsonl", "-o", "out.csv"],
        ["convert", "missing.jsonl", "-o", "out.xml"],
    ],
)
def test_wrong_arguments_are_refused(arguments, capfd, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert_refused(capfd)
    assert list(tmp_path.iterdir()) == []


def test_process_of_its_own_ends_with_code_2_and_one_sentence(tmp_path):
    done = run("process", "missing.mp4", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "Error: There is no file or folder named missing.mp4; check the path.\n"
    assert done.stdout == ""


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes(3 * width)) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


BAD_FILES = {
    "text.mp4": (b"This is no video.\n" * 50, "cannot be read as a video or picture"),
    "text.jpg": (b"This is no picture.\n" * 50, "cannot be read as a video or picture"),
    "zero.mp4": (b"", "is empty (0 bytes)"),
    "zero.png": (b"", "is empty (0 bytes)"),
    "one.png": (png(1, 1), "1×1 pixels"),
    "narrow.png": (png(1000, 20), "too long and narrow"),
    "cut.png": (png(300, 300)[:60], "cannot be decoded as a picture"),
    "subtitles.srt": (b"1\n00:00:01,000 --> 00:00:02,000\nHello\n", "no video that can be decoded"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_refused(name, swahr, tmp_path, capfd):
    content, told = BAD_FILES[name]
    Path(name).write_bytes(content)
    assert swahr("process", name, "--json") == 2
    assert_refused(capfd, name, told)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_video_of_one_pixel_is_refused(swahr, tools, tmp_path, capfd):
    container = av.open("one.avi", "w")
    stream = container.add_stream("rawvideo", rate=1)
    stream.width, stream.height, stream.pix_fmt = 1, 1, "bgr24"
    container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((1, 1, 3), np.uint8), format="bgr24")))
    container.mux(stream.encode(None))
    container.close()
    assert swahr("process", "one.avi") == 2
    assert_refused(capfd, "one.avi", "1×1 pixels")


def test_video_cut_before_its_index_is_refused(swahr, tools, tmp_path, capfd):
    data = tools.write_video(tmp_path / "whole.mp4", tools.VideoSpec()).read_bytes()
    Path("cut.mp4").write_bytes(data[: len(data) // 2])
    assert swahr("process", "cut.mp4") == 2
    assert_refused(capfd, "cut.mp4", "complete")


def test_sound_alone_is_refused(swahr, tmp_path, capfd):
    container = av.open("sound.wav", "w")
    stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
    frame.sample_rate = 8000
    container.mux(stream.encode(frame))
    container.close()
    assert swahr("process", "sound.wav") == 2
    assert_refused(capfd, "sound.wav", "no video that can be decoded")


def test_folder_without_pictures_is_refused(swahr, tmp_path, capfd):
    Path("empty").mkdir()
    assert swahr("process", "empty") == 2
    assert_refused(capfd, "holds no pictures")
    Path("empty/a.png").write_text("no picture")
    assert swahr("process", "empty", "--json") == 2
    assert_refused(capfd, "Not one of the 1 pictures")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_wrong_demo_options_are_refused(swahr, tmp_path, capfd):
    assert swahr("process", "demo:?people=crowd") == 2
    assert_refused(capfd, "people=crowd")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-o", "out.xyz"], "out.xyz does not end like a picture"),
        (["-o", "no/out.png"], "The folder no does not exist"),
        (["-o", "in.png"], "written over"),
        (["-o", "old.png"], "old.png exists already"),
        (["--json", "old.json"], "old.json exists already"),
        (["--json", "no/poses.json"], "The folder no does not exist"),
        (["--csv=old.json"], "old.json exists already"),
        (["--coco", "old.json"], "old.json exists already"),
        (["--openpose=old.json"], "The folder old.json cannot be created"),
        (["--openpose=no/poses"], "The folder no/poses cannot be created"),
        (["--csv=same", "--coco=same"], "same cannot be both of two outputs"),
    ],
)
def test_bad_outputs_are_refused(swahr, tmp_path, capfd, arguments, told):
    cv2.imwrite("in.png", np.zeros((40, 40, 3), np.uint8))
    Path("old.png").write_text("old")
    Path("old.json").write_text("old")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert swahr("process", "in.png", *arguments) == 2
    assert_refused(capfd, told)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--model", "nonesuch"], "no model 'nonesuch'"),
        (["--model", "missing.pth", "--preset", "w32-512"], "missing.pth"),
        (["--model", "wrong.pth", "--preset", "w32-512"], "wrong.pth"),
        (["--model", "wrong.safetensors"], "wrong.safetensors"),
        (["--model", "wrong.pth", "--preset", "w33"], "no preset 'w33'"),
    ],
)
def test_wrong_models_are_refused(tmp_path, monkeypatch, capfd, arguments, told):
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("in.png", np.zeros((40, 40, 3), np.uint8))
    Path("wrong.pth").write_bytes(b"no checkpoint" * 20)
    Path("wrong.safetensors").write_bytes(b"no checkpoint" * 20)
    before = sorted(tmp_path.iterdir())
    assert main(["process", "in.png", *arguments]) == 2
    assert_refused(capfd, told)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("given", "joined"),
    [
        ("--json clip.mp4", "--json= clip.mp4"),
        ("clip.mp4 --json", "clip.mp4 --json="),
        ("--json p.jsonl clip.mp4", "--json=p.jsonl clip.mp4"),
        ("clip.mp4 --json=p.txt", "clip.mp4 --json=p.txt"),
        ("--json --flip", "--json= --flip"),
        ("--csv --coco p.json --openpose clip.mp4", "--csv= --coco=p.json --openpose= clip.mp4"),
        ("--csv p.csv --json p.csv", "--csv=p.csv --json= p.csv"),
        ("--openpose p.openpose pictures/", "--openpose=p.openpose pictures/"),
        ("--openpose pictures/", "--openpose= pictures/"),
    ],
)
def test_poses_take_a_path_or_none(given, joined):
    assert with_optional_paths(given.split()) == joined.split()


def test_quiet_says_nothing(swahr, tmp_path, capfd):
    cv2.imwrite("in.png", np.zeros((40, 40, 3), np.uint8))
    assert swahr("process", "in.png", "-q") == 0
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")


def test_how_to_group_reaches_the_estimator(swahr, tools, monkeypatch):
    seen = []
    monkeypatch.setattr("app.training.run_evaluation", lambda estimator, *_: seen.append(estimator.options))
    monkeypatch.setattr(
        tools.FakeEstimator, "__call__", lambda self, _: seen.append(self.options) or People.empty(COCO17)
    )
    cv2.imwrite("in.png", np.zeros((40, 40, 3), np.uint8))
    for command in (["process", "in.png"], ["evaluate", "x.json"]):
        arguments = ["--threshold", "0.3", "--tag-threshold", "0.5", "--max-people", "7"]
        assert swahr(*command, *arguments) == 0
        assert seen.pop() == GroupingOptions(max_people=7, detection_threshold=0.3, tag_threshold=0.5)
        assert swahr(*command, *(["--overwrite"] if command[0] == "process" else [])) == 0
        assert seen.pop() == GroupingOptions()


def test_options_reach_the_estimator(swahr, tools, tmp_path, monkeypatch):
    given = {}

    def load(model, **settings):
        given.update(settings, model=model)
        return tools.FakeEstimator(model)

    monkeypatch.setattr("engine.PoseEstimator.load", load)
    cv2.imwrite("in.png", np.zeros((40, 40, 3), np.uint8))
    arguments = [
        "--model",
        "m.pth",
        "--preset",
        "w32-512",
        "--size",
        "512",
        "--flip",
        "--device",
        "cuda",
        "--backend",
        "eager",
    ]
    assert swahr("process", "in.png", *arguments) == 0
    assert given == {
        "model": "m.pth",
        "preset": "w32-512",
        "size": 512,
        "flip": True,
        "device": "cuda",
        "backend": "eager",
        "precision": "auto",
        "sigmas": False,  # nobody asked for the poses
    }
