"""One opened source in the window: its player, its pipeline, and the bridge from their threads into the window's."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

from PyQt6.QtCore import QObject, pyqtSignal

from app.live import LivePipeline, LiveStats, Shot
from app.playback import Playback
from app.sources import Frame
from app.sources.live_names import is_live, shown_name
from app.viewer.engine import View, ViewEngine

STOP_SECONDS = 2.0  # how long a source may take to end before the next one is opened beside it


class Session(QObject):
    """Shows a source from `start` on until `stop`. All signals arrive in the window's thread.

    name: as the user gave it; only `shown_name` and `title` may be shown. live: a camera or a stream.
    result: `take` has something. changed: the player's state changed by itself. told: a live source was lost
    (True) or came back, and the sentence about it. ended: the pipeline ended by itself, with an error or None.
    stopped: after `stop`, when the threads have ended or did not within STOP_SECONDS; with whether the engine is free
    for another source. gone: when all threads have ended, however long that took.
    """

    result = pyqtSignal()
    changed = pyqtSignal()
    told = pyqtSignal(bool, str)
    ended = pyqtSignal(object)
    stopped = pyqtSignal(bool)
    gone = pyqtSignal()

    def __init__(self, name: str, engine: ViewEngine, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.name, self.live = name, is_live(name)
        self.shown_name = shown_name(name)
        self.title = self.shown_name if "://" in name or name.startswith("demo:") else Path(name).name
        self.playback = Playback(name, live=self.live)
        self.playback.on_state = lambda state, sentence: self.told.emit(state == "lost", sentence)
        self.playback.on_change = self.changed.emit
        self._pipeline: LivePipeline[Frame, View] = LivePipeline(
            self.playback,
            engine,
            on_result=self.result.emit,
            on_end=self.ended.emit,
            close=self.playback.close,
        )
        self._stopping: Thread | None = None

    def start(self) -> None:
        """Open the source, on a thread of its own."""
        self._pipeline.start()

    @property
    def stats(self) -> LiveStats:
        """See `LivePipeline.stats`."""
        return self._pipeline.stats

    def take(self) -> Shot[Frame, View] | None:
        """The newest result that was not shown yet, or None."""
        return self._pipeline.take()

    def refresh(self) -> None:
        """Infer the last frame again where no newer one comes: something was changed."""
        self._pipeline.refresh()

    def stop(self) -> None:
        """End without waiting; what else is still told until `stopped` is, is of no interest any more.

        Nothing is disconnected: the threads may be telling something at this moment.
        """
        if self._stopping is None:
            self._stopping = Thread(target=self._stop, name="stop source", daemon=True)
            self._stopping.start()

    def _stop(self) -> None:
        ended = self._pipeline.stop(STOP_SECONDS)
        self.stopped.emit(not self._pipeline.inferring)
        if not ended:
            self._pipeline.stop()
        self.gone.emit()

    def wait(self) -> None:
        """After `stop`, wait until the threads have ended, at most about STOP_SECONDS."""
        self._stopping.join(STOP_SECONDS)
