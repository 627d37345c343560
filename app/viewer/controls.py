"""The panel beside the picture: how people are found, how a map is shown, and what the network runs on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QGroupBox,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QLabeledDoubleSlider

from app.engine_settings import EngineSettings, GroupingChoice
from app.map_overlay import COLOUR_MAPS, MapStyle

if TYPE_CHECKING:
    from grouping import GroupingOptions

SIZES = (128, 192, 256, 320, 384, 448, 512, 640, 768, 1024)
PRESETS = ("w32-512", "w48-640", "w48-640-crowdpose", "default")
BACKENDS = ("auto", "openvino", "inductor", "tensorrt", "eager")
PRECISIONS = ("auto", "float32", "bfloat16", "float16", "int8")
_OTHER_MODEL = "Another file …"


class Controls(QWidget):
    """Tells what the user changes, and shows what is in use.

    grouping_changed: GroupingChoice. map_changed: keypoint (None: all) and MapStyle. engine_changed: EngineSettings.
    """

    grouping_changed = pyqtSignal(object)
    map_changed = pyqtSignal(object, object)
    engine_changed = pyqtSignal(object)

    def __init__(
        self, grouping: GroupingChoice, style: MapStyle, engine: EngineSettings, models: Sequence[str]
    ) -> None:
        super().__init__()
        self._grouping, self._style, self._engine = grouping, style, engine
        self._own: GroupingOptions | None = None
        self._shown_engine: EngineSettings | None = None
        self._keypoints: Sequence[str] = ()
        column = QVBoxLayout(self)
        column.addWidget(self._people_box())
        column.addWidget(self._map_box())
        column.addWidget(self._engine_box(models))
        column.addStretch(1)
        self._show_grouping()
        self.show_engine(engine)

    # -- people ----------------------------------------------------------------------------------------------------

    def _people_box(self) -> QGroupBox:
        box = QGroupBox("People")
        form = _form(box)
        self.threshold = _slider(0.0, 1.0, "A keypoint's least heatmap value (detection threshold)")
        self.tag_threshold = _slider(
            0.05, 4.0, "How near a keypoint's tag must be to its person's mean tag (associative embedding)"
        )
        self.person_threshold = _slider(
            0.0, 1.0, "A person's least score, the mean over all keypoints (person threshold)"
        )
        self.max_people = QSpinBox(minimum=1, maximum=200, keyboardTracking=False)
        self.max_people.setToolTip("The most people in a frame, and the most candidates a keypoint")
        form.addRow("&Threshold", self.threshold)
        form.addRow("Ta&g threshold", self.tag_threshold)
        form.addRow("&Weakest person", self.person_threshold)
        form.addRow("&Most people", self.max_people)
        self.own_options = QToolButton(text="The model's own values")
        self.own_options.setToolTip("Use the thresholds and the limit that come with the model")
        form.addRow("", self.own_options)
        self.threshold.valueChanged.connect(lambda value: self._group(threshold=round(value, 3)))
        self.tag_threshold.valueChanged.connect(lambda value: self._group(tag_threshold=round(value, 3)))
        self.person_threshold.valueChanged.connect(lambda value: self._group(person_threshold=round(value, 3)))
        self.max_people.valueChanged.connect(lambda value: self._group(max_people=value))
        self.own_options.clicked.connect(lambda: self._regroup(GroupingChoice()))
        return box

    def _group(self, **changes: Any) -> None:
        self._regroup(replace(self._grouping, **changes))

    def _regroup(self, choice: GroupingChoice) -> None:
        self._grouping = choice
        self._show_grouping()
        self.grouping_changed.emit(choice)

    def show_own(self, own: GroupingOptions) -> None:
        """What the model in use has as its own, which stands where the user chose nothing."""
        if own != self._own:
            self._own = own
            self._show_grouping()

    def _show_grouping(self) -> None:
        choice, own = self._grouping, self._own
        self.own_options.setEnabled(choice != GroupingChoice())
        for widget, chosen, otherwise in (
            (self.threshold, choice.threshold, own.detection_threshold if own else 0.1),
            (self.tag_threshold, choice.tag_threshold, own.tag_threshold if own else 1.0),
            (self.person_threshold, choice.person_threshold, own.person_threshold if own else 0.1),
            (self.max_people, choice.max_people, own.max_people if own else 30),
        ):
            _set_silently(widget, otherwise if chosen is None else chosen)

    # -- maps ------------------------------------------------------------------------------------------------------

    def _map_box(self) -> QGroupBox:
        box = QGroupBox("Map")
        form = _form(box)
        self.keypoint = QComboBox(toolTip="Whose scale, heatmap or tags are shown")
        self.keypoint.addItem("All keypoints")
        self.opacity = _slider(0.0, 1.0, "How much of the picture the map covers")
        self.opacity.setValue(self._style.opacity)
        self.colours = QComboBox(toolTip="The colours of the map, from its lowest to its highest value")
        self.colours.addItems([name.capitalize() for name in COLOUR_MAPS])
        self.colours.setCurrentIndex(list(COLOUR_MAPS).index(self._style.colours))
        form.addRow("&Keypoint", self.keypoint)
        form.addRow("&Opacity", self.opacity)
        form.addRow("&Colours", self.colours)
        self.keypoint.currentIndexChanged.connect(self._map)
        self.opacity.valueChanged.connect(self._map)
        self.colours.currentIndexChanged.connect(self._map)
        return box

    def _map(self) -> None:
        self._style = MapStyle(round(self.opacity.value(), 3), list(COLOUR_MAPS)[self.colours.currentIndex()])
        index = self.keypoint.currentIndex()
        self.map_changed.emit(None if index <= 0 else index - 1, self._style)

    def show_keypoints(self, names: Sequence[str]) -> None:
        """The keypoints of the skeleton in use."""
        if names != self._keypoints:
            self._keypoints = names
            self.keypoint.blockSignals(True)
            self.keypoint.clear()
            self.keypoint.addItems(["All keypoints", *(name.replace("_", " ") for name in names)])
            self.keypoint.blockSignals(False)
            self._map()

    def next_keypoint(self, step: int) -> None:
        """Show the map of the next or the one before."""
        self.keypoint.setCurrentIndex((self.keypoint.currentIndex() + step) % self.keypoint.count())

    # -- engine ----------------------------------------------------------------------------------------------------

    def _engine_box(self, models: Sequence[str]) -> QGroupBox:
        box = QGroupBox("Network")
        form = _form(box)
        self._models = list(models)
        self.model = QComboBox(toolTip="A model that came with the program, or a weights file")
        self.preset = QComboBox(toolTip="The network that a .pth file's weights belong to")
        self.preset.addItems(["–", *PRESETS])
        self.input_size = QComboBox(
            toolTip="Pixels of the network input's short side: less is faster, more sees smaller people"
        )
        self.input_size.addItems(["The model's own", *map(str, SIZES)])
        self.flip = QCheckBox("Mirror image as well")
        self.flip.setToolTip("Flip test: slower, more exact")
        self.backend = QComboBox(toolTip="What runs the network; auto: the fastest that is proven right here")
        self.backend.addItems(BACKENDS)
        self.device = QComboBox(toolTip="Where the network runs; auto: the first GPU, else the processor")
        self.device.addItems(["auto", "cpu"])
        self.precision = QComboBox(toolTip="What the network computes in")
        self.precision.addItems(PRECISIONS)
        for label, widget in (
            ("Mod&el", self.model),
            ("P&reset", self.preset),
            ("&Input size", self.input_size),
            ("F&lip", self.flip),
            ("&Backend", self.backend),
            ("&Device", self.device),
            ("Precisio&n", self.precision),
        ):
            form.addRow(label, widget)
        self._engine_form = form
        self.model.activated.connect(self._choose_model)
        self.flip.toggled.connect(self._engine_now)
        for one in (self.preset, self.input_size, self.backend, self.precision):
            one.activated.connect(self._engine_now)
        self.device.activated.connect(self._engine_now)
        return box

    def _choose_model(self) -> None:
        if self.model.currentText() == _OTHER_MODEL:
            name, _ = QFileDialog.getOpenFileName(self, "Open a weights file", "", "Weights (*.safetensors *.pth *.pt)")
            if not name:
                self._show_model(self._engine.model)
                return
            self._engine = replace(self._engine, model=name)
            self._show_model(name)
        self._engine_now()

    def _engine_now(self) -> None:
        size = self.input_size.currentText()
        preset = self.preset.currentText()
        model = self.model.currentData()
        self._preset_row(model)
        if _wants_preset(model) and preset not in PRESETS:
            self.preset.setFocus()  # it cannot be loaded without one
            return
        self._engine = self._shown_engine = EngineSettings(
            model=model,
            preset=preset if preset in PRESETS and _wants_preset(model) else None,
            size=int(size) if size.isdecimal() else None,
            flip=self.flip.isChecked(),
            device=self.device.currentText(),
            backend=self.backend.currentText(),
            precision=self.precision.currentText(),
        )
        self.engine_changed.emit(self._engine)

    def show_engine(self, engine: EngineSettings) -> None:
        """What is wanted, where it was not the user here who chose it; nothing is told."""
        if engine == self._shown_engine:
            return
        self._engine = self._shown_engine = engine
        self._show_model(engine.model)
        if engine.size is not None and self.input_size.findText(str(engine.size)) < 0:
            self.input_size.addItem(str(engine.size))
        self.input_size.setCurrentText("The model's own" if engine.size is None else str(engine.size))
        self.preset.setCurrentText(engine.preset or "–")
        self.backend.setCurrentText(engine.backend)
        if self.device.findText(engine.device) < 0:
            self.device.addItem(engine.device)
        self.device.setCurrentText(engine.device)
        self.precision.setCurrentText(engine.precision)
        _set_silently(self.flip, engine.flip)

    def _show_model(self, model: str) -> None:
        if model not in self._models:
            self._models.append(model)
        self.model.clear()
        for name in self._models:
            self.model.addItem(Path(name).name, name)
        self.model.addItem(_OTHER_MODEL)
        self.model.setCurrentIndex(self._models.index(model))
        self._preset_row(model)

    def _preset_row(self, model: str) -> None:
        self._engine_form.setRowVisible(self.preset, _wants_preset(model))

    def show_devices(self, names: Sequence[str]) -> None:
        """The devices that are at hand."""
        for name in names:
            if self.device.findText(name) < 0:
                self.device.addItem(name)


def _wants_preset(model: str) -> bool:
    return Path(model).suffix in (".pth", ".pt")


def _form(box: QGroupBox) -> QFormLayout:
    form = QFormLayout(box)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    form.setVerticalSpacing(6)
    return form


def _slider(low: float, high: float, hint: str) -> QLabeledDoubleSlider:
    slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
    slider.setRange(low, high)
    slider.setDecimals(2)
    slider.setSingleStep(0.01)
    slider.setPageStep(0.1)
    slider.setToolTip(hint)
    slider.setMinimumWidth(150)
    return slider


def _set_silently(widget: Any, value: Any) -> None:
    widget.blockSignals(True)
    if not isinstance(value, bool) and value > widget.maximum():
        widget.setMaximum(value)  # an option of the command may be beyond what is offered here
    widget.setChecked(value) if isinstance(value, bool) else widget.setValue(value)
    widget.blockSignals(False)
