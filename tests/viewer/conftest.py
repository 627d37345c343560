"""One application for all tests, settings of its own, an engine of the test's own, and a watchdog."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import cv2  # noqa: F401  (sets what is removed next)
import numpy as np
import pytest

os.environ.pop("QT_QPA_PLATFORM_PLUGIN_PATH", None)
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from grouping import COCO17, GroupingOptions, People

PATIENCE = 20_000  # milliseconds
DEMO = "demo:?size=160x96&seconds=2&people=1"


class FakeEstimator:
    """Finds one person in every image, after so many seconds; `fails` is raised instead."""

    backend, device, precision, model = "none", "cpu", "float32", "fake"
    size, flip, scales, skeleton = 256, False, (1.0,), COCO17

    def __init__(self, seconds: float = 0.0, fails: Exception | None = None):
        self.seconds, self.fails = seconds, fails
        self.options = self.own_options = GroupingOptions(detection_threshold=0.4)
        self.sigmas = True
        self.messages: list[str] = []
        self.stage_seconds = {"network": 0.01, "grouping": 0.002}
        self.used: list[GroupingOptions] = []

    def prepare(self, width, height, sigmas=None):
        pass

    images_per_run = 1

    def batch(self, images):
        return list(map(self, images))

    def __call__(self, image):
        if self.fails:
            raise self.fails
        time.sleep(self.seconds)
        self.used.append(self.options)
        keypoints = np.full((1, 17, 3), 0.9, np.float32)
        keypoints[0, :, :2] = np.linspace((10, 10), image.shape[1::-1], 17) / 2
        sigmas = np.full((1, 17), 2, np.float32) if self.sigmas else None
        return People(keypoints, np.array([0.9], np.float32), skeleton=COCO17, sigmas=sigmas)

    def detailed(self, image):
        alphas = np.broadcast_to(np.linspace(-0.5, 1, 8, dtype=np.float32), (17, 6, 8)).copy()
        to_source = np.array([[image.shape[1] / 8, 0, 0], [0, image.shape[0] / 6, 0]])
        heatmaps = np.abs(alphas) / 2
        return self(image), SimpleNamespace(
            alphas=alphas, heatmaps=heatmaps, tags=-alphas[..., None], to_source=to_source
        )


@pytest.fixture(scope="session")
def application(qapp):
    qapp.setOrganizationName("swahr-tests")
    qapp.setApplicationName("tests")
    return qapp


@pytest.fixture
def own_settings(application, tmp_path):
    """QSettings in a folder of the test's own."""
    from PyQt6.QtCore import QSettings

    QSettings.setDefaultFormat(QSettings.Format.IniFormat)
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(tmp_path / "settings"))
    return tmp_path


@pytest.fixture
def estimator(monkeypatch):
    fake = FakeEstimator()
    monkeypatch.setattr("engine.PoseEstimator.load", lambda **settings: fake)
    return fake


@pytest.fixture
def no_message_box(monkeypatch):
    """A box that waits for an answer would wait for ever."""
    from PyQt6.QtWidgets import QDialog, QMessageBox

    def refuse(*arguments):
        pytest.fail("a dialog blocks the window")

    boxes = ("exec", "critical", "warning", "information", "question")
    for kind, names in ((QDialog, ("exec",)), (QMessageBox, boxes)):
        for name in names:
            monkeypatch.setattr(kind, name, refuse)


@pytest.fixture
def window(application, own_settings, no_thread_is_left, estimator, no_message_box, monkeypatch):
    from app.viewer.preferences import Preferences
    from app.viewer.window import Window

    shown = Window(preferences=Preferences(folder=str(own_settings)))
    shown.show()
    yield shown
    shown.close()
    application.processEvents()


@pytest.fixture
def wait(qtbot):
    """Run Qt's loop until something is true."""
    return lambda condition: qtbot.waitUntil(lambda: bool(condition()), timeout=PATIENCE)


def shown(window) -> int:
    """How many pictures of the open source were shown."""
    return 0 if window.player.session is None else window.player.session.stats.shown


def last(window):
    """The view that was shown last."""
    return window.player.last.result


@pytest.fixture
def playing(window, wait):
    """The window, with a source that plays."""
    window.open(DEMO)
    wait(lambda: shown(window) >= 2)
    return window


class Watchdog:
    """Ticks in the window's loop; `longest`: seconds between two ticks, that is how long the window was blocked."""

    def __init__(self):
        from PyQt6.QtCore import QTimer

        self.longest, self._last = 0.0, time.perf_counter()
        self._timer = QTimer(interval=1)
        self._timer.timeout.connect(self._tick)
        self._timer.start()

    def _tick(self):
        now = time.perf_counter()
        self.longest, self._last = max(self.longest, now - self._last), now
