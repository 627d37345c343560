"""The one place where the window says what went wrong."""

from __future__ import annotations

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QToolButton, QWidget


class Banner(QWidget):
    """One line about what went wrong and what to do, until it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.label = QLabel(wordWrap=True)
        close = QToolButton(text="✕", toolTip="Close this message")
        close.clicked.connect(self.hide)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 6, 6, 6)
        row.addWidget(self.label, 1)
        row.addWidget(close)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setStyleSheet("background: #7a2b20; color: white;")
        self.hide()

    def tell(self, sentence: str) -> None:
        """Show a sentence."""
        self.label.setText(sentence)
        self.show()
