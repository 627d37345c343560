"""Both themes can be read, follow the choice at once, and icons go along."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PyQt6.QtCore import QSize, Qt
from PyQt6.QtGui import QColor, QIcon, QImage, QPalette
from PyQt6.QtWidgets import QLabel, QToolTip

from app.viewer.icons import NAMES, icon
from app.viewer.stage_chart import _COLOURS
from app.viewer.theme import CHOICES, apply_theme, palette_of

Role, Group = QPalette.ColorRole, QPalette.ColorGroup

TEXT_ON_GROUND = [
    *itertools.product([Role.WindowText, Role.Link, Role.LinkVisited, Role.PlaceholderText], [Role.Window]),
    *itertools.product(
        [Role.Text, Role.Link, Role.LinkVisited, Role.PlaceholderText, Role.BrightText], [Role.Base, Role.AlternateBase]
    ),
    (Role.ButtonText, Role.Button),
    (Role.ButtonText, Role.Window),  # on the toolbar
    (Role.BrightText, Role.Button),
    (Role.HighlightedText, Role.Highlight),
    (Role.ToolTipText, Role.ToolTipBase),
]


@pytest.fixture
def themed(qapp):
    """The application, given back as it was."""
    palette, tip, sheet = qapp.palette(), QToolTip.palette(), qapp.styleSheet()
    yield qapp
    qapp.setStyleSheet(sheet)
    qapp.setPalette(palette)
    QToolTip.setPalette(tip)


def luminance(colour: QColor) -> float:
    parts = np.array(colour.getRgbF()[:3])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(first: QColor, second: QColor) -> float:
    """1 to 21, as WCAG 2.2 defines it."""
    darker, lighter = sorted((luminance(first), luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def drawn(one: QIcon, mode=QIcon.Mode.Normal, size: int = 48) -> np.ndarray:
    """[size, size, 4]: RGB and alpha."""
    image = one.pixmap(QSize(size, size), mode).toImage().convertToFormat(QImage.Format.Format_RGBA8888)
    values = np.frombuffer(image.constBits().asstring(image.sizeInBytes()), np.uint8)
    return values.reshape(image.height(), image.width(), 4).astype(int)


def ink(one: QIcon, mode=QIcon.Mode.Normal) -> QColor:
    """The colour of what is opaque."""
    pixels = drawn(one, mode)
    opaque = pixels[pixels[..., 3] == 255]
    assert len(opaque) > 20
    return QColor(*np.median(opaque, axis=0).astype(int)[:3].tolist())


def lightness(application) -> float:
    return luminance(application.palette().color(Role.Window))


@pytest.mark.parametrize("dark", [True, False])
def test_text_can_be_read_on_its_ground(dark):
    palette = palette_of(dark)
    for text, ground in TEXT_ON_GROUND:
        for group, least in ((Group.Active, 4.5), (Group.Inactive, 4.5), (Group.Disabled, 3.0)):
            found = contrast(palette.color(group, text), palette.color(group, ground))
            assert found >= least, (text, ground, group, found)


@pytest.mark.parametrize("dark", [True, False])
def test_accents_are_told_from_their_ground(dark):
    palette = palette_of(dark)
    for role, ground in itertools.product((Role.Accent, Role.Highlight), (Role.Window, Role.Base)):
        assert contrast(palette.color(role), palette.color(ground)) >= 3
    for colour in _COLOURS:
        assert contrast(colour, palette.color(Role.Window)) >= 3


@pytest.mark.parametrize("dark", [True, False])
def test_what_is_disabled_is_paler(dark):
    palette = palette_of(dark)
    for text, ground in ((Role.WindowText, Role.Window), (Role.Text, Role.Base), (Role.ButtonText, Role.Button)):
        enabled, disabled = (
            contrast(palette.color(group, text), palette.color(group, ground))
            for group in (Group.Active, Group.Disabled)
        )
        assert disabled < 0.6 * enabled


def test_a_choice_takes_effect_at_once(themed, qtbot):
    label = QLabel("Text")
    qtbot.addWidget(label)
    label.ensurePolished()
    for choice in ("dark", "light", "dark"):
        apply_theme(themed, choice)
        for palette in (themed.palette(), label.palette()):
            assert (luminance(palette.color(Role.Window)) < 0.5) == (choice == "dark")
        pixel = label.grab().toImage().pixelColor(0, 0)
        assert abs(luminance(pixel) - lightness(themed)) < 0.01
        assert QToolTip.palette().color(Role.ToolTipBase) == themed.palette().color(Role.ToolTipBase)


def test_only_system_follows_the_system(themed):
    def the_system_becomes(scheme: Qt.ColorScheme) -> bool:
        themed.styleHints().colorSchemeChanged.emit(scheme)
        return lightness(themed) < 0.5

    for choice, followed in (("system", True), ("dark", False), ("system", True), ("light", False)):
        apply_theme(themed, choice)
        light, dark = the_system_becomes(Qt.ColorScheme.Light), the_system_becomes(Qt.ColorScheme.Dark)
        assert (light, dark) == ((False, True) if followed else (choice == "dark",) * 2)


def test_a_system_that_does_not_tell_is_dark(themed):
    apply_theme(themed, "system")
    themed.styleHints().colorSchemeChanged.emit(Qt.ColorScheme.Unknown)
    assert lightness(themed) < 0.5


def test_a_change_of_the_system_is_followed_once(themed, monkeypatch):
    for choice in CHOICES * 3:
        apply_theme(themed, choice)
    shown = []
    monkeypatch.setattr("app.viewer.theme._show", lambda application, scheme: shown.append(scheme))
    themed.styleHints().colorSchemeChanged.emit(Qt.ColorScheme.Light)
    assert shown == [Qt.ColorScheme.Light]


def test_every_name_has_an_icon_of_its_own(themed):
    shapes = {}
    for name in NAMES:
        shape = drawn(icon(name))[..., 3]
        assert 0.03 < (shape > 127).mean() < 0.7, name
        edges = np.concatenate([shape[0], shape[-1], shape[:, 0], shape[:, -1]])
        assert not edges.any(), name  # nothing is cut off
        assert shape.tobytes() not in shapes, name
        shapes[shape.tobytes()] = name
    with pytest.raises(KeyError):
        icon("nothing of this name")


def test_an_icon_in_use_changes_with_the_theme(themed):
    play, record = icon("play"), icon("record")
    copies = []
    for dark in (True, False):
        apply_theme(themed, "dark" if dark else "light")
        palette = themed.palette()
        copies.append(QIcon(play))
        for one in (play, *copies):
            assert ink(one) == palette.color(Role.ButtonText)
            assert ink(one, QIcon.Mode.Disabled) == palette.color(Group.Disabled, Role.ButtonText)
            assert ink(one, QIcon.Mode.Selected) == palette.color(Role.HighlightedText)
        assert ink(record).red() > 1.5 * max(ink(record).green(), ink(record).blue())
        assert contrast(ink(record), palette.color(Role.Window)) >= 3
        assert ink(record, QIcon.Mode.Disabled) == palette.color(Group.Disabled, Role.ButtonText)


def test_icons_are_as_sharp_as_the_screen(themed):
    pixmap = icon("settings").pixmap(QSize(24, 24), 2.0)
    assert (pixmap.width(), pixmap.devicePixelRatio()) == (48, 2)
    assert (drawn(icon("settings"), size=96)[..., 3] > 127).mean() == pytest.approx(
        (drawn(icon("settings"), size=24)[..., 3] > 127).mean(), abs=0.05
    )
