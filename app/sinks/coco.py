"""Poses as COCO's keypoint results, as the official evaluation takes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from grouping import People

from .poses import PosedFrame, PoseFile

PERSON = 1  # the category's id
FIRST_PIXEL = 0.5  # COCO counts from the first pixel's centre, `People` from its corner
FOUND, NOT_FOUND = 2, 0  # the third number of a keypoint


class CocoWriter(PoseFile):
    """Writes one list of results, one line a person; frames without people leave no trace.

    names: the pictures to come, whose numbers are their ids if they are all different numbers, as COCO's own pictures
    have them; otherwise the frame's index is. A list that was cut off by a failure is closed nevertheless.
    """

    def __init__(self, path: Path, names: Sequence[str] = (), overwrite: bool = False, resume: bool = False) -> None:
        super().__init__(path, overwrite, resume)
        self._ids = image_ids(names)
        self._separator = ""

    def first_text(self) -> str:
        """The list's begin."""
        return "["

    def frame_text(self, frame: PosedFrame) -> str:
        """The results of a frame's people."""
        text = ""
        for result in results(frame.people, self._ids.get(frame.name, frame.index)):
            text += f"{self._separator}\n{json.dumps(result, allow_nan=False, separators=(',', ':'))}"
            self._separator = ","
        return text

    def last_text(self) -> str:
        """The list's end."""
        return "\n]\n"


def image_ids(names: Sequence[str]) -> dict[str | None, int]:
    """The number of each picture whose name is one, as 000000000139.jpg; empty unless all are, and all different."""
    stems = [Path(name).stem for name in names]
    if not all(stem.isascii() and stem.isdecimal() and len(stem) < 19 for stem in stems):
        return {}
    numbers = {name: int(stem) for name, stem in zip(names, stems, strict=True)}
    return numbers if len(set(numbers.values())) == len(names) else {}


def results(people: People, image_id: int) -> list[dict[str, Any]]:
    """Each person as a result; a keypoint is x, y and 2, or three zeros where it was not found."""
    stored = people.keypoints.astype(np.float64) - (FIRST_PIXEL, FIRST_PIXEL, 0)
    stored[:, :, 2] = FOUND
    stored = np.where(people.found[:, :, None], stored, NOT_FOUND).round(3)
    return [
        {
            "image_id": image_id,
            "category_id": PERSON,
            "keypoints": [int(number) if number == int(number) else number for number in keypoints.ravel().tolist()],
            "score": round(float(score), 4),
        }
        for keypoints, score in zip(stored, people.scores, strict=True)
    ]
