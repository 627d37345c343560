"""The command ``process``: a source in, annotated pictures and poses out, every frame."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.annotated import annotated
from app.engine_settings import EngineSettings, GroupingChoice
from app.map_overlay import MapLayer, layer_of
from app.outputs import POSE_SUFFIXES, plan_sinks
from app.over_time import OverTime
from app.overlay import OverlayStyle
from app.processing.pipeline import run_recorded
from app.sinks import Sink
from app.sinks.json_lines import header
from app.sources import Frame, SourceInfo, open_source
from app.summary import Tally, counted, listed, summary
from engine.errors import SwahrError
from grouping import People

Report = Callable[[int, int | None, float], None]  # frames written, frames to expect if known, frames a second


class StoppedError(SwahrError):
    """The user pressed Ctrl-C, or stopped the run otherwise."""

    exit_code = 130


@dataclass(frozen=True)
class ProcessOptions:
    """What the user asked for.

    output: file or folder of the annotated pictures; None: beside the source.
    json, csv, coco, openpose: where poses are written in that format, the last a folder; ``Path()`` for beside the
    output; None: they are not.
    raw: people as each frame shows them, without ids and smoothing over time. quiet: no progress bar in the terminal.
    """

    source: str
    output: Path | None = None
    json: Path | None = None
    scale_map: bool = False
    boxes: bool = False
    raw: bool = False
    overwrite: bool = False
    quiet: bool = False
    engine: EngineSettings = EngineSettings()
    grouping: GroupingChoice = field(default_factory=GroupingChoice)
    csv: Path | None = None
    coco: Path | None = None
    openpose: Path | None = None

    @property
    def poses(self) -> dict[str, Path]:
        """Where poses are written, by format; see `app.outputs.plan_sinks`."""
        places = {pose_format: getattr(self, pose_format) for pose_format in POSE_SUFFIXES}
        return {pose_format: place for pose_format, place in places.items() if place is not None}


@dataclass(frozen=True, eq=False)
class Inferred:
    """A frame and what was found in it; layer: its scale map, where that is to be shown."""

    frame: Frame
    people: People
    layer: MapLayer | None = None


def process(options: ProcessOptions, progress: Report | None = None, stopped: Event | None = None) -> str:
    """Process a whole source and return the summary.

    progress: called after each frame, on the thread that writes; instead of the progress bar in the terminal.
    stopped: another thread sets it to end the run as Ctrl-C does: within one inference, or when what is being loaded
    or compiled is.
    Raises SwahrError for whatever the user can put right, StoppedError after Ctrl-C; a note on the error then
    says where the frames written so far are.
    """
    tally = Tally()
    sinks: list[Sink] = []
    try:
        return _process(options, progress, stopped, tally, sinks)
    except KeyboardInterrupt as interrupt:
        error = StoppedError(f"Stopped after {counted(tally.frames, 'frame', 'frames')}.")
        _note_partial(error, sinks)
        _let_go(interrupt, sinks)
        raise error from None
    except Exception as error:
        _note_partial(error, sinks)
        _let_go(error, sinks)
        raise


def _let_go(error: BaseException | None, sinks: list[Sink]) -> None:
    """Empty what an error came through: whoever keeps the error is not to keep the network and the frames as well."""
    sinks.clear()
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__


def _note_partial(error: Exception, sinks: list[Sink]) -> None:
    if kept := [str(sink.partial) for sink in sinks if sink.partial is not None]:
        error.add_note(f"What was written so far is in {listed(kept)}.")


def _process(
    options: ProcessOptions, progress: Report | None, stopped: Event | None, tally: Tally, sinks: list[Sink]
) -> str:
    with ExitStack() as stack:
        source = stack.enter_context(open_source(options.source, endless=False))
        over_time = None if options.raw or source.info.video is None else OverTime()
        estimator: Any = None  # loaded after the outputs are known to be writable, for it takes a while

        def first_line() -> Mapping[str, Any]:
            return header(source.info, estimator, over_time is not None)

        planned = plan_sinks(source.info, options.output, options.poses, first_line, options.overwrite)
        # The first sink is closed first: where its last bytes fail, the poses stay partial as well.
        for sink in reversed(planned):
            sinks.insert(0, stack.enter_context(sink))
        # Without poses and smoothing nobody wants sigmas, which cost the scale branch.
        estimator = options.engine.load(sigmas=bool(options.poses) or over_time is not None)
        options.grouping.apply(estimator)
        _end_if(stopped)
        console = Console(stderr=True)
        if progress is None and console.is_terminal and not options.quiet:
            progress = _shown_in(stack.enter_context(_progress_bar(source.info, console)), tally)
        if source.info.size is not None and source.info.kind != "image":
            estimator.prepare(*source.info.size, sigmas=options.scale_map or None)
        _end_if(stopped)
        tally.start()
        write = _writing(sinks, tally, OverlayStyle(boxes=options.boxes), source.info.frames, progress)
        # No closure, which a traceback would keep, and with it the network.
        infer = partial(_infer, estimator, over_time, options.scale_map)
        run_recorded(source, infer, write, stopped=stopped)
    notes = [*source.notes, *(note for sink in sinks for note in sink.notes)]
    return summary(source.info, tally, estimator, sinks, notes)


def _end_if(stopped: Event | None) -> None:
    if stopped is not None and stopped.is_set():
        raise KeyboardInterrupt


def _infer(estimator: Any, over_time: OverTime | None, scale_map: bool, frame: Frame) -> Inferred:
    people, layer = (_with_scale_map if scale_map else _people_only)(estimator, frame)
    return Inferred(frame, people if over_time is None else over_time(people, frame.time), layer)


def _people_only(estimator: Any, frame: Frame) -> tuple[People, None]:
    return estimator(frame.image), None


def _with_scale_map(estimator: Any, frame: Frame) -> tuple[People, MapLayer]:
    people, maps = estimator.detailed(frame.image)
    if maps.alphas is None:
        raise SwahrError(f"The model {estimator.model} has no scale branch to show; leave out --scale-map.")
    return people, layer_of("scale", maps, frame.image.shape[1::-1])


def _writing(
    sinks: list[Sink], tally: Tally, style: OverlayStyle, expected: int | None, progress: Report | None
) -> Callable[[Inferred], None]:
    def write(inferred: Inferred) -> None:
        picture = annotated(inferred.frame.image, inferred.people, style, inferred.layer)
        for sink in sinks:
            sink.write(inferred.frame, picture, inferred.people)
        tally.add(len(inferred.people))
        if progress is not None:
            progress(tally.frames, expected, tally.rate)

    return write


def _progress_bar(info: SourceInfo, console: Console) -> Progress:
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.1f} frames/s"),
        TextColumn("people {task.fields[people]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    progress.add_task(info.name, total=info.frames, rate=0.0, people=0)
    return progress


def _shown_in(bar: Progress, tally: Tally) -> Report:
    (task,) = bar.task_ids

    def show(frames: int, expected: int | None, rate: float) -> None:
        bar.update(task, completed=frames, total=expected, rate=rate, people=tally.latest_people)

    return show
