"""The panel tells what the user changes and nothing else."""

from __future__ import annotations

import pytest

from app.engine_settings import EngineSettings, GroupingChoice
from app.map_overlay import COLOUR_MAPS, MapStyle
from app.viewer import controls
from engine.backends import BACKENDS, PRECISIONS
from engine.network import PRESETS
from grouping import COCO17, CROWDPOSE14, GroupingOptions


@pytest.fixture
def panel(application):
    shown = controls.Controls(GroupingChoice(), MapStyle(), EngineSettings(), ["default", "other"])
    shown.told = []
    shown.grouping_changed.connect(shown.told.append)
    shown.map_changed.connect(lambda keypoint, style: shown.told.append((keypoint, style)))
    shown.engine_changed.connect(shown.told.append)
    yield shown
    shown.deleteLater()


def test_no_letter_is_used_twice(panel):
    from PyQt6.QtWidgets import QLabel

    letters = [
        label.text().partition("&")[2][:1].lower() for label in panel.findChildren(QLabel) if "&" in label.text()
    ]
    assert len(letters) == 14 and len(set(letters)) == 14 and not set(letters) & set("fsph")  # the menus'


def test_what_is_in_use_beyond_what_is_offered_is_shown(panel):
    panel.show_own(GroupingOptions(500, 0.3, 6.0))
    assert (panel.tag_threshold.value(), panel.max_people.value()) == (6.0, 500)


def test_what_can_be_chosen_is_what_there_is():
    assert set(controls.PRESETS) == set(PRESETS)
    assert set(controls.BACKENDS) == {"auto", *BACKENDS} and set(controls.PRECISIONS) == {"auto", *PRECISIONS}
    assert next(iter(COLOUR_MAPS)) == MapStyle().colours


def test_the_models_own_values_stand_where_nothing_is_chosen(panel):
    panel.show_own(GroupingOptions(12, 0.3, 1.5, person_threshold=0.2))
    assert (panel.threshold.value(), panel.tag_threshold.value(), panel.max_people.value()) == (0.3, 1.5, 12)
    assert panel.person_threshold.value() == 0.2
    assert not panel.own_options.isEnabled() and panel.told == []
    panel.tag_threshold.setValue(0.7)
    assert panel.told == [GroupingChoice(tag_threshold=0.7)]
    panel.show_own(GroupingOptions(20, 0.2, 2.0))  # another model
    assert (panel.threshold.value(), panel.tag_threshold.value(), panel.max_people.value()) == (0.2, 0.7, 20)
    panel.person_threshold.setValue(0.15)
    assert panel.told[-1] == GroupingChoice(tag_threshold=0.7, person_threshold=0.15)
    panel.own_options.click()
    assert panel.told[-1] == GroupingChoice() and panel.tag_threshold.value() == 2.0


def test_maps(panel):
    panel.show_keypoints(COCO17.names)
    panel.keypoint.setCurrentIndex(1)
    assert panel.told[-1] == (0, MapStyle())
    panel.next_keypoint(-1)
    panel.next_keypoint(-1)
    assert panel.told[-1][0] == 16
    panel.show_keypoints(COCO17.names)
    assert panel.keypoint.currentIndex() == 17
    panel.show_keypoints(CROWDPOSE14.names)  # another skeleton: all again
    assert panel.told[-1][0] is None and panel.keypoint.count() == 15
    panel.opacity.setValue(0.25)
    panel.colours.setCurrentIndex(1)
    assert panel.told[-1] == (None, MapStyle(0.25, list(COLOUR_MAPS)[1]))


def choose(panel, box, text):
    box.setCurrentText(text)
    box.activated.emit(box.currentIndex())


def test_engine(panel):
    for box, text, expected in (
        (panel.model, "other", {"model": "other"}),
        (panel.input_size, "320", {"model": "other", "size": 320}),
        (panel.backend, "eager", {"model": "other", "size": 320, "backend": "eager"}),
        (panel.device, "cpu", {"model": "other", "size": 320, "backend": "eager", "device": "cpu"}),
    ):
        choose(panel, box, text)
        assert panel.told[-1] == EngineSettings(**expected)
    choose(panel, panel.input_size, "The model's own")
    assert panel.told[-1].size is None


def test_showing_an_engine_tells_nothing(panel):
    engine = EngineSettings("/models/a.pth", "w32-512", 333, True, "cuda:1", "inductor", "float16")
    panel.show_engine(engine)
    assert panel.told == [] and panel.preset.isVisibleTo(panel)
    choose(panel, panel.precision, "float32")
    (told,) = panel.told
    assert told == EngineSettings("/models/a.pth", "w32-512", 333, True, "cuda:1", "inductor", "float32")


def test_a_file_of_ones_own(panel, monkeypatch):
    monkeypatch.setattr(controls.QFileDialog, "getOpenFileName", lambda *_: ("", ""))
    choose(panel, panel.model, "Another file …")
    assert panel.told == [] and panel.model.currentText() == "default"
    monkeypatch.setattr(controls.QFileDialog, "getOpenFileName", lambda *_: ("/models/a.pth", ""))
    choose(panel, panel.model, "Another file …")
    assert panel.told == [] and panel.model.currentText() == "a.pth"  # it cannot be loaded without its preset
    assert panel.preset.isVisibleTo(panel)
    choose(panel, panel.preset, "w48-640")
    assert panel.told == [EngineSettings("/models/a.pth", "w48-640")]
    choose(panel, panel.model, "default")
    assert panel.told[-1] == EngineSettings() and not panel.preset.isVisibleTo(panel)
