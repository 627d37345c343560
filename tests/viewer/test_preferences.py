"""What the window remembers: typed, bounded, versioned, without passwords."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from PyQt6.QtCore import QByteArray, QSettings

from app.engine_settings import EngineSettings, GroupingChoice
from app.map_overlay import MapStyle
from app.viewer.preferences import MOST_RECENT, Preferences, load_preferences, save_preferences, window_state

pytestmark = pytest.mark.usefixtures("own_settings")

CHANGED = Preferences(
    recent=("a.mp4", "demo:"),
    theme="dark",
    skeletons=False,
    boxes=True,
    rings=True,
    loop=False,
    smooth=False,
    folder="/films",
    style=MapStyle(0.7, "viridis"),
    grouping=GroupingChoice(0.3, 1.5, 12),
    engine=EngineSettings("m.pth", "w32-512", 384, True, "cpu", "eager", "float32"),
)


def keep(**changes):
    """Write preferences of which some are as given."""
    save_preferences(CHANGED, QByteArray(), QByteArray())
    kept = json.loads(QSettings().value("preferences"))
    for name, value in changes.items():
        place, _, inner = name.partition("__")
        if inner:
            kept[place][inner] = value
        else:
            kept[place] = value
    QSettings().setValue("preferences", json.dumps(kept))


def test_at_the_first_start():
    assert load_preferences() == Preferences() and window_state() == (QByteArray(), QByteArray())


def test_all_of_it_comes_back():
    save_preferences(CHANGED, QByteArray(b"geometry"), QByteArray(b"state"))
    assert load_preferences() == CHANGED
    assert window_state() == (QByteArray(b"geometry"), QByteArray(b"state"))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"theme": "pink"}, {"theme": "system"}),
        ({"theme": ["dark"]}, {"theme": "system"}),
        ({"boxes": 1}, {"boxes": False}),
        ({"recent": "a.mp4"}, {"recent": ()}),
        ({"recent": [3]}, {"recent": ()}),
        ({"style": 5}, {"style": MapStyle()}),
        ({"style__opacity": 7}, {"style": MapStyle(0.5, "viridis")}),
        ({"grouping__threshold": -1}, {"grouping": GroupingChoice(None, 1.5, 12)}),
        ({"grouping__person_threshold": 2}, {}),
        ({"grouping__max_people": 2.5}, {"grouping": GroupingChoice(0.3, 1.5, None)}),
        ({"engine__size": "big"}, {"engine": replace(CHANGED.engine, size=None)}),
        ({"unknown": 1}, {}),
    ],
)
def test_what_makes_no_sense_is_as_at_the_first_start(changes, expected):
    keep(**changes)
    loaded = load_preferences()
    for name in vars(CHANGED):
        assert getattr(loaded, name) == expected.get(name, getattr(CHANGED, name)), name


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_damaged_settings(text):
    keep()
    QSettings().setValue("preferences", text)
    assert load_preferences() == Preferences()


def test_another_versions_settings_are_not_read():
    keep()
    QSettings().setValue("version", 1)
    assert load_preferences() == Preferences() and window_state() == (QByteArray(), QByteArray())


def test_recent_sources_are_few_and_without_passwords():
    preferences = Preferences()
    for number in range(20):
        preferences = preferences.with_recent(f"{number}.mp4")
    assert preferences.recent[0] == "19.mp4" and len(preferences.recent) == MOST_RECENT
    preferences = preferences.with_recent("15.mp4")
    assert preferences.recent[:2] == ("15.mp4", "19.mp4") and preferences.recent.count("15.mp4") == 1
    assert "hush" not in "".join(preferences.with_recent("rtsp://me:hush@host/1?token=hush").recent)
