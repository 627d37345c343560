"""The figures of a live pipeline in words."""

from __future__ import annotations

from app.live import LiveStats
from app.viewer.engine import View


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
