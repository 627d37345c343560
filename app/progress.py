"""Progress and figures on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def in_words(figures: dict[str, float]) -> str:
    """Names and values in a line."""
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items())


def console_progress(what: str, total: int | None) -> Progress:
    """A bar with one task on stderr, to be entered; nothing of it is drawn where that is no terminal."""
    console = Console(stderr=True)
    progress = Progress(
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    progress.add_task(what, total=total)
    return progress
