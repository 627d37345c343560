"""What happens to each frame of a run: its people are found, or known already, and then shown and written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, repeat
from typing import Any

from app.annotated import annotated
from app.map_overlay import MapLayer, layer_of
from app.over_time import OverTime
from app.overlay import OverlayStyle
from app.processing.journal import Found, Journal
from app.sinks import Sink
from app.sources import Frame
from app.summary import Tally
from engine.errors import SwahrError
from grouping import People

Report = Callable[[int, int | None, float], None]  # frames written, frames to expect if known, frames a second


@dataclass(frozen=True, eq=False)
class Known:
    """A frame, and its people if they were found by a run before."""

    frame: Frame
    people: People | None = None


@dataclass(frozen=True, eq=False)
class Inferred:
    """A frame and what was found in it, now or before (`new` or not); layer: its scale map, where it is to be shown."""

    frame: Frame
    people: People
    new: bool
    layer: MapLayer | None = None


def with_known(name: str, frames: Iterable[Frame], found: Iterator[Found]) -> Iterator[Known]:
    """Frames with what a run before found in them, as far as that goes.

    Raises SwahrError where a frame is not the one in which that was found.
    """
    for frame, one in zip(frames, chain(found, repeat(None)), strict=False):
        if one is not None and (one.pts, one.name) != (frame.pts, frame.name):
            raise SwahrError(
                f"Frame {frame.index} of {name} is not the one that an earlier run has read; "
                "add --overwrite and leave out the rest of that run to begin anew."
            )
        yield Known(frame, None if one is None else one.people)


def batches(frames: Iterable[Known], size: int) -> Iterator[list[Known]]:
    """Frames in lists of so many, always the same ones together, wherever a run begins."""
    for _, batch in groupby(frames, lambda known: known.frame.index // size):
        yield list(batch)


class Finder:
    """Gives frames their people. estimator: may be None where all of them are known."""

    def __init__(self, estimator: Any, scale_map: bool) -> None:
        self._estimator, self._scale_map = estimator, scale_map

    def __call__(self, batch: Sequence[Known]) -> list[Inferred]:
        """The people of each frame, and its scale map."""
        if self._scale_map:
            return [self._with_scale_map(known) for known in batch]
        unknown = [known.frame.image for known in batch if known.people is None]
        found = iter(self._estimator.batch(unknown) if unknown else [])
        return [
            Inferred(known.frame, next(found), True)
            if known.people is None
            else Inferred(known.frame, known.people, False)
            for known in batch
        ]

    def _with_scale_map(self, known: Known) -> Inferred:
        image = known.frame.image
        people, maps = self._estimator.detailed(image)
        if maps.alphas is None:
            raise SwahrError(f"The model {self._estimator.model} has no scale branch to show; leave out --scale-map.")
        layer = layer_of("scale", maps, image.shape[1::-1])
        new = known.people is None
        return Inferred(known.frame, people if new else known.people, new, layer)


class Writer:
    """Says who is who, draws people on their frames, and hands both to the sinks; then they are in the journal.

    header: gives the first line of the poses. expected: how many frames there will be, if known.
    """

    def __init__(
        self,
        sinks: Sequence[Sink],
        journal: Journal | None,
        header: Callable[[], Mapping[str, Any]],
        over_time: OverTime | None,
        style: OverlayStyle,
        tally: Tally,
        expected: int | None,
        progress: Report | None,
    ) -> None:
        self._sinks, self._journal, self._header = sinks, journal, header
        self._over_time, self._style = over_time, style
        self._tally, self._expected, self._progress = tally, expected, progress

    def __call__(self, batch: Iterable[Inferred]) -> None:
        for inferred in batch:
            self._write(inferred)

    def _write(self, inferred: Inferred) -> None:
        frame, people = inferred.frame, inferred.people
        if self._over_time is not None:
            people = self._over_time(people, frame.time)
        picture = annotated(frame.image, people, self._style, inferred.layer)
        for sink in self._sinks:
            sink.write(frame, picture, people)
        if self._journal is not None and inferred.new:
            # After the sinks: what the journal holds has been shown.
            self._journal.add(Found.of(frame, inferred.people), self._header())
        self._tally.add(len(people))
        if self._progress is not None:
            self._progress(self._tally.frames, self._expected, self._tally.rate)
