"""What the window shows while nothing is open: the ways to open something, and what was open lately."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QAction, QFont
from PyQt6.QtWidgets import QGridLayout, QLabel, QListWidget, QListWidgetItem, QToolButton, QVBoxLayout, QWidget

_BUTTONS = {"open": "Video or picture", "camera": "Camera", "address": "Stream", "demo": "Demonstration"}


class StartPage(QWidget):
    """Buttons for `actions` and a list of recent sources. chosen: one of those, by name."""

    chosen = pyqtSignal(str)

    def __init__(self, actions: Mapping[str, QAction]) -> None:
        super().__init__()
        title = QLabel("SWAHR Live")
        font = QFont(self.font())
        font.setPointSizeF(2.2 * font.pointSizeF())
        font.setWeight(QFont.Weight.DemiBold)
        title.setFont(font)
        hint = QLabel("The skeleton of everybody in a video, live, and how sure it is of each point.")
        buttons = QGridLayout()
        buttons.setSpacing(10)
        for column, (name, text) in enumerate(_BUTTONS.items()):
            buttons.addWidget(self._button(actions[name], text), 0, column)
        self._recent_label = QLabel("Opened lately")
        self.recent = QListWidget(spacing=3)
        self.recent.setAccessibleName("Sources opened lately")
        self.recent.itemActivated.connect(lambda item: self.chosen.emit(item.data(Qt.ItemDataRole.UserRole)))
        self.recent.itemClicked.connect(lambda item: self.chosen.emit(item.data(Qt.ItemDataRole.UserRole)))
        drop = QLabel("Or drop a file or a folder here, or paste an address. F1 shows all keys.")
        column = QVBoxLayout()
        column.setSpacing(12)
        for widget in (title, hint):
            column.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addSpacing(8)
        column.addLayout(buttons)
        column.addWidget(drop, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addSpacing(8)
        column.addWidget(self._recent_label)
        column.addWidget(self.recent)
        middle = QWidget(maximumWidth=680)
        middle.setLayout(column)
        around = QVBoxLayout(self)
        around.addStretch(1)
        around.addWidget(middle, 0, Qt.AlignmentFlag.AlignHCenter)
        around.addStretch(2)

    @staticmethod
    def _button(action: QAction, text: str) -> QToolButton:
        button = QToolButton(text=text, toolTip=action.toolTip(), focusPolicy=Qt.FocusPolicy.StrongFocus)
        button.setIcon(action.icon())
        action.changed.connect(lambda: button.setIcon(action.icon()))
        button.setIconSize(button.iconSize() * 1.8)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        button.setMinimumSize(150, 92)
        button.clicked.connect(action.trigger)
        return button

    def show_recent(self, names: Sequence[str]) -> None:
        """The names of recent sources, the newest first."""
        self.recent.clear()
        for name in names:
            item = QListWidgetItem(name)
            item.setData(Qt.ItemDataRole.UserRole, name)
            item.setToolTip(name)
            self.recent.addItem(item)
        row = self.recent.sizeHintForRow(0) + 2 * self.recent.spacing()
        self.recent.setFixedHeight(row * len(names) + 2 * self.recent.frameWidth() + 4)
        self.recent.setVisible(bool(names))
        self._recent_label.setVisible(bool(names))
