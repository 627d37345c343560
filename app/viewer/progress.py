"""What takes long, in the status bar: what it is, that it goes on, and a way to stop it."""

from __future__ import annotations

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QWidget


class Progress(QWidget):
    """Shown while something is being done. cancelled: the user wants no more of it."""

    cancelled = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self._label = QLabel()
        bar = QProgressBar(minimum=0, maximum=0, textVisible=False)
        bar.setFixedWidth(90)
        self._button = QPushButton("Cancel")
        self._button.clicked.connect(self.cancelled)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        for widget in (self._label, bar, self._button):
            row.addWidget(widget)
        self.hide()

    def tell(self, doing: str) -> None:
        """What is being done; "" for nothing."""
        self._label.setText(doing)
        self.setVisible(bool(doing))
