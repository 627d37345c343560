"""Frames and their people, one after another, for notebooks and programs."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from os import PathLike, fspath
from threading import Event, Thread
from typing import TYPE_CHECKING

from app.channel import Channel
from app.engine_settings import EngineSettings, GroupingChoice
from app.over_time import OverTime
from app.processing.pipeline import QUEUE_LENGTH, run_recorded
from app.processing.stages import Finder, Inferred, Known, batches
from app.sources import Frame, open_source
from app.sources.selection import Selection, parse_time
from grouping import People

if TYPE_CHECKING:
    from engine import PoseEstimator

Seconds = int | float | Fraction | str


def process(
    source: str | PathLike[str],
    model: str = "default",
    *,
    preset: str | None = None,
    size: int | None = None,
    flip: bool = False,
    device: str = "auto",
    backend: str = "auto",
    precision: str = "auto",
    threshold: float | None = None,
    tag_threshold: float | None = None,
    max_people: int | None = None,
    person_threshold: float | None = None,
    start: Seconds = 0,
    end: Seconds | None = None,
    every: int = 1,
    raw: bool = False,
    estimator: PoseEstimator | None = None,
) -> Iterator[tuple[Frame, People]]:
    """Every frame of a video, of pictures or of ``demo:`` with its people, as ``swahr process`` finds them.

    frame.image: RGB uint8 [H, W, 3]; frame.time: exact seconds. people.keypoints: [P, K, 3] in its pixels.
    model … person_threshold: as the command's options of these names. start, end: seconds or "1:02:03", from the first
    frame on. every: take every Nth frame only. raw: people as each frame shows them, without ids and smoothing.
    estimator: one that is loaded already; then model … precision are not looked at, and its thresholds stay where none
    is given.

    Frames are read ahead and looked at while the caller works; leaving the loop ends that. Raises SwahrError, when the
    first frame is asked for, for whatever cannot be had.
    """
    engine = EngineSettings(model, preset, size, flip, device, backend, precision)
    grouping = GroupingChoice(threshold, tag_threshold, max_people, person_threshold)
    selection = Selection(_exact(start), None if end is None else _exact(end), every)
    return _people_in(fspath(source), engine, grouping, selection, raw, estimator)


def _exact(seconds: Seconds) -> Fraction:
    if isinstance(seconds, str):
        return parse_time(seconds)
    exact = Fraction(seconds)
    return exact.limit_denominator(1_000_000) if isinstance(seconds, float) else exact  # 0.2 is meant to be 1/5


def _people_in(
    name: str,
    engine: EngineSettings,
    grouping: GroupingChoice,
    selection: Selection,
    raw: bool,
    estimator: PoseEstimator | None,
) -> Iterator[tuple[Frame, People]]:
    with open_source(name, endless=False) as source:
        frames = source.selected(selection)
        if estimator is None:
            estimator = engine.load()
            grouping.apply(estimator)
        elif grouping != GroupingChoice():
            grouping.apply(estimator)
        over_time = None if raw or source.info.video is None else OverTime()
        images = estimator.images_per_run
        find = Finder(estimator, scale_map=False)
        with _Running(batches(map(Known, frames), images), find, max(1, QUEUE_LENGTH // images)) as found:
            for batch in found:
                for one in batch:
                    people = one.people if over_time is None else over_time(one.people, one.frame.time)
                    yield one.frame, people


class _NotWantedError(Exception):
    """The caller has left the loop."""


class _Running:
    """The pipeline on threads of its own while it is iterated over; leaving it ends them."""

    def __init__(self, frames: Iterator[list[Known]], find: Finder, queue_length: int) -> None:
        self._found: Channel[list[Inferred]] = Channel(queue_length)
        self._stopped = Event()
        self._error: BaseException | None = None
        arguments = frames, find, self._hand_over, queue_length, self._stopped
        self._thread = Thread(target=self._run, args=arguments, name="process", daemon=True)

    def _run(self, *arguments: object) -> None:
        try:
            run_recorded(*arguments)
        except (KeyboardInterrupt, _NotWantedError):
            pass
        except BaseException as error:
            self._error = error
        finally:
            self._found.close()

    def _hand_over(self, batch: list[Inferred]) -> None:
        if not self._found.put(batch):
            raise _NotWantedError

    def __enter__(self) -> Iterator[list[Inferred]]:
        self._thread.start()
        return self._all()

    def _all(self) -> Iterator[list[Inferred]]:
        yield from self._found
        if self._error is not None:
            raise self._error

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        self._found.cancel()
        self._thread.join()
