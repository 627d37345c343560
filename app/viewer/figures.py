"""What the window says in words: figures of a live pipeline, errors."""

from __future__ import annotations

from app.live import LiveStats
from app.viewer.engine import View
from engine.errors import SwahrError


def status_line(stats: LiveStats, view: View | None, latency: float, paused: bool) -> str:
    """What the status bar says: people, frames a second, dropped frames, latency from capture to paint in seconds."""
    if view is None:
        return "Waiting for the first picture …"
    people = "1 person" if len(view.people) == 1 else f"{len(view.people)} people"
    if paused:
        return f"{people}   paused"
    return (
        f"{people}   {stats.shown_rate:.1f} of {stats.captured_rate:.1f} frames/s, {stats.dropped} dropped   "
        f"latency {latency * 1000:.0f} ms"
    )


def error_sentence(error: BaseException) -> str:
    """An error as the user is told it."""
    if isinstance(error, SwahrError):
        return " ".join([str(error), *getattr(error, "__notes__", ())])
    return f"This is a bug of swahr ({type(error).__name__}: {error}). Try it again; if it comes back, report it."
