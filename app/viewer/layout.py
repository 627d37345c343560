"""What the window consists of, and where it stands; what it does is in `app.viewer.window`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtGui import QActionGroup
from PyQt6.QtWidgets import (
    QApplication,
    QDockWidget,
    QLabel,
    QMainWindow,
    QScrollArea,
    QSizePolicy,
    QStackedWidget,
    QToolBar,
    QVBoxLayout,
    QWidget,
)

from app.viewer.actions import build_actions, has_a_use_for
from app.viewer.banner import Banner
from app.viewer.canvas import Canvas
from app.viewer.controls import Controls
from app.viewer.preferences import Preferences, window_state
from app.viewer.progress import Progress
from app.viewer.stage_chart import StageChart
from app.viewer.start_page import StartPage
from app.viewer.theme import CHOICES, Choice
from app.viewer.transport import Transport
from engine.models import bundled_models

_TOOLBAR = (
    ("open", "camera"),
    ("skeletons", "boxes", "rings"),
    ("scale", "heatmap", "tags"),
    ("snapshot", "record", "export"),
    ("panel",),
)


class Layout(QMainWindow):
    """The window's parts. canvas, banner, transport, start_page, controls, chart, progress: widgets; figures,
    engine_label: texts in the status bar; panel: the dock on the right; acts: by name, the actions.
    """

    canvas: Canvas
    acts: Mapping[str, object]

    def build(self, calls: Mapping[str, Callable[..., object]], preferences: Preferences) -> None:
        """Make the parts. calls: by action, what it does."""
        self.setWindowTitle("SWAHR Live")
        self.resize(1280, 760)
        self.setAcceptDrops(True)
        self.acts = build_actions(self, calls)
        self.banner, self.progress = Banner(), Progress()
        self.transport, self.start_page = Transport(self.acts), StartPage(self.acts)
        self._build_middle()
        self._build_bars()
        self._build_panel(preferences)
        geometry, state = window_state()
        self.restoreGeometry(geometry)
        self.restoreState(state)
        self._tell_panel()
        self._tell_full_screen()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ShortcutOverride and has_a_use_for(QApplication.focusWidget(), event):
            event.accept()
            return True
        return super().event(event)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        if event.type() == QEvent.Type.WindowStateChange and hasattr(self, "acts"):
            self._tell_full_screen()
        super().changeEvent(event)

    def _tell_full_screen(self) -> None:
        action = self.acts["full_screen"]
        action.blockSignals(True)
        action.setChecked(self.isFullScreen())  # it may be as it was the last time, or the system's doing
        action.blockSignals(False)

    def _build_middle(self) -> None:
        picture, middle = QWidget(), QWidget()
        column, around = QVBoxLayout(picture), QVBoxLayout(middle)
        for layout in (column, around):
            layout.setContentsMargins(0, 0, 0, 0)
            layout.setSpacing(0)
        self.canvas.setMinimumSize(160, 90)
        column.addWidget(self.canvas, 1)
        column.addWidget(self.transport)
        self._stack = QStackedWidget()
        self._stack.addWidget(self.start_page)
        self._stack.addWidget(picture)
        around.addWidget(self.banner)
        around.addWidget(self._stack, 1)
        self.setCentralWidget(middle)

    def show_picture_page(self, on: bool) -> None:
        """The canvas, or else the page at the start."""
        self._stack.setCurrentIndex(int(on))

    def _build_bars(self) -> None:
        bar = QToolBar("Tools", objectName="tools", movable=False)
        bar.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        for index, names in enumerate(_TOOLBAR):
            if index:
                bar.addSeparator()
            bar.addActions([self.acts[name] for name in names])
        self.setContextMenuPolicy(
            Qt.ContextMenuPolicy.NoContextMenu
        )  # it would hide the toolbar, and not bring it back
        self.addToolBar(bar)
        self.figures, self.engine_label = QLabel(), QLabel()
        self.figures.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)  # a long text may be cut
        self.statusBar().addWidget(self.figures, 1)
        self.statusBar().addPermanentWidget(self.progress)
        self.statusBar().addPermanentWidget(self.engine_label)

    def _build_panel(self, preferences: Preferences) -> None:
        self.controls = Controls(preferences.grouping, preferences.style, preferences.engine, list(bundled_models()))
        self.chart = StageChart()
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.addWidget(self.controls)
        column.addWidget(self.chart)
        column.addStretch(1)
        area = QScrollArea(widgetResizable=True, frameShape=QScrollArea.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inside)
        area.setMinimumWidth(inside.minimumSizeHint().width() + area.verticalScrollBar().sizeHint().width())
        self.panel = QDockWidget("Panel", self, objectName="panel")
        self.panel.setWidget(area)
        self.panel.setAllowedAreas(Qt.DockWidgetArea.LeftDockWidgetArea | Qt.DockWidgetArea.RightDockWidgetArea)
        self.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.panel)
        self.panel.visibilityChanged.connect(self._tell_panel)

    def _tell_panel(self) -> None:
        self.acts["panel"].setChecked(not self.panel.isHidden())  # it may be closed by its own button

    def add_theme_menu(self, chosen: str, choose: Callable[[Choice], object]) -> None:
        """A menu of the themes at the end of the one named Show."""
        menu = next(action.menu() for action in self.menuBar().actions() if action.text() == "&Show").addMenu("&Theme")
        group = QActionGroup(self)
        for choice in CHOICES:
            action = group.addAction(menu.addAction(choice.capitalize()))
            action.setCheckable(True)
            action.setChecked(choice == chosen)
            action.triggered.connect(lambda _=False, choice=choice: choose(choice))
