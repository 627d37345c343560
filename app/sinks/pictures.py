"""Annotated pictures: one file, or a folder of them."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from app.sources import Frame
from app.sources.pictures import PICTURE_SUFFIXES
from engine.errors import SwahrError
from grouping import People

from .partial import PartialFile


class PictureWriter:
    """Writes one annotated picture, in the format that its suffix names."""

    frames_kept = 0

    def __init__(self, path: Path, overwrite: bool = False) -> None:
        if path.suffix.lower() not in PICTURE_SUFFIXES:
            raise SwahrError(
                f"{path} does not end like a picture; let it end in {', '.join(sorted(PICTURE_SUFFIXES))}."
            )
        self.path = path
        self.notes: list[str] = []
        self._file = PartialFile(path, overwrite)

    @property
    def partial(self) -> Path | None:
        """Where the picture is found if another output failed."""
        return self._file.partial

    def __enter__(self) -> Self:
        self._file.__enter__()
        return self

    def write(self, frame: Frame, picture: NDArray[np.uint8], people: People) -> None:
        """Write the picture."""
        write_picture(self._file.writing, picture)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.__exit__(kind, error, traceback)


class FolderWriter:
    """Writes annotated pictures into a folder, each under the name of its original and each complete at once.

    names: the pictures to come. The folder is created; without ``overwrite`` none of them may be there yet.
    frames_kept: how many of them a run that is gone on with has written; None if none is.
    """

    def __init__(
        self, path: Path, names: tuple[str, ...], overwrite: bool = False, frames_kept: int | None = None
    ) -> None:
        self.path = path
        self.notes: list[str] = []
        self.frames_kept = frames_kept or 0
        self._names = names
        self._overwrite = overwrite or frames_kept is not None
        self._written = 0

    @property
    def partial(self) -> Path | None:
        """The folder itself, as soon as one picture is in it."""
        return self.path if self._written else None

    def __enter__(self) -> Self:
        if not self._overwrite:
            there = next((name for name in self._names if (self.path / name).exists()), None)
            if there is not None:
                raise SwahrError(
                    f"{self.path / there} exists already; add --overwrite to replace it, or write elsewhere."
                )
        try:
            self.path.mkdir(exist_ok=True)
        except OSError as error:
            raise SwahrError(f"The folder {self.path} cannot be created ({error.strerror}); write elsewhere.") from None
        return self

    def write(self, frame: Frame, picture: NDArray[np.uint8], people: People) -> None:
        """Write one picture under its original's name."""
        with PartialFile(self.path / frame.name, self._overwrite) as file:
            write_picture(file.writing, picture)
        self._written += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._written and not any(self.path.iterdir()):
            self.path.rmdir()


def write_picture(path: Path, picture: NDArray[np.uint8]) -> None:
    """Encode an RGB picture in the format of the file's suffix; SwahrError if it cannot be written."""
    try:
        _, data = cv2.imencode(path.suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        path.write_bytes(data.tobytes())
    except cv2.error:
        raise SwahrError(f"{path} cannot be encoded as {path.suffix}; write a .jpg or .png instead.") from None
    except OSError as error:
        raise SwahrError(f"{path} cannot be written ({error.strerror}).") from None
