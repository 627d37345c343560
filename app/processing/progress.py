"""The bar that tells in the terminal how far a run is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.processing.stages import Report
from app.summary import Tally


def progress_bar(name: str, console: Console) -> Progress:
    """A bar with one task, which ``shown_in`` moves on."""
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.1f} frames/s"),
        TextColumn("people {task.fields[people]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    progress.add_task(name, total=None, rate=0.0, people=0)
    return progress


@contextmanager
def queue_bar(sources: Sequence[str], console: Console) -> Iterator[Callable[[int], Report]]:
    """A bar for each source while it is processed; gives what moves the one of the source at a place."""
    with progress_bar("", console) as bar:
        (task,) = bar.task_ids

        def begin(place: int) -> Report:
            bar.reset(task, description=f"{place + 1}/{len(sources)} {sources[place]}", total=None)

            def show(frames: int, expected: int | None, rate: float) -> None:
                bar.update(task, completed=frames, total=expected, rate=rate)

            return show

        yield begin


def shown_in(bar: Progress, tally: Tally) -> Report:
    """What moves the bar's task."""
    (task,) = bar.task_ids

    def show(frames: int, expected: int | None, rate: float) -> None:
        bar.update(task, completed=frames, total=expected, rate=rate, people=tally.latest_people)

    return show
