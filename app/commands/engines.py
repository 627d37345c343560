"""The commands ``bench``, ``compile``, ``doctor`` and ``models``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.engine_settings import EngineSettings
from app.options import (
    Backend,
    Device,
    Flip,
    Model,
    Precision,
    Preset,
    Size,
    whole_numbers,
)
from app.threads import let_threads_sleep


def bench(
    source: Annotated[
        str,
        typer.Argument(
            help="Whose frames to measure with; or grouping: from the network's maps to people; "
            "or process: a video through all stages, beside each stage alone; "
            "or tracking: how well people keep their ids, and what smoothing does; "
            "or training: pictures a second of swahr train, beside another checkout's."
        ),
    ] = "demo:",
    model: Annotated[str, typer.Option(help="As elsewhere; or untrained: --preset without weights.")] = "default",
    preset: Preset = None,
    size: Size = None,
    flip: Flip = False,
    device: Device = "auto",
    backend: Annotated[str, typer.Option(help="One backend, or auto for all that run here.")] = "auto",
    precision: Annotated[str, typer.Option(help="One precision, or auto for all but int8.")] = "auto",
    int8: Annotated[bool, typer.Option("--int8", help="int8 as well; it takes minutes where it is new.")] = False,
    sigmas: Annotated[bool, typer.Option("--sigmas", help="With the scale branch.")] = False,
    batch: Annotated[int, typer.Option(min=1, help="Images a run.")] = 1,
    frames: Annotated[
        int | None,
        typer.Option(min=4, help="Frames for each backend; for tracking, of each crowd.", show_default="60; 600"),
    ] = None,
    people: Annotated[str, typer.Option(help="For grouping: numbers of people, with commas.")] = "0,1,10,30",
    sizes: Annotated[str, typer.Option(help="For grouping: sides of the input in pixels, with commas.")] = "512",
    repeats: Annotated[int, typer.Option(min=3, help="For grouping: runs; of the reference a twentieth.")] = 100,
    seeds: Annotated[str, typer.Option(help="For tracking: seeds of the crowds of demo:, with commas.")] = "0,1,2",
    recipe: Annotated[
        Path | None, typer.Option(help="For training: as of train.", show_default="w32-512, synthetic people")
    ] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="For training: as of train.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="For training: steps of a run that count.")] = 8,
    against: Annotated[
        Path | None, typer.Option(help="For training: a checkout of this project whose code to run in turn with this.")
    ] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the figures here as well.")] = None,
) -> None:
    """Measure how long things take here, or how well people are followed, each beside what it is compared with."""
    if source == "training":
        let_threads_sleep()
        from app.bench.training import bench_training

        typer.echo(bench_training(recipe, settings or [], steps, against, json_path))
        return
    if source == "grouping":
        from app.bench.grouping import bench_grouping

        bench_grouping(whole_numbers("--people", people), whole_numbers("--sizes", sizes), repeats, flip, json_path)
        return
    engine = EngineSettings(model, preset, size, flip, device, backend, precision)
    if source == "tracking":
        from app.bench.tracking import bench_tracking

        bench_tracking(engine, whole_numbers("--seeds", seeds), frames or 600, json_path)
        return
    if source == "process":
        from app.bench.process import bench_process

        bench_process(engine, frames or 60, json_path)
        return
    from app.bench.stages import BenchOptions, bench_stages

    options = BenchOptions(
        source=source,
        engine=engine,
        int8=int8,
        frames=frames or 60,
        sigmas=sigmas,
        batch=batch,
    )
    bench_stages(options, json_path)


def compile_networks(
    source: Annotated[
        str | None,
        typer.Argument(help="Whose size to compile for, and whose frames to calibrate int8 on.", show_default="usual"),
    ] = None,
    model: Model = "default",
    preset: Preset = None,
    size: Size = None,
    flip: Flip = False,
    device: Device = "auto",
    backend: Backend = "auto",
    precision: Precision = "auto",
) -> None:
    """Compile ahead what is otherwise compiled when it is first used."""
    from app.compiling import compile_ahead

    typer.echo(compile_ahead(source, EngineSettings(model, preset, size, flip, device, backend, precision)))


def doctor(
    warm: Annotated[
        bool, typer.Option("--warm", help="First compile what is otherwise compiled when it is first used.")
    ] = False,
) -> None:
    """Say what this machine has of what the program can use, and what it would choose."""
    from app.doctor import report

    report(warm)


def models() -> None:
    """List the models and presets there are."""
    from app.models import list_models

    typer.echo(list_models())
