"""Files that appear under their name only when they are complete."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from engine.errors import SwahrError


class PartialFile:
    """A file that is written as ``name.partial.suffix`` beside its place and renamed when all went well.

    Inside ``with``, write to ``writing``. After a failure what was written stays there and ``partial`` names
    it; an empty file is removed. Raises SwahrError, before anything is written, where a file would be
    overwritten without ``overwrite`` or the folder cannot be written to, and at the end if it cannot be renamed.
    """

    def __init__(self, path: Path, overwrite: bool) -> None:
        self.path = path
        self.writing = _partial(path)
        self.partial: Path | None = None
        self._overwrite = overwrite

    def __enter__(self) -> Self:
        if self.path.is_dir():
            raise SwahrError(f"{self.path} is a folder; name a file to write.")
        if not self.path.parent.is_dir():
            raise SwahrError(f"The folder {self.path.parent} does not exist; create it, or write elsewhere.")
        if not self._overwrite:
            _refuse_existing(self.path, "exists already")
            _refuse_existing(self.writing, "is left over from a run that was cut off")
        try:
            self.writing.open("wb").close()
        except OSError as error:
            raise SwahrError(f"{self.path} cannot be written ({error.strerror}); write elsewhere.") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self._keep()
            return
        try:
            self.writing.replace(self.path)
        except OSError as failure:
            self._keep()
            raise SwahrError(f"{self.path} cannot be written ({failure.strerror}); write elsewhere.") from None

    def _keep(self) -> None:
        with suppress(FileNotFoundError):  # someone has removed it meanwhile
            if self.writing.stat().st_size > 0:
                self.partial = self.writing
            else:
                self.writing.unlink()


def free_path(path: Path, beside: str) -> Path:
    """The first of ``name.suffix``, ``name-2.suffix``, … that is not taken, neither by a file nor by a partial one.

    beside: the suffix of a second file of the same name, whose place is to be free as well.
    """
    for number in count(1):
        free = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        places = free, free.with_suffix(beside)
        # In this order: a partial file that is renamed meanwhile is seen under the one name or the other.
        if not any(_partial(place).exists() or place.exists() for place in places):
            return free


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.stem}.partial{path.suffix}")


def _refuse_existing(path: Path, what: str) -> None:
    if path.exists():
        raise SwahrError(f"{path} {what}; add --overwrite to replace it, or write elsewhere.")
