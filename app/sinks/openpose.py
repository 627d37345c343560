"""Poses as OpenPose writes them: a folder with one JSON file a frame."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from engine.errors import SwahrError
from grouping import COCO17, People

from .partial import PartialFile
from .poses import PosedFrame, PoseSink, not_written

SUFFIX = "_keypoints.json"
NECK = 1
# OpenPose's COCO order, its neck aside: nose, the right arm, the left arm, the right leg, the left leg, eyes and ears.
COCO18_WITHOUT_NECK = (0, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
_SHOULDERS = [COCO17.names.index("left_shoulder"), COCO17.names.index("right_shoulder")]


class OpenPoseWriter(PoseSink):
    """Writes each frame's people into a folder, each file complete at once; frames without people are files as well.

    stem: what the files of a video's frames begin with, before their number of 12 digits.
    names: the pictures to come, each of whose files is named after it. The folder is created; without ``overwrite``
    none of the files may be there yet. With it, files that an earlier, longer run left of the same video go at the end.
    resume: the files are those of a run that is gone on with, and are written anew.
    """

    def __init__(
        self, path: Path, stem: str, names: Sequence[str] = (), overwrite: bool = False, resume: bool = False
    ) -> None:
        super().__init__(path)
        self._stem = stem
        self._pictures = file_names(names)
        self._overwrite = overwrite or resume
        self._written: set[str] = set()

    @property
    def partial(self) -> Path | None:
        """The folder itself, as soon as one file is in it."""
        return self.path if self._written else None

    def __enter__(self) -> Self:
        try:
            self.path.mkdir(exist_ok=True)
        except OSError as error:
            raise SwahrError(f"The folder {self.path} cannot be created ({error.strerror}); write elsewhere.") from None
        if not self._overwrite and (there := self._there()):
            raise SwahrError(
                f"{self.path / min(there)} exists already; add --overwrite to replace it, or write elsewhere."
            )
        return self

    def _there(self) -> set[str]:
        """The files of this video, or of these pictures, that the folder holds."""
        of_video = re.compile(re.escape(self._stem) + r"_\d{12}" + re.escape(SUFFIX))
        pictures = set(self._pictures.values())
        names = (path.name for path in self.path.iterdir())
        return {name for name in names if (name in pictures if pictures else of_video.fullmatch(name))}

    def add(self, frame: PosedFrame) -> None:
        """Write one file."""
        name = self._pictures.get(frame.name, f"{self._stem}_{frame.index:012d}{SUFFIX}")
        content = {"version": 1.3, "people": [_person(person) for person in frame.people]}
        try:
            with PartialFile(self.path / name, self._overwrite, flush=False) as file:
                file.writing.write_text(json.dumps(content, allow_nan=False, separators=(",", ":")), encoding="utf-8")
        except OSError as error:
            raise not_written(self.path / name, error) from None
        self._written.add(name)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._written:
            with suppress(OSError):  # it holds other files
                self.path.rmdir()
        elif kind is None:
            if hasattr(os, "sync"):
                os.sync()  # once for all the files, which waiting for each would slow down
            self._remove_older()

    def _remove_older(self) -> None:
        try:
            for name in self._there() - self._written:
                (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise SwahrError(
                f"Files of an earlier run in {self.path} cannot be removed ({error.strerror}); remove them yourself."
            ) from None


def file_names(names: Sequence[str]) -> dict[str | None, str]:
    """The file of each picture: a_keypoints.json for a.png, or a.png_keypoints.json where there is an a.jpg as well."""
    stems = Counter(Path(name).stem.casefold() for name in names)
    return {
        name: f"{Path(name).stem if stems[Path(name).stem.casefold()] == 1 else Path(name).name}{SUFFIX}"
        for name in names
    }


def _person(person: People) -> dict[str, Any]:
    (keypoints,) = np.where(person.found[:, :, None], person.keypoints.astype(np.float64), 0)
    if person.skeleton == COCO17:
        keypoints = _with_neck(keypoints)
    rounded = np.concatenate((keypoints[:, :2].round(3), keypoints[:, 2:].round(4)), axis=1)
    return {
        "person_id": [-1 if person.ids is None else int(person.ids[0])],
        "pose_keypoints_2d": rounded.ravel().tolist(),
    }


def _with_neck(keypoints: NDArray[np.float64]) -> NDArray[np.float64]:
    """COCO's 17 keypoints as OpenPose's 18; the neck lies between the shoulders, as sure as the less sure of them."""
    shoulders = keypoints[_SHOULDERS]
    confidence = shoulders[:, 2].min()
    neck = np.array([*shoulders[:, :2].mean(axis=0), confidence]) if confidence > 0 else np.zeros(3)
    return np.insert(keypoints[list(COCO18_WITHOUT_NECK)], NECK, neck, axis=0)
