"""The one place where the window says what went wrong."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QToolButton, QWidget

_STYLE = """
Banner { background: #7a2b20; }
QLabel { color: white; }
QPushButton, QToolButton {
    color: white; background: #96382b; border: 1px solid #c26a5c; border-radius: 4px; padding: 3px 10px;
}
QPushButton:hover, QToolButton:hover { background: #ab4536; }
QPushButton:focus, QToolButton:focus { border-color: white; }
"""


class Banner(QWidget):
    """One line about what went wrong and what to do, until it is closed; with a button for what can be done here."""

    def __init__(self) -> None:
        super().__init__()
        self.label = QLabel(wordWrap=True)
        self.label.setTextFormat(Qt.TextFormat.PlainText)
        self.button = QPushButton()
        self.button.clicked.connect(self._act)
        close = QToolButton(text="✕", toolTip="Close this message")
        close.setAccessibleName("Close this message")
        close.clicked.connect(self.hide)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 6, 6, 6)
        row.addWidget(self.label, 1)
        row.addWidget(self.button)
        row.addWidget(close)
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setStyleSheet(_STYLE)
        self._call: Callable[[], object] | None = None
        self.hide()

    def tell(self, sentence: str, button: str = "", call: Callable[[], object] | None = None) -> None:
        """Show a sentence; button: what can be done about it, by `call`."""
        self.label.setText(sentence)
        self._call = call
        self.button.setText(button)
        self.button.setVisible(call is not None)
        self.show()

    def _act(self) -> None:
        self.hide()
        if self._call is not None:
            self._call()
