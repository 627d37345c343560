"""The command ``process`` for one source: annotated pictures and poses out, every frame."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any

from rich.console import Console

from app.outputs import annotated_path, plan_sinks
from app.over_time import OverTime
from app.overlay import OverlayStyle
from app.processing.job import job_of
from app.processing.journal import Found, Journal, journal_path
from app.processing.options import ProcessOptions
from app.processing.pipeline import QUEUE_LENGTH, run_recorded
from app.processing.progress import progress_bar, shown_in
from app.processing.stages import Finder, Known, Report, Writer, batches, with_known
from app.sinks import Sink
from app.sinks.json_lines import header
from app.sinks.partial import partial_path
from app.sinks.poses import PosedFrame, PoseSink
from app.sources import SourceInfo, open_source
from app.sources.selection import expected_frames
from app.summary import Tally, counted, engine_in_words, listed, summary
from engine.errors import SwahrError
from engine.inputs import IMAGES_PER_RUN

WORKERS_OF_A_GPU = 2  # while the one groups, the network runs for the other

LoadEngine = Callable[[ProcessOptions, bool], Any]  # the second: whether people come with sigmas


class StoppedError(SwahrError):
    """The user pressed Ctrl-C, or stopped the run otherwise."""

    exit_code = 130


def load_engine(options: ProcessOptions, sigmas: bool) -> Any:
    """The estimator that the options ask for; its own thresholds where they leave them open."""
    estimator = options.engine.load(sigmas=sigmas)
    options.grouping.apply(estimator)
    return estimator


def process(
    options: ProcessOptions,
    progress: Report | None = None,
    stopped: Event | None = None,
    load: LoadEngine = load_engine,
) -> str:
    """Process a whole source and return the summary.

    A run that was cut off is gone on with, wherever it was, if everything it depends on is the same.
    progress: called after each frame, on the thread that writes; instead of the progress bar in the terminal.
    stopped: another thread sets it to end the run as Ctrl-C does: within one inference, or when what is being loaded
    or compiled is.
    Raises SwahrError for whatever the user can put right, StoppedError after Ctrl-C; a note on the error then
    says where the frames written so far are.
    """
    run = _Run(options, progress, stopped, load)
    try:
        return run()
    except KeyboardInterrupt as interrupt:
        error = StoppedError(f"Stopped after {counted(run.tally.frames, 'frame', 'frames')}.")
        run.note_partial(error)
        run.let_go(interrupt)
        raise error from None
    except Exception as error:
        run.note_partial(error)
        run.let_go(error)
        raise


class _Run:
    def __init__(
        self, options: ProcessOptions, progress: Report | None, stopped: Event | None, load: LoadEngine
    ) -> None:
        self.tally = Tally()
        self._options, self._progress, self._stopped, self._load = options, progress, stopped, load
        self._sinks: list[Sink] = []
        self._journal: Journal | None = None
        self._estimator: Any = None
        self._header: Mapping[str, Any] | None = None

    def __call__(self) -> str:
        with ExitStack() as stack:
            self._source = stack.enter_context(open_source(self._options.source, endless=False))
            info = self._source.info
            self._over_time = None if self._options.raw or info.video is None else OverTime()
            path = annotated_path(info, self._options)
            if info.kind != "image":  # which is done at once
                self._journal = stack.enter_context(_journal(path, self._options, info))
                if not self._journal.complete:
                    # So that the same frames share a run of the network as if nothing had happened.
                    self._journal.forget_from(self._journal.frames - self._journal.frames % IMAGES_PER_RUN)
            with ExitStack() as writing:
                self._open_sinks(path, writing)
                self._find_and_write(stack)
                if self._journal is not None:
                    self._journal.mark_complete()
            if self._journal is not None:
                self._journal.remove()
        notes = [*self._source.notes, *(note for sink in self._sinks for note in sink.notes)]
        return summary(info, self.tally, self._engine_in_words(), self._paths, notes + self._note_on_engines())

    def _open_sinks(self, path: Path, writing: ExitStack) -> None:
        planned = plan_sinks(self._options, self._source.info, path, self._first_line, self._journal)
        # The first sink is closed first: where its last bytes fail, the poses stay partial as well.
        for sink in reversed(planned):
            # A run that was cut off at its very end has given some their names already.
            if self._journal is None or not (self._journal.complete and _is_finished(sink.path)):
                self._sinks.insert(0, writing.enter_context(sink))
        self._paths = [sink.path for sink in planned]

    def _find_and_write(self, stack: ExitStack) -> None:
        """Find what no run before has found, and write everything that is not written."""
        options, journal, info = self._options, self._journal, self._source.info
        known = 0 if journal is None else journal.frames
        kept = min((sink.frames_kept for sink in self._sinks if not isinstance(sink, PoseSink)), default=known)
        frames = self._source.selected(options.selection, kept, lambda: not self._is_stopped())
        if journal is None or not journal.complete or (options.scale_map and kept < known):
            self._load_engine()
        console = Console(stderr=True)
        if self._progress is None and console.is_terminal and not options.quiet:
            self._progress = shown_in(stack.enter_context(progress_bar(info.name, console)), self.tally)
        expected = expected_frames(info, options.selection)
        found = iter(()) if journal is None else journal.found()
        self._write_again(islice(found, kept))
        self.tally.start()
        if journal is None or not journal.complete or kept < known:
            write = Writer(
                self._sinks,
                journal,
                self._first_line,
                self._over_time,
                OverlayStyle(boxes=options.boxes),
                self.tally,
                expected,
                self._progress,
            )
            self._run_stages(with_known(info.name, frames, found), write)

    def _run_stages(self, frames: Iterator[Known], write: Writer) -> None:
        images = 1 if self._estimator is None else self._estimator.images_per_run
        run_recorded(
            batches(frames, images),
            Finder(self._estimator, self._options.scale_map),
            write,
            queue_length=max(1, QUEUE_LENGTH // images),
            stopped=self._stopped,
            workers=1 if images == 1 else WORKERS_OF_A_GPU,
        )

    def _load_engine(self) -> None:
        options, info = self._options, self._source.info
        # Without poses and smoothing nobody wants sigmas, which cost the scale branch.
        self._estimator = self._load(options, bool(options.poses) or self._over_time is not None)
        self._end_if_stopped()
        if info.size is not None and info.kind != "image":
            self._estimator.prepare(*info.size, sigmas=options.scale_map or None)
        self._end_if_stopped()

    def _write_again(self, found: Iterable[Found]) -> None:
        """Begin the poses anew with what is known of frames whose pictures are there already."""
        video = self._source.info.video
        for index, one in enumerate(found):
            time = None if one.pts is None else one.pts * video.time_base
            people = one.people if self._over_time is None else self._over_time(one.people, time)
            seconds = None if time is None else float(time)
            posed = PosedFrame(index, seconds, people, one.pts, one.name, one.size)
            for sink in self._sinks:
                if isinstance(sink, PoseSink):
                    sink.add(posed)
            self.tally.add(len(people))
            self._end_if_stopped()

    def _first_line(self) -> Mapping[str, Any]:
        """The header of the poses; that of the run which was begun, where this one goes on with it."""
        if self._header is None:
            if self._journal is not None and self._journal.header is not None:
                self._header = self._journal.header
            else:
                self._header = self._header_now()
        return self._header

    def _header_now(self) -> Mapping[str, Any]:
        return header(self._source.info, self._estimator, self._over_time is not None, self._options.selection)

    def _engine_in_words(self) -> str:
        return engine_in_words(self._first_line() if self._estimator is None else self._header_now())

    def _note_on_engines(self) -> list[str]:
        before = engine_in_words(self._first_line())
        return [] if before == self._engine_in_words() else [f"Frames of an earlier run were looked at by: {before}."]

    def _is_stopped(self) -> bool:
        return self._stopped is not None and self._stopped.is_set()

    def _end_if_stopped(self) -> None:
        if self._is_stopped():
            raise KeyboardInterrupt

    def note_partial(self, error: Exception) -> None:
        """Say on an error what is left of the run, and how to go on."""
        if kept := [str(sink.partial) for sink in self._sinks if sink.partial is not None]:
            error.add_note(f"What was written so far is in {listed(kept)}.")
        if self._journal is not None and self._journal.frames:
            error.add_note("The same command goes on from there.")

    def let_go(self, error: BaseException | None) -> None:
        """Empty what an error came through: whoever keeps it is not to keep the network and the frames as well."""
        vars(self).clear()
        while error is not None:
            traceback.clear_frames(error.__traceback__)
            error = error.__context__


def _journal(path: Path, options: ProcessOptions, info: SourceInfo) -> Journal:
    return Journal(journal_path(path), job_of(options, info), options.overwrite)


def _is_finished(path: Path) -> bool:
    return path.is_file() and not partial_path(path).exists()
