"""The command ``ablate``: progress on the screen, the paper's table at the end and in a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from app.progress import console_progress, in_words

if TYPE_CHECKING:
    from engine.training.ablation import Ablation

_WIDTH = 160  # columns of text: a table is as narrow as its cells allow


def run_ablation(
    table_name: str,
    recipe_path: Path | None,
    output: Path | None,
    rows: Sequence[str] | None,
    seeds: Sequence[int],
    overrides: Sequence[str],
    show: bool,
) -> str:
    """Train and test what is not finished of a table of the paper; return the table and where it was written.

    recipe_path: None: the bundled one for synthetic people. output: None: ``runs/ablation``. rows: names, or all for
    None. show: only print what is finished.
    """
    from engine.training.ablation import Ablation
    from engine.training.distributed import refuse_torchrun
    from engine.training.recipe import load_recipe
    from engine.training.variants import find_table

    refuse_torchrun("swahr ablate")
    table = find_table(table_name)
    recipe = load_recipe(Path(table.recipe) if recipe_path is None else recipe_path, list(overrides))
    output = Path("runs") / "ablation" if output is None else output
    ablation = Ablation(table, recipe, output, table.chosen(rows), seeds)
    if not show:
        _train(ablation)
    return f"{_as_table(ablation)}\n{_write(ablation)}"


def _train(ablation: Ablation) -> None:
    runs = list(ablation.unfinished())
    with console_progress("ablation", len(runs)) as progress:

        def say(text: str) -> None:
            progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

        for done, run in enumerate(runs, 1):
            say(f"{run.name}: run {done} of {len(runs)}")
            figures = ablation.train(
                run, lambda step, losses, name=run.name: say(f"{name}, step {step}: {in_words(losses)}")
            )
            progress.update(progress.task_ids[0], completed=done)
            say(f"{run.name}: {in_words(figures)}")
            _write(ablation)


def _write(ablation: Ablation) -> str:
    """Write the table as Markdown; say where."""
    from engine.training.paper_table import document

    path = ablation.output / f"{ablation.table.name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = document(ablation.table, ablation.recipe, ablation.rows, ablation.seeds, ablation.figures())
    temporary = path.with_name(f"{path.name}.partial")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
    return f"Written to {path}."


def _as_table(ablation: Ablation) -> str:
    """The table for a terminal."""
    from rich.console import Console
    from rich.table import Table as RichTable

    from engine.training.paper_table import NOTES, grid, settings

    cells = grid(ablation.table, ablation.rows, ablation.seeds, ablation.figures())
    drawn = RichTable(
        *cells.heads,
        title=f"{ablation.table.name.capitalize()}: {ablation.table.title}",
        caption=f"{settings(ablation.recipe, ablation.seeds)} {NOTES}",
    )
    for line in cells.body:
        drawn.add_row(*line)
    console = Console(width=_WIDTH, color_system=None)
    with console.capture() as capture:
        console.print(drawn)
    return capture.get().rstrip()
