"""The dialog that processes whole files with the window's settings, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

from PyQt6.QtCore import QObject, pyqtSignal
from PyQt6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent
from PyQt6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from app.engine_settings import EngineSettings, GroupingChoice
from app.viewer.errors import error_sentence
from engine.errors import SwahrError

_DONE = "Done"


@dataclass(frozen=True)
class _Order:
    """A file of the list, with what ProcessOptions takes."""

    row: int
    source: str
    folder: str
    json: bool
    choices: dict[str, Any]


class _Exporting(QObject):
    """Processes files on a thread of its own. The first number of each signal is the file's row in the list."""

    begun = pyqtSignal(int)
    advanced = pyqtSignal(int, int, int, float)  # frames written, frames to expect or 0, frames a second
    finished = pyqtSignal(int, bool, str)
    ended = pyqtSignal()

    def __init__(self, orders: Sequence[_Order]) -> None:
        super().__init__()
        self.stopped = Event()
        self._orders = orders
        self.thread_ = Thread(target=self._run, name="export", daemon=True)

    def _run(self) -> None:
        for order in self._orders:
            if self.stopped.is_set():
                self.finished.emit(order.row, False, "Not begun.")
                continue
            self.begun.emit(order.row)
            try:
                self.finished.emit(order.row, True, self._process(order))
            except Exception as error:  # told in the list; the next file is processed
                self.finished.emit(order.row, False, error_sentence(error))
        self.ended.emit()

    def _process(self, order: _Order) -> str:
        from app.outputs import BESIDE_OUTPUT
        from app.processing.run import ProcessOptions, process

        output = Path(order.folder) if order.folder else None
        if output is not None:
            try:
                output.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise SwahrError(f"The folder {output} cannot be made ({error.strerror}); name another.") from None
        json = BESIDE_OUTPUT if order.json else None
        return process(
            ProcessOptions(source=order.source, output=output, json=json, quiet=True, **order.choices),
            lambda frames, expected, rate: self.advanced.emit(order.row, frames, expected or 0, rate),
            self.stopped,
        )


class ExportDialog(QDialog):
    """A list of files to process, and how far each is. Closing it stops what is being processed.

    engine, grouping: the settings to process with. files: what stands in the list at first. closed: it is.
    """

    closed = pyqtSignal()

    def __init__(
        self, parent: QWidget | None, engine: EngineSettings, grouping: GroupingChoice, files: Sequence[str] = ()
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Export")
        self.setAcceptDrops(True)
        self.resize(760, 420)
        self._engine, self._grouping = engine, grouping
        self._exporting: _Exporting | None = None
        self._closing = False
        self.table = QTableWidget(0, 3)
        self.table.setHorizontalHeaderLabels(["File", "Progress", ""])
        self.table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.table.verticalHeader().hide()
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
        self.table.setColumnWidth(1, 170)
        self._add, self._remove = QPushButton("&Add files …"), QPushButton("&Remove")
        self._add_folder = QPushButton("Add a fo&lder …", toolTip="A folder of pictures")
        self._add.clicked.connect(self._choose_files)
        self._add_folder.clicked.connect(self._choose_pictures)
        self._remove.clicked.connect(self._remove_selected)
        self.folder = QLineEdit(placeholderText="Beside each file", toolTip="Where the annotated copies go")
        browse = QPushButton("&Folder …")
        browse.clicked.connect(self._choose_folder)
        self.json = QCheckBox("&Poses as JSON lines", checked=True)
        self.scale_map = QCheckBox("Scale &map")
        self.boxes = QCheckBox("&Boxes")
        self.raw = QCheckBox("Ra&w", toolTip="Neither number people over time nor smooth them")
        self.overwrite = QCheckBox("Replace what &exists")
        self._switches = (self.json, self.scale_map, self.boxes, self.raw, self.overwrite)
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.start = self._buttons.addButton("&Start", QDialogButtonBox.ButtonRole.ActionRole)
        self.start.clicked.connect(self._start_or_stop)
        self._buttons.rejected.connect(self.close)
        column = QVBoxLayout(self)
        column.addWidget(QLabel(_settings_sentence(engine, grouping)))
        column.addWidget(self.table, 1)
        column.addLayout(_row(self._add, self._add_folder, self._remove, None, QLabel("To"), self.folder, browse))
        column.addLayout(_row(*self._switches, None))
        column.addWidget(self._buttons)
        for name in files:
            self.add_file(name)

    # -- the list ----------------------------------------------------------------------------------------------------

    def add_file(self, name: str) -> None:
        """One more file, folder or demo: at the end of the list."""
        row = self.table.rowCount()
        self.table.insertRow(row)
        item = QTableWidgetItem(name)
        item.setToolTip(name)
        self.table.setItem(row, 0, item)
        bar = QProgressBar(minimum=0, maximum=1, value=0, textVisible=True)
        bar.setFormat("")
        self.table.setCellWidget(row, 1, bar)
        self.table.setItem(row, 2, QTableWidgetItem("Waits"))
        self._enable()

    def _choose_files(self) -> None:
        for name in QFileDialog.getOpenFileNames(self, "Files to process")[0]:
            self.add_file(name)

    def _choose_pictures(self) -> None:
        if name := QFileDialog.getExistingDirectory(self, "A folder of pictures to process"):
            self.add_file(name)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        if event.mimeData().hasUrls() and self._exporting is None:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        for url in event.mimeData().urls():
            if url.isLocalFile():
                self.add_file(url.toLocalFile())

    def _remove_selected(self) -> None:
        for row in sorted({index.row() for index in self.table.selectedIndexes()}, reverse=True):
            self.table.removeRow(row)
        self._enable()

    def _choose_folder(self) -> None:
        if name := QFileDialog.getExistingDirectory(self, "Where the annotated copies go", self.folder.text()):
            self.folder.setText(name)

    def _enable(self) -> None:
        busy = self._exporting is not None
        for widget in (self._add, self._add_folder, self._remove, self.folder, *self._switches):
            widget.setEnabled(not busy)
        self.start.setText("&Stop" if busy else "&Start")
        self.start.setEnabled(busy or self.table.rowCount() > 0)

    # -- processing --------------------------------------------------------------------------------------------------

    def _start_or_stop(self) -> None:
        if self._exporting is not None:
            self._exporting.stopped.set()
            self.start.setEnabled(False)
            return
        rows = [row for row in range(self.table.rowCount()) if self.table.cellWidget(row, 1).format() != _DONE]
        exporting = self._exporting = _Exporting([self._order(row) for row in rows])
        exporting.begun.connect(lambda row: self.table.item(row, 2).setText("Loads the network …"))
        exporting.advanced.connect(self._advance)
        exporting.finished.connect(self._finish)
        exporting.ended.connect(self._end)
        self._enable()
        exporting.thread_.start()

    def _order(self, row: int) -> _Order:
        self.table.item(row, 2).setText("Waits")
        choices = {
            "scale_map": self.scale_map.isChecked(),
            "boxes": self.boxes.isChecked(),
            "raw": self.raw.isChecked(),
            "overwrite": self.overwrite.isChecked(),
            "engine": self._engine,
            "grouping": self._grouping,
        }
        source, folder = self.table.item(row, 0).text(), self.folder.text().strip()
        return _Order(row, source, folder, self.json.isChecked(), choices)

    def _advance(self, row: int, frames: int, expected: int, rate: float) -> None:
        bar = self.table.cellWidget(row, 1)
        bar.setRange(0, expected)
        bar.setValue(min(frames, expected))
        bar.setFormat("%p %")
        self.table.item(row, 2).setText(f"{frames} frames, {rate:.1f} a second")

    def _finish(self, row: int, done: bool, sentence: str) -> None:
        bar, item = self.table.cellWidget(row, 1), self.table.item(row, 2)
        if done:
            bar.setRange(0, 1)
            bar.setValue(1)
            bar.setFormat(_DONE)
        else:
            bar.setRange(0, max(1, bar.maximum()))
            bar.setFormat("Not done")
        item.setText(sentence)
        item.setToolTip(sentence)

    def _end(self) -> None:
        self._exporting.thread_.join()
        self._exporting = None
        self._enable()
        if self._closing:
            self.close()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        self._closing = True
        if self._exporting is None:
            event.accept()
            self.closed.emit()
            self.deleteLater()
        else:  # it closes when the file that is being processed has been closed properly
            self._exporting.stopped.set()
            self.start.setEnabled(False)
            event.ignore()

    def reject(self) -> None:
        """Escape closes it like its button does."""
        self.close()

    def finish(self) -> None:
        """Stop, and wait until that is done: the program ends."""
        if self._exporting is not None:
            self._exporting.stopped.set()
            self._exporting.thread_.join()


def _settings_sentence(engine: EngineSettings, grouping: GroupingChoice) -> str:
    """What files are processed with."""
    parts = [f"Model {Path(engine.model).name}", "its own size" if engine.size is None else f"{engine.size} px"]
    if engine.flip:
        parts.append("with the mirror image")
    for name, value in (
        ("threshold", grouping.threshold),
        ("tag threshold", grouping.tag_threshold),
        ("person threshold", grouping.person_threshold),
        ("at most", grouping.max_people),
    ):
        if value is not None:
            parts.append(f"{name} {value:g}{' people' if name == 'at most' else ''}")
    return ", ".join(parts) + f", {engine.backend} on {engine.device} in {engine.precision}."


def _row(*widgets: QWidget | None) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        if widget is None:
            row.addStretch(1)
        else:
            row.addWidget(widget, 1 if isinstance(widget, QLineEdit) else 0)
    return row
