"""The window's colours: dark, light, or as the system has it."""

from __future__ import annotations

from typing import Literal

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor, QPalette
from PyQt6.QtWidgets import QApplication, QToolTip

Choice = Literal["system", "dark", "light"]
CHOICES: tuple[Choice, ...] = ("system", "dark", "light")

_Role, _Group = QPalette.ColorRole, QPalette.ColorGroup
_CHOSEN = "theme"  # the application's property that keeps the choice

# The role of each colour, for what can be used and for what is disabled.
_DARK = {
    _Role.Window: ("#2a2a2e", "#2a2a2e"),
    _Role.WindowText: ("#e2e2e7", "#94949c"),
    _Role.Base: ("#1b1b1e", "#232327"),
    _Role.AlternateBase: ("#212125", "#232327"),
    _Role.Text: ("#e2e2e7", "#94949c"),
    _Role.PlaceholderText: ("#a2a2ab", "#94949c"),
    _Role.Button: ("#3a3a40", "#323237"),
    _Role.ButtonText: ("#e2e2e7", "#94949c"),
    _Role.BrightText: ("#ffffff", "#a0a0a8"),
    _Role.ToolTipBase: ("#3e3e45", "#3e3e45"),
    _Role.ToolTipText: ("#f0f0f4", "#b0b0b8"),
    _Role.Highlight: ("#2f76c9", "#4a4a52"),
    _Role.HighlightedText: ("#ffffff", "#b8b8c0"),
    _Role.Accent: ("#5ba8f5", "#7d7d86"),
    _Role.Link: ("#6db3f7", "#94949c"),
    _Role.LinkVisited: ("#b49cf0", "#94949c"),
}
_LIGHT = {
    _Role.Window: ("#f1f1f3", "#f1f1f3"),
    _Role.WindowText: ("#1d1d21", "#808088"),
    _Role.Base: ("#ffffff", "#f7f7f8"),
    _Role.AlternateBase: ("#f5f5f7", "#f7f7f8"),
    _Role.Text: ("#1d1d21", "#808088"),
    _Role.PlaceholderText: ("#6a6a72", "#808088"),
    _Role.Button: ("#e9e9ec", "#eeeef0"),
    _Role.ButtonText: ("#1d1d21", "#808088"),
    _Role.BrightText: ("#000000", "#6a6a72"),
    _Role.ToolTipBase: ("#2c2c31", "#2c2c31"),
    _Role.ToolTipText: ("#f4f4f6", "#a8a8b0"),
    _Role.Highlight: ("#2470cc", "#cfcfd4"),
    _Role.HighlightedText: ("#ffffff", "#5c5c64"),
    _Role.Accent: ("#1a69c4", "#84848c"),
    _Role.Link: ("#155fb3", "#808088"),
    _Role.LinkVisited: ("#6a3fb5", "#808088"),
}

_STYLE_SHEET = """
QToolTip {{ color: {tip_text}; background: {tip}; border: 1px solid {edge}; padding: 3px; }}
QToolBar {{ border: none; spacing: 3px; padding: 4px; }}
QToolBar QToolButton {{ border: 1px solid transparent; border-radius: 5px; padding: 4px; }}
QToolBar QToolButton:hover {{ background: {hover}; }}
QToolBar QToolButton:checked {{ background: {checked}; border-color: {accent}; }}
QToolBar QToolButton:pressed {{ background: {pressed}; }}
QToolBar QToolButton:focus {{ border-color: {accent}; }}
"""


def apply_theme(application: QApplication, choice: Choice) -> None:
    """Give all windows, those that are open and those to come, the chosen colours.

    "system" follows the system from now on, and is dark where the system does not tell, as what surrounds a picture
    should be.
    """
    hints = application.styleHints()
    if application.property(_CHOSEN) is None:
        hints.colorSchemeChanged.connect(lambda scheme: _show(application, scheme))
    application.setProperty(_CHOSEN, choice)
    application.setStyle("Fusion")
    if hasattr(hints, "setColorScheme"):  # since Qt 6.8: the frames of windows and the system's dialogs follow
        schemes = {"dark": Qt.ColorScheme.Dark, "light": Qt.ColorScheme.Light}
        hints.setColorScheme(schemes.get(choice, Qt.ColorScheme.Unknown))
    _show(application, hints.colorScheme())


def palette_of(dark: bool) -> QPalette:
    """The colours of the dark or the light theme."""
    colours = _DARK if dark else _LIGHT
    # The shades of edges that are not named here are derived from the two.
    palette = QPalette(QColor(colours[_Role.Button][0]), QColor(colours[_Role.Window][0]))
    for role, (enabled, disabled) in colours.items():
        for group in (_Group.Active, _Group.Inactive):
            palette.setColor(group, role, QColor(enabled))
        palette.setColor(_Group.Disabled, role, QColor(disabled))
    return palette


def _show(application: QApplication, system: Qt.ColorScheme) -> None:
    choice = application.property(_CHOSEN)
    dark = choice == "dark" or (choice == "system" and system != Qt.ColorScheme.Light)
    palette = palette_of(dark)
    application.setPalette(palette)
    QToolTip.setPalette(palette)
    application.setStyleSheet(_style_sheet(palette))


def _style_sheet(palette: QPalette) -> str:
    text, accent = palette.color(_Role.WindowText), palette.color(_Role.Accent)
    return _STYLE_SHEET.format(
        tip=palette.color(_Role.ToolTipBase).name(),
        tip_text=palette.color(_Role.ToolTipText).name(),
        accent=accent.name(),
        edge=_translucent(text, 0.25),
        hover=_translucent(text, 0.10),
        checked=_translucent(accent, 0.25),
        pressed=_translucent(text, 0.18),
    )


def _translucent(colour: QColor, opacity: float) -> str:
    return f"rgba({colour.red()}, {colour.green()}, {colour.blue()}, {opacity})"
