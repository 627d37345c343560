"""The command ``process``: a source in, annotated pictures and poses out, every frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from app.engine_settings import EngineSettings
from app.map_overlay import blend_scale_map, inverse_scales
from app.outputs import plan_sinks
from app.overlay import OverlayStyle, draw_people
from app.recorded import run_recorded
from app.sinks import Sink
from app.sinks.json_lines import header
from app.sources import Frame, SourceInfo, open_source
from app.summary import Tally, counted, summary
from engine.errors import SwahrError
from grouping import People


class StoppedError(SwahrError):
    """The user pressed Ctrl-C."""

    exit_code = 130


@dataclass(frozen=True)
class ProcessOptions:
    """What the user asked for.

    output: file or folder of the annotated pictures; None: beside the source.
    json: where poses are written as JSON lines, ``Path()`` for beside the output; None: they are not.
    threshold: a keypoint's least heatmap value; None: the model's own.
    """

    source: str
    output: Path | None = None
    json: Path | None = None
    scale_map: bool = False
    boxes: bool = False
    overwrite: bool = False
    quiet: bool = False
    engine: EngineSettings = EngineSettings()
    threshold: float | None = None


@dataclass(frozen=True, eq=False)
class Inferred:
    """A frame and what was found in it; inverse_scale [H, W] only where it is to be shown."""

    frame: Frame
    people: People
    inverse_scale: Any = None


def process(options: ProcessOptions) -> str:
    """Process a whole source and return the summary.

    Raises SwahrError for whatever the user can put right, StoppedError after Ctrl-C; a note on the error then
    says where the frames written so far are.
    """
    tally = Tally()
    sinks: list[Sink] = []
    try:
        return _process(options, tally, sinks)
    except KeyboardInterrupt:
        error = StoppedError(f"Stopped after {counted(tally.frames, 'frame', 'frames')}.")
        _note_partial(error, sinks)
        raise error from None
    except Exception as error:
        _note_partial(error, sinks)
        raise


def _note_partial(error: Exception, sinks: list[Sink]) -> None:
    if kept := [str(sink.partial) for sink in sinks if sink.partial is not None]:
        error.add_note(f"What was written so far is in {' and '.join(kept)}.")


def _process(options: ProcessOptions, tally: Tally, sinks: list[Sink]) -> str:
    with ExitStack() as stack:
        source = stack.enter_context(open_source(options.source, endless=False))
        estimator: Any = None  # loaded after the outputs are known to be writable, for it takes a while

        def first_line() -> Mapping[str, Any]:
            return header(source.info, estimator, _settings(estimator))

        planned = plan_sinks(source.info, options.output, options.json, first_line, options.overwrite)
        # The first sink is closed first: where its last bytes fail, the poses stay partial as well.
        for sink in reversed(planned):
            sinks.insert(0, stack.enter_context(sink))
        estimator = _load_estimator(options)
        write = _writing(sinks, tally, OverlayStyle(boxes=options.boxes))
        console = Console(stderr=True)
        if console.is_terminal and not options.quiet:
            write = _with_progress(write, stack.enter_context(_progress_bar(source.info, console)), tally)
        if source.info.size is not None and source.info.kind != "image":
            estimator.prepare(*source.info.size, sigmas=options.scale_map or None)
        tally.start()
        run_recorded(source, _inference(estimator, options.scale_map), write)
    notes = [*source.notes, *(note for sink in sinks for note in sink.notes)]
    return summary(source.info, tally, estimator, sinks, notes)


def _load_estimator(options: ProcessOptions) -> Any:
    estimator = options.engine.load(sigmas=options.json is not None)  # only the poses show them
    if options.threshold is not None:
        estimator.options = replace(estimator.options, detection_threshold=options.threshold)
    return estimator


def _settings(estimator: Any) -> dict[str, Any]:
    return {
        "size": estimator.size,
        "flip": estimator.flip,
        "scales": list(estimator.scales),
        **asdict(estimator.options),
    }


def _inference(estimator: Any, scale_map: bool) -> Callable[[Frame], Inferred]:
    def people_only(frame: Frame) -> Inferred:
        return Inferred(frame, estimator(frame.image))

    def with_scales(frame: Frame) -> Inferred:
        people, maps = estimator.detailed(frame.image)
        if maps.alphas is None:
            raise SwahrError(f"The model {estimator.model} has no scale branch to show; leave out --scale-map.")
        return Inferred(frame, people, inverse_scales(maps.alphas, maps.to_source, frame.image.shape[1::-1]))

    return with_scales if scale_map else people_only


def _writing(sinks: list[Sink], tally: Tally, style: OverlayStyle) -> Callable[[Inferred], None]:
    def write(inferred: Inferred) -> None:
        frame = inferred.frame
        if inferred.inverse_scale is None:
            picture = frame.image.copy()
        else:
            picture = blend_scale_map(frame.image, inferred.inverse_scale)
        draw_people(picture, inferred.people, style)
        for sink in sinks:
            sink.write(frame, picture, inferred.people)
        tally.add(len(inferred.people))

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


def _with_progress(write: Callable[[Inferred], None], progress: Progress, tally: Tally) -> Callable[[Inferred], None]:
    (task,) = progress.task_ids

    def write_and_show(inferred: Inferred) -> None:
        write(inferred)
        progress.update(task, completed=tally.frames, rate=tally.rate, people=len(inferred.people))

    return write_and_show
