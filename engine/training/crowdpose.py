"""CrowdPose's figures: average precision on all pictures, and on those that are little, more and most crowded.

Every image has a `crowdIndex` from 0 to 1: how far people's boxes hold the keypoints of others. The published easy,
medium and hard figures, those of the paper's Table 9 among them, come from CrowdPose's own program, which parts the
pictures at 0.2 and 0.8; the text of the CrowdPose paper says 0.1 and 0.8.

That program takes 0.53 of a person's box for the area (`scoring.scorable`), the sigmas of `grouping.CROWDPOSE14`, and
at most 20 people a picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.training.scoring import part_of, score
from grouping import Skeleton

EASY_BELOW, HARD_FROM = 0.2, 0.8
LEVELS = ("easy", "medium", "hard")


def crowdpose_figures(truth: Mapping[str, Any], results: Sequence[dict], skeleton: Skeleton) -> dict[str, float]:
    """AP, AP50, AP75, AR, AR50, AR75, and "AP easy", "AP medium", "AP hard"; each 0..1, or -1 where nobody is labelled.

    truth: COCO's format with a `crowdIndex` in each image.
    """
    scores = score(truth, results, skeleton)
    figures = {"AP": scores.ap(), "AP50": scores.ap(0.5), "AP75": scores.ap(0.75)}
    figures |= {"AR": scores.ar(), "AR50": scores.ar(0.5), "AR75": scores.ar(0.75)}
    for level, image_ids in crowd_levels(truth).items():
        some = part_of(truth, image_ids)
        found = [result for result in results if result["image_id"] in image_ids]
        figures[f"AP {level}"] = score(some, found, skeleton).ap() if some["annotations"] else -1.0
    return figures


def crowd_levels(truth: Mapping[str, Any]) -> dict[str, set[int]]:
    """The ids of the easy, the medium and the hard images."""
    levels: dict[str, set[int]] = {level: set() for level in LEVELS}
    for image in truth["images"]:
        index = image["crowdIndex"]
        level = "easy" if index < EASY_BELOW else "medium" if index < HARD_FROM else "hard"
        levels[level].add(image["id"])
    return levels
