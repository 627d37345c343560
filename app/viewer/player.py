"""What is open in the window and what finds people in it: one source after another, one engine for all of them."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import Any

from PyQt6.QtCore import QObject, pyqtSignal

from app.engine_settings import EngineSettings
from app.live import Shot
from app.sources import Frame
from app.viewer.engine import View, ViewEngine, ViewSettings
from app.viewer.session import Session

_SKIPS_ADD_UP_SECONDS = 0.5


class _EngineBridge(QObject):
    """Brings what the engine's threads say into the window's thread."""

    changed = pyqtSignal()
    failed = pyqtSignal(str)


class Player(QObject):
    """Opens and closes sources without making anybody wait; all signals arrive in the window's thread.

    waiting: the name of a source that is opened when the one before has ended. opened: a Session, of which nothing is
    shown yet. shown: a Shot, newer than the last. closed: nothing is open.
    changed: the session's playback changed by itself. told: a live source was lost (True) or came back. ended: with
    the error that ended the source, or None. late: a source does not stop. engine_changed: what runs, or what is being
    loaded, is another. engine_failed: why what was wanted cannot be.
    """

    waiting = pyqtSignal(str)
    opened = pyqtSignal(object)
    shown = pyqtSignal(object)
    closed = pyqtSignal()
    changed = pyqtSignal()
    told = pyqtSignal(bool, str)
    ended = pyqtSignal(object)
    late = pyqtSignal()
    engine_changed = pyqtSignal()
    engine_failed = pyqtSignal(str)

    def __init__(self, engine: EngineSettings, view: ViewSettings, loop: bool = True) -> None:
        super().__init__()
        self.session: Session | None = None
        self.last: Shot[Frame, View] | None = None
        self.speed, self.loop = 1.0, loop
        self._closing: Session | None = None
        self._waiting: str | None = None
        self._target: tuple[float, float] | None = None  # of the last skip: the place, and until when it counts
        self._bridge = _EngineBridge()
        self._bridge.changed.connect(self._engine_ready)
        self._bridge.failed.connect(self.engine_failed)
        self.engine = self._new_engine(engine, view)

    def _new_engine(self, engine: EngineSettings, view: ViewSettings) -> ViewEngine:
        bridge = self._bridge
        return ViewEngine(engine, view, on_change=bridge.changed.emit, on_failure=bridge.failed.emit)

    # -- sources -----------------------------------------------------------------------------------------------------

    def open(self, name: str) -> None:
        """Show a source, as `app.sources.open_source` takes it, once the one before has ended."""
        self.close()
        if self._closing is not None:
            self._waiting = name
            self.waiting.emit(name)
            return
        self._target = None
        self.engine.enter()
        session = self.session = Session(name, self.engine, self)
        session.playback.speed, session.playback.loop = self.speed, self.loop
        session.result.connect(self._take)
        session.changed.connect(lambda: self._pass_on(session, self.changed))
        session.told.connect(lambda lost, sentence: self._pass_on(session, self.told, lost, sentence))
        session.ended.connect(lambda error: self._pass_on(session, self.ended, error))
        self.opened.emit(session)
        session.start()

    def close(self) -> None:
        """Stop what is shown; its threads end by themselves."""
        self._waiting = None
        if self.session is None:
            return
        self._closing, self.session, self.last = self.session, None, None
        self.engine.leave()
        self._closing.stopped.connect(self._stopped)
        self._closing.gone.connect(self._closing.deleteLater)
        self._closing.stop()
        self.closed.emit()

    def _pass_on(self, session: Session, signal: Any, *told: object) -> None:
        if session is self.session:
            signal.emit(*told)

    def _stopped(self, free: bool) -> None:
        self._closing = None
        if not free:
            self.engine = self._new_engine(self.engine.engine, self.engine.view)
            self.late.emit()
        if self._waiting is not None:
            self.open(self._waiting)

    def finish(self) -> None:
        """Close, and wait until that is done."""
        self.close()
        if self._closing is not None:
            self._closing.wait()

    def _take(self) -> None:
        shot = None if self.session is None else self.session.take()
        if shot is None:
            return
        playback = self.session.playback
        if self.last is None:  # what passed while the network was loaded is not to be missed
            (playback.resume if playback.ended else partial(playback.seek, 0.0))()
        self.last = shot
        self.shown.emit(shot)

    # -- time --------------------------------------------------------------------------------------------------------

    def pause(self, on: bool) -> None:
        """Stop at the frame that is shown, or go on."""
        if self.session is not None:
            (self.session.playback.pause if on else self.session.playback.resume)()

    def step(self, frames: int) -> None:
        """So many frames on, or back; pauses."""
        if self.session is not None:
            self.session.playback.step(frames)

    def seek(self, seconds: float) -> None:
        """Go to a time of a recorded source."""
        if self.session is not None:
            self.session.playback.seek(seconds)

    def skip(self, seconds: float) -> None:
        """So much on, or back; several in a row add up."""
        if self.session is None or (position := self.session.playback.position) is None:
            return
        now = time.monotonic()
        pending = self._target is not None and now < self._target[1]
        target = max(0.0, (self._target[0] if pending else position) + seconds)
        self._target = target, now + _SKIPS_ADD_UP_SECONDS
        self.seek(target)

    def set_speed(self, speed: float) -> None:
        """1 is as recorded."""
        self.speed = speed
        if self.session is not None:
            self.session.playback.speed = speed

    def set_loop(self, on: bool) -> None:
        """Whether a recorded source begins again at its end."""
        self.loop = on
        if self.session is not None:
            self.session.playback.loop = on

    # -- the engine --------------------------------------------------------------------------------------------------

    def set_view(self, **changes: Any) -> None:
        """Change fields of the ViewSettings, for the frame that is shown as well."""
        self.engine.view = replace(self.engine.view, **changes)
        self._refresh()

    def set_engine(self, settings: EngineSettings) -> None:
        """Have another engine loaded; the old one goes on until it is there."""
        self.engine.engine = settings
        if self.session is None:
            self.engine.begin()
        self._refresh()

    def _engine_ready(self) -> None:
        self._refresh()
        self.engine_changed.emit()

    def _refresh(self) -> None:
        if self.session is not None:
            self.session.refresh()
