"""The window as a user drives it, with an engine and cameras of the test's own."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from app.engine_settings import EngineSettings
from app.live import LiveStats
from app.viewer.engine import ViewSettings
from app.viewer.errors import error_sentence
from app.viewer.figures import status_line
from engine.errors import SwahrError

from .conftest import DEMO, FakeEstimator, Watchdog, last, shown

BLOCKED = 0.05  # seconds; the window may not be blocked for longer


# -- sources -------------------------------------------------------------------------------------------------------


def test_a_source_is_shown_with_its_people(playing, wait):
    assert len(last(playing).people) == 1
    playing._tell_figures()
    assert "1 person" in playing.figures.text() and "latency" in playing.figures.text()
    assert playing.engine_label.text() == "none on cpu in float32"
    assert "demo" in playing.windowTitle()


def test_the_start_page_lists_what_was_open_lately(playing, wait, qtbot):
    playing.acts["close_source"].trigger()
    assert playing.player.session is None and playing.windowTitle() == "SWAHR Live"
    assert playing.start_page.isVisible() and playing.start_page.recent.item(0).text() == DEMO
    playing.start_page.recent.itemActivated.emit(playing.start_page.recent.item(0))
    wait(lambda: shown(playing))
    assert not playing.start_page.isVisible()


def test_another_source_takes_the_place_of_the_first(playing, wait, tmp_path):
    cv2.imwrite(str(tmp_path / "one.png"), np.full((50, 80, 3), 200, np.uint8))
    playing.open(str(tmp_path / "one.png"))
    wait(lambda: playing.player.last and last(playing).picture.shape == (50, 80, 3))
    assert "one.png" in playing.windowTitle()


def test_only_the_last_of_several_sources_in_a_row_is_opened(playing, wait, tmp_path):
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((50, 80 + number, 3), 200, np.uint8))
        playing.open(str(tmp_path / f"{number}.png"))
    wait(lambda: playing.player.last and last(playing).picture.shape == (50, 83, 3))


def test_a_folder_is_shown(window, wait, tmp_path):
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((50 + number, 80, 3), 200, np.uint8))
    window.open(str(tmp_path))
    wait(lambda: shown(window))
    window.acts["step_forward"].trigger()
    wait(lambda: last(window).picture.shape == (51, 80, 3))
    assert last(window).people.ids is None


@pytest.mark.parametrize(
    ("name", "words"), [("nowhere.mp4", "no file or folder named nowhere.mp4"), ("demo:?people=x", "people")]
)
def test_what_cannot_be_opened_is_said_and_the_window_goes_on(window, wait, name, words):
    window.open(name)
    wait(lambda: window.banner.isVisible())
    assert words in window.banner.label.text() and window.start_page.isVisible()
    window.open(DEMO)
    wait(lambda: shown(window))
    assert not window.banner.isVisible()


def test_a_password_is_nowhere(window, wait, own_settings, qtbot):
    from PyQt6.QtWidgets import QLabel, QWidget

    window.open("rtsp://user:hush@127.0.0.1:9/stream?token=hush")
    wait(lambda: window.banner.isVisible())
    said = [window.windowTitle(), window.canvas._message]
    said += [label.text() for label in window.findChildren(QLabel)]
    said += [widget.toolTip() for widget in window.findChildren(QWidget)]
    said += [window.start_page.recent.item(row).text() for row in range(window.start_page.recent.count())]
    assert not [text for text in said if "hush" in text]
    window.close()
    assert "hush" not in "".join(file.read_text() for file in own_settings.rglob("*") if file.is_file())


def test_an_address_with_a_password_is_asked_for_again(window):
    from app.viewer.dialogs import AddressDialog

    window.open_recent("rtsp://host/***")
    (dialog,) = window.findChildren(AddressDialog)
    assert dialog.address.text() == "rtsp://host/***" and window.player.session is None
    dialog.reject()


def test_dialogs_name_sources(window, wait, monkeypatch, qtbot):
    from PyQt6.QtGui import QGuiApplication

    from app.viewer.dialogs import AddressDialog, CameraDialog

    camera = CameraDialog(window, [(0, "Integrated"), (2, "BRIO")])
    camera.camera.setCurrentIndex(1)
    assert camera.name == "camera:2"
    camera.resolution.setCurrentIndex(2)
    camera.rate.setCurrentIndex(3)
    assert camera.name == "camera:2?size=1280x720&fps=30"
    window.acts["address"].trigger()
    (dialog,) = window.findChildren(AddressDialog)
    dialog.address.setText(f" {DEMO} ")
    dialog.accept()
    wait(lambda: shown(window))
    window.close_source()
    QGuiApplication.clipboard().setText(DEMO + "\n")
    window.acts["paste"].trigger()
    wait(lambda: shown(window))


def test_files_are_dropped(window, wait, tmp_path):
    from PyQt6.QtCore import QMimeData, QUrl

    from app.viewer.opening import named_by

    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / "a clip.mp4"))])
    assert named_by(data) == str(tmp_path / "a clip.mp4")
    data.setUrls([QUrl("https://host/clip.mp4?x=1")])
    assert named_by(data) == "https://host/clip.mp4?x=1"
    assert named_by(QMimeData()) == ""


# -- cameras -------------------------------------------------------------------------------------------------------


class FakeCamera:
    """30 pictures a second; from `gone` on there are none until it is opened again, with another size."""

    opened = 0
    gone = 10

    def __init__(self, camera):
        type(self).opened += 1
        self.read_, self.width = 0, 160 if self.opened == 1 else 200

    def read(self):
        time.sleep(1 / 30)
        self.read_ += 1
        if type(self).opened == 1 and self.read_ > self.gone:
            return None
        return np.full((96, self.width, 3), self.read_ % 256, np.uint8)

    def release(self):
        pass


@pytest.fixture
def camera(monkeypatch):
    class Camera(FakeCamera):
        pass

    monkeypatch.setattr("app.sources.live.CameraReader", Camera)
    return Camera


def test_a_camera_that_vanishes_says_so_and_comes_back(window, wait, camera):
    window.open("camera:0")
    wait(lambda: window.banner.isVisible())
    assert "camera 0 is gone" in window.banner.label.text()
    wait(lambda: last(window).picture.shape == (96, 200, 3))  # it came back with another size
    assert not window.banner.isVisible()
    assert not window.transport.timeline.isVisible()


def test_a_paused_camera_goes_on_with_what_is_there_now(window, wait, camera):
    camera.gone = 10_000
    window.open("camera:0")
    wait(lambda: shown(window) >= 3)
    window.acts["pause"].setChecked(True)
    time.sleep(0.15)
    wait(lambda: True)
    before, count = shown(window), int(last(window).frame.image[0, 0, 0])
    time.sleep(0.5)
    wait(lambda: True)
    assert shown(window) == before
    window.acts["pause"].setChecked(False)
    wait(lambda: shown(window) > before)
    assert int(last(window).frame.image[0, 0, 0]) >= count + 8  # not what was waiting since


def test_a_camera_that_cannot_be_opened_is_said(window, wait, monkeypatch):
    from app.sources.live import UnreadableError

    def refuse(camera):
        raise UnreadableError("device or resource busy")

    monkeypatch.setattr("app.sources.live.CameraReader", refuse)
    window.open("camera:3")
    wait(lambda: window.banner.isVisible())
    assert "camera 3 cannot be opened" in window.banner.label.text() and window.start_page.isVisible()


# -- what is shown -------------------------------------------------------------------------------------------------


def test_overlays_take_each_others_place_and_have_legends(playing, wait):
    pictures = {}
    for name in ("scale", "heatmap", "tags"):
        playing.acts[name].setChecked(True)
        assert [one for one in ("scale", "heatmap", "tags") if playing.acts[one].isChecked()] == [name]
        wait(lambda name=name: last(playing).settings.overlay == name and last(playing).layer)
        pictures[name] = last(playing).picture.astype(int)
        assert playing.canvas._legend is not None
    assert all(
        np.abs(one - other).mean() > 1 for one in pictures.values() for other in pictures.values() if one is not other
    )
    playing.acts["tags"].setChecked(False)
    wait(lambda: last(playing).layer is None)
    assert playing.canvas._legend is None


def test_a_paused_picture_follows_every_control(playing, wait, estimator):
    playing.acts["pause"].setChecked(True)
    wait(lambda: playing.player.session.playback.paused)
    time.sleep(0.1)
    wait(lambda: True)
    frame = last(playing).frame
    controls = playing.controls
    controls.threshold.setValue(0.25)
    wait(lambda: estimator.used[-1].detection_threshold == 0.25)
    controls.tag_threshold.setValue(0.5)
    wait(lambda: estimator.used[-1].tag_threshold == 0.5)
    controls.max_people.setValue(7)
    wait(lambda: estimator.used[-1].max_people == 7)
    controls.own_options.click()
    wait(lambda: estimator.used[-1].detection_threshold == 0.4)
    assert controls.threshold.value() == pytest.approx(0.4)
    playing.acts["heatmap"].trigger()
    wait(lambda: last(playing).layer)
    controls.opacity.setValue(0.9)
    wait(lambda: last(playing).settings.style.opacity == 0.9)
    controls.colours.setCurrentIndex(2)
    wait(lambda: last(playing).settings.style.colours == "viridis")
    playing.acts["next_keypoint"].trigger()
    wait(lambda: last(playing).settings.keypoint == 0)
    playing.acts["previous_keypoint"].trigger()
    wait(lambda: last(playing).settings.keypoint is None)
    playing.acts["rings"].trigger()
    wait(lambda: last(playing).people.sigmas is not None)
    assert last(playing).frame is frame  # all that was with one frame


def test_engine_controls_load_another_engine(playing, wait, monkeypatch, estimator):
    loads = []

    def load(**settings):
        loads.append(settings)
        if settings["backend"] == "tensorrt":
            raise SwahrError("TensorRT is not here; install it.")
        return estimator

    monkeypatch.setattr("engine.PoseEstimator.load", load)
    controls = playing.controls
    controls.input_size.setCurrentText("320")
    controls.input_size.activated.emit(controls.input_size.currentIndex())
    wait(lambda: playing.player.engine.loaded.size == 320)
    controls.flip.setChecked(True)
    wait(lambda: playing.player.engine.loaded.flip)
    controls.backend.setCurrentText("tensorrt")
    controls.backend.activated.emit(controls.backend.currentIndex())
    wait(lambda: playing.banner.isVisible())
    assert "TensorRT is not here" in playing.banner.label.text()
    assert controls.backend.currentText() == "auto"  # what goes on
    before = shown(playing)
    wait(lambda: shown(playing) > before)


def test_the_paused_picture_gets_the_new_engine(playing, wait, monkeypatch):
    playing.acts["pause"].setChecked(True)
    time.sleep(0.1)
    wait(lambda: True)
    other = FakeEstimator()
    other.model = "other"
    monkeypatch.setattr("engine.PoseEstimator.load", lambda **settings: other)
    playing.controls.flip.setChecked(True)
    wait(lambda: last(playing).found_by.model == "other")


def test_keys_and_hints_of_every_action(window):
    from app.viewer.actions import MENUS, key_sheet

    keys = [key for entries in MENUS.values() for entry in entries for key in entry.keys]
    assert len(keys) == len(set(keys))
    assert {"F1", "Space", "M", "Ctrl+O"} <= {key for rows in key_sheet().values() for key, _ in rows}
    for name, action in window.acts.items():
        assert action.toolTip() and action.statusTip(), name


def test_the_key_sheet_and_about(window):
    from PyQt6.QtWidgets import QLabel, QMessageBox

    from app.viewer.dialogs import KeySheet

    window.acts["keys"].trigger()
    (sheet,) = window.findChildren(KeySheet)
    said = "".join(label.text() for label in sheet.findChildren(QLabel))
    assert all(word in said for word in ("Ctrl+O", "Space", "F11", "Scale map"))
    sheet.close()
    window.acts["about"].trigger()
    (box,) = window.findChildren(QMessageBox)
    assert "CVPR 2021" in box.text()
    box.close()


def test_pressing_keys(playing, wait, qtbot):
    from PyQt6.QtCore import Qt

    playing.activateWindow()
    qtbot.keyClick(playing.canvas, Qt.Key.Key_S)
    assert not playing.canvas.show_skeletons
    qtbot.keyClick(playing.canvas, Qt.Key.Key_Space)
    assert playing.acts["pause"].isChecked()
    playing.controls.flip.setFocus()
    qtbot.keyClick(playing.controls.flip, Qt.Key.Key_Space)  # a box with the focus takes it
    assert playing.acts["pause"].isChecked() and playing.controls.flip.isChecked()


# -- time ----------------------------------------------------------------------------------------------------------


def test_playing_pausing_stepping_seeking(playing, wait):
    timeline = playing.transport.timeline
    assert playing.transport.duration == pytest.approx(2.0, abs=0.05)
    playing.acts["pause"].setChecked(True)
    wait(lambda: playing.player.session.playback.paused)
    playing.transport.sought.emit(1.0)
    wait(lambda: last(playing).frame.index == 30)
    assert timeline.position == pytest.approx(1.0, abs=0.02)
    playing.acts["step_forward"].trigger()
    wait(lambda: last(playing).frame.index == 31)
    playing.acts["step_back"].trigger()
    wait(lambda: last(playing).frame.index == 30)
    playing.acts["step_back"].trigger()
    wait(lambda: last(playing).frame.index == 29)
    assert timeline.people_at(1.0) == 1
    playing.acts["pause"].setChecked(False)
    wait(lambda: last(playing).frame.index > 32)


def test_what_passes_while_the_network_is_loaded_is_not_missed(window, wait, monkeypatch, estimator):
    monkeypatch.setattr("engine.PoseEstimator.load", lambda **settings: time.sleep(0.7) or estimator)
    window.player.engine = window.player._new_engine(EngineSettings(), ViewSettings())
    indices = []
    window.player.shown.connect(lambda shot: indices.append(shot.item.index))
    window.open(DEMO)
    wait(lambda: len(indices) >= 3)
    assert min(indices[1:]) <= 1


def test_without_a_loop_it_stays_at_the_end(window, wait):
    window.acts["loop"].setChecked(False)
    window.open("demo:?size=160x96&seconds=0.3&people=1")
    wait(lambda: window.player.last is not None and window.acts["pause"].isChecked())
    wait(lambda: last(window).frame.index == 8)
    window.acts["pause"].setChecked(False)  # from the beginning
    wait(lambda: last(window).frame.index < 6)


def test_speed(playing, wait):
    for _ in range(9):
        playing.acts["faster"].trigger()
    assert playing.player.session.playback.speed == 4
    playing.acts["slower"].trigger()
    assert playing.player.session.playback.speed == 2


# -- trouble -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [SwahrError("The network is broken; choose another."), ValueError("odd")])
def test_an_engine_that_fails_is_said_and_can_be_tried_again(playing, wait, estimator, error):
    estimator.fails = error
    wait(lambda: playing.banner.isVisible())
    said = playing.banner.label.text()
    assert str(error) in said and "Traceback" not in said
    estimator.fails = None
    playing.banner.button.click()
    wait(lambda: shown(playing))
    assert not playing.banner.isVisible()


def test_an_error_anywhere_reaches_the_banner(playing, wait):
    import threading

    playing.failed_elsewhere.emit(RuntimeError("somewhere"))
    assert "somewhere" in playing.banner.label.text()
    playing.banner.hide()
    thread = threading.Thread(target=lambda: playing.failed_elsewhere.emit(OSError("in a thread")))
    thread.start()
    thread.join()
    wait(lambda: playing.banner.isVisible())


def blocked(window, wait, drive) -> float:
    """For how long the window was blocked while it was driven; the least of some tries, for others use the machine."""
    longest = []
    for _ in range(4):
        watchdog = Watchdog()
        drive()
        longest.append(watchdog.longest)
        if longest[-1] <= BLOCKED:
            break
    return min(longest)


def test_the_window_is_not_blocked_by_a_slow_engine(playing, wait, estimator):
    estimator.seconds = 0.3

    def drive():
        before = shown(playing)
        wait(lambda: shown(playing) >= before + 3)

    assert blocked(playing, wait, drive) <= BLOCKED
    assert playing.player.session.stats.dropped > 0


def test_opening_and_closing_do_not_block_the_window(playing, wait, estimator, camera):
    camera.gone = 10_000
    estimator.seconds = 0.2

    def drive():
        for name in ("camera:0", DEMO):
            playing.open(name)
            wait(lambda: shown(playing) >= 1)
        playing.close_source()
        wait(lambda: playing.player._closing is None)

    assert blocked(playing, wait, drive) <= BLOCKED


def test_a_camera_that_hangs_does_not_block_the_window(window, wait, monkeypatch):
    import threading

    go_on = threading.Event()

    class Hanging(FakeCamera):
        def read(self):
            go_on.wait(20)

    monkeypatch.setattr("app.sources.live.CameraReader", Hanging)

    def drive():
        window.open("camera:0")
        time.sleep(0.02)
        wait(lambda: True)
        window.open(DEMO)
        wait(lambda: shown(window) >= 1)

    try:
        assert blocked(window, wait, drive) <= BLOCKED
    finally:
        go_on.set()


def test_the_watchdog_sees_what_blocks(window, wait):
    watchdog = Watchdog()
    wait(lambda: watchdog._timer.isActive())
    time.sleep(0.12)
    wait(lambda: watchdog.longest > 0.1)


# -- habits --------------------------------------------------------------------------------------------------------


def test_the_window_comes_back_as_it_was(playing, wait, application, estimator):
    from app.viewer.window import Window

    playing.acts["boxes"].setChecked(True)
    playing.acts["skeletons"].setChecked(False)
    playing.acts["loop"].setChecked(False)
    playing.controls.threshold.setValue(0.31)
    playing.controls.opacity.setValue(0.8)
    playing.acts["panel"].setChecked(False)
    application.processEvents()  # there is more room without the panel
    playing.resize(780, 640)
    playing.close()
    again = Window()
    again.show()
    try:
        assert again.canvas.show_boxes and not again.canvas.show_skeletons and not again.player.loop
        assert again.player.engine.view.grouping.threshold == pytest.approx(0.31)
        assert again.controls.threshold.value() == pytest.approx(0.31)
        assert again.player.engine.view.style.opacity == pytest.approx(0.8)
        assert (again.width(), again.height()) == (780, 640)
        assert again.start_page.recent.item(0).text() == DEMO
    finally:
        again.close()


def test_themes_change_at_once(playing, application):
    window_colours = set()
    for action in ("Dark", "Light"):
        (chosen,) = [one for one in playing.findChildren(type(playing.acts["open"])) if one.text() == action]
        chosen.trigger()
        window_colours.add(application.palette().window().color().name())
        assert playing.preferences.theme == action.lower()
    assert len(window_colours) == 2


def test_full_screen_and_panel(playing, wait):
    playing.acts["panel"].setChecked(False)
    assert not playing.panel.isVisible()
    playing.acts["panel"].trigger()
    assert playing.panel.isVisible()
    playing.acts["full_screen"].trigger()
    assert playing.isFullScreen()
    playing.acts["full_screen"].trigger()
    assert not playing.isFullScreen()


def test_what_the_status_line_says(playing):
    assert "first picture" in status_line(LiveStats(), None, 0.0, False)
    assert status_line(LiveStats(), last(playing), 0.0, True) == "1 person   paused"
    said = status_line(LiveStats(shown=1, dropped=3), last(playing), 0.0523, False)
    assert "1 person" in said and "3 dropped" in said and "52 ms" in said


def test_what_an_error_says():
    error = SwahrError("A is wrong.")
    error.add_note("B is kept.")
    assert error_sentence(error) == "A is wrong. B is kept."
    assert "bug" in error_sentence(KeyError("x")) and "--debug" in error_sentence(KeyError("x"))


def test_without_a_display_one_sentence_says_what_to_do(monkeypatch, capsys):
    from app.cli import main

    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    for arguments in (["view"], []):
        assert main(arguments) == 2
        assert "swahr process" in capsys.readouterr().err
