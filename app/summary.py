"""What a run found and where it is, in words."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.sources import SourceInfo


@dataclass
class Tally:
    """What is counted while frames are written."""

    frames: int = 0
    people: int = 0
    most_people: int = 0
    empty_frames: int = 0
    latest_people: int = 0
    _began: float | None = None
    _ended: float = 0.0
    _before: int = 0

    def start(self) -> None:
        """The clock of ``rate`` runs from here to the last frame, and counts the frames from here on."""
        self._began, self._before = time.perf_counter(), self.frames

    def add(self, people: int) -> None:
        """Count one frame with so many people."""
        self.frames += 1
        self.people += people
        self.most_people = max(self.most_people, people)
        self.empty_frames += people == 0
        self.latest_people = people
        self._ended = time.perf_counter()

    @property
    def mean_people(self) -> float:
        """People a frame; 0 before the first."""
        return self.people / max(1, self.frames)

    @property
    def rate(self) -> float:
        """Frames a second; 0 before the first."""
        frames = self.frames - self._before
        return frames / (self._ended - self._began) if frames and self._began is not None else 0.0


def summary(info: SourceInfo, tally: Tally, engine: str, paths: Sequence[Path], notes: list[str]) -> str:
    """The paragraph at the end of a run: what was found, where it is, what it ran on, what to know."""
    rate = f", {tally.rate:.1f} frames a second" if tally.rate and info.kind != "image" else ""
    return " ".join([_found(info, tally), f"Written: {listed(paths)}.", f"{engine}{rate}.", *notes])


def engine_in_words(header: Mapping[str, Any]) -> str:
    """What a header of poses says they were found with."""
    model, size, backend = header["model"], header["settings"]["size"], header["backend"]
    return f"Model {model} at {size} px, {backend} on {header['device']} in {header['precision']}"


def _found(info: SourceInfo, tally: Tally) -> str:
    if info.kind == "image":
        return f"Found {counted(tally.people, 'person', 'people')} in {info.name}."
    unit = ("picture", "pictures") if info.kind == "folder" else ("frame", "frames")
    if tally.people == 0:
        return f"Found nobody in {counted(tally.frames, *unit)} of {info.name}."
    empty = counted(tally.empty_frames, *unit)
    return (
        f"Found {tally.mean_people:.2f} people a {unit[0]} in {counted(tally.frames, *unit)} of {info.name}, "
        f"at most {tally.most_people}; {empty} without people."
    )


def listed(things: Sequence[object]) -> str:
    """A, B and C."""
    words = [str(thing) for thing in things]
    return " and ".join([*([", ".join(words[:-1])] if words[1:] else []), words[-1]])


def counted(number: int, one: str, many: str) -> str:
    """A number and its noun."""
    return f"{number} {one if number == 1 else many}"
