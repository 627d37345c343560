"""The small dialogs: which camera, which address, all keys."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QGridLayout,
    QLabel,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from app.sources.live_names import cameras
from app.viewer.actions import key_sheet

_AS_IT_LIKES = "As the camera likes"
CAMERA_SIZES = ("640x480", "1280x720", "1920x1080", "2560x1440", "3840x2160")
CAMERA_RATES = ("15", "25", "30", "50", "60")
UNKNOWN_CAMERAS = 4  # how many are offered where the system does not list them


class CameraDialog(QDialog):
    """Which camera, at what resolution and rate. name: as `app.sources.open_source` takes it."""

    def __init__(self, parent: QWidget | None = None, found: Sequence[tuple[int, str]] | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Open a camera")
        found = cameras() if found is None else found
        self.camera, self.resolution, self.rate = QComboBox(), QComboBox(), QComboBox()
        for index, name in found or [(index, "") for index in range(UNKNOWN_CAMERAS)]:
            self.camera.addItem(f"{index}: {name}" if name else f"Camera {index}", index)
        self.resolution.addItems([_AS_IT_LIKES, *(size.replace("x", " × ") for size in CAMERA_SIZES)])
        self.rate.addItems([_AS_IT_LIKES, *(f"{rate} frames/s" for rate in CAMERA_RATES)])
        form = QFormLayout(self)
        form.addRow("&Camera", self.camera)
        form.addRow("&Resolution", self.resolution)
        form.addRow("R&ate", self.rate)
        if not found:
            note = QLabel("This system names no cameras; a number without a camera says so when it is opened.")
            note.setWordWrap(True)
            form.addRow(note)
        form.addRow(_buttons(self, "Open"))

    @property
    def name(self) -> str:
        options = []
        if self.resolution.currentIndex() > 0:
            options.append(f"size={CAMERA_SIZES[self.resolution.currentIndex() - 1]}")
        if self.rate.currentIndex() > 0:
            options.append(f"fps={CAMERA_RATES[self.rate.currentIndex() - 1]}")
        return f"camera:{self.camera.currentData()}" + ("?" + "&".join(options) if options else "")


class AddressDialog(QDialog):
    """The address of a stream, which may hold a password: it is shown as typed, here and nowhere else."""

    def __init__(self, parent: QWidget | None = None, address: str = "") -> None:
        super().__init__(parent)
        self.setWindowTitle("Open an address")
        self.address = QLineEdit(address, placeholderText="rtsp://host/path, https://host/stream, camera:0")
        self.address.setMinimumWidth(420)
        column = QVBoxLayout(self)
        label = QLabel("&Address of a stream; a password in it is neither shown elsewhere nor kept.")
        label.setBuddy(self.address)
        column.addWidget(label)
        column.addWidget(self.address)
        column.addWidget(_buttons(self, "Open"))

    @property
    def name(self) -> str:
        """What was typed."""
        return self.address.text().strip()


class KeySheet(QDialog):
    """All keys, by menu."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys")
        grid = QGridLayout(self)
        grid.setHorizontalSpacing(32)
        sheet = key_sheet()
        sheet["Picture"] = [
            ("Wheel", "Zoom around the cursor"),
            ("Drag, Shift+arrows", "Move the enlarged picture"),
            ("Double click", "Fit the picture"),
            ("Hover", "Who it is, and which keypoint"),
        ]
        columns = [["File"], ["Show"], ["Play", "Help", "Picture"]]
        for column, menus in enumerate(columns):
            rows = "".join(f"<tr><td colspan=2><b>{menu}</b></td></tr>" + _rows(sheet[menu]) for menu in menus)
            grid.addWidget(QLabel(f"<table cellspacing=4>{rows}</table>"), 0, column, Qt.AlignmentFlag.AlignTop)
        close = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        close.rejected.connect(self.reject)
        grid.addWidget(close, 1, 0, 1, len(columns))


def _rows(keys: Sequence[tuple[str, str]]) -> str:
    return "".join(f"<tr><td><code>{key}</code>&nbsp;&nbsp;</td><td>{what}</td></tr>" for key, what in keys)


def _buttons(dialog: QDialog, accept: str) -> QDialogButtonBox:
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
    buttons.addButton(accept, QDialogButtonBox.ButtonRole.AcceptRole)
    buttons.accepted.connect(dialog.accept)
    buttons.rejected.connect(dialog.reject)
    return buttons
