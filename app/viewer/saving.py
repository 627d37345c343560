"""What the window saves of what it shows: single pictures, and recordings with their poses. Nobody waits for a disk."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING

from PyQt6.QtCore import QCoreApplication, QObject, QStandardPaths, pyqtSignal

from app.overlay import OverlayStyle
from app.sources import SourceInfo
from app.viewer.engine import View
from app.viewer.errors import error_sentence
from engine.errors import SwahrError

if TYPE_CHECKING:
    from app.recording import Recorder


class Saving(QObject):
    """Saves views, each on a thread of its own. told: where something was saved. failed: why it was not.

    recording_changed: whether a recording is going on; it may end by itself.
    """

    told = pyqtSignal(str)
    failed = pyqtSignal(str)
    recording_changed = pyqtSignal(bool)
    _begun = pyqtSignal(int, object)
    _broken = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__()
        self._recorder: Recorder | None = None
        self._wanted = False  # a recording, which may not have begun yet
        self._beginning = Lock()
        self._number = 0  # of the recording that is wanted
        self._threads: list[Thread] = []
        self._begun.connect(self._recording_begun)
        self._broken.connect(self._recording_broke)

    @property
    def recording(self) -> bool:
        """Whether a recording is going on, or about to begin."""
        return self._wanted

    @property
    def recorded(self) -> str:
        """How long the recording is, in words; "" while there is none."""
        recorder = self._recorder
        if recorder is None:
            return ""
        dropped = f", {recorder.dropped} dropped" if recorder.dropped else ""
        return f"recording {recorder.seconds:.0f} s{dropped}"

    def snapshot(self, info: SourceInfo, view: View, style: OverlayStyle, folder: str) -> None:
        """Save a view as PNG with its people as JSON, in a folder or, with "", where the system keeps pictures."""

        def save() -> None:
            from app.recording import default_path
            from app.sinks.json_lines import header
            from app.snapshot import save_snapshot

            path = default_path(
                _folder(folder, QStandardPaths.StandardLocation.PicturesLocation), info, datetime.now(), ".png", ".json"
            )
            picture = picture_of(view, style)()
            first_line = header(info, view.found_by, view.settings.smooth)
            self.told.emit(save_snapshot(path, picture, view.frame, view.people, first_line))

        self._on_a_thread(save, "snapshot")

    def record(self, info: SourceInfo, view: View, rate: float, folder: str) -> None:
        """Record what `add` gets from now on, in a folder or, with "", where the system keeps films."""
        self._number += 1
        number = self._number

        def begin() -> None:
            from app.recording import Recorder, default_path
            from app.sinks.json_lines import header

            first_line = partial(header, info, view.found_by, view.settings.smooth)
            place = QStandardPaths.StandardLocation.MoviesLocation
            recorder = None
            try:
                with self._beginning:  # two at once would choose one name
                    path = default_path(_folder(folder, place), info, datetime.now())
                    recorder = Recorder(path, info, first_line, self._broken.emit, rate)
            finally:
                self._begun.emit(number, recorder)

        self._wanted = True
        self._on_a_thread(begin, "begin recording")
        self.recording_changed.emit(True)

    def _recording_begun(self, number: int, recorder: Recorder | None) -> None:
        current = self._wanted and number == self._number
        if recorder is not None and not current:
            self._finish(recorder)
        elif current:
            self._recorder = recorder
            self._wanted = recorder is not None
            self.recording_changed.emit(self._wanted)

    def add(self, view: View, style: OverlayStyle) -> None:
        """Record a view, if a recording is going on."""
        if self._recorder is not None:
            self._recorder.add(view.frame, picture_of(view, style), view.people)

    def stop(self) -> None:
        """End the recording, if there is one; `told` says where it is once all of it is written."""
        if self._wanted:
            self._wanted = False
            self.recording_changed.emit(False)
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            self._finish(recorder)

    def _finish(self, recorder: Recorder) -> None:
        self._on_a_thread(lambda: self._tell_end(recorder.stop(), recorder.error), "finish recording")

    def _tell_end(self, sentence: str, error: str | None) -> None:
        if error is None:  # else it was told when it happened
            self.told.emit(sentence)

    def _recording_broke(self, sentence: str) -> None:
        self.stop()
        self.failed.emit(sentence)

    def finish(self) -> None:
        """Wait until all that was begun is written."""
        alive = None
        while alive is None or alive or any(thread.is_alive() for thread in self._threads):
            alive = [thread for thread in self._threads if thread.is_alive()]
            for thread in alive:
                thread.join()
            QCoreApplication.sendPostedEvents()  # a recording that has just begun is ended as well
            self.stop()

    def _on_a_thread(self, call: Callable[[], None], name: str) -> None:
        def guarded() -> None:
            try:
                call()
            except Exception as error:
                self.failed.emit(error_sentence(error))

        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._threads.append(Thread(target=guarded, name=name, daemon=True))
        self._threads[-1].start()


def picture_of(view: View, style: OverlayStyle) -> Callable[[], object]:
    """Makes the picture of a view with what is drawn on it, when it is wanted."""
    from app.annotated import annotated

    return partial(annotated, view.frame.image, view.people, style, view.layer, view.settings.style)


def _folder(chosen: str, standard: QStandardPaths.StandardLocation) -> Path:
    folder = Path(chosen or QStandardPaths.writableLocation(standard) or Path.home())
    if not chosen:
        folder = folder / "SWAHR Live"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SwahrError(
            f"The folder {folder} cannot be made ({error.strerror}); choose another in the File menu."
        ) from None
    return folder
