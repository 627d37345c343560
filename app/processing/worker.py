"""What runs on a node of a cluster: one network, and whatever source it is given."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from tempfile import gettempdir
from typing import Any, BinaryIO

from app.processing.journal import Found
from app.processing.locking import lock
from app.processing.options import ProcessOptions
from app.processing.queue import SharedEngine
from app.processing.run import process
from app.processing.stages import Finder, Known, batches
from app.sinks.json_lines import header
from app.sources import open_source
from engine.errors import SwahrError


class Worker:
    """Works in the folder in which the command was given, on so many cores (None: all).

    What it returns is an answer, or the SwahrError that says why there is none.
    """

    def __init__(self, folder: str, cores: int | None) -> None:
        self._engine = SharedEngine()
        self._refusal: SwahrError | None = None
        try:
            os.chdir(folder)
        except OSError as error:
            node = os.uname().nodename if hasattr(os, "uname") else "a node"
            self._refusal = SwahrError(
                f"The folder {folder} cannot be had on {node} ({error.strerror}); mount it there under the same name."
            )
        self._held = None if cores is None else keep_to(cores)

    def process(self, options: ProcessOptions) -> str | SwahrError:
        """Do whatever is left to be done for a source, and say what it gave."""
        if self._refusal is not None:
            return self._refusal
        try:
            return process(options, load=self._engine)
        except SwahrError as error:
            return _plain(error)

    def find(
        self, options: ProcessOptions, first: int, number: int | None
    ) -> tuple[list[Found], Mapping[str, Any]] | SwahrError:
        """The people in so many of a source's frames (None: in all there are) from one on, and the poses' header."""
        if self._refusal is not None:
            return self._refusal
        try:
            return self._find(options, first, number)
        except SwahrError as error:
            return _plain(error)

    def _find(self, options: ProcessOptions, first: int, number: int | None) -> tuple[list[Found], Mapping[str, Any]]:
        with open_source(options.source, endless=False) as source:
            info = source.info
            frames = islice(source.selected(options.selection, first), number)
            estimator = self._engine(options, bool(options.poses) or not options.raw)
            estimator.prepare(*info.size)
            find = Finder(estimator, scale_map=False)
            found = [
                Found.of(inferred.frame, inferred.people)
                for batch in batches(map(Known, frames), estimator.images_per_run)
                for inferred in find(batch)
            ]
            return found, header(info, estimator, not options.raw, options.selection)


def keep_to(cores: int) -> BinaryIO | None:
    """Let this process run on so many cores that no other worker of this machine has; returns what holds them.

    None where there are none left, or the system does not offer it; then it runs on all.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    usable = sorted(os.sched_getaffinity(0))
    for block in range(len(usable) // cores):
        with suppress(OSError):
            held = (Path(gettempdir()) / f"swahr-cores-{cores}-{block}").open("ab")
            if lock(held):
                os.sched_setaffinity(0, usable[block * cores : (block + 1) * cores])
                return held
            held.close()
    return None


def _plain(error: SwahrError) -> SwahrError:
    """The same sentences without the traceback, which cannot be sent."""
    plain = SwahrError(str(error))
    for note in getattr(error, "__notes__", ()):
        plain.add_note(note)
    return plain
