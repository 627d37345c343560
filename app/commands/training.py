"""The commands ``train``, ``evaluate`` and ``ablate``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from app.engine_settings import EngineSettings, GroupingChoice
from app.options import (
    Backend,
    Device,
    Flip,
    MaxPeople,
    Model,
    Precision,
    Preset,
    Size,
    TagThreshold,
    Threshold,
    numbers,
    whole_numbers,
)
from app.threads import let_threads_sleep
from engine.errors import SwahrError


def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe, in TOML, or the name of a bundled one.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The run's folder.", show_default="runs/ and the recipe's name"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in that folder.")] = False,
    changed: Annotated[bool, typer.Option("--changed", help="Go on although the recipe has changed.")] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change an entry of the recipe: section.key=value; may be repeated."),
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Train nothing: say where the time of a step goes on this machine.")
    ] = False,
    profile_data: Annotated[
        bool, typer.Option("--profile-data", help="Train nothing: say how fast the workers make pictures here.")
    ] = False,
    stop_after: Annotated[
        float | None,
        typer.Option(help="Minutes after which the run has ended by itself, everything saved.", show_default="never"),
    ] = None,
    weights_every: Annotated[
        float | None,
        typer.Option(
            help="Also save the averaged weights, and only these, each so many minutes.",
            show_default="with the state only",
        ),
    ] = None,
    weights_mib: Annotated[
        float | None,
        typer.Option(
            help="What no file of weights may reach, in MiB; longer ones are saved in parts.", show_default="one file"
        ),
    ] = None,
    tensorboard: Annotated[
        bool | None,
        typer.Option(
            "--tensorboard/--no-tensorboard",
            help="Write curves and maps for TensorBoard, into the run's folder.",
            show_default="if it is installed",
        ),
    ] = None,
) -> None:
    """Train a network as a recipe says. Under torchrun, all processes train it together."""
    started = time.monotonic()
    let_threads_sleep()
    from app.training import run_data_profile, run_profile, run_training
    from engine.training.distributed import StoppedElsewhereError
    from engine.training.run import TrainingOptions

    if profile_data:
        typer.echo(run_data_profile(recipe, settings or []))
        return
    if profile:
        typer.echo(run_profile(recipe, settings or []))
        return
    try:
        options = TrainingOptions(
            *(output, resume, changed, settings or (), tensorboard),
            *(stop_after, weights_every, weights_mib, started),
        )
        said = run_training(recipe, options)
    except StoppedElsewhereError as error:
        if error.is_told_here:
            raise
        raise typer.Exit(error.exit_code) from None
    if said:
        typer.echo(said)


def evaluate(
    annotations: Annotated[str, typer.Argument(help="COCO keypoint annotations, or demo: for synthetic people.")],
    images: Annotated[Path | None, typer.Option(help="The photos' folder.", show_default="where COCO has it")] = None,
    model: Model = "default",
    preset: Preset = None,
    size: Size = None,
    flip: Flip = False,
    scales: Annotated[str, typer.Option(help="Look at several sizes: 0.5,1,1.5.")] = "1",
    device: Device = "auto",
    backend: Backend = "auto",
    precision: Precision = "auto",
    threshold: Threshold = None,
    tag_threshold: TagThreshold = None,
    max_people: MaxPeople = None,
    json: Annotated[Path | None, typer.Option(help="Also write the figures to this file.")] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Write AP and AP50 into the model's own weights file.")
    ] = False,
    results: Annotated[
        Path | None, typer.Option(help="Also write COCO keypoint results, as the servers take them.")
    ] = None,
    breakdown: Annotated[bool, typer.Option("--breakdown", help="Also by keypoint and by people's size.")] = False,
    paper: Annotated[
        bool, typer.Option("--paper", help="Instead as a row of the paper's Table 1, or 9 for CrowdPose.")
    ] = False,
    skip_broken: Annotated[bool, typer.Option("--skip-broken", help="Leave out what is broken, and name it.")] = False,
    scale_study: Annotated[
        bool,
        typer.Option("--scale-study", help="Instead, on demo: does the predicted scale s grow with people's size?"),
    ] = False,
) -> None:
    """Measure a model's average precision."""
    from app.training import EvaluationReport, run_evaluation, run_scale_study

    if annotations == "demo:" and images is not None:
        raise SwahrError(f"demo: needs no photos; leave out --images {images}.")
    report = EvaluationReport(json, results, record, breakdown, paper)
    if scale_study and (annotations != "demo:" or report != EvaluationReport()):
        raise SwahrError("--scale-study works on demo: and only prints; write swahr evaluate demo: --scale-study.")
    engine = EngineSettings(model, preset, size, flip, device, backend, precision)
    grouping = GroupingChoice(threshold, tag_threshold, max_people, person_threshold=0)  # all count, by rank
    estimator = engine.load(scales=numbers(scales))
    grouping.apply(estimator)
    if scale_study:
        typer.echo(run_scale_study(estimator))
    else:
        typer.echo(run_evaluation(estimator, annotations, images, report, skip_broken))


def ablate(
    table: Annotated[str, typer.Argument(help="A table of the paper: table3 to table8.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The folder of the runs.", show_default="runs/ablation")
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(help="What every row starts from, such as w32-512.", show_default="a small one, synthetic people"),
    ] = None,
    rows: Annotated[str | None, typer.Option(help="Only these, such as baseline,swahr.", show_default="all")] = None,
    seeds: Annotated[str, typer.Option(help="The seeds that each row is trained from.")] = "0,1,2",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change an entry of the recipe: section.key=value; may be repeated."),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Train nothing: print what is finished.")] = False,
) -> None:
    """Train and test the systems of one of the paper's tables, and print it. Run it again to go on where it stopped."""
    let_threads_sleep()
    from app.ablation import run_ablation

    names = None if rows is None else [name.strip() for name in rows.split(",")]
    numbers_of_seeds = sorted(set(whole_numbers("--seeds", seeds)))
    typer.echo(run_ablation(table, recipe, output, names, numbers_of_seeds, settings or [], show))
