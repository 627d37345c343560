"""Every action of the window: its menu, its key, its picture and what it is for. All of them are on the key sheet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QAction, QKeyEvent, QKeySequence
from PyQt6.QtWidgets import QAbstractButton, QAbstractSlider, QAbstractSpinBox, QComboBox, QMainWindow, QWidget

from app.viewer.icons import icon


@dataclass(frozen=True)
class Entry:
    """One action. keys: the first is the one that is shown. short: for the toolbar. toggles: on or off.

    repeats: while its key is held.
    """

    name: str
    text: str
    keys: tuple[str, ...]
    icon: str = ""
    short: str = ""
    hint: str = ""
    toggles: bool = False
    repeats: bool = False


SEPARATOR = Entry("", "", ())
MENUS: dict[str, tuple[Entry, ...]] = {
    "&File": (
        Entry("open", "&Open a video or picture …", ("Ctrl+O",), "open", "Open"),
        Entry("open_folder", "Open a &folder of pictures …", ("Ctrl+Shift+O",), "folder"),
        Entry("camera", "Open a &camera …", ("Ctrl+K",), "camera", "Camera"),
        Entry("address", "Open an &address …", ("Ctrl+L",), "link", hint="A stream: rtsp://, http://"),
        Entry("paste", "&Paste a file or address", ("Ctrl+V",)),
        Entry("demo", "&Demonstration", ("Ctrl+D",), "demo", hint="Synthetic people; no file is needed"),
        SEPARATOR,
        Entry("snapshot", "&Snapshot", ("P",), "snapshot", "Snapshot", "Save this picture, with its people as JSON"),
        Entry("record", "&Record", ("R",), "record", "Record", "Record what is shown, with its poses", toggles=True),
        Entry("export", "&Export …", ("Ctrl+E",), "export", "Export", "Process whole videos with these settings"),
        Entry("folder", "Folder for s&napshots and recordings …", ()),
        SEPARATOR,
        Entry("close_source", "C&lose the source", ("Ctrl+W",), "close"),
        Entry("quit", "&Quit", ("Ctrl+Q",)),
    ),
    "&Show": (
        Entry("skeletons", "&Skeletons", ("S",), "skeleton", "Skeletons", toggles=True),
        Entry("boxes", "&Boxes, numbers and scores", ("B",), "box", "Boxes", toggles=True),
        Entry(
            "rings",
            "&Uncertainty (σ)",
            ("U",),
            "rings",
            "Uncertainty",
            "A ring around each keypoint as wide as its σ, which the scale branch predicts: σ₀·√s",
            toggles=True,
        ),
        Entry(
            "smooth",
            "S&mooth over time",
            ("J",),
            hint="Calm each keypoint's jitter, as far as its σ explains it (One-Euro filter)",
            toggles=True,
        ),
        SEPARATOR,
        Entry(
            "scale",
            "Scale &map (1/s)",
            ("M",),
            "scale_map",
            "Scale map",
            "The predicted 1/s over the picture (the paper's Figure 5): redder where people are smaller",
            toggles=True,
        ),
        Entry(
            "heatmap",
            "&Heatmap",
            ("H",),
            "heatmap",
            "Heatmap",
            "How likely a keypoint is at each place",
            toggles=True,
        ),
        Entry(
            "tags",
            "&Tags",
            ("T",),
            "tags",
            "Tags",
            "The tag (associative embedding) of the likeliest keypoint: alike within a person",
            toggles=True,
        ),
        Entry("next_keypoint", "Map of the next &keypoint", ("K",), repeats=True),
        Entry("previous_keypoint", "Map of the keypoint before", ("Shift+K",), repeats=True),
        SEPARATOR,
        Entry("next_person", "&Point at the next person", ("N",), repeats=True),
        Entry("zoom_in", "Zoom &in", ("Ctrl++", "Ctrl+="), repeats=True),
        Entry("zoom_out", "Zoom &out", ("Ctrl+-",), repeats=True),
        Entry("fit", "&Fit the picture", ("Ctrl+0",)),
        SEPARATOR,
        Entry("panel", "P&anel", ("F9",), "settings", "Panel", toggles=True),
        Entry("full_screen", "Full s&creen", ("F11",), "full_screen", toggles=True),
    ),
    "&Play": (
        Entry("pause", "&Pause", ("Space",), "pause", toggles=True),
        Entry("step_back", "One frame &back", (",",), "step_back", repeats=True),
        Entry("step_forward", "One frame &forward", (".",), "step_forward", repeats=True),
        Entry("back", "Five seconds b&ack", ("Left",), repeats=True),
        Entry("forward", "Five seconds f&orward", ("Right",), repeats=True),
        Entry("slower", "&Slower", ("[",), repeats=True),
        Entry("faster", "F&aster", ("]",), repeats=True),
        Entry("loop", "&Loop", ("L",), "loop", hint="Begin again at the end", toggles=True),
    ),
    "&Help": (
        Entry("keys", "&Keys", ("F1",), "help"),
        Entry("about", "&About SWAHR Live", ()),
    ),
}
OVERLAYS = ("scale", "heatmap", "tags")


def build_actions(window: QMainWindow, calls: Mapping[str, Callable[..., object]]) -> dict[str, QAction]:
    """Make all actions and the window's menus. calls: what each does; those that toggle are called with on or off."""
    actions = {}
    for title, entries in MENUS.items():
        menu = window.menuBar().addMenu(title)
        menu.setToolTipsVisible(True)
        for entry in entries:
            if entry is SEPARATOR:
                menu.addSeparator()
                continue
            action = actions[entry.name] = QAction(entry.text, window, checkable=entry.toggles)
            action.setShortcuts([QKeySequence(key) for key in entry.keys])
            action.setAutoRepeat(entry.repeats)
            action.setIconText(entry.short or entry.text.replace("&", ""))
            if entry.icon:
                action.setIcon(icon(entry.icon))
            _describe(action, entry)
            if entry.toggles:
                action.toggled.connect(calls[entry.name])
            else:
                action.triggered.connect(lambda _=False, call=calls[entry.name]: call())
            menu.addAction(action)
            window.addAction(action)  # so that its key also works while the menus are hidden
    return actions


def _describe(action: QAction, entry: Entry) -> None:
    said = entry.hint or entry.text.replace("&", "").removesuffix(" …")
    keys = f" ({action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)})" if entry.keys else ""
    action.setToolTip(f"{said}{keys}")
    action.setStatusTip(said)


def key_sheet() -> dict[str, list[tuple[str, str]]]:
    """By menu, each key and what it does."""
    return {
        title.replace("&", ""): [
            (entry.keys[0], entry.text.replace("&", "").removesuffix(" …")) for entry in entries if entry.keys
        ]
        for title, entries in MENUS.items()
    }


_MOVING = (
    Qt.Key.Key_Left,
    Qt.Key.Key_Right,
    Qt.Key.Key_Up,
    Qt.Key.Key_Down,
    Qt.Key.Key_PageUp,
    Qt.Key.Key_PageDown,
    Qt.Key.Key_Home,
    Qt.Key.Key_End,
)


def has_a_use_for(widget: QWidget | None, event: QKeyEvent) -> bool:
    """Whether a widget with the focus is to get a key although an action has it: Space presses, arrows move."""
    if event.modifiers():
        return False
    if event.key() == Qt.Key.Key_Space:
        return isinstance(widget, (QAbstractButton, QComboBox))
    return event.key() in _MOVING and isinstance(widget, (QAbstractSlider, QAbstractSpinBox, QComboBox))
