"""Folders of JSON files, as `app.sinks.openpose` and OpenPose itself in its COCO order write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.sinks.openpose import COCO18_WITHOUT_NECK, NECK, SUFFIX
from app.sinks.poses import PosedFrame
from app.sources.pictures import natural_order
from engine.errors import SwahrError
from grouping import COCO17, CROWDPOSE14, People, Skeleton

from . import Poses
from .damage import loaded, people_from, reading

_BY_NUMBERS = {3 * 18: COCO17, 3 * 14: CROWDPOSE14}
_OF_VIDEO = re.compile(r"(.+)_(\d{12})" + re.escape(SUFFIX))


def read_openpose(folder: Path) -> Poses:
    """A frame for each file: numbered as in their names, or else pictures in the order of their names."""
    names = sorted((path.name for path in folder.glob(f"*{SUFFIX}")), key=natural_order)
    if not names:
        raise SwahrError(f"The folder {folder} holds no files that end in {SUFFIX}; name another.")
    numbers = [_OF_VIDEO.fullmatch(name) for name in names]
    if None in numbers or len({number[1] for number in numbers}) > 1:
        labels = [(place, name.removesuffix(SUFFIX)) for place, name in enumerate(names)]
    else:
        labels = [(int(number[2]), None) for number in numbers]
    people = [_records(folder / name) for name in names]
    skeleton = _skeleton(folder, names, people)
    frames = []
    for name, (index, picture), records in zip(names, labels, people, strict=True):
        with reading(str(folder / name)):
            frames.append(PosedFrame(index, None, _people(records, skeleton), name=picture))
    return Poses("openpose", skeleton, frames)


def _records(path: Path) -> list[Mapping[str, Any]]:
    with reading(str(path)):
        return list(loaded(path.read_bytes())["people"])


def _skeleton(folder: Path, names: list[str], people: list[list[Mapping[str, Any]]]) -> Skeleton:
    """That of the first person."""
    for name, records in zip(names, people, strict=True):
        if records:
            with reading(str(folder / name)):
                return _BY_NUMBERS[_length(records[0])]
    return COCO17


def _length(person: Mapping[str, Any]) -> int:
    length = len(person["pose_keypoints_2d"])
    if length not in _BY_NUMBERS:
        raise ValueError(f"{length} numbers a person are neither OpenPose's COCO order (54) nor CrowdPose's (42)")
    return length


def _people(records: list[Mapping[str, Any]], skeleton: Skeleton) -> People:
    if not records:
        return People.empty(skeleton)
    values = np.stack([_keypoints(person, skeleton) for person in records])
    ids = [person.get("person_id", [-1])[0] for person in records]
    return people_from(
        values,
        values[:, :, 2].mean(axis=1),
        [None if identity == -1 else identity for identity in ids],
        np.full(values.shape[:2], np.nan),
        skeleton,
    )


def _keypoints(person: Mapping[str, Any], skeleton: Skeleton) -> NDArray[np.float64]:
    if _BY_NUMBERS[_length(person)] != skeleton:
        raise ValueError("its people do not have the keypoints of those before")
    keypoints = np.array(person["pose_keypoints_2d"], np.float64).reshape(-1, 3)
    if skeleton != COCO17:
        return keypoints
    ordered = np.empty((COCO17.num_keypoints, 3))
    ordered[list(COCO18_WITHOUT_NECK)] = np.delete(keypoints, NECK, axis=0)
    return ordered
