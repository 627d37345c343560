"""Many sources, one after another: one that fails does not stop the others, and what is done is not done again."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

from app.errors import in_words
from app.outputs import planned_paths
from app.processing.job import job_of
from app.processing.manifest import DONE, FAILED, FILE_NAME, Manifest
from app.processing.options import ProcessOptions
from app.processing.run import LoadEngine, StoppedError, load_engine, process
from app.processing.stages import Report
from app.sources import open_source
from app.sources.pictures import PICTURE_SUFFIXES, natural_order
from app.summary import counted
from engine.errors import SwahrError

# What is looked for in a folder; a video that is named may end as it likes.
VIDEO_SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        *("3gp", "asf", "avi", "divx", "flv", "m2ts", "m2v", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "mxf"),
        *("ogv", "ts", "vob", "webm", "wmv"),
    )
)
_OWN = (".swahr", ".partial", ".previous")  # what the names of outputs end in, before the suffix

SKIPPED = "skipped"


@dataclass(frozen=True)
class Outcome:
    """What became of a source: "done", "skipped" (done by a queue before) or "failed", and sentences about it."""

    source: str
    state: str
    message: str


class SharedEngine:
    """Loads the network when the first source needs it, and gives the same one to the others.

    error: why it cannot be loaded; then no source can be processed.
    """

    def __init__(self, load: LoadEngine = load_engine) -> None:
        self._load = load
        self._estimator: Any = None
        self.error: SwahrError | None = None

    def __call__(self, options: ProcessOptions, sigmas: bool) -> Any:
        if self._estimator is None:
            try:
                self._estimator = self._load(options, sigmas)
            except SwahrError as error:
                self.error = error
                raise
        self._estimator.sigmas = sigmas
        return self._estimator


def is_several(names: Sequence[str]) -> bool:
    """Whether what the user named may be more than one source."""
    return len(names) != 1 or names[0].startswith("@") or _is_pattern(names[0]) or bool(_videos_in(Path(names[0])))


def sources_in(names: Sequence[str]) -> list[str]:
    """The sources that names stand for, each once: files, folders, patterns, and lists of names (``@list.txt``).

    A folder stands for its videos, and if it holds pictures also for these, which are one source. Outputs of other
    runs are left out of folders and patterns. Raises SwahrError where a name stands for nothing.
    """
    sources: dict[str, None] = {}
    for name in names:
        found = sources_in(_listed(Path(name[1:]))) if name.startswith("@") else _standing_for(name)
        sources.update(dict.fromkeys(found))
    return list(sources)


def _listed(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise SwahrError(f"The list {path} cannot be read ({reason}); write one name a line.") from None
    names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not names:
        raise SwahrError(f"The list {path} names nothing; write one name a line.")
    if nested := next((name for name in names if name.startswith("@")), None):
        raise SwahrError(f"The list {path} names another list, {nested}; name that one on the command line.")
    return names


def _standing_for(name: str) -> list[str]:
    if _is_pattern(name):
        # Unlike Path.glob it keeps a name as it was written, and takes one that begins with a slash.
        found = [path for path in glob.glob(name, recursive=True) if not _is_own(Path(path))]  # noqa: PTH207
        found = [path for path in found if Path(path).suffix.lower() in VIDEO_SUFFIXES | PICTURE_SUFFIXES]
        if not found:
            raise SwahrError(f"No video or picture is named like {name}; check the pattern.")
        return sorted(found, key=natural_order)
    path = Path(name)
    videos = _videos_in(path)
    if not videos:
        return [name]
    pictures = any(one.suffix.lower() in PICTURE_SUFFIXES and not _is_own(one) for one in path.iterdir())
    return [*videos, *([name] if pictures else [])]


def _is_pattern(name: str) -> bool:
    return glob.has_magic(name) and not name.startswith("demo:") and not Path(name).exists()


def _videos_in(path: Path) -> list[str]:
    try:
        inside = list(path.iterdir()) if path.is_dir() else []
    except OSError:  # which whoever opens it says
        return []
    videos = [one for one in inside if one.suffix.lower() in VIDEO_SUFFIXES and one.is_file() and not _is_own(one)]
    return sorted((str(one) for one in videos if not one.name.startswith(".")), key=natural_order)


def _is_own(path: Path) -> bool:
    return path.stem.endswith(_OWN)


def manifest_path(options: ProcessOptions) -> Path:
    """Where the manifest lies if the user does not say: in the folder of the outputs, else in the current one."""
    return (options.output or Path()) / FILE_NAME


def process_all(
    options: ProcessOptions,
    sources: Sequence[str],
    manifest: Manifest,
    told: Callable[[int, Outcome], None],
    progress: Callable[[int], Report] | None = None,
    stopped: Event | None = None,
    load: SharedEngine | None = None,
) -> list[Outcome]:
    """Process each source with the same options, as `process` does; options.source is not looked at.

    told: called after each source with its place and what became of it. progress: gives the `Report` of the source at
    that place. Raises StoppedError after Ctrl-C, and SwahrError if no source can be processed at all.
    """
    refuse_shared_outputs(options, sources)
    load = load or SharedEngine()
    outcomes = []
    for place, source in enumerate(sources):
        report = None if progress is None else progress(place)
        outcome = _process_one(options_for(options, source), manifest, report, stopped, load)
        if load.error is not None:
            raise load.error
        outcomes.append(outcome)
        told(place, outcome)
    return outcomes


def options_for(options: ProcessOptions, source: str) -> ProcessOptions:
    """The options for one source of a queue; in the folder of the outputs pictures get a folder of their own."""
    output = options.output
    if output is not None and Path(source).is_dir():
        output /= f"{Path(source).resolve().name}.swahr"
    return replace(options, source=source, output=output, quiet=True)


def _process_one(
    options: ProcessOptions, manifest: Manifest, report: Report | None, stopped: Event | None, load: SharedEngine
) -> Outcome:
    source, job, outputs = options.source, {}, []
    try:
        with open_source(source, endless=False) as opened:
            job, outputs = job_of(options, opened.info), planned_paths(options, opened.info)
        if manifest.is_done(source, job, outputs):
            return Outcome(source, SKIPPED, "Done already.")
        message = process(options, report, stopped, load)
    except StoppedError:
        raise
    except Exception as error:  # a bug, too, is told and noted with the source that shows it, and the others go on
        message = in_words(error)
        manifest.add(source, FAILED, job, outputs, message)
        return Outcome(source, FAILED, message)
    manifest.add(source, DONE, job, outputs, message)
    return Outcome(source, DONE, message)


def refuse_shared_outputs(options: ProcessOptions, sources: Sequence[str]) -> None:
    """Raise SwahrError where two sources would be written to one file, as a/1.mp4 and b/1.mp4 in one folder."""
    seen: dict[Path, str] = {}
    for source in sources:
        output = (options.output or Path(source).parent) / Path(source).stem
        if output in seen:
            raise SwahrError(
                f"What becomes of {seen[output]} and {source} would have the same name in {output.parent}; "
                "process one of them by itself, with an --output of its own."
            )
        seen[output] = source


def queue_summary(outcomes: Sequence[Outcome]) -> str:
    """What became of all sources, in sentences; those that failed are named."""
    numbers = {state: sum(outcome.state == state for outcome in outcomes) for state in (DONE, SKIPPED, FAILED)}
    said = f"{counted(len(outcomes), 'source', 'sources')}: {numbers[DONE]} done"
    said += f", {numbers[SKIPPED]} done before" if numbers[SKIPPED] else ""
    said += f", {numbers[FAILED]} failed" if numbers[FAILED] else ""
    return f"{said}."
