"""COCO's keypoint results, as `app.sinks.coco` and other programs write them."""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.sinks.coco import FIRST_PIXEL
from app.sinks.poses import PosedFrame
from grouping import COCO17, SKELETONS

from . import Poses
from .damage import loaded, people_from, reading

_BY_NUMBERS = {3 * skeleton.num_keypoints: skeleton for skeleton in SKELETONS.values()}


def read_coco(path: Path) -> Poses:
    """A frame for each picture with results, in the order of their ids; people in the order of the results."""
    with reading(str(path)):
        results = loaded(path.read_bytes())
    pictures: dict[int, list[tuple[NDArray[np.float64], float]]] = defaultdict(list)
    length = None
    for number, result in enumerate(results, 1):
        with reading(f"{path}, result {number},"):
            keypoints = np.array(result["keypoints"], np.float64)
            length = length or len(keypoints)
            if len(keypoints) not in _BY_NUMBERS or len(keypoints) != length:
                raise ValueError(f"it has {len(keypoints)} numbers for a person's keypoints")
            pictures[operator.index(result["image_id"])].append(_person(result, keypoints))
    skeleton = _BY_NUMBERS.get(length, COCO17)
    frames = []
    for image_id, people in sorted(pictures.items()):
        with reading(f"{path}, image_id {image_id},"):
            values, scores = [values for values, _ in people], [score for _, score in people]
            unknown = np.full((len(people), skeleton.num_keypoints), np.nan)
            frames.append(PosedFrame(image_id, None, people_from(values, scores, [None], unknown, skeleton)))
    return Poses("coco", skeleton, frames)


def _person(result: Mapping[str, Any], keypoints: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    values = keypoints.reshape(-1, 3) + np.array([FIRST_PIXEL, FIRST_PIXEL, 0])
    found = values[:, 2:] > 0
    values[:, 2] = values[:, 2].clip(0, 1)  # 2 says "found", other programs write a score
    return np.where(found, values, 0), float(result["score"])
