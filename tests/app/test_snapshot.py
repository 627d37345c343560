"""A snapshot is a picture and what was found in it, both or neither, and never written over."""

from __future__ import annotations

import errno
import json
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.sinks.json_lines import header, people_records
from app.snapshot import save_snapshot
from app.sources import Frame, SourceInfo
from engine.errors import SwahrError


@pytest.fixture
def snapshot(tools):
    """Saves one frame with one person."""
    picture = tools.picture(3, 160, 120)
    frame = Frame(np.zeros((120, 160, 3), np.uint8), 7, 90_000, Fraction(1, 30_000))
    person = tools.standing_person(160, 120)
    info = SourceInfo("clip.mp4", "video", Path("clip.mp4"), (160, 120))
    first_line = header(info, tools.FakeEstimator(), smoothed=False)
    return lambda path: save_snapshot(path, picture, frame, person, first_line)


def test_picture_and_poses_are_saved(snapshot, tools, tmp_path):
    path = tmp_path / "shot.png"
    assert snapshot(path) == f"Saved {path} and {tmp_path / 'shot.json'}."
    assert (cv2.imread(str(path), cv2.IMREAD_COLOR_RGB) == tools.picture(3, 160, 120)).all()
    saved = json.loads((tmp_path / "shot.json").read_text(encoding="utf-8"))
    assert (saved["frame"], saved["time"], saved["pts"]) == (7, 3.0, 90_000)
    assert saved["people"] == people_records(tools.standing_person(160, 120))
    assert (saved["header"]["source"], saved["header"]["backend"]) == ("clip.mp4", "none")
    assert saved["header"]["settings"]["detection_threshold"] == 0.1


@pytest.mark.parametrize("taken", ["shot.png", "shot.json", "shot.partial.png"])
def test_nothing_is_written_over(snapshot, tmp_path, taken):
    (tmp_path / taken).write_text("old")
    for number in (2, 3):
        assert f"shot-{number}.png" in snapshot(tmp_path / "shot.png")
    assert (tmp_path / taken).read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {
        taken, "shot-2.png", "shot-2.json", "shot-3.png", "shot-3.json",
    }  # fmt: skip


@pytest.mark.parametrize("method", ["write_text", "write_bytes"])
def test_a_full_disk_leaves_neither(snapshot, tmp_path, monkeypatch, method):
    write = getattr(Path, method)

    def half(self, content, **settings):
        write(self, content[: len(content) // 2], **settings)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, method, half)
    with pytest.raises(SwahrError, match="No space left on device"):
        snapshot(tmp_path / "shot.png")
    assert list(tmp_path.iterdir()) == []


def test_many_at_once_get_names_of_their_own(snapshot, tmp_path):
    with ThreadPoolExecutor(8) as threads:
        said = list(threads.map(lambda _: snapshot(tmp_path / "shot.png"), range(24)))
    assert len(set(said)) == 24
    assert len(list(tmp_path.glob("*.png"))) == len(list(tmp_path.glob("*.json"))) == 24


def test_a_folder_that_is_not_there_is_told(snapshot, tmp_path):
    with pytest.raises(SwahrError, match="does not exist"):
        snapshot(tmp_path / "no" / "shot.png")
