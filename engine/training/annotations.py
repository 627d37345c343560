"""Annotation files in COCO's keypoint format: reading the JSON, and finding out what it is about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import SwahrError
from grouping import COCO17, CROWDPOSE14, Skeleton


def read_annotations(path: Path) -> dict[str, Any]:
    """The JSON of an annotation file; what makes it no annotation file at all is said in one sentence.

    Its entries are not looked at; `checks.check_entries` does that.
    """
    expected = "expected annotations in COCO's keypoint format"
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SwahrError(f"There is no annotation file {path}; check the path.") from None
    except OSError as error:
        raise SwahrError(f"{path} cannot be read ({error.strerror}); name a file of annotations.") from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SwahrError(f"{path} is not a JSON file ({error}); {expected}.") from None
    if not isinstance(data, dict) or not {"images", "annotations"} <= data.keys():
        raise SwahrError(f"{path} has no lists 'images' and 'annotations'; {expected}.")
    for name in ("images", "annotations", "categories"):
        if not isinstance(data.get(name) or [], list):
            raise SwahrError(f"{path} has {name!r} that is no list but {type(data[name]).__name__}; {expected}.")
    return data


def people_categories(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The categories that are people: called "person", else those with keypoints, else all. Empty if there are none."""
    known = [one for one in data.get("categories") or [] if isinstance(one, Mapping) and "id" in one]
    named = [one for one in known if one.get("name") == "person"]
    return named or [one for one in known if one.get("keypoints")] or known


def has_crowd_index(data: Mapping[str, Any]) -> bool:
    """Whether this is CrowdPose, whose images say how crowded they are."""
    return bool(data["images"]) and all(isinstance(one, Mapping) and "crowdIndex" in one for one in data["images"])


def likely_skeleton(data: Mapping[str, Any], path: Path) -> Skeleton:
    """The skeleton that fits by its number of keypoints. Raises SwahrError where none does."""
    named = [len(one["keypoints"]) for one in people_categories(data) if isinstance(one.get("keypoints"), list)]
    counted = (
        len(one["keypoints"]) // 3
        for one in data["annotations"]
        if isinstance(one, Mapping) and isinstance(one.get("keypoints"), list)
    )
    number = next((number for number in named if number), None) or next(counted, COCO17.num_keypoints)
    for skeleton in (COCO17, CROWDPOSE14):
        if skeleton.num_keypoints == number:
            return skeleton
    raise SwahrError(
        f"{path} has people of {number} keypoints, which are neither COCO's 17 nor CrowdPose's 14; "
        "describe them in a TOML file and name it with --skeleton."
    )
