"""What the inferring thread does with a frame: settings count at once, what takes long happens beside."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from app.engine_settings import EngineSettings, GroupingChoice
from app.map_overlay import MapStyle, blend, draw_legend, layer_of
from app.sources import Frame
from app.viewer.engine import ViewEngine, ViewSettings
from engine.errors import SwahrError

from .conftest import FakeEstimator

PATIENCE = 20

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


def frame(index=0, timed=True):
    image = np.random.default_rng(index).integers(0, 256, (96, 160, 3), np.uint8)
    return Frame(image, index, index if timed else None, Fraction(1, 30))


def engine_of(estimator, view=None, **more):
    return ViewEngine(EngineSettings(), view or ViewSettings(), load=lambda settings: estimator, **more)


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not (result := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return result


@pytest.fixture
def estimator():
    return FakeEstimator()


@pytest.mark.parametrize("keypoint", [None, 3])
def test_the_scale_map_is_the_one_of_the_command(estimator, keypoint):
    engine = engine_of(estimator, ViewSettings(overlay="scale", keypoint=keypoint))
    one = frame()
    np.testing.assert_array_equal(engine(one).picture, one.image)  # shown as it is until the branch is ready
    view = until(lambda: (view := engine(one)).layer and view)
    layer = layer_of("scale", estimator.detailed(one.image)[1], (160, 96), keypoint)
    expected = blend(one.image, layer)
    np.testing.assert_array_equal(view.picture, expected)
    draw_legend(expected, layer)
    from app.annotated import annotated

    np.testing.assert_array_equal(
        annotated(one.image, view.people[:0], layer=view.layer, map_style=view.settings.style), expected
    )
    assert view.legend[0].low == pytest.approx(0.5) and view.legend[0].high == pytest.approx(2)


@pytest.mark.parametrize("boxes", [True, False])
def test_what_the_window_saves_of_a_scale_map_is_what_the_command_writes(estimator, monkeypatch, tmp_path, boxes):
    import cv2

    from app.overlay import OverlayStyle
    from app.processing.run import ProcessOptions, process
    from app.viewer.saving import picture_of

    one = frame(timed=False)
    cv2.imwrite(str(tmp_path / "in.png"), one.image[..., ::-1])
    monkeypatch.setattr("engine.PoseEstimator.load", lambda **settings: estimator)
    process(ProcessOptions(str(tmp_path / "in.png"), tmp_path / "out.png", scale_map=True, boxes=boxes, quiet=True))
    engine = engine_of(estimator, ViewSettings(overlay="scale"))
    view = until(lambda: (view := engine(one)).layer and view)
    written = cv2.imread(str(tmp_path / "out.png"))[..., ::-1]
    np.testing.assert_array_equal(picture_of(view, OverlayStyle(boxes=boxes))(), written)


def test_another_opacity_needs_no_inference(estimator):
    engine = engine_of(estimator, ViewSettings(overlay="heatmap"))
    one = frame()
    until(lambda: engine(one).layer)
    runs = len(estimator.used)
    engine.view = replace(engine.view, style=MapStyle(0.9, "viridis"))
    view = engine(one)
    np.testing.assert_array_equal(view.picture, blend(one.image, view.layer, MapStyle(0.9, "viridis")))
    assert len(estimator.used) == runs
    engine(frame(1))
    assert len(estimator.used) == runs + 1


def test_grouping_counts_from_the_next_call_on(estimator):
    engine = engine_of(estimator)
    one = frame()
    engine(one)
    engine.view = ViewSettings(GroupingChoice(threshold=0.25, max_people=3))
    engine(one)
    assert (estimator.used[-1].detection_threshold, estimator.used[-1].max_people) == (0.25, 3)
    engine.view = ViewSettings()
    engine(one)
    assert estimator.used[-1].detection_threshold == 0.4


def test_people_keep_their_numbers_where_there_is_time(estimator):
    engine = engine_of(estimator)
    ids = [int(engine(frame(index)).people.ids[0]) for index in range(4)]
    assert len(set(ids)) == 1
    assert engine(frame(3)).people.ids[0] == ids[0]  # refreshed
    engine.enter()
    assert engine(frame(9, timed=False)).people.ids is None


def test_switching_the_scale_branch_on_does_not_stall_the_picture(estimator):
    begun, go_on, changes = threading.Event(), threading.Event(), []
    engine = engine_of(estimator, on_change=lambda: changes.append(1))
    one = frame()
    engine(one)
    estimator.prepare = lambda width, height, sigmas=None: begun.set() or go_on.wait(PATIENCE)
    engine.view = ViewSettings(sigmas=True, overlay="scale")
    assert engine(one).people.sigmas is None and begun.wait(PATIENCE)
    assert engine(one).picture is one.image and "scale branch" in engine.doing
    before = len(changes)
    go_on.set()
    until(lambda: len(changes) > before and not engine.doing)  # whoever is paused is told to look again
    view = engine(one)
    assert view.people.sigmas is not None and view.layer is not None


def test_a_model_without_a_scale_branch_says_so(estimator):
    detailed = estimator.detailed

    def without(image):
        people, maps = detailed(image)
        maps.alphas = None
        return people, maps

    estimator.detailed = without
    engine = engine_of(estimator, ViewSettings(overlay="scale"))
    view = until(lambda: (view := engine(frame())).note and view)
    assert "no scale branch" in view.note and view.layer is None and len(view.people) == 1


def test_an_engine_is_loaded_before_the_first_frame_comes(estimator):
    loads = []
    engine = ViewEngine(EngineSettings(), ViewSettings(), load=lambda settings: loads.append(settings) or estimator)
    engine.begin()
    until(lambda: loads)
    engine(frame())
    assert loads == [EngineSettings()] and engine.loaded == EngineSettings()


def test_the_window_and_the_first_frame_may_begin_at_once(estimator, monkeypatch):
    """The first frame comes in between the making of the loading thread and its start."""
    from app.viewer.job import Job

    loads, start = [], Job.start
    engine = ViewEngine(EngineSettings(), ViewSettings(), load=lambda settings: loads.append(settings) or estimator)
    monkeypatch.setattr(Job, "start", lambda self: time.sleep(0.2) or start(self))
    views = []
    window = threading.Thread(target=engine.begin)
    first = threading.Thread(target=lambda: views.append(engine(frame())))
    window.start()
    time.sleep(0.05)
    first.start()
    window.join()
    first.join()
    assert len(loads) == 1 and len(views) == 1


def test_what_the_first_picture_waits_for_is_said(estimator):
    said, go_on = [], threading.Event()
    engine = engine_of(estimator, on_change=lambda: said.append(engine.doing))
    estimator.prepare = lambda width, height, sigmas=None: go_on.wait(PATIENCE)
    thread = threading.Thread(target=engine, args=(frame(),))
    thread.start()
    until(lambda: "Compiling for 160 × 96 pixels …" in said)
    go_on.set()
    thread.join()
    assert engine.doing == "" and engine(frame()).people is not None


def test_a_video_that_begins_again_has_the_same_numbers(estimator):
    engine = engine_of(estimator)
    first = [int(engine(frame(index)).people.ids[0]) for index in (0, 5, 9)]
    assert [int(engine(frame(index)).people.ids[0]) for index in (0, 5, 9)] == first


def test_another_engine_loads_beside_the_old_one():
    made, go_on = [], threading.Event()

    def load(settings):
        made.append(settings)
        assert len(made) == 1 or go_on.wait(PATIENCE)
        return FakeEstimator()

    engine = ViewEngine(EngineSettings(), ViewSettings(), load=load)
    engine(frame())
    first = engine._estimator
    engine.engine = replace(engine.engine, size=256)
    for index in range(5):
        assert engine(frame(index)) and engine._estimator is first
    assert "Loading" in engine.doing
    go_on.set()
    until(lambda: engine(frame()) and engine._estimator is not first)
    assert [one.size for one in made] == [None, 256] and engine.loaded.size == 256 and not engine.doing


def test_what_is_loaded_in_vain_is_thrown_away():
    go_on = threading.Event()

    def load(settings):
        assert settings.size is None or go_on.wait(PATIENCE)
        return FakeEstimator()

    engine = ViewEngine(EngineSettings(), ViewSettings(), load=load)
    engine(frame())
    first = engine._estimator
    engine.engine = replace(engine.engine, size=256)
    engine(frame())
    engine.cancel()
    assert engine.engine == EngineSettings()
    go_on.set()
    until(lambda: not engine.doing)
    assert all(engine(frame()) and engine._estimator is first for _ in range(2))


def test_an_engine_that_cannot_be_loaded_leaves_the_old_one():
    def load(settings):
        if settings.model != "default":
            raise SwahrError("There is no model 'other'.")
        return FakeEstimator()

    said = []
    engine = ViewEngine(EngineSettings(), ViewSettings(), load=load, on_failure=said.append)
    engine(frame())
    engine.engine = EngineSettings(model="other")
    until(lambda: engine(frame()) and said)
    assert said == ["There is no model 'other'."]
    assert engine.engine == EngineSettings() and len(engine(frame()).people) == 1


def test_the_first_engine_that_cannot_be_loaded_is_an_error_and_can_be_replaced():
    def load(settings):
        if settings.model != "default":
            raise SwahrError("There is no model 'other'.")
        return FakeEstimator()

    engine = ViewEngine(EngineSettings(model="other"), ViewSettings(), load=load)
    engine.begin()
    with pytest.raises(SwahrError, match="no model"):
        engine(frame())
    engine.engine = EngineSettings()
    assert len(engine(frame()).people) == 1
