"""The command in a process of its own: it shows, and Ctrl-C ends it at any moment without a word."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

CODE = """
import sys
from PyQt6.QtCore import QSettings
QSettings.setDefaultFormat(QSettings.Format.IniFormat)
QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, sys.argv[1])
import app.viewer.window as module

class Window(module.Window):
    def showEvent(self, event):
        super().showEvent(event)
        print("visible", "torch" in sys.modules, flush=True)

    def _painted(self, seconds):
        print("people", flush=True) if self._unpainted is not None else None
        super()._painted(seconds)

module.Window = Window
from app.cli import main
sys.exit(main(["view", "demo:?size=160x96&people=1&seconds=60"]))
"""


@pytest.fixture
def started(tmp_path):
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, str(tmp_path)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


def interrupted(process) -> str:
    """What was said after Ctrl-C."""
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    return said


def test_the_window_shows_before_torch_is_imported_and_ctrl_c_ends_it_while_it_loads(started):
    assert started.stdout.readline() == "visible False\n"
    time.sleep(0.3)
    assert interrupted(started) == ""


@pytest.mark.slow
def test_ctrl_c_ends_it_while_it_shows_people(started):
    assert started.stdout.readline().startswith("visible")
    assert started.stdout.readline() == "people\n"
    assert interrupted(started) == ""
