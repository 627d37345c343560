"""What the window remembers from one start to the next."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from PyQt6.QtCore import QByteArray, QSettings

from app.engine_settings import EngineSettings, GroupingChoice
from app.map_overlay import COLOUR_MAPS, MapStyle
from app.sources.live_names import shown_name
from app.viewer.theme import CHOICES

VERSION = 2  # of what is kept; another version's is not read
MOST_RECENT = 8


@dataclass(frozen=True)
class Preferences:
    """The user's habits. recent: names of sources, the newest first, without passwords. folder: where snapshots and
    recordings go, "" for the system's own. theme: one of CHOICES.
    """

    recent: tuple[str, ...] = ()
    theme: str = "system"
    skeletons: bool = True
    boxes: bool = False
    rings: bool = False
    loop: bool = True
    smooth: bool = True
    folder: str = ""
    style: MapStyle = field(default_factory=MapStyle)
    grouping: GroupingChoice = field(default_factory=GroupingChoice)
    engine: EngineSettings = field(default_factory=EngineSettings)

    def with_recent(self, name: str) -> Preferences:
        """The same with one more source that was opened; a password in its name is left out."""
        shown = shown_name(name)
        if "://" in name and "@" in name and "***" not in shown:
            shown = shown.replace("://", "://***@", 1)  # who is left out is asked for again
        others = tuple(one for one in self.recent if one != shown)
        return replace(self, recent=(shown, *others)[:MOST_RECENT])


def load_preferences() -> Preferences:
    """What was kept; whatever of it is missing, damaged or out of range is as at the first start."""
    settings = QSettings()
    if not _is_ours(settings):
        return Preferences()
    try:
        kept = json.loads(settings.value("preferences", "{}", str))
    except ValueError:
        return Preferences()
    return _read(Preferences(), kept) if isinstance(kept, Mapping) else Preferences()


def save_preferences(preferences: Preferences, geometry: QByteArray, state: QByteArray) -> None:
    """Keep them, with the window's place and the state of its panels."""
    settings = QSettings()
    settings.setValue("version", VERSION)
    settings.setValue("preferences", json.dumps(asdict(preferences)))
    settings.setValue("geometry", geometry)
    settings.setValue("state", state)


def window_state() -> tuple[QByteArray, QByteArray]:
    """Geometry and state for the window, empty at the first start."""
    settings = QSettings()
    if not _is_ours(settings):
        return QByteArray(), QByteArray()
    kept = (settings.value(name) for name in ("geometry", "state"))
    geometry, state = (value if isinstance(value, QByteArray) else QByteArray() for value in kept)
    return geometry, state


def _is_ours(settings: QSettings) -> bool:
    try:
        return settings.value("version", 0, int) == VERSION
    except TypeError:  # no number
        return False


def _read(defaults: Any, kept: Mapping[str, Any]) -> Any:
    """A dataclass with what is kept and makes sense; nested ones likewise."""
    values = {}
    for one in fields(defaults):
        default, value = getattr(defaults, one.name), kept.get(one.name)
        if hasattr(default, "__dataclass_fields__"):
            values[one.name] = _read(default, value) if isinstance(value, Mapping) else default
        elif one.name in kept and _ALLOWED[one.name](value):
            values[one.name] = tuple(value) if isinstance(value, list) else value
    return replace(defaults, **values)


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: type(value) in kinds


def _between(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: type(value) in (int, float) and low <= value <= high


def _or_none(allowed: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or allowed(value)


def _whole(allowed: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and allowed(value)


_ALLOWED: dict[str, Callable[[Any], bool]] = {
    "recent": lambda value: (
        isinstance(value, list) and len(value) <= MOST_RECENT and all(isinstance(name, str) for name in value)
    ),
    "theme": lambda value: isinstance(value, str) and value in CHOICES,
    "skeletons": _is(bool),
    "boxes": _is(bool),
    "rings": _is(bool),
    "loop": _is(bool),
    "smooth": _is(bool),
    "folder": _is(str),
    "opacity": _between(0, 1),
    "colours": lambda value: isinstance(value, str) and value in COLOUR_MAPS,
    "threshold": _or_none(_between(0, 1)),
    "tag_threshold": _or_none(_between(0.01, 100)),
    "person_threshold": _or_none(_between(0, 1)),
    "max_people": _or_none(_whole(_between(1, 1000))),
    "model": _is(str),
    "preset": _or_none(_is(str)),
    "size": _or_none(_whole(_between(64, 4096))),
    "flip": _is(bool),
    "device": _is(str),
    "backend": _is(str),
    "precision": _is(str),
}
