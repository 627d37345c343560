"""Poses as JSON lines: one header line, then one line a frame."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from app.sources import Frame, SourceInfo
from app.sources.selection import WHOLE, Selection
from grouping import People, Skeleton

from .poses import PosedFrame, PoseFile

FORMAT, VERSION = "swahr-poses", 1


class JsonLinesWriter(PoseFile):
    """Writes every frame's people, empty frames included, so that the file can be read while it grows.

    header: gives the first line, when the first frame comes.
    """

    def __init__(
        self, path: Path, header: Callable[[], Mapping[str, Any]], overwrite: bool = False, resume: bool = False
    ) -> None:
        super().__init__(path, overwrite, resume)
        self._header = header

    def first_text(self) -> str:
        """The header's line."""
        return as_line(self._header())

    def frame_text(self, frame: PosedFrame) -> str:
        """The frame's line."""
        return as_line(posed_record(frame))


def bare_header(skeleton: Skeleton) -> dict[str, Any]:
    """The first line of poses of which nothing else is known."""
    return {"format": FORMAT, "version": VERSION, "skeleton": skeleton.to_dict()}


def header(source: SourceInfo, estimator: Any, smoothed: bool, selection: Selection = WHOLE) -> dict[str, Any]:
    """The first line: where the poses come from and how they were found.

    ``time_base`` is written as a fraction of a second ("1/30000"), so that ``pts`` gives exact times; it and
    ``size`` are null where the source has none. ``selection`` is there if not all frames were looked at.
    """
    return {
        "format": FORMAT,
        "version": VERSION,
        "source": source.name,
        "kind": source.kind,
        "size": source.size,
        "time_base": None if source.video is None else str(source.video.time_base),
        "model": estimator.model,
        "backend": estimator.backend,
        "device": estimator.device,
        "precision": estimator.precision,
        "skeleton": estimator.skeleton.to_dict(),
        "settings": {
            "size": estimator.size,
            "flip": estimator.flip,
            "scales": list(estimator.scales),
            **asdict(estimator.options),
            "smoothed": smoothed,
        },
        **({} if selection == WHOLE else {"selection": _selection_record(selection)}),
    }


def _selection_record(selection: Selection) -> dict[str, Any]:
    end = None if selection.end is None else float(selection.end)
    return {"from": float(selection.start), "to": end, "every": selection.every}


def frame_record(frame: Frame, people: People) -> dict[str, Any]:
    """One frame's line: ``frame``, ``time`` in seconds, ``pts``, ``people``.

    A box is left, top, right, bottom; a keypoint is x, y, score, sigma. Pictures have no time (null), and
    those of a folder bring their ``file`` and ``size`` instead. A sigma is null without a scale branch.
    """
    return posed_record(PosedFrame.of(frame, people))


def posed_record(frame: PosedFrame) -> dict[str, Any]:
    """See `frame_record`."""
    record: dict[str, Any] = {"frame": frame.index, "time": frame.time}
    if frame.pts is not None:
        record["pts"] = frame.pts
    if frame.name is not None:
        record["file"] = frame.name
    if frame.size is not None:
        record["size"] = list(frame.size)
    return record | {"people": people_records(frame.people)}


def people_records(people: People) -> list[dict[str, Any]]:
    """Each person as plain numbers: coordinates to a thousandth of a pixel, scores to a ten-thousandth."""
    keypoints = people.keypoints.astype(np.float64)
    positions, scores = keypoints[:, :, :2].round(3).tolist(), keypoints[:, :, 2].round(4).tolist()
    if people.sigmas is None:
        sigmas = [[None] * len(people.skeleton.names)] * len(people)
    else:
        sigmas = people.sigmas.astype(np.float64).round(3).tolist()
    boxes = people.boxes.astype(np.float64).round(3).tolist()
    return [
        {
            "id": None if people.ids is None else int(people.ids[person]),
            "score": round(float(people.scores[person]), 4),
            "box": boxes[person],
            "keypoints": [
                [*position, score, sigma]
                for position, score, sigma in zip(positions[person], scores[person], sigmas[person], strict=True)
            ],
        }
        for person in range(len(people))
    ]


def as_line(record: Mapping[str, Any]) -> str:
    """Compact JSON and a line end; NaN is refused, for it is no JSON."""
    return json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
