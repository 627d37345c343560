"""Snapshots and recordings from the window, and the export of whole files."""

from __future__ import annotations

import json

import av
import cv2
import numpy as np
import pytest

from engine.errors import SwahrError

from .conftest import shown


def files(folder, suffix):
    return sorted(path for path in folder.glob(f"*{suffix}") if ".partial" not in path.name)


def test_a_snapshot_is_a_picture_and_its_people(playing, wait, own_settings):
    playing.acts["boxes"].setChecked(True)
    playing.acts["snapshot"].trigger()
    wait(lambda: playing.statusBar().currentMessage().startswith("Saved"))
    (picture,), (poses,) = files(own_settings, ".png"), files(own_settings, ".json")
    saved = json.loads(poses.read_text())
    assert cv2.imread(str(picture)).shape == (96, 160, 3)
    assert saved["header"]["backend"] == "none" and len(saved["people"]) == 1 and saved["people"][0]["id"] is not None
    assert picture.name in playing.statusBar().currentMessage()


def test_a_recording_is_a_video_and_its_poses(playing, wait, own_settings):
    playing.acts["record"].setChecked(True)
    before = shown(playing)
    wait(lambda: shown(playing) >= before + 5)
    playing._tell_figures()
    assert "recording" in playing.figures.text()
    playing.acts["record"].setChecked(False)
    wait(lambda: playing.statusBar().currentMessage().startswith("Recorded"))
    (video,), (poses,) = files(own_settings, ".mp4"), files(own_settings, ".jsonl")
    lines = [json.loads(line) for line in poses.read_text().splitlines()]
    with av.open(str(video)) as container:
        times = [float(frame.time) for frame in container.decode(video=0)]
    assert len(times) == len(lines) - 1 >= 5
    assert [line["time"] for line in lines[1:]] == pytest.approx(times, abs=1e-4)
    assert times[0] == 0 and (np.diff(times) > 0).all()


def test_closing_the_source_ends_its_recording(playing, wait, own_settings):
    playing.acts["record"].setChecked(True)
    before = shown(playing)
    wait(lambda: shown(playing) >= before + 2)
    playing.close_source()
    wait(lambda: files(own_settings, ".mp4"))
    assert not playing.acts["record"].isChecked()


def test_closing_the_window_finishes_a_recording(playing, wait, own_settings):
    playing.acts["record"].setChecked(True)
    before = shown(playing)
    wait(lambda: shown(playing) >= before + 2)
    playing.close()
    (video,) = files(own_settings, ".mp4")
    with av.open(str(video)) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 2


def test_a_recording_that_fails_is_said_once_and_the_picture_goes_on(playing, wait, monkeypatch):
    from app.sinks.video import VideoWriter

    def full(self, *arguments):
        raise SwahrError("The disk is full; free space on it.")

    monkeypatch.setattr(VideoWriter, "write", full)
    playing.acts["record"].setChecked(True)
    wait(lambda: playing.banner.isVisible())
    assert "The disk is full" in playing.banner.label.text() and not playing.acts["record"].isChecked()
    before = shown(playing)
    wait(lambda: shown(playing) > before)


def test_a_folder_that_cannot_be_written_is_said(playing, wait, tmp_path):
    from dataclasses import replace

    (tmp_path / "file").write_text("")
    playing.preferences = replace(playing.preferences, folder=str(tmp_path / "file"))
    for name in ("record", "snapshot"):
        playing.banner.hide()
        playing.acts[name].trigger()
        wait(lambda: playing.banner.isVisible())
        assert "file" in playing.banner.label.text()
    assert not playing.acts["record"].isChecked()


# -- export --------------------------------------------------------------------------------------------------------


@pytest.fixture
def dialog(window):
    from app.viewer.export import ExportDialog

    window.acts["export"].trigger()
    (opened,) = window.findChildren(ExportDialog)
    return opened


def test_files_are_exported_one_after_the_other(dialog, wait, tmp_path):
    for people in (1, 2):
        dialog.add_file(f"demo:?people={people}&seconds=0.2&size=160x96")
    dialog.add_file("nowhere.mp4")
    dialog.folder.setText(str(tmp_path / "out"))
    dialog.overwrite.setChecked(True)
    dialog.start.click()
    assert not dialog.json.isEnabled()
    wait(lambda: dialog.start.text() == "&Start")
    assert [dialog.table.cellWidget(row, 1).format() for row in range(3)] == ["Done", "Done", "Not done"]
    assert "no file or folder named nowhere.mp4" in dialog.table.item(2, 2).text()
    assert "Found" in dialog.table.item(0, 2).text()
    assert files(tmp_path / "out", ".mp4") and files(tmp_path / "out", ".jsonl")
    dialog.close()


def test_an_export_can_be_stopped(dialog, wait, tmp_path, estimator):
    estimator.seconds = 0.02
    dialog.add_file("demo:?people=1&seconds=60&size=160x96")
    dialog.add_file("demo:?people=1&seconds=60&size=160x96")
    dialog.folder.setText(str(tmp_path / "out"))
    dialog.start.click()
    wait(lambda: "frames" in dialog.table.item(0, 2).text())
    dialog.start.click()
    wait(lambda: dialog.start.text() == "&Start")
    assert "Stopped" in dialog.table.item(0, 2).text() and "partial" in dialog.table.item(0, 2).text()
    assert dialog.table.item(1, 2).text() == "Not begun."
    dialog.close()


def test_closing_the_dialog_stops_what_is_exported(dialog, wait, window, tmp_path, estimator):
    from app.viewer.export import ExportDialog

    estimator.seconds = 0.02
    dialog.add_file("demo:?people=1&seconds=60&size=160x96")
    dialog.folder.setText(str(tmp_path / "out"))
    dialog.start.click()
    wait(lambda: "frames" in dialog.table.item(0, 2).text())
    dialog.close()
    wait(lambda: not window.findChildren(ExportDialog))


def test_the_program_ends_in_the_middle_of_an_export(dialog, wait, window, tmp_path, estimator):
    estimator.seconds = 0.02
    dialog.add_file("demo:?people=1&seconds=60&size=160x96")
    dialog.folder.setText(str(tmp_path / "out"))
    dialog.start.click()
    wait(lambda: "frames" in dialog.table.item(0, 2).text())
    window.close()  # no thread may be left
