"""One frame, saved as it is shown: the picture, and what was found in it beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.sinks.json_lines import as_line, frame_record
from app.sinks.partial import PartialFile, free_path
from app.sinks.pictures import write_picture
from app.sources import Frame
from engine.errors import SwahrError
from grouping import People

POSES_SUFFIX = ".json"
_NAMING = Lock()  # two snapshots at once must not find the same name free


def save_snapshot(
    path: Path, picture: NDArray[np.uint8], frame: Frame, people: People, header: Mapping[str, Any]
) -> str:
    """Write the annotated picture, RGB uint8 [H, W, 3], and beside it one JSON object; say where in a sentence.

    path: of the picture, ending in .png; where that is taken, ``name-2.png`` and so on.
    header: see `app.sinks.json_lines.header`; the object holds it under that name, and what a frame's line has.
    Both files appear, complete, or neither. Raises SwahrError if they cannot be written.
    """
    record = as_line({"header": dict(header), **frame_record(frame, people)})
    with _pair_of_files(path) as (picture_file, poses_file):
        _write_text(poses_file.writing, record)
        write_picture(picture_file.writing, picture)
    return f"Saved {picture_file.path} and {poses_file.path}."


@contextmanager
def _pair_of_files(path: Path) -> Iterator[tuple[PartialFile, PartialFile]]:
    """The picture's file and that of its poses, under the first free name; after a failure nothing is left of them."""
    with ExitStack() as stack:
        with _NAMING:
            picture_path = free_path(path, POSES_SUFFIX)
            files = tuple(
                stack.enter_context(PartialFile(one, overwrite=False))
                for one in (picture_path, picture_path.with_suffix(POSES_SUFFIX))
            )
        try:
            yield files
        except BaseException:
            for file in files:
                file.writing.unlink(missing_ok=True)
            raise


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise SwahrError(f"{path} cannot be written ({error.strerror}).") from None
