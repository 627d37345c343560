"""The ways to name a source: dialogs, the clipboard, what is dropped."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import QMimeData
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtWidgets import QFileDialog, QWidget

from app.viewer.dialogs import AddressDialog, CameraDialog


class Opening:
    """Asks for a source over a window and hands its name on."""

    def __init__(self, window: QWidget, open_source: Callable[[str], object]) -> None:
        self._window, self._open = window, open_source

    def file(self) -> None:
        """A video or a picture."""
        self._open_named(QFileDialog.getOpenFileName(self._window, "Open a video or a picture")[0])

    def folder(self) -> None:
        """A folder of pictures."""
        self._open_named(QFileDialog.getExistingDirectory(self._window, "Open a folder of pictures"))

    def camera(self) -> None:
        """A camera, with resolution and rate."""
        self._ask(CameraDialog(self._window))

    def address(self, address: str = "") -> None:
        """The address of a stream. address: what stands there at first."""
        self._ask(AddressDialog(self._window, address))

    def paste(self) -> None:
        """What the clipboard names."""
        if name := named_by(QGuiApplication.clipboard().mimeData()):
            self._open(name)

    def _ask(self, dialog: CameraDialog | AddressDialog) -> None:
        dialog.accepted.connect(lambda: self._open_named(dialog.name))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _open_named(self, name: str) -> None:
        if name:
            self._open(name)


def named_by(data: QMimeData) -> str:
    """The first file, folder or address that was dropped or copied; "" if there is none."""
    if data.hasUrls():
        url = data.urls()[0]
        return url.toLocalFile() if url.isLocalFile() else url.toString()
    lines = data.text().strip().splitlines() if data.hasText() else []
    return lines[0].strip().strip('"') if lines else ""
