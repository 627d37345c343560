"""CSV, as `app.sinks.csv_rows` writes it."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from app.sinks.csv_rows import COLUMNS
from app.sinks.poses import PosedFrame
from grouping import COCO17, SKELETONS, People, Skeleton

from . import Poses
from .damage import DAMAGES, damaged, finite, people_from, reading


class _Row(NamedTuple):
    line: int
    frame: tuple[int, float | None, str | None]
    person: int | None
    id: int | None
    person_score: float
    keypoint: str
    values: tuple[float, float, float, float]  # x, y, score, sigma; NaN where empty


_NOBODY = None, None, 0.0, "", (0.0, 0.0, 0.0, 0.0)


def read_csv(path: Path) -> Poses:
    """All that was written; rows must be in the order in which they were."""
    skeleton, frames = None, []
    with path.open(encoding="utf-8-sig", newline="") as text:
        for (index, time, name), group in groupby(_rows(path, text), attrgetter("frame")):
            rows = list(group)
            people = People.empty(skeleton or COCO17)
            if rows[0].person is not None:
                skeleton = skeleton or _skeleton(path, rows)
                people = _people(path, rows, skeleton)
            frames.append(PosedFrame(index, time, people, name=name))
    # Frames without people that came before the skeleton was known get it as well.
    skeleton = skeleton or COCO17
    nobody = People.empty(skeleton)
    frames = [replace(frame, people=nobody) if frame.people.is_empty else frame for frame in frames]
    return Poses("csv", skeleton, frames)


def _rows(path: Path, text: Iterable[str]) -> Iterator[_Row]:
    reader = csv.reader(text, strict=True)
    try:
        if tuple(next(reader)) != COLUMNS:
            raise ValueError(f"its columns are not {','.join(COLUMNS)}")
        for row in reader:
            if row:
                yield _row(row, reader.line_num)
    except (csv.Error, *DAMAGES) as error:
        raise damaged(f"{path}, line {reader.line_num},", error) from None


def _row(row: list[str], line: int) -> _Row:
    if len(row) != len(COLUMNS):
        raise ValueError(f"it has {len(row)} columns and not {len(COLUMNS)}")
    index, time, name, person, identity, person_score, keypoint, *values = row
    frame = int(index), finite(time) if time else None, name or None
    if not person:
        return _Row(line, frame, *_NOBODY)
    return _Row(
        line,
        frame,
        int(person),
        int(identity) if identity else None,
        float(person_score),
        keypoint,
        tuple(float(value) if value else math.nan for value in values),
    )


def _skeleton(path: Path, rows: list[_Row]) -> Skeleton:
    """That which begins with the first person's first keypoint, and has all the others."""
    first, named = rows[0].keypoint, {row.keypoint for row in rows}
    for skeleton in SKELETONS.values():
        if skeleton.names[0] == first and named <= set(skeleton.names):
            return skeleton
    error = ValueError(
        f"neither {' nor '.join(SKELETONS)} begins with the keypoint {first} and has all the others, "
        "and JSON lines alone tell other skeletons"
    )
    raise damaged(f"{path}, line {rows[0].line},", error)


def _people(path: Path, rows: list[_Row], skeleton: Skeleton) -> People:
    keypoints = skeleton.num_keypoints
    number = -(-len(rows) // keypoints)
    expected = [(person, name) for person in range(number) for name in skeleton.names]
    given = [(row.person, row.keypoint) for row in rows]
    if given != expected:
        wrong = next((place for place, pair in enumerate(given) if pair != expected[place]), len(rows) - 1)
        error = ValueError(f"a person needs {keypoints} rows in the order {', '.join(skeleton.names)}")
        raise damaged(f"{path}, line {rows[wrong].line},", error)
    with reading(f"{path}, line {rows[0].line},"):
        values = np.array([row.values for row in rows]).reshape(number, keypoints, 4)
        not_found = values[:, :, 2] <= 0
        values[not_found, :2] = 0
        if np.isfinite(values[:, :, 3]).any():
            values[not_found, 3] = 0
        firsts = rows[::keypoints]
        scores, ids = [row.person_score for row in firsts], [row.id for row in firsts]
        return people_from(values[:, :, :3], scores, ids, values[:, :, 3], skeleton)
