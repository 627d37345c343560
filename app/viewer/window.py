"""The window: a source on the canvas, people on it at once, and what matters one key away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PyQt6.QtCore import QObject, QSettings, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QAction, QCloseEvent, QDragEnterEvent, QDropEvent, QKeySequence
from PyQt6.QtWidgets import (
    QFileDialog,
    QInputDialog,
    QLabel,
    QMainWindow,
    QMessageBox,
    QSlider,
    QToolBar,
    QVBoxLayout,
    QWidget,
)

from app.engine_settings import EngineSettings
from app.live import LivePipeline
from app.playback import Playback
from app.sources.live_names import is_live, shown_name
from app.viewer.banner import Banner
from app.viewer.canvas import Canvas
from app.viewer.engine import Overlay, View, ViewEngine, ViewSettings
from app.viewer.figures import status_line
from engine.errors import SwahrError

WELCOME = "Open a video, a picture or a camera\n\nDrop a file here, or press Ctrl+O.   F1 shows all keys."
STATUS_MILLISECONDS = 500
STOP_SECONDS = 5.0
SETTINGS_VERSION = 1


class Bridge(QObject):
    """Brings what the pipeline's threads say into the window's thread."""

    result = pyqtSignal()
    state = pyqtSignal(str, str)
    ended = pyqtSignal(object)


class Window(QMainWindow):
    """The viewer. source: what to open at once, if anything. engine: what to load for it."""

    def __init__(self, source: str | None = None, engine: EngineSettings | None = None) -> None:
        super().__init__()
        self.setWindowTitle("SWAHR Live")
        self.resize(1100, 720)
        self.setAcceptDrops(True)
        self.engine_settings, self.view_settings = engine or EngineSettings(), ViewSettings()
        self._pipeline: LivePipeline | None = None
        self._playback: Playback | None = None
        self._engine: ViewEngine | None = None
        self._bridge: Bridge | None = None
        self.canvas, self.banner = Canvas(), Banner()
        self.canvas.clear(WELCOME)
        middle = QWidget()
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.banner)
        column.addWidget(self.canvas, 1)
        self.setCentralWidget(middle)
        self._figures = QLabel()
        self.statusBar().addWidget(self._figures, 1)
        self._actions()
        self._controls()
        self._timer = QTimer(self, interval=STATUS_MILLISECONDS)
        self._timer.timeout.connect(self._tell_figures)
        self._timer.start()
        self._restore()
        if source is not None:
            QTimer.singleShot(0, lambda: self.open(source))

    # -- sources -------------------------------------------------------------------------------------------

    def open(self, name: str) -> None:
        """Show a source, by the name that `swahr process` or `app.sources.live` takes."""
        self.close_source()
        self.banner.hide()
        self.pause.setChecked(False)
        self._last_view = None
        self.canvas.clear("Loading the network …")
        self._playback = Playback(name, live=is_live(name))
        self._engine = ViewEngine(self.engine_settings, self.view_settings)
        # A bridge of its own for each source: what an older one still says reaches nobody.
        self._bridge = Bridge()
        self._bridge.result.connect(self._show)
        self._bridge.ended.connect(self._ended)
        self._bridge.state.connect(self._tell_state)
        self._playback.on_state = self._bridge.state.emit
        self._pipeline = LivePipeline(
            self._playback,
            self._engine,
            on_result=self._bridge.result.emit,
            on_end=self._bridge.ended.emit,
            close=self._playback.close,
        )
        self._pipeline.start()
        shown = shown_name(name)
        self.setWindowTitle(f"{shown if is_live(name) else Path(shown).name} – SWAHR Live")

    def close_source(self) -> None:
        """Stop what is shown and wait until its threads have ended."""
        if self._pipeline is None:
            return
        self._bridge.result.disconnect()
        self._bridge.ended.disconnect()
        self._bridge.state.disconnect()
        if not self._pipeline.stop(STOP_SECONDS):
            self.banner.tell("What was shown before does not stop yet; if it never does, close the program.")
        self._pipeline = self._playback = self._engine = None

    def _show(self) -> None:
        shot = self._pipeline.take() if self._pipeline is not None else None
        if shot is None:
            return
        view: View = shot.result
        self.canvas.show_picture(view.picture, view.people)
        self._last_view = view
        if view.note and view.note != self._last_note:
            self.banner.tell(view.note)
        self._last_note = view.note

    def _tell_state(self, state: str, sentence: str) -> None:
        if state == "lost":
            self.banner.tell(sentence)
        else:
            self.banner.hide()

    def _ended(self, error: BaseException | None) -> None:
        if error is None:
            return
        self.tell_error(error)
        self.canvas.clear(WELCOME)

    def tell_error(self, error: BaseException) -> None:
        """Say in the banner what went wrong; the window goes on."""
        if isinstance(error, SwahrError):
            self.banner.tell(str(error))
        else:
            self.banner.tell(
                f"This is a bug of swahr ({type(error).__name__}: {error}). Open the source again; if it comes back, "
                "report it."
            )

    # -- actions and controls --------------------------------------------------------------------------------

    def _actions(self) -> None:
        """Menus; every action has a key."""
        self._last_view: View | None = None
        self._last_note = ""
        file, show, play, help_ = (self.menuBar().addMenu(name) for name in ("&File", "&Show", "&Play", "&Help"))
        self._add(file, "&Open …", "Ctrl+O", self._choose_file)
        self._add(file, "Open an &address …", "Ctrl+L", self._choose_address)
        self._add(file, "&Demonstration", "Ctrl+D", lambda: self.open("demo:?seconds=30"))
        self._add(file, "&Close the source", "Ctrl+W", self._clear)
        self._add(file, "&Quit", "Ctrl+Q", self.close)
        canvas = self.canvas
        self.show_skeletons = self._add(show, "&Skeletons", "S", self._flag(canvas, "show_skeletons"), True)
        self.show_boxes = self._add(show, "&Boxes and scores", "B", self._flag(canvas, "show_boxes"), False)
        self.show_rings = self._add(show, "&Uncertainty (σ)", "U", self._rings, False)
        self.overlays: dict[Overlay, QAction] = {
            "scale": self._add(show, "Scale &map (1/s)", "M", self._overlay("scale"), False),
            "heatmap": self._add(show, "&Heatmap", "H", self._overlay("heatmap"), False),
            "tags": self._add(show, "&Tags", "T", self._overlay("tags"), False),
        }
        self._add(show, "&Full screen", "F11", self._full_screen, False)
        self.pause = self._add(play, "&Pause", "Space", self._pause, False)
        self._add(help_, "&Keys", "F1", self._tell_keys)
        for action, hint in (
            (self.show_rings, "A ring around each keypoint as wide as its σ, which the scale branch predicts"),
            (self.overlays["scale"], "The predicted 1/s over the picture, averaged over the keypoints (Figure 5)"),
            (self.overlays["heatmap"], "The highest of all keypoints' heatmaps"),
            (self.overlays["tags"], "The tag (associative embedding) of the likeliest keypoint: alike within a person"),
        ):
            action.setToolTip(hint)
            action.setStatusTip(hint)

    def _add(self, menu, text, key, call, checked=None) -> QAction:
        action = QAction(text, self, shortcut=QKeySequence(key))
        if checked is None:
            action.triggered.connect(lambda: call())
        else:
            action.setCheckable(True)
            action.setChecked(checked)
            action.toggled.connect(call)
        menu.addAction(action)
        return action

    def _controls(self) -> None:
        bar = QToolBar("Controls", objectName="controls", movable=False)
        self.addToolBar(bar)
        for action in (self.pause, self.show_skeletons, self.show_boxes, self.show_rings, *self.overlays.values()):
            bar.addAction(action)
        bar.addSeparator()
        self._threshold_label = QLabel(" Threshold: the model's own ")
        self.threshold = QSlider(Qt.Orientation.Horizontal, minimum=0, maximum=100, value=0)
        self.threshold.setToolTip("A keypoint's least heatmap value (detection threshold); 0: the model's own")
        self.threshold.setFixedWidth(180)
        self.threshold.valueChanged.connect(self._set_threshold)
        bar.addWidget(self._threshold_label)
        bar.addWidget(self.threshold)

    @staticmethod
    def _flag(target: object, name: str):
        return lambda on: setattr(target, name, on)

    def _rings(self, on: bool) -> None:
        self.canvas.show_rings = on
        self._view(sigmas=on)

    def _overlay(self, which: Overlay) -> Callable[[bool], None]:
        def toggle(on: bool) -> None:
            if on:  # one at a time
                for other, action in self.overlays.items():
                    if other != which:
                        action.setChecked(False)
                self._view(overlay=which)
            elif self.view_settings.overlay == which:
                self._view(overlay="")

        return toggle

    def _set_threshold(self, percent: int) -> None:
        self._threshold_label.setText(
            f" Threshold: {percent / 100:.2f} " if percent else " Threshold: the model's own "
        )
        self._view(threshold=percent / 100 if percent else None)

    def _view(self, **changes: object) -> None:
        self.view_settings = replace(self.view_settings, **changes)
        if self._engine is not None:
            self._engine.view = self.view_settings

    def _pause(self, on: bool) -> None:
        if self._playback is not None:
            (self._playback.pause if on else self._playback.resume)()

    def _full_screen(self, on: bool) -> None:
        (self.showFullScreen if on else self.showNormal)()

    def _choose_file(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Open a video or a picture")
        if name:
            self.open(name)

    def _choose_address(self) -> None:
        name, given = QInputDialog.getText(self, "Open", "camera:0, or the address of a stream (rtsp://, http://)")
        if given and name.strip():
            self.open(name.strip())

    def _clear(self) -> None:
        self.close_source()
        self.canvas.clear(WELCOME)
        self.setWindowTitle("SWAHR Live")

    def _tell_keys(self) -> None:
        keys = [
            f"{action.shortcut().toString():>8}   {action.text().replace('&', '')}"
            for action in self.findChildren(QAction)
            if not action.shortcut().isEmpty()
        ]
        box = QMessageBox(QMessageBox.Icon.NoIcon, "Keys", "", QMessageBox.StandardButton.Close, self)
        box.setText("<pre>" + "\n".join(keys) + "</pre>")
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()

    def _tell_figures(self) -> None:
        if self._pipeline is not None and self._pipeline.state == "running":
            self._figures.setText(status_line(self._pipeline.stats, self._last_view))
        else:
            self._figures.clear()

    # -- Qt's own --------------------------------------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        url = event.mimeData().urls()[0]
        self.open(url.toLocalFile() if url.isLocalFile() else url.toString())

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        self.hide()
        self.close_source()
        settings = QSettings()
        settings.setValue("version", SETTINGS_VERSION)
        settings.setValue("geometry", self.saveGeometry())
        super().closeEvent(event)

    def _restore(self) -> None:
        settings = QSettings()
        if settings.value("version", 0, int) == SETTINGS_VERSION and settings.value("geometry") is not None:
            self.restoreGeometry(settings.value("geometry"))
