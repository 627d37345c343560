"""The window: a source on the canvas, people on it at once, and what matters one key away."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PyQt6.QtCore import Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent
from PyQt6.QtWidgets import QApplication, QFileDialog, QMessageBox

from app.engine_settings import EngineSettings, GroupingChoice
from app.live import Shot
from app.map_overlay import MapStyle
from app.overlay import OverlayStyle
from app.sources import Frame
from app.sources.live_names import is_live
from app.viewer.actions import OVERLAYS
from app.viewer.canvas import ZOOM_STEP, Canvas
from app.viewer.dialogs import KeySheet
from app.viewer.engine import Overlay, View, ViewSettings
from app.viewer.errors import error_sentence
from app.viewer.export import ExportDialog
from app.viewer.figures import status_line
from app.viewer.icons import icon
from app.viewer.layout import Layout
from app.viewer.opening import Opening, named_by
from app.viewer.player import Player
from app.viewer.preferences import Preferences, load_preferences, save_preferences
from app.viewer.saving import Saving
from app.viewer.session import Session
from app.viewer.theme import Choice, apply_theme

STATUS_MILLISECONDS = 500
MESSAGE_MILLISECONDS = 10_000
SKIP_SECONDS = 5.0
STILL_BUSY = "What was open before is still compiling or does not answer; it ends by itself, or with the program."
ABOUT = """<h3>SWAHR Live</h3><p>The skeleton of everybody in a video, live, and how sure it is of each point.</p>
<p>An implementation of <i>Rethinking the Heatmap Regression for Bottom-up Human Pose Estimation</i> by Z. Luo, Z. Wang,
Y. Huang, L. Wang, T. Tan and E. Zhou, CVPR 2021.</p><p>Apache License 2.0</p>"""


class Window(Layout):
    """The viewer. source: what to open at once, if anything. preferences: None for what the window remembers.

    failed_elsewhere: tells an error of a thread that nobody looks after.
    """

    failed_elsewhere = pyqtSignal(object)

    def __init__(self, source: str | None = None, preferences: Preferences | None = None) -> None:
        super().__init__()
        self.preferences = preferences = preferences or load_preferences()
        self.canvas = Canvas()
        view = ViewSettings(
            preferences.grouping, sigmas=preferences.rings, smooth=preferences.smooth, style=preferences.style
        )
        self.player = Player(preferences.engine, view, preferences.loop)
        self.saving = Saving()
        self._unpainted: Shot[Frame, View] | None = None
        self._latency = 0.0
        self._note = ""
        self._lost = False  # a live source, which the banner says
        self._exports: list[ExportDialog] = []
        self.opening = Opening(self, self.open)
        self.build(self._calls(), preferences)
        self.add_theme_menu(preferences.theme, self._set_theme)
        self._connect()
        for name in ("skeletons", "boxes", "rings", "smooth", "loop"):
            self.acts[name].setChecked(getattr(preferences, name))
        self.canvas.show_skeletons = preferences.skeletons  # no change, where it is off, but not as a canvas begins
        self._timer = QTimer(self, interval=STATUS_MILLISECONDS)
        self._timer.timeout.connect(self._tell_figures)
        self._timer.start()
        self._closed()
        QTimer.singleShot(0, lambda: self._begin(source))

    def _begin(self, source: str | None) -> None:
        self.player.engine.begin()
        self._engine_changed()
        if source is not None:
            self.open(source)

    def _calls(self) -> dict[str, Callable[..., object]]:
        """By action, what it does."""
        canvas, player, opening = self.canvas, self.player, self.opening
        return {
            "open": opening.file,
            "open_folder": opening.folder,
            "camera": opening.camera,
            "address": opening.address,
            "paste": opening.paste,
            "demo": lambda: self.open("demo:?seconds=30"),
            "snapshot": self._snapshot,
            "record": self._record,
            "export": self._export,
            "folder": self._choose_folder,
            "close_source": self.close_source,
            "quit": self.close,
            "skeletons": lambda on: setattr(canvas, "show_skeletons", on),
            "boxes": lambda on: setattr(canvas, "show_boxes", on),
            "rings": self._rings,
            "smooth": self._smooth,
            **{name: self._overlay(name) for name in OVERLAYS},
            "next_keypoint": lambda: self.controls.next_keypoint(1),
            "previous_keypoint": lambda: self.controls.next_keypoint(-1),
            "next_person": canvas.point_at_next,
            "zoom_in": lambda: canvas.zoom_by(ZOOM_STEP),
            "zoom_out": lambda: canvas.zoom_by(1 / ZOOM_STEP),
            "fit": canvas.fit,
            "panel": lambda on: self.panel.setVisible(on),
            "full_screen": self._full_screen,
            "pause": self._pause,
            "step_back": lambda: self._step(-1),
            "step_forward": lambda: self._step(1),
            "back": lambda: player.skip(-SKIP_SECONDS),
            "forward": lambda: player.skip(SKIP_SECONDS),
            "slower": lambda: self.transport.change_speed(-1),
            "faster": lambda: self.transport.change_speed(1),
            "loop": self._set_loop,
            "keys": lambda: KeySheet(self).open(),
            "about": self._about,
        }

    def _connect(self) -> None:
        player = self.player
        player.waiting.connect(self._waiting)
        player.opened.connect(self._opened)
        player.closed.connect(self._closed)
        player.shown.connect(self._show)
        player.changed.connect(self._playback_changed)
        player.told.connect(self._tell_lost)
        player.ended.connect(self._ended)
        player.late.connect(lambda: self.banner.tell(STILL_BUSY))
        player.engine_changed.connect(self._engine_changed)
        player.engine_failed.connect(self.banner.tell)
        self.transport.sought.connect(player.seek)
        self.transport.speed_changed.connect(player.set_speed)
        self.start_page.chosen.connect(self.open_recent)
        self.canvas.painted.connect(self._painted)
        self.progress.cancelled.connect(self._cancel)
        self.failed_elsewhere.connect(self.tell_error)
        self.controls.grouping_changed.connect(self._set_grouping)
        self.controls.map_changed.connect(self._set_map)
        self.controls.engine_changed.connect(self._set_engine)
        self.saving.told.connect(lambda sentence: self.statusBar().showMessage(sentence, MESSAGE_MILLISECONDS))
        self.saving.failed.connect(self.banner.tell)
        self.saving.recording_changed.connect(self.acts["record"].setChecked)

    # -- sources -----------------------------------------------------------------------------------------------------

    def open(self, name: str) -> None:
        """Show a source, as `app.sources.open_source` takes it."""
        self.banner.hide()
        self.player.open(name)

    def open_recent(self, name: str) -> None:
        """Open what was open before; an address that had a password is asked for again."""
        if "***" in name:
            self.opening.address(name)
        else:
            self.open(name)

    def close_source(self) -> None:
        """Go back to the page at the start."""
        self.player.close()

    def _remember(self, name: str) -> None:
        """Only what could be opened is kept: what else was typed may have been anything."""
        if not is_live(name) and Path(name).exists():
            name = str(Path(name).absolute())  # the next start may be in another folder
        self.preferences = self.preferences.with_recent(name)

    def _waiting(self, name: str) -> None:
        self.show_picture_page(True)
        self.canvas.clear("Closing what was open before …")

    def _opened(self, session: Session) -> None:
        self.setWindowTitle(f"{session.title} – SWAHR Live")
        self.show_picture_page(True)
        self.canvas.clear(f"Opening {session.title} …")
        self.chart.clear()
        self.transport.timeline.clear()
        self.transport.show_source(None)
        self.acts["pause"].setChecked(False)
        self._note = ""
        self._able()
        self.canvas.setFocus()

    def _closed(self) -> None:
        self.saving.stop()
        self._unpainted = None
        self.setWindowTitle("SWAHR Live")
        self.show_picture_page(False)
        self.start_page.show_recent(self.preferences.recent)
        if self._lost:
            self.banner.hide()
            self._lost = False
        self._able()
        self._tell_figures()

    def _able(self) -> None:
        """What needs a source, a picture or a timeline can be done where there is one."""
        session = self.player.session
        can = {
            ("close_source",): session is not None,
            ("pause", "snapshot", "record", "next_person", "zoom_in", "zoom_out", "fit"): self.player.last is not None,
            ("step_back", "step_forward", "back", "forward", "slower", "faster", "loop"): (
                session is not None and session.playback.has_timeline
            ),
        }
        for names, on in can.items():
            for name in names:
                self.acts[name].setEnabled(on)

    def _ended(self, error: BaseException | None) -> None:
        if error is not None:
            name = self.player.session.name
            for overlay in OVERLAYS:  # which may be what failed
                self.acts[overlay].setChecked(False)
            self.player.close()
            self.banner.tell(error_sentence(error), "Open it again", lambda: self.open(name))

    def _tell_lost(self, lost: bool, sentence: str) -> None:
        if lost:
            self.banner.tell(sentence)
        elif self._lost:
            self.banner.hide()
        self._lost = lost

    # -- what is shown -----------------------------------------------------------------------------------------------

    def _show(self, shot: Shot[Frame, View]) -> None:
        session, view = self.player.session, shot.result
        if not self.acts["snapshot"].isEnabled():  # the first picture
            self._remember(session.name)
            self._able()
        self.canvas.show_picture(view.picture, view.people, view.legend)
        self._unpainted = shot
        position = session.playback.position_of(view.frame)
        if position is not None:
            self.transport.timeline.set_position(position)
            self.transport.timeline.add(position, len(view.people))
        self.saving.add(view, self._style())
        self.controls.show_own(view.found_by.own_options)
        self.controls.show_keypoints(view.people.skeleton.names)
        if view.note and view.note != self._note:
            self.banner.tell(view.note)
        self._note = view.note

    def _painted(self, seconds: float) -> None:
        shot, self._unpainted = self._unpainted, None
        session = self.player.session
        if shot is None or session is None or shot.refreshed:
            return  # an older picture was painted again, or looked at again
        self._latency = time.perf_counter() - shot.captured
        capture = session.playback.capture_seconds
        self.chart.add({"capture": capture, **shot.result.seconds, "draw": seconds})

    def _playback_changed(self) -> None:
        session = self.player.session
        if session is None:
            return
        playback = session.playback
        if playback.duration != self.transport.duration:
            self.transport.show_source(playback.duration)
        self.acts["pause"].setChecked(playback.paused)
        self._able()

    def _tell_figures(self) -> None:
        session = self.player.session
        shown = None if session is None or self.player.last is None else self.player.last.result
        said = []
        if session is not None:
            said = [status_line(session.stats, shown, self._latency, session.playback.paused), self.saving.recorded]
        self.figures.setText("   ".join(filter(None, said)))
        self.engine_label.setText("" if shown is None else shown.engine)

    def tell_error(self, error: BaseException) -> None:
        """Say in the banner what went wrong; the window goes on."""
        self.banner.tell(error_sentence(error))

    # -- controls ----------------------------------------------------------------------------------------------------

    def _rings(self, on: bool) -> None:
        self.canvas.show_rings = on
        self.player.set_view(sigmas=on)

    def _smooth(self, on: bool) -> None:
        self.preferences = replace(self.preferences, smooth=on)
        self.player.set_view(smooth=on)

    def _overlay(self, which: Overlay) -> Callable[[bool], None]:
        def toggle(on: bool) -> None:
            if on:  # one at a time
                self.player.set_view(overlay=which)
                for other in OVERLAYS:
                    if other != which:
                        self.acts[other].setChecked(False)
            elif self.player.engine.view.overlay == which:
                self.player.set_view(overlay="")

        return toggle

    def _set_grouping(self, grouping: GroupingChoice) -> None:
        self.preferences = replace(self.preferences, grouping=grouping)
        self.player.set_view(grouping=grouping)

    def _set_map(self, keypoint: int | None, style: MapStyle) -> None:
        self.preferences = replace(self.preferences, style=style)
        self.player.set_view(keypoint=keypoint, style=style)

    def _set_engine(self, engine: EngineSettings) -> None:
        self.player.set_engine(engine)
        self._engine_changed()

    def _engine_changed(self) -> None:
        engine = self.player.engine
        self.preferences = replace(self.preferences, engine=engine.engine)
        self.controls.show_engine(engine.engine)
        self.controls.show_devices(engine.devices)
        self.progress.tell(engine.doing)

    def _cancel(self) -> None:
        if self.player.last is None:  # nothing goes on without it
            self.player.close()
        if self.player.engine.preparing:
            for name in (*OVERLAYS, "rings"):
                self.acts[name].setChecked(False)
        self.player.engine.cancel()

    def _pause(self, on: bool) -> None:
        self.player.pause(on)
        self.acts["pause"].setIcon(icon("play" if on else "pause"))

    def _step(self, frames: int) -> None:
        self.acts["pause"].setChecked(True)
        self.player.step(frames)

    def _set_loop(self, on: bool) -> None:
        self.preferences = replace(self.preferences, loop=on)
        self.player.set_loop(on)

    # -- what is kept ------------------------------------------------------------------------------------------------

    def _style(self) -> OverlayStyle:
        return OverlayStyle(self.canvas.show_boxes, skeletons=self.canvas.show_skeletons, rings=self.canvas.show_rings)

    def _snapshot(self) -> None:
        session, last = self.player.session, self.player.last
        if last is not None:
            self.saving.snapshot(session.playback.info, last.result, self._style(), self.preferences.folder)

    def _record(self, on: bool) -> None:
        session, last = self.player.session, self.player.last
        if on == self.saving.recording:
            return
        if on and last is not None:
            rate = session.stats.shown_rate
            self.saving.record(session.playback.info, last.result, rate, self.preferences.folder)
        else:
            self.saving.stop()
            self.acts["record"].setChecked(False)

    def _choose_folder(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Where snapshots and recordings go", self.preferences.folder)
        if name:
            self.preferences = replace(self.preferences, folder=name)

    def _export(self) -> None:
        session = self.player.session
        files = [] if session is None or session.live else [session.name]
        dialog = ExportDialog(self, self.preferences.engine, self.preferences.grouping, files)
        dialog.closed.connect(lambda: self._exports.remove(dialog))
        self._exports.append(dialog)
        dialog.show()

    # -- the window itself -------------------------------------------------------------------------------------------

    def _full_screen(self, on: bool) -> None:
        (self.showFullScreen if on else self.showNormal)()

    def _set_theme(self, theme: Choice) -> None:
        self.preferences = replace(self.preferences, theme=theme)
        apply_theme(QApplication.instance(), theme)

    def _about(self) -> None:
        box = QMessageBox(QMessageBox.Icon.NoIcon, "About SWAHR Live", ABOUT, QMessageBox.StandardButton.Close, self)
        box.setTextFormat(Qt.TextFormat.RichText)
        box.finished.connect(box.deleteLater)
        box.open()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        if event.mimeData().hasUrls() or event.mimeData().hasText():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        if name := named_by(event.mimeData()):
            self.open(name)

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        shown = {name: self.acts[name].isChecked() for name in ("skeletons", "boxes", "rings")}
        save_preferences(replace(self.preferences, **shown), self.saveGeometry(), self.saveState())
        self.hide()
        self.saving.stop()
        for dialog in self._exports:
            dialog.finish()
        self.player.finish()
        self.saving.finish()
        super().closeEvent(event)
