"""The command ``swahr``: its options, and the one place where errors become a sentence and an exit code.

What is slow to import (torch, OpenCV, PyAV, Numba) is imported by the commands when they run.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from app.engine_settings import EngineSettings, GroupingChoice
from app.options import (
    Backend,
    Coco,
    Csv,
    Device,
    Flip,
    Json,
    MaxPeople,
    Model,
    OpenPose,
    Overwrite,
    Precision,
    Preset,
    ProcessCommand,
    Size,
    TagThreshold,
    Threshold,
    numbers,
    whole_numbers,
)
from engine.errors import SwahrError

INTERRUPTED = 130  # the exit code after Ctrl-C, as shells have it

app = typer.Typer(
    name="swahr",
    help="Find people in pictures and videos: bottom-up human pose with scale-adaptive heatmaps.",
    invoke_without_command=True,
    rich_markup_mode=None,
)


@app.callback()
def swahr(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Without a command a window opens; `swahr process demo:` needs none."""
    if version:
        typer.echo(f"swahr {installed_version()}")
    elif context.invoked_subcommand is None:
        from app.viewer.start import view as show

        raise typer.Exit(show())


def installed_version() -> str:
    """The version of the installed distribution."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("swahr-live")
    except PackageNotFoundError:
        return "(not installed)"


@app.command(cls=ProcessCommand)
def process(
    source: Annotated[
        str,
        typer.Argument(help="A video, a picture, a folder of pictures, or demo: (demo:?people=8&seconds=5)."),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where the annotated copy goes.", show_default="beside the source"),
    ] = None,
    json: Json = None,
    csv: Csv = None,
    coco: Coco = None,
    openpose: OpenPose = None,
    scale_map: Annotated[bool, typer.Option("--scale-map", help="Show the predicted 1/s over each frame.")] = False,
    boxes: Annotated[bool, typer.Option("--boxes", help="Draw each person's box and score.")] = False,
    model: Model = "default",
    preset: Preset = None,
    size: Size = None,
    flip: Flip = False,
    device: Device = "auto",
    backend: Backend = "auto",
    precision: Precision = "auto",
    threshold: Threshold = None,
    tag_threshold: TagThreshold = None,
    max_people: MaxPeople = None,
    raw: Annotated[bool, typer.Option("--raw", help="Neither number people over time nor smooth them.")] = False,
    overwrite: Overwrite = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show neither progress nor summary.")] = False,
) -> None:
    """Find the people in a video or pictures."""
    from app.process import ProcessOptions
    from app.process import process as run

    summary = run(
        ProcessOptions(
            source=source,
            output=output,
            json=json,
            csv=csv,
            coco=coco,
            openpose=openpose,
            scale_map=scale_map,
            boxes=boxes,
            raw=raw,
            overwrite=overwrite,
            quiet=quiet,
            engine=EngineSettings(model, preset, size, flip, device, backend, precision),
            grouping=GroupingChoice(threshold, tag_threshold, max_people),
        )
    )
    if not quiet:
        typer.echo(summary)


@app.command()
def convert(
    poses: Annotated[Path, typer.Argument(help="Poses in any format that process writes.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The suffix tells the format: .jsonl, .csv, .json (COCO); else a folder."),
    ],
    overwrite: Overwrite = False,
) -> None:
    """Write poses in another format, and say what that cannot hold."""
    from app.convert import convert as run

    typer.echo(run(poses, output, overwrite))


@app.command()
def view(
    source: Annotated[
        str | None,
        typer.Argument(help="As for process; or camera:0, or the address of a stream.", show_default="asks"),
    ] = None,
    model: Model = "default",
    preset: Preset = None,
    size: Size = None,
    flip: Flip = False,
    device: Device = "auto",
    backend: Backend = "auto",
    precision: Precision = "auto",
    threshold: Threshold = None,
    tag_threshold: TagThreshold = None,
    max_people: MaxPeople = None,
) -> None:
    """Open a window that shows people live. What no option says is as it was when the window was closed."""
    from app.viewer.start import view as show

    engine = EngineSettings(model, preset, size, flip, device, backend, precision)
    raise typer.Exit(show(source, engine, GroupingChoice(threshold, tag_threshold, max_people)))


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe, in TOML.")],
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
) -> None:
    """Train a network as a recipe says."""
    from app.training import run_training

    typer.echo(run_training(recipe, output, resume, changed, settings or []))


@app.command()
def evaluate(
    annotations: Annotated[str, typer.Argument(help="COCO keypoint annotations, or demo: for synthetic people.")],
    images: Annotated[
        Path | None, typer.Option(help="The photos' folder.", show_default="the annotations' folder")
    ] = None,
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
    scale_study: Annotated[
        bool,
        typer.Option("--scale-study", help="Instead, on demo: does the predicted scale s grow with people's size?"),
    ] = False,
) -> None:
    """Measure a model's average precision."""
    from app.training import run_evaluation, run_scale_study

    if annotations == "demo:" and images is not None:
        raise SwahrError(f"demo: needs no photos; leave out --images {images}.")
    if scale_study and (annotations != "demo:" or json or record):
        raise SwahrError("--scale-study works on demo: and only prints; write swahr evaluate demo: --scale-study.")
    engine = EngineSettings(model, preset, size, flip, device, backend, precision)
    grouping = GroupingChoice(threshold, tag_threshold, max_people)
    estimator = engine.load(scales=numbers(scales))
    grouping.apply(estimator)
    if scale_study:
        typer.echo(run_scale_study(estimator))
    else:
        typer.echo(run_evaluation(estimator, annotations, images, json, record))


@app.command()
def bench(
    source: Annotated[
        str, typer.Argument(help="Whose frames to measure with; or grouping: from the network's maps to people.")
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
    frames: Annotated[int, typer.Option(min=4, help="Frames for each backend.")] = 60,
    people: Annotated[str, typer.Option(help="For grouping: numbers of people, with commas.")] = "0,1,10,30",
    sizes: Annotated[str, typer.Option(help="For grouping: sides of the input in pixels, with commas.")] = "512",
    repeats: Annotated[int, typer.Option(min=3, help="For grouping: runs; of the reference a twentieth.")] = 100,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the figures here as well.")] = None,
) -> None:
    """Measure how long things take on this machine, each beside what it is compared with."""
    if source == "grouping":
        from app.bench.grouping import bench_grouping

        bench_grouping(whole_numbers("--people", people), whole_numbers("--sizes", sizes), repeats, flip, json_path)
        return
    from app.bench.stages import BenchOptions, bench_stages

    options = BenchOptions(
        source=source,
        engine=EngineSettings(model, preset, size, flip, device, backend, precision),
        int8=int8,
        frames=frames,
        sigmas=sigmas,
        batch=batch,
    )
    bench_stages(options, json_path)


@app.command("compile")
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


@app.command()
def doctor(
    warm: Annotated[
        bool, typer.Option("--warm", help="First compile what is otherwise compiled when it is first used.")
    ] = False,
) -> None:
    """Say what this machine has of what the program can use, and what it would choose."""
    from app.doctor import report

    report(warm)


@app.command()
def models() -> None:
    """List the models and presets there are."""
    from app.models import list_models

    typer.echo(list_models())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    What the user can put right ends in one sentence on stderr and code 2, Ctrl-C in 130, a bug in 1. With
    ``--debug``, anywhere on the line, the traceback is shown as well.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    if debug:
        logging.basicConfig()
        logging.getLogger("swahr").setLevel(logging.DEBUG)
    try:
        code = typer.main.get_command(app).main(
            [argument for argument in arguments if argument != "--debug"],
            prog_name="swahr",
            standalone_mode=False,
        )
    except Exception as error:
        if debug:
            traceback.print_exc()
        code = getattr(error, "exit_code", 1)
        typer.echo(_sentence(error) if code == INTERRUPTED else f"Error: {_sentence(error)}", err=True)
        return code
    if code == INTERRUPTED:
        typer.echo("Stopped.", err=True)
    return code if isinstance(code, int) else 0


def _sentence(error: Exception) -> str:
    """What the user is told about an error."""
    if isinstance(error, SwahrError):
        said = str(error)
    elif isinstance(error, typer.TyperException):
        said = f"{error.format_message().rstrip('.').replace('. ', ', ')} (see swahr --help)."
    else:
        said = (
            f"This is a bug of swahr ({type(error).__name__}: {error}); "
            "run it again with --debug and report what it shows."
        )
    return " ".join([said, *getattr(error, "__notes__", ())])


if __name__ == "__main__":
    sys.exit(main())
