"""The window with an engine of the test's own: it shows, it changes, it says what went wrong, and it never blocks."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from app.engine_settings import EngineSettings
from app.viewer.engine import View, ViewEngine, ViewSettings
from app.viewer.figures import status_line
from engine.errors import SwahrError
from grouping import COCO17, GroupingOptions, People

PATIENCE = 20


class FakeEstimator:
    """Finds one person in every image, after so many seconds."""

    backend, device, precision, model = "none", "cpu", "float32", "fake"

    def __init__(self, seconds=0.0, fails=None):
        self.seconds, self.fails = seconds, fails
        self.options = GroupingOptions(detection_threshold=0.4)
        self.sigmas = True
        self.messages: list[str] = []
        self.stage_seconds = {"network": 0.01}
        self.thresholds = []

    def prepare(self, width, height, sigmas=None):
        pass

    def __call__(self, image):
        if self.fails:
            raise self.fails
        time.sleep(self.seconds)
        self.thresholds.append(self.options.detection_threshold)
        keypoints = np.full((1, 17, 3), 0.9, np.float32)
        keypoints[0, :, :2] = np.linspace((10, 10), image.shape[1::-1], 17) / 2
        sigmas = np.full((1, 17), 2, np.float32) if self.sigmas else None
        return People(keypoints, np.array([0.9], np.float32), skeleton=COCO17, sigmas=sigmas)

    def detailed(self, image):
        alphas = np.broadcast_to(np.linspace(-0.5, 1, 8, dtype=np.float32), (17, 6, 8)).copy()
        to_source = np.array([[image.shape[1] / 8, 0, 0], [0, image.shape[0] / 6, 0]])
        heatmaps = np.abs(alphas) / 2
        return self(image), SimpleNamespace(
            alphas=alphas, heatmaps=heatmaps, tags=alphas[..., None], to_source=to_source
        )


@pytest.fixture
def estimator(monkeypatch):
    fake = FakeEstimator()
    monkeypatch.setattr("engine.PoseEstimator.load", lambda **settings: fake)
    return fake


@pytest.fixture
def window(application, own_settings, no_thread_is_left, estimator):
    from app.viewer.window import Window

    shown = Window()
    shown.show()
    yield shown
    shown.close()
    application.processEvents()


@pytest.fixture
def wait(application):
    def until(condition):
        """Run Qt's loop until something is true; the longest time that one round took."""
        longest, deadline = 0.0, time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline
            start = time.perf_counter()
            application.processEvents()
            longest = max(longest, time.perf_counter() - start)
            time.sleep(0.002)
        return longest

    return until


DEMO = "demo:?size=160x96&seconds=1&people=1"


def shown(window):
    return window._pipeline is not None and window._pipeline.stats.shown


def test_a_source_is_shown_with_its_people(window, wait):
    window.open(DEMO)
    wait(lambda: shown(window) >= 3)
    assert len(window._last_view.people) == 1
    window._tell_figures()
    said = window._figures.text()
    assert "1 person" in said and "frames/s" in said and "none on cpu in float32" in said and "latency" in said
    window.show_skeletons.setChecked(False)
    assert window.canvas.show_skeletons is False


def test_the_window_goes_on_while_the_engine_is_slow(window, wait, estimator):
    estimator.seconds = 0.3
    window.open(DEMO)
    longest = wait(lambda: shown(window) >= 3)
    assert longest < 0.15  # half an inference; painting on a busy machine takes some of it
    assert window._pipeline.stats.dropped > 0


def test_the_scale_map_is_the_one_of_the_command(window, wait, estimator):
    from app.map_overlay import blend_scale_map, inverse_scales

    engine = ViewEngine(EngineSettings(), ViewSettings(overlay="scale"), load=lambda settings: estimator)
    image = np.random.default_rng(0).integers(0, 256, (96, 160, 3), np.uint8)
    frame = SimpleNamespace(image=image)
    np.testing.assert_array_equal(engine(frame).picture, image)  # shown as it is until the branch is ready
    engine._preparing.join(PATIENCE)
    view = engine(frame)
    maps = estimator.detailed(image)[1]
    np.testing.assert_array_equal(
        view.picture, blend_scale_map(image, inverse_scales(maps.alphas, maps.to_source, (160, 96)))
    )


def test_overlays_take_each_others_place(window, wait):
    window.open(DEMO)
    wait(lambda: shown(window))
    pictures = {}
    for name, action in window.overlays.items():
        action.setChecked(True)
        assert window.view_settings.overlay == name
        assert [other for other, one in window.overlays.items() if one.isChecked()] == [name]
        before = shown(window)
        wait(lambda before=before: window._engine._branch_ready and shown(window) > before + 2)
        pictures[name] = window._last_view.picture.astype(int)
    assert all(
        np.abs(one - other).mean() > 1 for one in pictures.values() for other in pictures.values() if one is not other
    )
    window.overlays["tags"].setChecked(False)
    assert window.view_settings.overlay == ""


def test_the_threshold_counts_from_the_next_frame_on(window, wait, estimator):
    window.open(DEMO)
    wait(lambda: shown(window))
    window.threshold.setValue(25)
    wait(lambda: estimator.thresholds[-1] == 0.25)
    window.threshold.setValue(0)
    wait(lambda: estimator.thresholds[-1] == 0.4)


def test_the_key_sheet_lists_every_key(window, wait):
    from PyQt6.QtWidgets import QMessageBox

    window._tell_keys()
    (sheet,) = window.findChildren(QMessageBox)
    for key in ("Ctrl+O", "Space", "F1", "F11", "Scale map"):
        assert key in sheet.text()
    sheet.close()


def test_pausing(window, wait):
    window.open(DEMO)
    wait(lambda: shown(window))
    window.pause.setChecked(True)
    time.sleep(0.2)
    wait(lambda: True)
    before = window._pipeline.stats.captured
    time.sleep(0.2)
    assert window._pipeline.stats.captured == before
    window.pause.setChecked(False)
    wait(lambda: window._pipeline.stats.captured > before)
    window.pause.setChecked(True)
    window.open(DEMO)  # another source plays
    assert not window.pause.isChecked()
    wait(lambda: shown(window))


@pytest.mark.parametrize(
    ("name", "words"), [("nowhere.mp4", "no file or folder named nowhere.mp4"), ("demo:?people=x", "people")]
)
def test_what_cannot_be_opened_is_said_and_the_window_goes_on(window, wait, name, words):
    window.open(name)
    wait(lambda: window.banner.isVisible())
    assert words in window.banner.label.text()
    window._tell_figures()
    assert window._figures.text() == ""  # nothing is loading any more
    window.open(DEMO)
    wait(lambda: shown(window))
    assert not window.banner.isVisible()


@pytest.mark.parametrize("error", [SwahrError("The network is broken; choose another."), ValueError("odd")])
def test_an_engine_that_fails_is_said(window, wait, estimator, error):
    estimator.fails = error
    window.open(DEMO)
    wait(lambda: window.banner.isVisible())
    said = window.banner.label.text()
    assert str(error) in said and "Traceback" not in said


def test_another_source_takes_the_place_of_the_first(window, wait, tmp_path):
    window.open(DEMO)
    wait(lambda: shown(window))
    cv2.imwrite(str(tmp_path / "one.png"), np.full((50, 80, 3), 200, np.uint8))
    window.open(str(tmp_path / "one.png"))
    wait(lambda: window._last_view is not None and window._last_view.picture.shape == (50, 80, 3))
    assert "one.png" in window.windowTitle()
    window._clear()
    assert window._pipeline is None


def test_an_address_with_a_password_is_not_in_the_title(window):
    window.open("rtsp://user:secret@192.0.2.1/stream")
    assert "secret" not in window.windowTitle()
    window.close_source()


def test_switching_the_scale_branch_on_does_not_stall_the_picture():
    estimator = FakeEstimator()
    begun, go_on = threading.Event(), threading.Event()
    estimator.prepare = lambda width, height, sigmas=None: begun.set() or go_on.wait(PATIENCE)
    engine = ViewEngine(EngineSettings(), ViewSettings(), load=lambda settings: estimator)
    frame = SimpleNamespace(image=np.zeros((40, 40, 3), np.uint8))
    engine(frame)
    engine.view = ViewSettings(sigmas=True, overlay="scale")
    assert engine(frame).people.sigmas is None and begun.wait(PATIENCE)
    assert engine(frame).picture is frame.image
    go_on.set()
    engine._preparing.join(PATIENCE)
    view = engine(frame)
    assert view.people.sigmas is not None and view.picture is not frame.image


def test_another_engine_loads_beside_the_old_one():
    made = []

    def load(settings):
        made.append(settings)
        return FakeEstimator(seconds=0.01)

    engine = ViewEngine(EngineSettings(), ViewSettings(), load=load)
    frame = SimpleNamespace(image=np.zeros((40, 40, 3), np.uint8))
    engine(frame)
    first = engine._estimator
    engine.engine = replace(engine.engine, size=256)
    deadline = time.monotonic() + PATIENCE
    while engine._estimator is first:
        assert time.monotonic() < deadline
        engine(frame)
    assert [one.size for one in made] == [None, 256]


def test_an_engine_that_cannot_be_loaded_leaves_the_old_one():
    def load(settings):
        if settings.model != "default":
            raise SwahrError("There is no model 'other'.")
        return FakeEstimator()

    engine = ViewEngine(EngineSettings(), ViewSettings(), load=load)
    frame = SimpleNamespace(image=np.zeros((40, 40, 3), np.uint8))
    engine(frame)
    engine.engine = EngineSettings(model="other")
    deadline = time.monotonic() + PATIENCE
    while not (view := engine(frame)).note:
        assert time.monotonic() < deadline
    assert view.note == "There is no model 'other'." and len(view.people) == 1


def test_the_status_line_before_the_first_frame():
    from app.live import LiveStats

    assert status_line(LiveStats(), None) == "Loading the network …"
    view = View(np.zeros((2, 2, 3), np.uint8), People.empty(COCO17), "e", {"network": 0.0123})
    assert "0 people" in status_line(LiveStats(shown=1, latency=0.05), view)
    assert "network 12" in status_line(LiveStats(shown=1, latency=0.05), view)


def test_without_a_display_one_sentence_says_what_to_do(monkeypatch, capsys):
    from app.cli import main

    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert main(["view"]) == 2
    assert "swahr process" in capsys.readouterr().err
