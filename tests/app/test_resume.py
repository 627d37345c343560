"""A run that was cut off, anywhere and by anything, goes on and ends as if nothing had been."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from app.cli import main

SCRIPT = Path(__file__).with_name("cut_off.py")
POSES = ("out.jsonl", "out.csv", "out.coco.json", "out.openpose")
ARGUMENTS = ("-o", "out.mp4", "--json", "--csv", "--coco", "--openpose")


@pytest.fixture
def estimator(monkeypatch):
    """The script's estimator, in this process as well."""
    spec = importlib.util.spec_from_file_location("cut_off", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr("engine.PoseEstimator", module.PictureEstimator, raising=False)
    return module.PictureEstimator


def begun(folder: Path, seconds: float, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, str(SCRIPT), str(seconds), "process", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def contents(folder: Path) -> dict[str, bytes]:
    """All files of poses."""
    files = [folder / name for name in POSES[:3]] + list((folder / POSES[3]).iterdir())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def assert_same_outputs(tools, folder: Path, whole: Path) -> None:
    assert contents(folder) == contents(whole)
    assert tools.video_stamps(folder / "out.mp4") == tools.video_stamps(whole / "out.mp4")
    assert tools.audio_packets(folder / "out.mp4") == tools.audio_packets(whole / "out.mp4")
    frames = zip(tools.video_frames(folder / "out.mp4"), tools.video_frames(whole / "out.mp4"), strict=True)
    assert all(np.array_equal(one, other) for one, other in frames)
    assert not [path.name for path in folder.iterdir() if "partial" in path.name or "people" in path.name]


@pytest.fixture
def source(tools, tmp_path) -> Path:
    return tools.write_video(tmp_path / "in.mp4", tools.VideoSpec(frames=300, size=(96, 64), audio="aac", b_frames=2))


@pytest.fixture
def whole(source, tmp_path, estimator, monkeypatch) -> Path:
    """The folder of an uninterrupted run."""
    folder = tmp_path / "whole"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert main(["process", str(source), *ARGUMENTS, "--quiet"]) == 0
    return folder


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_killed_at_twenty_random_moments(source, whole, tools, tmp_path, estimator, monkeypatch):
    choose = random.Random(5)
    for number in range(10):
        folder = tmp_path / f"job {number}"
        folder.mkdir()
        moments = sorted(choose.randrange(300) for _ in range(2))
        kills = [stopped_after(folder, source, frames, choose.uniform(0, 0.03)) for frames in moments]
        monkeypatch.chdir(folder)
        assert main(["process", str(source), *ARGUMENTS, "--quiet"]) == 0
        assert_same_outputs(tools, folder, whole)
        assert all(kills) or moments[-1] > 280, "it was through before it could be killed"


def stopped_after(folder: Path, source: Path, frames: int, seconds: float = 0) -> bool:
    """Begin a run and kill it so many seconds after it has written so many frames; returns whether that was in time."""
    run = begun(folder, 0.003, str(source), *ARGUMENTS)
    poses = folder / "out.partial.jsonl"
    while run.poll() is None and (not poses.exists() or poses.read_bytes().count(b"\n") <= frames):
        time.sleep(0.002)
    time.sleep(seconds)
    run.kill()
    run.communicate()
    return run.returncode == -signal.SIGKILL


def test_what_was_found_is_not_looked_for_again(source, whole, tools, tmp_path, estimator, monkeypatch):
    made = []
    monkeypatch.setattr(estimator, "load", classmethod(lambda cls, *all, **more: made.append(cls()) or made[-1]))
    folder = tmp_path / "job"
    folder.mkdir()
    stopped_after(folder, source, 250)
    monkeypatch.chdir(folder)
    assert main(["process", str(source), *ARGUMENTS]) == 0
    assert_same_outputs(tools, folder, whole)
    assert made[0].looked_at <= 300 - 240  # 250 frames were done, and a run may share 8


def test_other_options_do_not_go_on_and_lose_nothing(source, tmp_path, estimator, monkeypatch, capsys):
    folder = tmp_path / "job"
    folder.mkdir()
    stopped_after(folder, source, 40)
    monkeypatch.chdir(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert main(["process", str(source), *ARGUMENTS, "--raw"]) == 2
    said = capsys.readouterr().err
    assert "left over from a run of which --raw was False and is True" in said and "Traceback" not in said
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    assert main(["process", str(source), *ARGUMENTS, "--raw", "--overwrite", "--quiet"]) == 0
    assert json.loads((folder / "out.jsonl").read_text().splitlines()[0])["settings"]["smoothed"] is False


def test_a_changed_source_does_not_go_on(source, tools, tmp_path, estimator, monkeypatch, capsys):
    folder = tmp_path / "job"
    folder.mkdir()
    stopped_after(folder, source, 40)
    monkeypatch.chdir(folder)
    tools.write_video(source, tools.VideoSpec(frames=200, size=(96, 64)))
    assert main(["process", str(source), *ARGUMENTS]) == 2
    assert "the source's length was" in capsys.readouterr().err


def test_ctrl_c_says_how_to_go_on_and_it_does(source, whole, tools, tmp_path, estimator, monkeypatch):
    folder = tmp_path / "job"
    folder.mkdir()
    run = begun(folder, 0.004, str(source), *ARGUMENTS)
    while not (folder / "out.partial.jsonl").exists() or len((folder / "out.partial.jsonl").read_bytes()) < 9000:
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=20)
    assert run.returncode == 130
    assert said.startswith("Stopped after ") and said.endswith("The same command goes on from there.\n")
    monkeypatch.chdir(folder)
    assert main(["process", str(source), *ARGUMENTS]) == 0
    assert_same_outputs(tools, folder, whole)


@pytest.mark.parametrize("missing", ["out.mp4", "out.jsonl", "both"])
def test_cut_off_between_the_names(missing, source, whole, tools, tmp_path, estimator, monkeypatch):
    """All was written, but not all had its name yet."""
    folder = tmp_path / "job"
    folder.mkdir()
    monkeypatch.chdir(folder)
    done = []

    def leave(journal):
        done.append(shutil.copy(journal.path, folder / "kept"))
        remove(journal)

    from app.processing.journal import Journal

    remove = Journal.remove
    monkeypatch.setattr(Journal, "remove", leave)
    assert main(["process", str(source), *ARGUMENTS]) == 0
    monkeypatch.setattr(Journal, "remove", remove)
    (folder / "kept").rename(folder / "out.mp4.people")
    for name in ("out.mp4", "out.jsonl") if missing == "both" else (missing,):
        path = folder / name
        path.rename(path.with_name(f"out.partial{path.suffix}"))
    assert main(["process", str(source), *ARGUMENTS]) == 0
    assert_same_outputs(tools, folder, whole)


def test_a_folder_of_pictures_goes_on(tools, tmp_path, estimator, monkeypatch):
    import cv2

    pictures = tmp_path / "shots"
    pictures.mkdir()
    for index in range(40):
        cv2.imwrite(str(pictures / f"{index}.png"), tools.picture(index, 80, 60))
    (pictures / "7.png").write_bytes(b"no picture")
    monkeypatch.chdir(tmp_path)
    assert main(["process", "shots", "-o", "whole", "--json", "--csv", "--quiet"]) == 0
    run = begun(tmp_path, 0.05, "shots", "-o", "job", "--json", "--csv")
    while len(list((tmp_path / "job").glob("*.png"))) < 20:
        time.sleep(0.01)
    run.kill()
    run.communicate()
    whole = [path for path in (tmp_path / "job").glob("*.png") if "partial" not in path.name]
    old = {path.name: path.stat().st_mtime_ns for path in whole}
    assert main(["process", "shots", "-o", "job", "--json", "--csv", "--quiet"]) == 0
    for name in sorted(path.name for path in (tmp_path / "whole").iterdir()):
        assert (tmp_path / "job" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert (tmp_path / "job.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert (tmp_path / "job.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    again = [name for name, when in old.items() if (tmp_path / "job" / name).stat().st_mtime_ns != when]
    assert len(again) <= 8


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 300 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("mount")
    if not mounted or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(folder)]).returncode:
        pytest.skip("a small disk needs root and mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_one_sentence_and_goes_on_when_there_is_room(
    source, whole, tools, small_disk, estimator, monkeypatch, capsys
):
    monkeypatch.chdir(small_disk)
    try:
        assert main(["process", str(source), *ARGUMENTS]) == 2
        said = capsys.readouterr().err
        assert "No space left on device" in said and "free space on the disk" in said and "goes on from there" in said
        assert "Traceback" not in said and len(said.strip().splitlines()) == 1
        frames = sum(1 for _ in (small_disk / "out.openpose").iterdir())
        assert frames > 16
        subprocess.run(["mount", "-o", "remount,size=40m", str(small_disk)], check=True)
        made = []
        monkeypatch.setattr(estimator, "load", classmethod(lambda cls, *all, **more: made.append(cls()) or made[-1]))
        assert main(["process", str(source), *ARGUMENTS]) == 0
        assert made[0].looked_at <= 300 - (frames - 9)
        assert_same_outputs(tools, small_disk, whole)
    finally:
        os.chdir("/")
