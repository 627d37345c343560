"""One application for all tests, and settings of its own."""

from __future__ import annotations

import os

import cv2  # noqa: F401  (sets what is removed next)
import pytest

os.environ.pop("QT_QPA_PLATFORM_PLUGIN_PATH", None)
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture(scope="session")
def application():
    from PyQt6.QtWidgets import QApplication

    return QApplication.instance() or QApplication(["tests"])


@pytest.fixture
def own_settings(tmp_path):
    """QSettings in a folder of the test's own."""
    from PyQt6.QtCore import QSettings

    QSettings.setDefaultFormat(QSettings.Format.IniFormat)
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(tmp_path))
    return tmp_path
