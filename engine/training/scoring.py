"""COCO's average precision and recall of keypoints (section 4.1), and the truth made ready for it.

Letters: T similarity thresholds, R recall levels, B bands of people's sizes.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import SwahrError
from engine.training.annotations import has_crowd_index, people_categories
from engine.training.regions import box_of
from grouping import Skeleton

FIGURES = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")
THRESHOLDS = tuple(0.5 + 0.05 * step for step in range(10))
MEDIUM, LARGE = (32.0**2, 96.0**2), (96.0**2, 1e10)  # pixels of a person's area
BODY_OF_BOX = 0.53  # the part of its box that a person covers, where no area is known; CrowdPose's own number

Band = tuple[float, float]  # least and greatest area


@dataclass(frozen=True)
class Scores:
    """Precision [T,R,B] and recall [T,B] of results, -1 where nobody of that size is labelled.

    Band 0 holds everybody.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]

    def ap(self, threshold: float | None = None, band: int = 0) -> float:
        """Average precision 0..1, at one similarity or over all of 0.5, 0.55 … 0.95; -1 where nobody is labelled."""
        return _mean(self.precision[self._rows(threshold), :, band])

    def ar(self, threshold: float | None = None, band: int = 0) -> float:
        """Average recall, as `ap`."""
        return _mean(self.recall[self._rows(threshold), band])

    @staticmethod
    def _rows(threshold: float | None) -> slice | NDArray[np.int64]:
        return slice(None) if threshold is None else np.flatnonzero(np.isclose(THRESHOLDS, threshold))


def average_precision(truth: Mapping[str, Any], results: Sequence[dict], skeleton: Skeleton) -> dict[str, float]:
    """COCO's ten keypoint figures for `results` against `truth` (both in COCO's format); 0 where nothing was found."""
    scores = score(truth, results, skeleton, (MEDIUM, LARGE))
    figures = (scores.ap(), scores.ap(0.5), scores.ap(0.75), scores.ap(band=1), scores.ap(band=2))
    recalls = (scores.ar(), scores.ar(0.5), scores.ar(0.75), scores.ar(band=1), scores.ar(band=2))
    return dict(zip(FIGURES, figures + recalls, strict=True))


def score(truth: Mapping[str, Any], results: Sequence[dict], skeleton: Skeleton, bands: Sequence[Band] = ()) -> Scores:
    """Hold results against the truth, for everybody and for people in some bands of size.

    The 20 surest people of each picture count, as on COCO's server. Neither argument is changed. Raises SwahrError if
    the package that does it is not installed.
    """
    require_coco_eval()
    from faster_coco_eval import COCO, COCOeval_faster

    if not results:
        return Scores(np.zeros((len(THRESHOLDS), 101, 1 + len(bands))), np.zeros((len(THRESHOLDS), 1 + len(bands))))
    with contextlib.redirect_stdout(io.StringIO()):
        labelled = COCO(scorable(truth, skeleton))
        found = labelled.loadRes([dict(result) for result in results])  # it writes into what it is given
        scorer = COCOeval_faster(labelled, found, "keypoints", kpt_oks_sigmas=np.array(skeleton.oks_sigmas))
        scorer.params.areaRng = [[0.0, 1e10], *(list(band) for band in bands)]
        scorer.params.areaRngLbl = ["all", *(str(number) for number in range(len(bands)))]
        scorer.evaluate()
        scorer.accumulate()
    return Scores(scorer.eval["precision"][:, :, 0, :, 0], scorer.eval["recall"][:, 0, :, 0])


def scorable(truth: Mapping[str, Any], skeleton: Skeleton) -> dict[str, Any]:
    """A copy of the truth with people only, in one category, and with every entry that the evaluation asks for.

    What is missing is filled in: `num_keypoints` by the flags, `bbox` by the labelled keypoints, `area` by 0.53 of the
    box. For CrowdPose (every image has a `crowdIndex`) the area is always that, as its own evaluation has it.
    """
    people = people_categories(truth)
    category = people[0] if people else {"id": 1, "name": "person"}
    known = {one["id"] for one in people}
    by_box = has_crowd_index(truth)
    annotations = [
        _complete(entry, category["id"], skeleton, by_box)
        for entry in truth["annotations"]
        if not known or entry.get("category_id") in known
    ]
    return {"info": {}, "images": list(truth["images"]), "annotations": annotations, "categories": [category]}


def part_of(truth: Mapping[str, Any], image_ids: set[int]) -> dict[str, Any]:
    """The truth about some images."""
    images = [image for image in truth["images"] if image["id"] in image_ids]
    return {**truth, "images": images, "annotations": [a for a in truth["annotations"] if a["image_id"] in image_ids]}


def person_id(truth: Mapping[str, Any]) -> int:
    """The category of people in the truth, which results name too."""
    people = people_categories(truth)
    return people[0]["id"] if people else 1


def require_coco_eval() -> None:
    """Raise SwahrError if the package that computes average precision is not installed."""
    if find_spec("faster_coco_eval") is None:
        raise SwahrError("Evaluation needs the package faster-coco-eval; install the extra `train`.")


def _complete(entry: Mapping[str, Any], category: int, skeleton: Skeleton, by_box: bool) -> dict[str, Any]:
    keypoints = entry.get("keypoints") or [0] * (3 * skeleton.num_keypoints)
    flags = keypoints[2::3]
    try:
        box = list(box_of(entry))
    except ValueError:
        box = _box_around(keypoints)
    area = entry.get("area")
    if by_box or not isinstance(area, int | float):
        area = BODY_OF_BOX * box[2] * box[3]
    filled = {"iscrowd": entry.get("iscrowd") or 0, "keypoints": keypoints, "bbox": box, "area": area}
    return {"num_keypoints": sum(flag > 0 for flag in flags), **entry, **filled, "category_id": category}


def _box_around(keypoints: Sequence[float]) -> list[float]:
    labelled = np.array(keypoints, np.float64).reshape(-1, 3)
    labelled = labelled[labelled[:, 2] > 0, :2]
    if not len(labelled):
        return [0.0, 0.0, 0.0, 0.0]
    low, high = labelled.min(0), labelled.max(0)
    return [*low.tolist(), *(high - low).tolist()]


def _mean(values: NDArray[np.float64]) -> float:
    known = values[values > -1]
    return float(known.mean()) if known.size else -1.0
