"""What every file of poses holds of a frame, and how such a file is opened, written and closed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from app.sources import Frame
from engine.errors import SwahrError
from grouping import People

from .partial import PartialFile


@dataclass(frozen=True, eq=False)
class PosedFrame:
    """A frame without its picture: what files of poses know of it.

    index: 0, 1, 2 …, or in COCO's results the picture's id. time: in seconds; None for pictures.
    pts: the container's time stamp, where it is known. name, size: a picture's, in a folder of pictures.
    """

    index: int
    time: float | None
    people: People
    pts: int | None = None
    name: str | None = None
    size: tuple[int, int] | None = None

    @classmethod
    def of(cls, frame: Frame, people: People) -> PosedFrame:
        """What is kept of a frame of a source."""
        height, width = frame.image.shape[:2]
        time = None if frame.time is None else float(frame.time)
        size = None if frame.name is None else (width, height)
        return cls(frame.index, time, people, frame.pts, frame.name, size)


class PoseSink(ABC):
    """An output for poses: a `Sink` that does not look at pictures, and takes frames read from another file as well.

    Nothing of an earlier run is kept: what was found is added again.
    """

    frames_kept = 0

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []

    @abstractmethod
    def add(self, frame: PosedFrame) -> None:
        """Add one frame; SwahrError if it cannot be written."""

    def write(self, frame: Frame, picture: NDArray[np.uint8], people: People) -> None:
        """Add one frame of a source; the picture is not looked at."""
        self.add(PosedFrame.of(frame, people))


class PoseFile(PoseSink):
    """One text file, which can be read while it grows: what comes first, then some text for each frame, then an end.

    The end is written after a failure as well, so that what is left is as whole as the format lets it be.
    overwrite, resume: see `PartialFile`; what a run before has left is begun anew.
    """

    def __init__(self, path: Path, overwrite: bool = False, resume: bool = False) -> None:
        super().__init__(path)
        self._file = PartialFile(path, overwrite, resume)
        self._begun = False

    @property
    def partial(self) -> Path | None:
        """Where what was written is found after a failure."""
        return self._file.partial

    def first_text(self) -> str:
        """What comes before the first frame; asked for when that comes."""
        return ""

    @abstractmethod
    def frame_text(self, frame: PosedFrame) -> str:
        """What is written for a frame."""

    def last_text(self) -> str:
        """What comes after the last frame."""
        return ""

    def __enter__(self) -> Self:
        self._file.__enter__()
        # File names that are no text become escapes, as JSON has them.
        self._text = self._file.writing.open("w", encoding="utf-8", errors="backslashreplace", newline="\n")
        return self

    def add(self, frame: PosedFrame) -> None:
        """Add one frame and pass it on to the system at once."""
        try:
            self._begin()
            self._text.write(self.frame_text(frame))
            self._text.flush()
        except OSError as error:
            raise not_written(self.path, error) from None

    def _begin(self) -> None:
        if not self._begun:
            self._text.write(self.first_text())
            self._begun = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            with self._text:
                if kind is None:
                    self._begin()
                if self._begun:
                    self._text.write(self.last_text())
        except OSError as failure:  # what could not be written before is tried again
            self._file.__exit__(type(failure), failure, None)
            if kind is None:
                raise not_written(self.path, failure) from None
        else:
            self._file.__exit__(kind, error, traceback)


def not_written(path: Path, error: OSError) -> SwahrError:
    """The sentence about a file that the system does not write."""
    return SwahrError(f"{path} cannot be written ({error.strerror}); free space on the disk or write elsewhere.")
