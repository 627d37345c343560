"""Which frames of a source are wanted: from one time to another, and of these every Nth."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from engine.errors import SwahrError

if TYPE_CHECKING:
    from . import SourceInfo

_TIME = re.compile(r"(?:(?:([0-9]{1,6}):)?([0-9]{1,6}):)?([0-9]{1,9}(?:\.[0-9]{1,18})?)", re.ASCII)


@dataclass(frozen=True)
class Selection:
    """The frames whose position lies in [start, end), and of these every Nth, beginning with the first.

    start, end: exact seconds from the source's first frame; end None: up to the source's end.
    Raises SwahrError for a negative start, an end that is not after the start, and every below 1.
    """

    start: Fraction = Fraction(0)
    end: Fraction | None = None
    every: int = 1

    def __post_init__(self) -> None:
        if self.start < 0:
            raise SwahrError(f"A selection cannot begin at {_shown(self.start)} s; give 0 or more.")
        if self.end is not None and self.end <= self.start:
            raise SwahrError(
                f"A selection cannot end at {_shown(self.end)} s, for it begins at {_shown(self.start)} s; "
                "give a later end."
            )
        if self.every < 1:
            raise SwahrError(f"Every {self.every}th frame cannot be selected; give a whole number from 1 on.")

    def __str__(self) -> str:
        """What follows "No frame lies …"."""
        if self.end is None:
            return f"from {_shown(self.start)} s on"
        return f"from {_shown(self.start)} s to {_shown(self.end)} s"

    def places(self, number: int, unit: Fraction) -> range:
        """Which of so many frames are selected, where each lasts `unit` seconds."""
        end = number if self.end is None else min(number, math.ceil(self.end / unit))
        return range(math.ceil(self.start / unit), end, self.every)


WHOLE = Selection()


def parse_time(text: str) -> Fraction:
    """The seconds in ``90``, ``90.5``, ``1:30`` or ``1:02:03.25``, exactly; SwahrError for anything else."""
    match = _TIME.fullmatch(text.strip())
    hours, minutes, seconds = match.groups() if match else (None, None, "0")
    if match is None or (hours and int(minutes) >= 60) or (minutes and Fraction(seconds) >= 60):
        raise SwahrError(f"{text!r} is no time; write seconds or hours, minutes and seconds, as 90.5, 1:30 or 1:02:03.")
    return (int(hours or 0) * 60 + int(minutes or 0)) * 60 + Fraction(seconds)


def expected_frames(info: SourceInfo, selection: Selection) -> int | None:
    """How many frames a selection will give, as far as it is known before they are read; None if it is not."""
    if selection == WHOLE or info.kind == "image":
        return info.frames
    if info.frames and info.duration:
        frames, unit = info.frames, info.duration / info.frames
        # What a header rounds off is not to shift the places; uneven frames are taken to be spread evenly.
        if info.video is not None and abs(frames / info.video.rate - info.duration) < unit * 3 / 2:
            unit = 1 / info.video.rate
    elif info.video is not None and selection.end is not None:
        frames, unit = math.ceil(selection.end * info.video.rate), 1 / info.video.rate
    else:
        return None
    return max(1, len(selection.places(frames, unit)))


def nothing_selected(name: str, selection: Selection, seconds: Fraction) -> SwahrError:
    """What the user is told where no frame lies in a selection. seconds: how long the source is."""
    return SwahrError(f"No frame of {name} lies {selection}; it is {_shown(seconds)} s long.")


def _shown(seconds: Fraction) -> str:
    """Seconds for the user, rounded to milliseconds."""
    return f"{float(seconds):.3f}".rstrip("0").rstrip(".")
