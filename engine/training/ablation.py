"""The rows of a table of the paper, trained and tested one after the other; what is finished is not run again."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import SwahrError
from engine.training.evaluation import require_coco_eval
from engine.training.recipe import Recipe, first_difference
from engine.training.trainer import Report, Trainer
from engine.training.variants import Row, Table, changed


@dataclass(frozen=True)
class Run:
    """One row trained from one seed.

    recipe: what is trained. folder: the trainer's, with `figures.json` beside it once the run is finished.
    """

    row: Row
    seed: int
    recipe: Recipe
    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    def figures(self) -> dict[str, float] | None:
        """What the test gave, or None if the run is still to be trained or, with other settings than then, tested.

        Raises SwahrError if the folder holds another run.
        """
        path = self.folder / "figures.json"
        try:
            finished = json.loads(path.read_text())
            difference = first_difference(finished["recipe"], self.recipe.to_dict())
            tested = first_difference(finished["recipe"], self.recipe.to_dict(), tested=True) is None
            figures = {name: float(value) for name, value in finished["figures"].items()}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise SwahrError(f"{path} cannot be read ({error}); remove it to test that row again.") from None
        if difference:
            raise SwahrError(
                f"{self.folder} holds a run with other settings ({difference}); name another folder for these."
            )
        return figures if tested else None


class Ablation:
    """A table's rows on one recipe, each from several seeds, in one folder.

    Rows of one seed start from the same weights and see the same pictures. Raises SwahrError if the folder holds runs
    with other settings.
    """

    def __init__(self, table: Table, recipe: Recipe, output: Path, rows: Sequence[Row], seeds: Sequence[int]) -> None:
        self.table, self.recipe, self.rows, self.seeds = table, recipe, tuple(rows), tuple(seeds)
        self.output = Path(output)
        require_coco_eval()
        # All rows of one seed come first, so that a table that is not finished compares what belongs together.
        self.runs = [self._run(row, seed) for seed in self.seeds for row in self.rows]
        self.figures()

    def figures(self) -> dict[tuple[str, int], dict[str, float]]:
        """Figures of the finished runs by row and seed."""
        found = {(run.row.name, run.seed): run.figures() for run in self.runs}
        return {key: figures for key, figures in found.items() if figures is not None}

    def unfinished(self) -> Iterator[Run]:
        """The runs that are still to do, in order; each is looked up when it is its turn."""
        return (run for run in self.runs if run.figures() is None)

    def train(self, run: Run, report: Report | None = None) -> dict[str, float]:
        """Train `run` from where it stands, test it and keep its figures, which are returned."""
        trainer = Trainer(run.recipe, run.folder)
        if (run.folder / "state.pt").exists():
            trainer.restore()
        started, first = time.monotonic(), trainer.step
        trainer.train(report, validate=False)
        trained = time.monotonic() - started
        figures = trainer.evaluate()
        text = {
            "recipe": run.recipe.to_dict(),
            "figures": figures,
            "steps": trainer.step,
            "parameters": sum(parameter.numel() for parameter in trainer.network.parameters()),
            "seconds_a_step": round(trained / max(1, trainer.step - first), 3),
        }
        temporary = run.folder / "figures.json.partial"
        temporary.write_text(json.dumps(text, indent=2) + "\n")
        temporary.replace(run.folder / "figures.json")
        return figures

    def _run(self, row: Row, seed: int) -> Run:
        recipe = changed(self.recipe, {**row.changes, "schedule.seed": seed})
        return Run(row, seed, recipe, self.output / "runs" / f"{row.name}-seed{seed}")
