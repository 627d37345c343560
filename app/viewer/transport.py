"""The bar under the picture: play, step, where it is in time, how fast."""

from __future__ import annotations

from collections.abc import Mapping

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtGui import QAction
from PyQt6.QtWidgets import QComboBox, QHBoxLayout, QToolButton, QWidget

from app.viewer.timeline import Timeline

SPEEDS = (0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 4.0)


class Transport(QWidget):
    """Play, step, seek, speed and loop, of recorded sources; of live ones only a pause.

    sought: seconds. speed_changed: 1 is as recorded. duration: of the source, in seconds, or None.
    """

    sought = pyqtSignal(float)
    speed_changed = pyqtSignal(float)

    def __init__(self, actions: Mapping[str, QAction]) -> None:
        super().__init__()
        self.duration: float | None = None
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 4, 8, 4)
        row.setSpacing(4)
        for name in ("step_back", "pause", "step_forward"):
            row.addWidget(self._button(actions[name]))
        self.timeline = Timeline()
        self.timeline.sought.connect(self.sought)
        self.speed = QComboBox(toolTip="How fast it is played ([ and ])")
        self.speed.setAccessibleName("Speed")
        for speed in SPEEDS:
            self.speed.addItem(f"{speed:g} ×", speed)
        self.speed.setCurrentIndex(SPEEDS.index(1.0))
        self.speed.currentIndexChanged.connect(lambda index: self.speed_changed.emit(SPEEDS[index]))
        row.addWidget(self.timeline, 1)
        row.addWidget(self.speed)
        loop = self._button(actions["loop"])
        row.addWidget(loop)
        self._only_recorded = [self.timeline, self.speed, loop]

    @staticmethod
    def _button(action: QAction) -> QToolButton:
        button = QToolButton(autoRaise=True, focusPolicy=Qt.FocusPolicy.TabFocus)
        button.setDefaultAction(action)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)
        return button

    def show_source(self, duration: float | None) -> None:
        """Another source, of so many seconds; None: it has no end, or no time."""
        for widget in self._only_recorded:
            widget.setVisible(duration is not None)
        self.timeline.set_duration(duration)
        self.duration = duration

    def change_speed(self, steps: int) -> None:
        """Faster or slower by so many steps."""
        self.speed.setCurrentIndex(max(0, min(len(SPEEDS) - 1, self.speed.currentIndex() + steps)))
