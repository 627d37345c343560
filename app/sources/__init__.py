"""Where frames come from: a video, pictures, a camera, a network stream, or the built-in demonstration."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from engine.errors import SwahrError

from .selection import WHOLE, Selection

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SMALLEST_SIDE = 16  # pixels; below this there is nothing in which to recognise a person
GREATEST_ASPECT = 20  # beyond this the network's input, whose short side is given, would be huge
MOST_PICTURE_PIXELS = 200_000_000  # a picture of so many takes 600 MB, and so does each copy
MOST_VIDEO_PIXELS = 70_000_000  # beyond 8192×8192; decoders, queues and encoder hold some twenty frames
PICTURE_SECONDS = Fraction(2)  # how long each picture of a folder is shown


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of a source.

    image: RGB uint8 [H, W, 3], upright (rotation and mirroring in the file's metadata are applied).
    index: 0, 1, 2 … in the order of the source; see `SeekableSource.frames` for what it is after a jump.
    pts, time_base: the container's own time stamp; ``pts * time_base`` is in seconds. ``pts`` grows strictly
        from frame to frame; it is None where a source knows no time, that is for pictures.
    duration: how long the frame is shown, in units of ``time_base``; 0 if the container does not say.
    name: the picture's file name, in a folder of pictures.
    """

    image: NDArray[np.uint8]
    index: int
    pts: int | None = None
    time_base: Fraction = Fraction(1)
    duration: int = 0
    name: str | None = None

    @property
    def time(self) -> Fraction | None:
        """Seconds, exactly."""
        return None if self.pts is None else self.pts * self.time_base


@dataclass(frozen=True)
class VideoFormat:
    """What a video that is written from a source takes over from it.

    rate: frames a second, nominal; the frames' own time stamps decide.
    time_base: the unit of the time stamps, in seconds.
    colour: (matrix, primaries, transfer) as the numbers of the H.264 standard, 2 for "not said".
    pixel_aspect: a pixel's width by its height.
    start: the first frame's time, in seconds.
    """

    rate: Fraction
    time_base: Fraction
    colour: tuple[int, int, int] = (2, 2, 2)
    pixel_aspect: Fraction = Fraction(1)
    start: Fraction = Fraction(0)


@dataclass(frozen=True)
class SourceInfo:
    """What is known of a source before its frames are read.

    name: what the user asked for, without user, password and other secrets of an address.
    kind: "video", "image", "folder", "demo", or, without an end, "camera" or "stream".
    path: the file or folder. size: width and height; None for a folder, whose pictures may differ.
    frames: how many to expect; None if not known. video: None for pictures, cameras and streams.
    names: the file names in a folder.
    duration: seconds from the first frame to the end, as far as a file says; None if not known, and where time means
        nothing or never ends: for a single picture, cameras and streams.
    """

    name: str
    kind: str
    path: Path | None = None
    size: tuple[int, int] | None = None
    frames: int | None = None
    video: VideoFormat | None = None
    names: tuple[str, ...] = ()
    duration: Fraction | None = None


class Source(ABC):
    """An open source: iterate over it once for its frames, then read ``notes``.

    notes: sentences the user should read at the end, for example how much of a truncated file was decodable.
    """

    info: SourceInfo

    def __init__(self) -> None:
        self.notes: list[str] = []

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]: ...

    def selected(
        self, selection: Selection = WHOLE, skip: int = 0, wanted: Callable[[], bool] = lambda: True
    ) -> Iterator[Frame]:
        """The frames of a selection without the first `skip` of them, numbered anew: ``index`` begins with `skip`.

        Time stamps stay the source's own; where only every Nth frame is given, its duration reaches to the next one.
        What is passed over is neither converted nor drawn. The whole, with nothing to skip, is the source itself.
        wanted: asked again and again while frames are passed over; where it says no, no further frame comes.
        Raises SwahrError if no frame lies in the selection, now or with the first frame, or if the source has no parts.
        """
        if selection != WHOLE or skip:
            raise SwahrError(f"{self.info.name} has no parts to select from; leave out the selection.")
        return iter(self)

    def close(self) -> None:  # noqa: B027 (most sources hold nothing open)
        """Release what the source holds open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class SeekableSource(Source):
    """A source whose frames can be had from any time on, as often as wanted.

    Positions are exact seconds from the first frame, whatever the time stamps of a file begin with.
    """

    @abstractmethod
    def frames(self, start: Fraction | float, wanted: Callable[[], bool] = lambda: True) -> Iterator[Frame]:
        """The frames from the last one whose position is at most ``start`` on; from the first one, if there is none.

        Each call ends what an earlier one, or the iteration over the source, would still give. ``index`` then counts
        from what is known of the first frame given: its number in the file where the file tells, else what its
        position makes it at the nominal rate.
        wanted: asked again and again while the place is looked for; where it says no, no frame comes.
        """

    @abstractmethod
    def position(self, frame: Frame) -> Fraction:
        """Where a frame of this source lies, in seconds."""


def open_source(name: str, endless: bool = True) -> Source:
    """Open what the user named: a video, a picture, a folder of pictures, a camera, a stream or ``demo:`` with options.

    endless: whether a source that never ends will do.
    Raises SwahrError if it does not exist, cannot be read, is too small, or never ends where that will not do.
    """
    from .live import LiveSource
    from .live_names import is_live, shown_name

    if is_live(name):
        if not endless:
            raise SwahrError(f"{shown_name(name)} never ends; name a video, or watch it live with `swahr view`.")
        return LiveSource(name)
    if name == "demo:" or name.startswith("demo:?"):
        from .demo import DemoSource

        return DemoSource(name)
    from .files import open_path

    return open_path(name)


def whole_units(seconds: Fraction | float, unit: Fraction) -> int:
    """How many whole units lie in so many seconds, at least 0; what a float rounded off is made up for."""
    rounded = min(Fraction(1, 1_000_000), unit / 4)
    return max(0, math.floor((Fraction(seconds) + rounded) / unit))


def check_size(name: str, width: int, height: int) -> None:
    """Raise SwahrError where a picture is too small, or too long and narrow, to look for people in."""
    if min(width, height) < SMALLEST_SIDE:
        raise SwahrError(
            f"{name} is {width}×{height} pixels; people can be looked for from "
            f"{SMALLEST_SIDE}×{SMALLEST_SIDE} pixels on."
        )
    if max(width, height) > GREATEST_ASPECT * min(width, height):
        raise SwahrError(
            f"{name} is {width}×{height} pixels, too long and narrow; crop it to at most {GREATEST_ASPECT}:1."
        )


def check_pixels(name: str, width: int, height: int, most: int) -> None:
    """Raise SwahrError where a header claims more than so many pixels: before memory is taken for them."""
    if width * height > most:
        raise SwahrError(
            f"{name} is {width}×{height} pixels, more than can be processed; make it smaller than "
            f"{most // 1_000_000} million pixels."
        )
