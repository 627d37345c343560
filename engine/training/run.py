"""A training run from what was asked for to the sentence that says what became of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from engine.training.clock import Clock
from engine.training.curves import curves_wanted
from engine.training.distributed import joined_processes
from engine.training.trainer import Report, Trainer, open_run
from engine.weight_parts import files_of, shared_out

Watch = Callable[[Trainer], AbstractContextManager[Report]]  # shows how a run goes


@dataclass(frozen=True)
class TrainingOptions:
    """How a recipe is trained. output: the run's folder; None: ``runs/`` and the recipe's name.

    overrides: changed entries of the recipe. tensorboard: whether to write curves; None: if TensorBoard is installed.
    stop_after: minutes after which the run has ended by itself. weights_every: minutes between savings of the averaged
    weights, besides those with the state. weights_mib: what no file of weights may reach, in MiB. None: no limit.
    started: when the program began by `time.monotonic`, before its slow imports; None: now.
    """

    output: Path | None = None
    resume: bool = False
    changed: bool = False
    overrides: Sequence[str] = ()
    tensorboard: bool | None = None
    stop_after: float | None = None
    weights_every: float | None = None
    weights_mib: float | None = None
    started: float | None = None


def train_recipe(recipe: Path, options: TrainingOptions, watch: Watch) -> str | None:
    """Train what a recipe says, in all processes that torchrun started, and return where the weights are.

    Only the first process says something; the others return None. Raises SwahrError as `open_run` and `Trainer.train`.
    """
    clock = Clock(options.stop_after, options.weights_every, options.started)
    output = Path("runs") / recipe.stem if options.output is None else options.output
    curves = curves_wanted(options.tensorboard)
    with joined_processes() as processes:
        trainer = open_run(recipe, output, options.resume, options.changed, list(options.overrides), processes, curves)
        trainer.clock = clock
        if options.weights_mib is not None:
            trainer.folder.weights_limit = int(options.weights_mib * 2**20)
            shared_out(trainer.network.state_dict(), trainer.folder.weights_limit, output)  # now, not after hours
        if not processes.is_first:
            trainer.train()
            return None
        with watch(trainer) as report:
            trainer.train(report)
    return _ending(trainer, options)


def _ending(trainer: Trainer, options: TrainingOptions) -> str:
    steps, folder = trainer.recipe.schedule.steps, trainer.folder
    if trainer.step < steps:
        done = (
            f"Stopped by the clock ({options.stop_after:g} minutes) at step {trainer.step} of {steps}; --resume goes on"
        )
    else:
        done = f"Trained {trainer.step} steps"
    best, photos = trainer.best, trainer.samples.photos
    count = len(files_of(folder.weights))
    parts = f" (in {count} parts)" if count > 1 else ""
    of_best = (
        f"those with the best AP ({best.ap:.3f}, at step {best.step}) best.safetensors beside them, " if best else ""
    )
    damaged = f" Photos that turned out damaged: {photos.damaged}." if photos and photos.damaged else ""
    return f"{done}; the weights are {folder.weights}{parts}, {of_best}the log {folder.log}.{damaged}"
