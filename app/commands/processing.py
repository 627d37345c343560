"""The commands ``process``, ``convert`` and ``view``."""

from __future__ import annotations

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
    Size,
    TagThreshold,
    Threshold,
)


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
    from app.processing.run import ProcessOptions
    from app.processing.run import process as run

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
