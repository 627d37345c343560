"""JSON lines, as `app.sinks.json_lines` writes them."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from app.sinks.json_lines import FORMAT, VERSION
from app.sinks.poses import PosedFrame
from grouping import COCO17, People, Skeleton

from . import Poses
from .damage import finite, loaded, people_from, reading


def read_json_lines(path: Path) -> Poses:
    """All that was written; a last line that was cut off is left out, with a note."""
    header: Mapping[str, Any] | None = None
    skeleton, frames, notes = COCO17, [], []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.isspace():
                continue
            if header is not None and not line.endswith(b"\n") and _is_cut(line):
                notes.append(f"The last line of {path} was cut off and is left out.")
                break
            with reading(f"{path}, line {number},"):
                record = loaded(line)
                if header is None:
                    header, skeleton = record, _skeleton(record)
                else:
                    frames.append(_frame(record, skeleton))
    return Poses("json", skeleton, frames, header, notes)


def _is_cut(line: bytes) -> bool:
    try:
        loaded(line)
    except ValueError:
        return True
    return False


def _skeleton(header: Mapping[str, Any]) -> Skeleton:
    if (found := header.get("format")) != FORMAT:
        raise ValueError(f"its format is {found!r} and not {FORMAT!r}")
    if (version := header.get("version")) != VERSION:
        raise ValueError(f"its version is {version!r}, and only {VERSION} can be read")
    return Skeleton.from_dict(header["skeleton"])


def _frame(record: Mapping[str, Any], skeleton: Skeleton) -> PosedFrame:
    time, pts, name, size = record["time"], record.get("pts"), record.get("file"), record.get("size")
    if not isinstance(name, str | None):
        raise TypeError(f"its file {name!r} is no name")
    return PosedFrame(
        operator.index(record["frame"]),
        None if time is None else finite(time),
        _people(record["people"], skeleton),
        None if pts is None else operator.index(pts),
        name,
        None if size is None else (operator.index(size[0]), operator.index(size[1])),
    )


def _people(records: list[Mapping[str, Any]], skeleton: Skeleton) -> People:
    if not records:
        return People.empty(skeleton)
    values = np.array([person["keypoints"] for person in records], np.float64)  # null becomes NaN
    if values.shape[1:] != (skeleton.num_keypoints, 4):
        raise ValueError(f"its people do not have {skeleton.num_keypoints} keypoints of 4 numbers")
    scores, ids = [person["score"] for person in records], [person["id"] for person in records]
    return people_from(values[:, :, :3], scores, ids, values[:, :, 3], skeleton)
