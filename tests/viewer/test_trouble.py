"""What goes wrong at a bad moment: while something loads, waits, hangs or closes."""

from __future__ import annotations

import threading
import time

import cv2
import numpy as np
import pytest

from app.engine_settings import EngineSettings
from app.viewer.engine import ViewSettings
from engine.errors import SwahrError

from .conftest import DEMO, FakeEstimator, last, shown


@pytest.fixture
def loads(monkeypatch, estimator):
    """Every loading of an engine; it waits for `go_on`, and fails for another device than auto and cpu."""
    made, go_on = [], threading.Event()

    def load(**settings):
        made.append(settings)
        assert go_on.wait(20)
        if settings["device"] not in ("auto", "cpu"):
            raise SwahrError(f"no {settings['device']} here")
        return estimator

    monkeypatch.setattr("engine.PoseEstimator.load", load)
    made_and_go_on = made, go_on
    yield made_and_go_on
    go_on.set()


def unloaded(window, **engine):
    """The window as if it had just been started, with another engine."""
    window.player.engine = window.player._new_engine(EngineSettings(**engine), ViewSettings())


def test_an_error_is_told_while_the_source_waits(window, wait, tmp_path, estimator):
    cv2.imwrite(str(tmp_path / "one.png"), np.full((50, 80, 3), 200, np.uint8))
    estimator.fails = SwahrError("The network is broken; choose another.")
    window.open(str(tmp_path / "one.png"))
    wait(lambda: window.banner.isVisible())
    assert "The network is broken" in window.banner.label.text() and window.start_page.isVisible()


def test_an_error_is_told_while_the_video_is_paused(playing, wait, estimator):
    playing.acts["pause"].setChecked(True)
    time.sleep(0.1)
    wait(lambda: True)
    estimator.fails = SwahrError("The network is broken; choose another.")
    playing.controls.threshold.setValue(0.7)
    wait(lambda: playing.banner.isVisible())


def test_another_source_while_the_network_is_loaded_uses_what_is_loaded(window, wait, loads):
    made, go_on = loads
    wait(lambda: made)
    made.clear()
    unloaded(window)
    window.open(DEMO)
    wait(lambda: made)
    window.open("demo:?size=200x96&seconds=2&people=1")
    began = time.monotonic()
    wait(lambda: window.player.session and "200x96" in window.player.session.name)
    assert time.monotonic() - began < 1
    go_on.set()
    wait(lambda: window.player.last and last(window).picture.shape == (96, 200, 3))
    assert len(made) == 1


def test_a_source_that_hangs_while_it_opens_takes_no_engine_with_it(playing, wait, monkeypatch, loads):
    made, go_on = loads
    go_on.set()
    answer = threading.Event()

    class Unreachable:
        def __init__(self, camera):
            answer.wait(20)
            raise OSError

    monkeypatch.setattr("app.sources.live.CameraReader", Unreachable)
    engine = playing.player.engine
    playing.open("camera:0")
    wait(lambda: playing.player.session and playing.player.session.live)
    playing.open(DEMO)
    wait(lambda: shown(playing) >= 2)
    assert playing.player.engine is engine and made == []
    answer.set()


def test_a_stale_failure_does_not_beat_the_correction(window, wait, loads):
    made, go_on = loads
    wait(lambda: made)
    go_on.set()
    made.clear()
    unloaded(window, device="cuda")
    window.player.engine.begin()
    wait(lambda: window.banner.isVisible())  # told although nothing is open
    assert "no cuda here" in window.banner.label.text()
    window.player.set_engine(EngineSettings(device="cpu"))
    window.open(DEMO)
    wait(lambda: shown(window) >= 2)
    assert [settings["device"] for settings in made] == ["cuda", "cpu"]


def test_loading_can_be_cancelled_and_something_else_chosen(playing, wait, loads, estimator):
    _, go_on = loads
    playing.controls.flip.setChecked(True)
    wait(lambda: playing.progress.isVisible())
    playing.progress.cancelled.emit()
    wait(lambda: not playing.progress.isVisible())
    assert not playing.controls.flip.isChecked()
    go_on.set()
    playing.player.set_engine(EngineSettings(size=320))
    wait(lambda: playing.player.engine.loaded.size == 320)


def test_making_the_scale_branch_ready_can_be_cancelled(playing, wait, estimator):
    go_on = threading.Event()
    estimator.prepare = lambda width, height, sigmas=None: go_on.wait(20)
    playing.acts["scale"].setChecked(True)
    wait(lambda: playing.progress.isVisible())
    playing.progress.cancelled.emit()
    assert not playing.acts["scale"].isChecked()
    go_on.set()


def test_a_short_video_that_ends_while_the_network_loads_is_played(window, wait, loads):
    _, go_on = loads
    unloaded(window)
    window.acts["loop"].setChecked(False)
    indices = []
    window.player.shown.connect(lambda shot: shot.refreshed or indices.append(shot.item.index))
    window.open("demo:?size=160x96&seconds=0.5&people=1")
    time.sleep(1)
    go_on.set()
    # The first picture, perhaps the last one, which was waiting, and then the video from its beginning.
    wait(lambda: len(indices) >= 5 and indices[-1] > 6 and min(indices[2:]) <= 4)


def test_what_is_looked_at_again_has_no_latency(playing, wait):
    playing.acts["pause"].setChecked(True)
    time.sleep(0.8)
    wait(lambda: True)
    before = playing._latency
    playing.controls.threshold.setValue(0.2)
    wait(lambda: last(playing).found_by.options.detection_threshold == 0.2)
    time.sleep(0.05)
    wait(lambda: True)
    assert playing._latency == before < 0.7


@pytest.mark.parametrize(
    "name", ["srt://user:hush@192.0.2.1", "rtmps://host/live?token=hush", "user:hush@host/x", "hush" * 100]
)
def test_what_cannot_be_opened_is_neither_kept_nor_shown_with_its_password(window, wait, name):
    window.open(name)
    wait(lambda: window.banner.isVisible())
    assert window.preferences.recent == ()
    if "://" in name:
        assert "hush" not in window.windowTitle() + window.canvas._message


def test_skips_in_a_row_add_up(window, wait):
    window.open("demo:?size=160x96&seconds=40&people=1")
    wait(lambda: shown(window) >= 2)
    window.acts["pause"].setChecked(True)
    wait(lambda: window.player.session.playback.paused)
    window.player.seek(1.0)
    wait(lambda: last(window).frame.index == 30)
    for _ in range(3):
        window.acts["forward"].trigger()
    wait(lambda: last(window).frame.index == 30 + 3 * 150)


def test_only_what_can_be_done_is_offered(window, wait, monkeypatch):
    class Camera:
        def __init__(self, camera):
            pass

        def read(self):
            time.sleep(0.03)
            return np.zeros((96, 160, 3), np.uint8)

        def release(self):
            pass

    monkeypatch.setattr("app.sources.live.CameraReader", Camera)
    assert not any(window.acts[name].isEnabled() for name in ("snapshot", "record", "pause", "close_source", "loop"))
    window.open("camera:0")
    assert not window.acts["snapshot"].isEnabled() and window.acts["close_source"].isEnabled()
    wait(lambda: shown(window))
    assert window.acts["snapshot"].isEnabled() and window.acts["pause"].isEnabled()
    assert not any(window.acts[name].isEnabled() for name in ("step_forward", "forward", "faster", "loop"))
    window.open(DEMO)
    wait(lambda: window.player.session and not window.player.session.live and shown(window))
    assert all(window.acts[name].isEnabled() for name in ("step_forward", "forward", "faster", "loop"))


def test_keys_that_are_held_do_not_toggle(window):
    assert not any(window.acts[name].autoRepeat() for name in ("record", "snapshot", "pause", "scale"))
    assert all(window.acts[name].autoRepeat() for name in ("step_forward", "forward", "zoom_in"))


def test_full_screen_is_in_step(window, wait):
    window.showFullScreen()
    wait(lambda: window.acts["full_screen"].isChecked())
    window.acts["full_screen"].trigger()
    assert not window.isFullScreen()


# -- recordings begun and ended in a hurry -------------------------------------------------------------------------


@pytest.fixture
def slow_beginning(monkeypatch):
    from app.recording import Recorder

    go_on, begin = threading.Event(), Recorder.__init__
    monkeypatch.setattr(Recorder, "__init__", lambda self, *a, **k: go_on.wait(20) and begin(self, *a, **k))
    yield go_on
    go_on.set()


def test_a_recording_that_is_ended_before_it_has_begun(playing, wait, slow_beginning, own_settings):
    for on in (True, False, True):
        playing.acts["record"].setChecked(on)
    slow_beginning.set()
    before = shown(playing)
    wait(lambda: shown(playing) >= before + 3)
    assert playing.acts["record"].isChecked()
    playing.acts["record"].setChecked(False)
    wait(lambda: "Recorded" in playing.statusBar().currentMessage())
    playing.close()
    assert len(list(own_settings.glob("*.mp4"))) == 1  # neither the first one's nor a partial one


def test_closing_while_a_recording_begins(playing, wait, slow_beginning, own_settings):
    playing.acts["record"].setChecked(True)
    threading.Timer(0.2, slow_beginning.set).start()
    playing.close()
    assert list(own_settings.glob("*.partial.*")) == []


def test_an_engine_beside_that_fails_oddly_is_told_in_words(playing, wait, monkeypatch):
    def load(**settings):
        raise KeyError("x")

    monkeypatch.setattr("engine.PoseEstimator.load", load)
    playing.controls.flip.setChecked(True)
    wait(lambda: playing.banner.isVisible())
    assert "bug of swahr (KeyError" in playing.banner.label.text()


def test_the_lost_camera_is_forgotten_with_its_source_but_no_other_message(playing, wait):
    playing.player.told.emit(True, "The camera 0 is gone; trying again.")
    playing.close_source()
    assert not playing.banner.isVisible()
    playing.banner.tell("Something else.")
    playing._tell_lost(False, "")
    assert playing.banner.isVisible()


def test_another_estimator_is_let_go(window, wait, monkeypatch):
    import weakref

    made = []

    def load(**settings):
        fake = FakeEstimator()
        made.append(weakref.ref(fake))
        return fake

    monkeypatch.setattr("engine.PoseEstimator.load", load)
    unloaded(window)
    window.open(DEMO)
    wait(lambda: shown(window) >= 2)
    for size in (320, 256):
        window.player.set_engine(EngineSettings(size=size))
        wait(lambda size=size: window.player.engine.loaded.size == size)
    before = shown(window)
    wait(lambda: shown(window) >= before + 3)
    assert [one() is not None for one in made] == [False, False, True]  # at once, and so not by the window
