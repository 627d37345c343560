"""Poses as CSV: a row of names, then one row a keypoint."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

from .json_lines import people_records
from .poses import PosedFrame, PoseFile

COLUMNS = ("frame", "time", "file", "person", "id", "person_score", "keypoint", "x", "y", "score", "sigma")
_NOBODY = ("",) * 8  # from "person" on


class CsvWriter(PoseFile):
    """Writes every frame: K rows for each of its people, or one row that names nobody.

    ``person`` counts a frame's people from 0. Empty are: time and file where the source has none, id and sigma where
    they are not known, and x, y and sigma of a keypoint that was not found (score 0).
    """

    def first_text(self) -> str:
        """The row of names."""
        return _text([COLUMNS])

    def frame_text(self, frame: PosedFrame) -> str:
        """The frame's rows."""
        return _text(_rows(frame))


def _rows(frame: PosedFrame) -> Iterator[tuple[Any, ...]]:
    first = frame.index, frame.time, frame.name
    if frame.people.is_empty:
        yield *first, *_NOBODY
    for place, person in enumerate(people_records(frame.people)):
        for name, (x, y, score, sigma) in zip(frame.people.skeleton.names, person["keypoints"], strict=True):
            where = (x, y, score, sigma) if score > 0 else (None, None, score, None)
            yield *first, place, person["id"], person["score"], name, *where


def _text(rows: Iterable[tuple[Any, ...]]) -> str:
    lines: list[str] = []
    # With this end of line, which is then taken off, a carriage return in a file's name is quoted as well.
    csv.writer(SimpleNamespace(write=lines.append), lineterminator="\r\n").writerows(rows)
    return "".join(line[:-2] + "\n" for line in lines)
