"""Figures of an ablation in the layout of the paper's table: means, their spread over seeds, and the paper's own."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.training.recipe import Recipe
from engine.training.variants import Row, Table

Figures = Mapping[tuple[str, int], Mapping[str, float]]  # by row's name and seed

NOTES = (
    "Percent: the mean, ± the standard deviation over the seeds. Δ AP is the mean difference to the row it is measured "
    "from, seed by seed. The paper's figures are those of HigherHRNet-W32 on COCO val2017 with flip test."
)


@dataclass(frozen=True)
class Grid:
    """A table of texts: heads of the columns, and rows of as many cells."""

    heads: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        lines = [self.heads, ("---",) * len(self.heads), *self.body]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def grid(table: Table, rows: Sequence[Row], seeds: Sequence[int], figures: Figures) -> Grid:
    """The table as the paper prints it: systems below each other, or side by side where `table.across`."""
    heads = (*table.labels, *table.figures, "Δ AP", *(f"paper {name}" for name in table.figures), "runs")
    lines = []
    for row in rows:
        ours = [_values(figures, row, seeds, name) for name in table.figures]
        done = sum((row.name, seed) in figures for seed in seeds)
        lines.append(
            (
                *row.cells,
                *(_mean(values) for values in ours),
                _difference(table, row, seeds, figures),
                *(f"{row.published[name]:.1f}" for name in table.figures),
                f"{done} of {len(seeds)}",
            )
        )
    if not table.across:
        return Grid(heads, tuple(lines))
    heads, *body = zip(heads, *lines, strict=True)
    return Grid(heads, tuple(body))


def document(table: Table, recipe: Recipe, rows: Sequence[Row], seeds: Sequence[int], figures: Figures) -> str:
    """The table as a Markdown text with what it was made from."""
    return "\n\n".join(
        (
            f"# {table.name.capitalize()}: {table.title}",
            settings(recipe, seeds),
            grid(table, rows, seeds, figures).markdown(),
            NOTES,
            "",
        )
    )


def settings(recipe: Recipe, seeds: Sequence[int]) -> str:
    """What was trained on what, in a sentence."""
    schedule, test = recipe.schedule, recipe.test
    length = f"{schedule.epochs:g} epochs" if schedule.epochs else f"{schedule.steps} steps"
    start = f", starting from {recipe.model.initial}" if recipe.model.initial else ", starting at random"
    tested = recipe.data.validation or f"{test.frames} frames of demo:"
    passes = f"{'with' if test.flip else 'without'} mirror image, scales {', '.join(f'{one:g}' for one in test.scales)}"
    return (
        f"{recipe.model.config().name}{start}; {length} of {schedule.batch} pictures of {recipe.mixture.size} px from "
        f"{recipe.data.train or 'synthetic people'}; tested on {tested}, {passes}; "
        f"seeds {', '.join(map(str, seeds))}."
    )


def _values(figures: Figures, row: Row, seeds: Sequence[int], name: str) -> list[float]:
    """The percentages of the seeds that are finished; what COCO's scorer gives as -1 says nothing."""
    found = [figures[row.name, seed].get(name, -1) for seed in seeds if (row.name, seed) in figures]
    return [100 * value for value in found if value >= 0]


def _difference(table: Table, row: Row, seeds: Sequence[int], figures: Figures) -> str:
    if row.name == table.reference:
        return ""
    both = [seed for seed in seeds if {(row.name, seed), (table.reference, seed)} <= figures.keys()]
    return _mean([100 * (figures[row.name, s]["AP"] - figures[table.reference, s]["AP"]) for s in both], "+.1f")


def _mean(values: Sequence[float], form: str = ".1f") -> str:
    if not values:
        return "–"
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):{form}}{spread}"
