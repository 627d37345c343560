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
    PersonThreshold,
    Precision,
    Preset,
    Size,
    TagThreshold,
    Threshold,
    pixels,
)
from app.sinks.encoding import CODECS


def process(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Videos, pictures, folders, patterns, @list.txt with one name a line, or demo: (demo:?people=8).",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where the annotated copy goes; for several a folder.",
            show_default="beside the source",
        ),
    ] = None,
    json: Json = None,
    csv: Csv = None,
    coco: Coco = None,
    openpose: OpenPose = None,
    scale_map: Annotated[bool, typer.Option("--scale-map", help="Show the predicted 1/s over each frame.")] = False,
    boxes: Annotated[bool, typer.Option("--boxes", help="Draw each person's box and score.")] = False,
    start: Annotated[
        str | None, typer.Option("--from", help="Begin there: seconds, or 1:02:03.5.", metavar="TIME")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="End before that time.", metavar="TIME")] = None,
    every: Annotated[int, typer.Option("--every", min=1, help="Take every Nth frame only.", metavar="N")] = 1,
    codec: Annotated[
        str, typer.Option(help=f"How the video is coded: {', '.join(CODECS)}; the output's suffix must suit it.")
    ] = "h264",
    quality: Annotated[
        int | None, typer.Option(min=0, max=100, help="Of the video, 100 the best.", show_default="good to look at")
    ] = None,
    video_size: Annotated[
        str | None, typer.Option(help="Of the written video, as 1280x720.", show_default="the source's")
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
    person_threshold: PersonThreshold = None,
    raw: Annotated[bool, typer.Option("--raw", help="Neither number people over time nor smooth them.")] = False,
    overwrite: Overwrite = False,
    manifest: Annotated[
        Path | None,
        typer.Option(
            help="Where it is noted which of several sources are done.",
            show_default="swahr-manifest.jsonl beside the outputs",
        ),
    ] = None,
    ray: Annotated[
        str | None, typer.Option("--ray", help="Share the work out over a Ray cluster.", metavar="[ADDRESS]")
    ] = None,
    ray_cores: Annotated[int, typer.Option(min=1, help="Cores of each worker of the cluster that has no GPU.")] = 4,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show neither progress nor summary.")] = False,
) -> None:
    """Find the people in videos or pictures. A run that was cut off goes on where it was."""
    from app.processing.commands import run
    from app.processing.options import ProcessOptions
    from app.sinks.encoding import Encoding
    from app.sources.selection import Selection, parse_time

    options = ProcessOptions(
        source=sources[0],
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
        grouping=GroupingChoice(threshold, tag_threshold, max_people, person_threshold),
        selection=Selection(parse_time(start or "0"), None if end is None else parse_time(end), every),
        encoding=Encoding(codec, quality, None if video_size is None else pixels("--video-size", video_size)),
    )
    raise typer.Exit(run(options, sources, manifest, ray, ray_cores))


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
    person_threshold: PersonThreshold = None,
) -> None:
    """Open a window that shows people live. What no option says is as it was when the window was closed."""
    from app.viewer.start import view as show

    engine = EngineSettings(model, preset, size, flip, device, backend, precision)
    raise typer.Exit(show(source, engine, GroupingChoice(threshold, tag_threshold, max_people, person_threshold)))
