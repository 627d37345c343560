"""The figures of a live pipeline in words."""

from __future__ import annotations

from app.live import LiveStats
from app.viewer.engine import View


def status_line(stats: LiveStats, view: View | None) -> str:
    """What the status bar says: frames a second, dropped frames, latency, milliseconds a stage, the engine in use."""
    if view is None or not stats.shown:
        return "Loading the network …"
    stages = ", ".join(f"{stage} {seconds * 1000:.0f}" for stage, seconds in view.seconds.items())
    people = "1 person" if len(view.people) == 1 else f"{len(view.people)} people"
    return (
        f"{people}   {stats.shown_rate:.1f} of {stats.captured_rate:.1f} frames/s, {stats.dropped} dropped   "
        f"latency {(stats.latency or 0) * 1000:.0f} ms ({stages})   {view.engine}"
    )
