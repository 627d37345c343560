"""The window's icons: glyphs of a font, in the colours of the theme."""

from __future__ import annotations

from fonticon_mdi7 import MDI7
from PyQt6.QtCore import QPoint, QRect, QSize, Qt
from PyQt6.QtGui import QColor, QGuiApplication, QIcon, QIconEngine, QPainter, QPalette, QPixmap
from superqt import fonticon

_GLYPHS = {
    "open": MDI7.folder_open_outline,
    "camera": MDI7.webcam,
    "link": MDI7.link_variant,
    "play": MDI7.play,
    "pause": MDI7.pause,
    "step_back": MDI7.step_backward,
    "step_forward": MDI7.step_forward,
    "loop": MDI7.repeat,
    "record": MDI7.record,
    "snapshot": MDI7.camera_outline,
    "export": MDI7.file_export_outline,
    "skeleton": MDI7.human_handsup,
    "box": MDI7.crop_square,
    "rings": MDI7.bullseye,
    "scale_map": MDI7.human_male_height_variant,
    "heatmap": MDI7.blur,
    "tags": MDI7.tag_multiple_outline,
    "settings": MDI7.cog_outline,
    "full_screen": MDI7.fullscreen,
    "help": MDI7.help_circle_outline,
    "close": MDI7.close,
    "folder": MDI7.folder_outline,
    "demo": MDI7.presentation_play,
}
NAMES = tuple(_GLYPHS)

_RED = QColor("#e5484d")  # reads on dark and on light ground
_OWN_COLOUR = {"record": _RED}


def icon(name: str) -> QIcon:
    """The icon of a name in `NAMES`, paler where it is disabled.

    Its colour is the text's in the application's palette at the time it is drawn, so icons in use follow the theme.
    Raises KeyError for another name.
    """
    return QIcon(_GlyphEngine(_GLYPHS[name], _OWN_COLOUR.get(name)))


class _GlyphEngine(QIconEngine):
    """Draws a glyph anew at each size; own_colour: instead of the text's, unless disabled."""

    def __init__(self, glyph: str, own_colour: QColor | None) -> None:
        super().__init__()
        self._glyph, self._own_colour = glyph, own_colour

    def clone(self) -> QIconEngine:
        return _GlyphEngine(self._glyph, self._own_colour)

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        painter.save()
        painter.setPen(self._colour(mode))
        painter.setFont(fonticon.font(self._glyph, min(rect.width(), rect.height())))
        painter.drawText(rect, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextDontClip, self._glyph.split(".")[1])
        painter.restore()

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        pixmap = QPixmap(size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        self.paint(painter, QRect(QPoint(0, 0), size), mode, state)
        painter.end()
        return pixmap

    def _colour(self, mode: QIcon.Mode) -> QColor:
        palette = QGuiApplication.palette()
        if mode == QIcon.Mode.Disabled:
            return palette.color(QPalette.ColorGroup.Disabled, QPalette.ColorRole.ButtonText)
        if self._own_colour is not None:
            return self._own_colour
        selected = mode == QIcon.Mode.Selected
        role = QPalette.ColorRole.HighlightedText if selected else QPalette.ColorRole.ButtonText
        return palette.color(QPalette.ColorGroup.Active, role)
