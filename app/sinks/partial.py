"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

from engine.errors import SwahrError

_NOTHING_TO_FLUSH = (errno.EINVAL, errno.ENOTSUP, errno.EROFS, errno.EACCES, errno.EBADF)  # no disk lies behind it


class PartialFile:
    """A file that is written as ``name.partial.suffix`` beside its place and renamed when all went well.

    Inside ``with``, write to ``writing``. After a failure what was written stays there and ``partial`` names
    it; an empty file is removed. Raises SwahrError, before anything is written, where a file would be
    overwritten without ``overwrite`` or the folder cannot be written to, and at the end if it cannot be renamed.
    resume: an earlier run's partial file is begun anew, without ``overwrite`` too; a complete file is not.
    flush: whether the disk holds the file before it gets its name; one of very many may leave that to their writer.
    """

    def __init__(self, path: Path, overwrite: bool, resume: bool = False, flush: bool = True) -> None:
        self.path = path
        self.writing = partial_path(path)
        self.partial: Path | None = None
        self._overwrite, self._resume, self._flush = overwrite, resume, flush

    def check(self) -> None:
        """Raise SwahrError if it may not be begun."""
        if self.path.is_dir():
            raise SwahrError(f"{self.path} is a folder; name a file to write.")
        if not self.path.parent.is_dir():
            raise SwahrError(f"The folder {self.path.parent} does not exist; create it, or write elsewhere.")
        if self._overwrite:
            return
        _refuse_existing(self.path, "exists already")
        if not self._resume:
            refuse_left_over(self.writing)

    def __enter__(self) -> Self:
        self.check()
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
            if self._flush:
                flush_to_disk(self.writing)  # or a power cut could leave the name with nothing in it
            self.writing.replace(self.path)
        except OSError as failure:
            self._keep()
            raise SwahrError(f"{self.path} cannot be written ({failure.strerror}); write elsewhere.") from None
        if self._flush:
            with suppress(OSError):  # not every system can
                flush_to_disk(self.path.parent)

    def _keep(self) -> None:
        with suppress(FileNotFoundError):  # someone has removed it meanwhile
            if self.writing.stat().st_size > 0:
                self.partial = self.writing
            else:
                self.writing.unlink()


def flush_to_disk(path: Path) -> None:
    """Wait until the disk holds what was written to a file, or a folder's names; OSError if it cannot."""
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders
    try:
        descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NOTHING_TO_FLUSH:
            raise


def free_path(path: Path, beside: str) -> Path:
    """The first of ``name.suffix``, ``name-2.suffix``, … that is not taken, neither by a file nor by a partial one.

    beside: the suffix of a second file of the same name, whose place is to be free as well.
    """
    for number in count(1):
        free = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        places = free, free.with_suffix(beside)
        # In this order: a partial file that is renamed meanwhile is seen under the one name or the other.
        if not any(partial_path(place).exists() or place.exists() for place in places):
            return free


def partial_path(path: Path) -> Path:
    """Where a file is while it is written."""
    return path.with_name(f"{path.stem}.partial{path.suffix}")


def previous_path(path: Path) -> Path:
    """Where an earlier run's partial file is while what it holds is copied into the next one."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def refuse_left_over(path: Path) -> None:
    """Raise SwahrError where an earlier run has left something."""
    _refuse_existing(path, "is left over from a run that was cut off")


def _refuse_existing(path: Path, what: str) -> None:
    if path.exists():
        raise SwahrError(f"{path} {what}; add --overwrite to replace it, or write elsewhere.")
