"""What an annotation file says of each photo, checked entry by entry: what is wrong is named and left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.training.annotations import has_crowd_index, people_categories
from engine.training.findings import OUTSIDE, Findings
from engine.training.regions import Ring, box_of, numbers, rings_of
from grouping import Skeleton

Entry = Mapping[str, Any]
Problem = tuple[str, str]  # kind (of findings.KINDS) and sentence


@dataclass
class CheckedPhoto:
    """A photo whose entry is sound, and its sound annotations.

    size_wh: pixels. annotation_ids: of all that is sound. people: float32 [K,3] each: x, y in pixels (centres at
    integer + 0.5) and visibility, all 0 where that is 0. people_ids: of their annotations. ignored: rings of what must
    not count. crowd_index: CrowdPose's, 0 to 1; NaN elsewhere.
    """

    id: int
    file_name: str
    size_wh: tuple[int, int]
    source: str = ""
    crowd_index: float = float("nan")
    annotation_ids: list[int] = field(default_factory=list)
    people: list[NDArray[np.float32]] = field(default_factory=list)
    people_ids: list[int] = field(default_factory=list)
    ignored: list[Ring] = field(default_factory=list)


def check_entries(data: Entry, skeleton: Skeleton) -> tuple[list[CheckedPhoto], Findings]:
    """The photos of an annotation file's JSON, in its order, and what is wrong with the file.

    An entry with a fault is left out. Keypoints outside of the picture lose their visibility. Crowds, and people
    without any labelled keypoint, become regions to ignore. Annotations of other categories than people do not count.
    """
    findings = Findings()
    photos = _Photos(findings)
    for position, entry in enumerate(data["images"]):
        photos.add(position, entry)
    checker = _AnnotationChecker(data, skeleton, photos, findings)
    for position, entry in enumerate(data["annotations"]):
        checker.add(position, entry)
    return list(photos.by_id.values()), findings


class _Photos:
    """The sound images so far, by id, and the ids of the others, of whose annotations nothing is said."""

    def __init__(self, findings: Findings) -> None:
        self.by_id: dict[int, CheckedPhoto] = {}
        self.faulty: set[int | None] = set()
        self._by_name: dict[str, int] = {}
        self._findings = findings

    def add(self, position: int, entry: Any) -> None:
        problem = self._fault(position, entry)
        if problem:
            self._findings.add(*problem)
            self.faulty.add(entry["id"] if isinstance(entry, Mapping) and _is_whole(entry.get("id")) else None)
            return
        photo = CheckedPhoto(entry["id"], entry["file_name"], (entry["width"], entry["height"]))
        photo.source = str(entry.get("source") or "")
        if "crowdIndex" in entry:
            photo.crowd_index = self._crowd_index(entry)
        self.by_id[photo.id] = photo
        before = self._by_name.setdefault(photo.file_name, photo.id)
        if before != photo.id:
            self._findings.add(
                "pictures listed twice",
                f"{photo.file_name} is listed twice, as image {before} and image {photo.id}; it counts twice.",
            )

    def _fault(self, position: int, entry: Any) -> Problem | None:
        kind = "images that cannot be understood"
        if not isinstance(entry, Mapping) or not _is_whole(entry.get("id")):
            return kind, f"image number {position} of the list has no whole number as its 'id'; give it one."
        number, name = entry["id"], entry.get("file_name")
        if not isinstance(name, str) or not name:
            return kind, f"image {number} has no 'file_name'; name its picture."
        width, height = entry.get("width"), entry.get("height")
        if not (_is_whole(width) and _is_whole(height) and min(width, height) > 0):
            return kind, f"image {number} ({name}) has the size {width}x{height}; give whole numbers of pixels."
        if number in self.by_id:
            before = self.by_id[number].file_name
            return (
                "images listed twice",
                f"image {number} is listed twice, as {before} and {name}; give each image an id of its own.",
            )
        return None

    def _crowd_index(self, entry: Entry) -> float:
        value = entry["crowdIndex"]
        if not _is_number(value) or not 0 <= value <= 1:
            sentence = f"image {entry['id']} ({entry['file_name']}) has the crowd index {value}; it goes from 0 to 1."
            self._findings.add("strange crowd indices", sentence)
            return float("nan")
        return float(value)


class _AnnotationChecker:
    """Gives each sound annotation to its photo."""

    def __init__(self, data: Entry, skeleton: Skeleton, photos: _Photos, findings: Findings) -> None:
        self._skeleton, self._photos, self._findings = skeleton, photos.by_id, findings
        self._faulty_photos = photos.faulty
        categories = data.get("categories") or []
        self._known = {one["id"] for one in categories if isinstance(one, Mapping) and "id" in one}
        self._people = {one["id"] for one in people_categories(data)}
        self._seen: set[int] = set()
        self._same: dict[tuple[int, bytes], int] = {}
        self._areas_expected = not has_crowd_index(data)  # CrowdPose has none
        for category in people_categories(data):
            self._check_names(category)

    def add(self, position: int, entry: Any) -> None:
        problem = self._identity_fault(position, entry)
        if problem:
            self._findings.add(*problem)
            return
        self._seen.add(entry["id"])
        if entry["image_id"] not in self._photos or (self._people and entry.get("category_id") not in self._people):
            return
        photo = self._photos[entry["image_id"]]
        where = f"annotation {entry['id']} of {photo.file_name}"
        values = numbers(entry.get("keypoints") or [])
        problem = self._flag_fault(entry, where) or self._keypoint_fault(entry, values, where)
        if problem:
            self._findings.add(*problem)
            self._hide(entry, photo)  # left out or not, somebody is there
            return
        keypoints = self._centred(values, photo, where)
        if entry.get("iscrowd") or not keypoints[:, 2].any():
            self._ignore(entry, photo, where)
        else:
            photo.annotation_ids.append(entry["id"])
            photo.people.append(keypoints)
            photo.people_ids.append(entry["id"])
            for remark in self._remarks(entry, photo, keypoints, where):
                self._findings.add(*remark)

    def _check_names(self, category: Entry) -> None:
        named = category.get("keypoints")
        if not isinstance(named, list) or not named:
            return
        names, skeleton = [str(name).lower().replace(" ", "_") for name in named], self._skeleton
        where = f"category {category['id']}"
        if len(names) != len(skeleton.names):
            self._findings.add(
                "another skeleton",
                f"{where} has {len(names)} keypoints, but the skeleton {skeleton.name} has {len(skeleton.names)}; "
                "choose the skeleton that the file was made for.",
            )
        elif sorted(names) == sorted(skeleton.names) and names != list(skeleton.names):
            self._findings.add(
                "another skeleton",
                f"{where} has the keypoints of {skeleton.name} in another order ({', '.join(names[:3])} first); "
                "choose the skeleton that the file was made for.",
            )
        elif names != list(skeleton.names):
            at = next(i for i, name in enumerate(names) if name != skeleton.names[i])
            self._findings.add(
                "other names of keypoints",
                f"{where} calls '{named[at]}' what is '{skeleton.names[at]}' in the skeleton {skeleton.name}.",
            )

    def _identity_fault(self, position: int, entry: Any) -> Problem | None:
        if not isinstance(entry, Mapping) or not _is_whole(entry.get("id")):
            return (
                "annotations that cannot be understood",
                f"annotation number {position} of the list has no whole number as its 'id'; give it one.",
            )
        number, image, category = entry["id"], entry.get("image_id"), entry.get("category_id")
        if number in self._seen:
            return (
                "annotations listed twice",
                f"annotation {number} is listed twice; give each annotation an id of its own.",
            )
        if not _is_whole(image) or (image not in self._photos and image not in self._faulty_photos):
            return (
                "annotations of no image",
                f"annotation {number} belongs to image {image}, which is not in the list of images; "
                "add the image or remove the annotation.",
            )
        if self._known and (isinstance(category, list | dict) or category not in self._known):
            return (
                "annotations of no category",
                f"annotation {number} has the category {category}, which is not in the list of categories; "
                "correct its 'category_id'.",
            )
        return None

    def _flag_fault(self, entry: Entry, where: str) -> Problem | None:
        if (entry.get("iscrowd") or 0) in (0, 1):
            return None
        return "unknown flags", f"{where} has iscrowd {entry['iscrowd']}; it is 0 or 1."

    def _keypoint_fault(self, entry: Entry, values: NDArray[np.float64] | None, where: str) -> Problem | None:
        needed = 3 * len(self._skeleton.names)
        if values is None:
            return "wrong keypoints", f"{where} has keypoints that are no list of finite numbers; correct or remove it."
        if len(values) not in (0, needed):
            return "wrong keypoints", (
                f"{where} has {len(values)} keypoint numbers, but the skeleton {self._skeleton.name} needs {needed}; "
                "choose the skeleton that the file was made for."
            )
        flags = values[2::3].tolist()
        for unknown in set(flags) - {0, 1, 2}:
            name = self._skeleton.names[flags.index(unknown)]
            return "unknown flags", (
                f"{where} gives the {name} the flag {unknown:g}; it is 0 (not labelled), 1 (hidden) or 2 (visible)."
            )
        return None

    def _centred(self, values: NDArray[np.float64], photo: CheckedPhoto, where: str) -> NDArray[np.float32]:
        """The keypoints [K,3] as the project counts: from the corner of the first pixel, not from its centre."""
        keypoints = values.reshape(-1, 3) if len(values) else np.zeros((len(self._skeleton.names), 3))
        keypoints = keypoints + np.array((0.5, 0.5, 0))
        labelled = keypoints[:, 2] > 0
        # Most people lie within: two numbers tell that sooner than twice K.
        if keypoints.min() < 0 or keypoints[:, :2].max() >= min(photo.size_wh):
            # What was rounded to the far edge, or lies less than a pixel behind it, is meant to be on it.
            within = keypoints[:, :2].clip(0, np.array(photo.size_wh) - 1e-3)
            outside = (np.abs(within - keypoints[:, :2]) > 1).any(1)
            for index in np.flatnonzero(outside & labelled):
                x, y = keypoints[index, :2] - 0.5
                self._findings.add(
                    OUTSIDE,
                    f"{where} has the {self._skeleton.names[index]} at {x:g}, {y:g}, outside of the "
                    f"{photo.size_wh[0]}x{photo.size_wh[1]} pixels; it is taken as not labelled.",
                )
            labelled &= ~outside
            keypoints[:, :2] = within
        keypoints[~labelled] = 0
        return keypoints.astype(np.float32)

    def _ignore(self, entry: Entry, photo: CheckedPhoto, where: str) -> None:
        try:
            photo.ignored.extend(rings_of(entry, photo.size_wh))
        except ValueError as error:
            if not self._ignore_box(entry, photo, f"{where} {error}"):
                return
        photo.annotation_ids.append(entry["id"])

    def _ignore_box(self, entry: Entry, photo: CheckedPhoto, problem: str) -> bool:
        """Ignore the box where the segmentation is wrong; whether there is one."""
        try:
            photo.ignored.extend(rings_of({"bbox": entry.get("bbox")}, photo.size_wh))
        except ValueError:
            self._findings.add("unknown regions", f"{problem}; correct or remove it.")
            self._hide(entry, photo)
            return False
        self._findings.add("wrong segmentations", f"{problem}; its whole box is ignored instead.")
        return True

    def _hide(self, entry: Entry, photo: CheckedPhoto) -> None:
        """Ignore what an annotation that is left out covers: its segmentation, else its box, else the whole photo."""
        width, height = photo.size_wh
        for region in (entry, {"bbox": entry.get("bbox")}, {"bbox": [0, 0, width, height]}):
            try:
                photo.ignored.extend(rings_of(region, photo.size_wh))
                return
            except ValueError:
                continue

    def _remarks(
        self, entry: Entry, photo: CheckedPhoto, keypoints: NDArray[np.float32], where: str
    ) -> Iterator[Problem]:
        labelled = sum(flag > 0 for flag in entry["keypoints"][2::3])
        said = entry.get("num_keypoints", labelled)
        if said != labelled:
            yield "wrong counts of keypoints", f"{where} says num_keypoints {said}, but labels {labelled}."
        yield from self._box_remarks(entry, photo, where)
        area, pixels = entry.get("area"), photo.size_wh[0] * photo.size_wh[1]
        if area is None and self._areas_expected:
            yield "strange areas", f"{where} has no area; evaluation takes 0.53 of its box."
        elif area is not None and (not _is_number(area) or not 0 < area <= pixels):
            yield (
                "strange areas",
                f"{where} has the area {area}, in a picture of {pixels} pixels; correct it.",
            )
        before = self._same.setdefault((photo.id, keypoints.tobytes()), entry["id"])
        if before != entry["id"]:
            yield "people labelled twice", f"{where} has the same keypoints as annotation {before}; remove one of them."

    def _box_remarks(self, entry: Entry, photo: CheckedPhoto, where: str) -> Iterator[Problem]:
        try:
            x, y, w, h = box_of(entry)
        except ValueError as error:
            yield "strange boxes", f"{where} {error}; evaluation takes the box around its keypoints."
            return
        width, height = photo.size_wh
        if min(w, h) == 0 or x >= width or y >= height or x + w <= 0 or y + h <= 0:
            box = ", ".join(f"{side:g}" for side in (x, y, w, h))
            yield "strange boxes", f"{where} has the box {box}, of which nothing lies in the {width}x{height} pixels."


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))
