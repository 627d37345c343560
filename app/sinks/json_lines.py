"""Poses as JSON lines: one header line, then one line a frame."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from app.sources import Frame, SourceInfo
from engine.errors import SwahrError
from grouping import People

from .partial import PartialFile


class JsonLinesWriter:
    """Writes every frame's people, empty frames included, so that the file can be read while it grows.

    header: gives the first line, when the first frame comes.
    """

    def __init__(self, path: Path, header: Callable[[], Mapping[str, Any]], overwrite: bool = False) -> None:
        self.path = path
        self.notes: list[str] = []
        self._header = header
        self._file = PartialFile(path, overwrite)

    @property
    def partial(self) -> Path | None:
        """Where what was written is found after a failure."""
        return self._file.partial

    def __enter__(self) -> Self:
        self._file.__enter__()
        self._lines = self._file.writing.open("w", encoding="utf-8", newline="\n")
        return self

    def write(self, frame: Frame, picture: NDArray[np.uint8], people: People) -> None:
        """Add one line; the picture is not looked at."""
        try:
            if frame.index == 0:
                self._lines.write(as_line(self._header()))
            self._lines.write(as_line(frame_record(frame, people)))
            self._lines.flush()
        except OSError as error:
            raise self._failure(error) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._lines.close()
        except OSError as failure:  # what could not be written before is tried again
            self._file.__exit__(type(failure), failure, None)
            if kind is None:
                raise self._failure(failure) from None
        else:
            self._file.__exit__(kind, error, traceback)

    def _failure(self, error: OSError) -> SwahrError:
        return SwahrError(
            f"{self.path} cannot be written ({error.strerror}); free space on the disk or write elsewhere."
        )


def header(source: SourceInfo, estimator: Any, smoothed: bool) -> dict[str, Any]:
    """The first line: where the poses come from and how they were found.

    ``time_base`` is written as a fraction of a second ("1/30000"), so that ``pts`` gives exact times; it and
    ``size`` are null where the source has none.
    """
    return {
        "format": "swahr-poses",
        "version": 1,
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
    }


def frame_record(frame: Frame, people: People) -> dict[str, Any]:
    """One frame's line: ``frame``, ``time`` in seconds, ``pts``, ``people``.

    A box is left, top, right, bottom; a keypoint is x, y, score, sigma. Pictures have no time (null), and
    those of a folder bring their ``file`` and ``size`` instead. A sigma is null without a scale branch.
    """
    record: dict[str, Any] = {"frame": frame.index, "time": None if frame.time is None else float(frame.time)}
    if frame.pts is not None:
        record["pts"] = frame.pts
    if frame.name is not None:
        height, width = frame.image.shape[:2]
        record |= {"file": frame.name, "size": [width, height]}
    return record | {"people": people_records(people)}


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
