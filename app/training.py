"""The commands ``train`` and ``evaluate``: progress on the screen, figures at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import Progress

from app.progress import console_progress, in_words
from engine.errors import SwahrError

if TYPE_CHECKING:
    from engine import PoseEstimator
    from engine.training.run import TrainingOptions
    from engine.training.trainer import Report, Trainer


def run_training(recipe: Path, options: TrainingOptions) -> str | None:
    """Train what a recipe says with a progress bar, and return where the weights are; None but in the first process."""
    from engine.training.run import train_recipe

    return train_recipe(recipe, options, _watched)


@contextmanager
def _watched(trainer: Trainer) -> Iterator[Report]:
    with console_progress("training", trainer.recipe.schedule.steps) as progress:
        for note in trainer.notes:
            progress.console.print(note, markup=False, highlight=False, soft_wrap=True)

        def report(step: int, figures: dict[str, float]) -> None:
            progress.update(progress.task_ids[0], completed=step)
            line = f"step {step}: {in_words(figures)}"
            progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

        yield report


def run_data_profile(recipe: Path, overrides: Sequence[str]) -> str:
    """How fast the recipe's workers make pictures on this machine."""
    from app.machine import machine
    from engine.training.throughput import data_rate

    return f"{machine()}\n{data_rate(recipe, overrides).in_words()}"


def run_profile(recipe: Path, overrides: Sequence[str]) -> str:
    """Where the time of a training step goes, part by part."""
    from app.machine import machine
    from engine.training.distributed import refuse_torchrun
    from engine.training.profiling import profile
    from engine.training.recipe import load_recipe

    refuse_torchrun("swahr train --profile")
    measured = profile(load_recipe(recipe, list(overrides)))
    whole = sum(measured.seconds.values())
    lines = [f"{machine()}; {measured.batch} pictures a step; medians of {measured.steps} steps:"]
    lines += [f"{part:>10} {1000 * each:8.1f} ms {each / whole:5.0%}" for part, each in measured.seconds.items()]
    lines += [
        f"{'a step':>10} {1000 * whole:8.1f} ms, {measured.batch / whole:.1f} pictures a second",
        f"{'data':>10} {1000 * measured.data_seconds:8.1f} ms for the pictures of a step in one process: "
        f"{measured.workers_needed} of schedule.workers keep up with the network.",
    ]
    return "\n".join(lines)


@dataclass(frozen=True)
class EvaluationReport:
    """What is told of an evaluation besides its figures.

    json: where the figures are written as well. results: where COCO keypoint results are. record: into the model's own
    weights file. breakdown: also by keypoint and people's size. paper: as a row of the paper's Table 1 or 9 instead.
    """

    json: Path | None = None
    results: Path | None = None
    record: bool = False
    breakdown: bool = False
    paper: bool = False


def run_evaluation(
    estimator: PoseEstimator,
    annotations: str,
    images: Path | None,
    report: EvaluationReport,
    skip_broken: bool = False,
) -> str:
    """Evaluate on annotated photos, or on synthetic frames for ``demo:``; return the figures.

    images: the photos' folder; None: where COCO and CrowdPose have it, or the one that the annotation file is in.
    skip_broken: leave out broken entries and photos, and say which.
    """
    from engine.training.evaluation import evaluate, evaluate_synthetic, write_results
    from engine.training.paper_rows import paper_row

    for path in (report.json, report.results):
        if path is not None and not path.parent.is_dir():
            raise SwahrError(f"The folder {path.parent} does not exist; create it, or name another file.")
    with console_progress("evaluating", None) as progress:
        if annotations == "demo:":
            done = evaluate_synthetic(estimator, progress=_counter(progress))
        else:
            done = evaluate(estimator, Path(annotations), images, _counter(progress), skip_broken)
    if report.results is not None:
        write_results(report.results, done.results)
    if report.json is not None:
        settings = {
            "model": estimator.model,
            "annotations": annotations,
            "size": estimator.size,
            "flip": estimator.flip,
            "scales": list(estimator.scales),
            **asdict(estimator.options),
        }
        report.json.write_text(json.dumps({**settings, "figures": done.figures}, indent=2) + "\n", encoding="utf-8")
    if report.record:
        _record(estimator.model, "demo" if annotations == "demo:" else Path(annotations).stem, done.figures)
    lines = [f"{name:>8} {value:.3f}" for name, value in done.figures.items()]
    if report.paper:
        lines = [paper_row(done.figures, estimator.model, estimator.metadata.preset, estimator.size)]
    return "\n".join([*lines, *(done.breakdown().lines() if report.breakdown else []), *done.skipped])


def _record(model: str, where: str, figures: dict[str, float]) -> None:
    """Write AP and AP50 into a weights file's own description."""
    from engine.checkpoint import load_model, save_weights

    path = Path(model)
    if path.suffix != ".safetensors":
        raise SwahrError(f"{model} cannot hold figures; --record needs a .safetensors file of your own.")
    network, metadata = load_model(path)
    added = {f"{name} on {where}": round(figures[name], 3) for name in ("AP", "AP50")}
    save_weights(path, network, replace(metadata, figures={**metadata.figures, **added}))


def run_scale_study(estimator: PoseEstimator) -> str:
    """Say how the predicted scale goes with the size of synthetic people (the paper's Figure 5)."""
    from engine.training.scale_study import scale_study

    with console_progress("studying", None) as progress:
        study = scale_study(estimator, progress=_counter(progress))
    small, large = study.by_thirds()
    return (
        f"Rank correlation of size and scale: {study.rank_correlation:.2f} over {len(study.heights)} people; "
        f"mean s {small:.3f} for the smallest third, {large:.3f} for the largest."
    )


def _counter(progress: Progress) -> Callable[[int, int], None]:
    def report(done: int, total: int) -> None:
        progress.update(progress.task_ids[0], completed=done, total=total)

    return report
