"""``swahr view``: the application around the window."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from app.engine_settings import EngineSettings, GroupingChoice
from engine.errors import SwahrError

if TYPE_CHECKING:
    from PyQt6.QtCore import QtMsgType

NO_DISPLAY = "There is no display to show a window on; use swahr process SOURCE to write a video instead."
_TICK_MILLISECONDS = 200  # how soon Ctrl-C in the terminal is noticed
_OF_OPENCV = ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_QPA_FONTDIR")  # its own Qt's, which ours must not take for its own


def view(
    source: str | None = None,
    engine: EngineSettings = EngineSettings(),
    grouping: GroupingChoice = GroupingChoice(),
) -> int:
    """Show the window until it is closed; the exit code. Raises SwahrError where there is no display.

    engine, grouping: where something other than the defaults is asked for, it takes the place of what the window
    remembers.
    """
    _check_display()
    import cv2  # noqa: F401  (sets the variables that are removed next)

    for name in _OF_OPENCV:
        os.environ.pop(name, None)
    from PyQt6.QtCore import QTimer, qInstallMessageHandler
    from PyQt6.QtWidgets import QApplication

    from app.viewer.preferences import load_preferences
    from app.viewer.theme import apply_theme
    from app.viewer.window import Window

    qInstallMessageHandler(_hear_qt)
    application = QApplication(sys.argv[:1])
    application.setApplicationName("SWAHR Live")
    application.setOrganizationName("swahr-live")
    preferences = load_preferences()
    if engine != EngineSettings():
        preferences = replace(preferences, engine=engine)
    if grouping != GroupingChoice():
        preferences = replace(preferences, grouping=grouping)
    apply_theme(application, preferences.theme)
    window = Window(source, preferences)
    sys.excepthook = lambda kind, error, traceback: window.tell_error(error)  # without a hook Qt ends the program
    threading.excepthook = lambda arguments: window.failed_elsewhere.emit(arguments.exc_value)
    window.show()
    signal.signal(signal.SIGINT, lambda *_: window.close())
    tick = QTimer(interval=_TICK_MILLISECONDS)  # Python sees signals when it runs, which Qt's own loop never lets it
    tick.timeout.connect(lambda: None)
    tick.start()
    code = application.exec()
    if any(thread.daemon for thread in threading.enumerate()):
        # One is in the middle of compiling, which cannot be interrupted and ends badly while the program is taken down.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _hear_qt(kind: QtMsgType, context: object, text: str) -> None:
    """What Qt says of its own accord is for developers, until it gives up, which it does where a display is dead."""
    logging.getLogger("qt").debug(text)
    if kind.name == "QtFatalMsg":
        print(f"Error: {NO_DISPLAY}", file=sys.stderr, flush=True)
        os._exit(2)


def _check_display() -> None:
    named = os.environ.get("QT_QPA_PLATFORM")
    at_hand = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not named and not at_hand:
        raise SwahrError(NO_DISPLAY)
