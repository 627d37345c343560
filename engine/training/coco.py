"""Photos with labelled people, from files in COCO's keypoint format."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from engine.errors import SwahrError
from grouping import Skeleton


@dataclass
class LabelledImage:
    """A picture, the people in it, and the regions about which the labels say nothing.

    image RGB uint8 [H,W,3]; keypoints float32 [P,K,3] x, y in pixels (pixel centres at integer + 0.5) and visibility
    (2 visible, 1 hidden, 0 not labelled); ignored: polygons, each float32 [n,2], whose pixels must not count in a loss.
    """

    image: np.ndarray
    keypoints: np.ndarray
    ignored: list[np.ndarray] = field(default_factory=list)


@dataclass(frozen=True)
class PhotoRecord:
    """What the annotation file says of one photo, without its pixels."""

    id: int
    path: Path
    size_wh: tuple[int, int]
    source: str
    keypoints: np.ndarray  # float32 [P, K, 3]
    ignored: tuple[np.ndarray, ...]


class CocoPhotos:
    """The photos of a COCO keypoint annotation file.

    Crowd regions (`iscrowd`) and people without any labelled keypoint become regions to ignore, as in the paper's code:
    by their segmentation (polygons or RLE) where there is one, else by their box. An optional field `source` of an
    image names the collection it comes from.
    """

    def __init__(self, annotations: Path, images: Path, skeleton: Skeleton) -> None:
        self.annotations, self.images, self.skeleton = Path(annotations), Path(images), skeleton
        data = read_annotations(self.annotations)
        if not self.images.is_dir():
            raise SwahrError(
                f"There is no folder of images at {self.images}; name the folder that {annotations} belongs to."
            )
        entries: dict[int, list[dict]] = {}
        for entry in data["annotations"]:
            entries.setdefault(entry["image_id"], []).append(entry)
        self.records = [self._record(image, entries.get(image["id"], ())) for image in data["images"]]
        for record in self.records:
            if not record.path.is_file():
                raise SwahrError(
                    f"{record.path} is missing, but {annotations} names it; put it back or remove its entry."
                )

    def __len__(self) -> int:
        return len(self.records)

    def load(self, index: int) -> LabelledImage:
        """Read photo `index`; a file that is missing or no picture is named in the error."""
        record = self.records[index]
        image = read_rgb(record.path)
        if image.shape[1::-1] != record.size_wh:
            raise SwahrError(
                f"{record.path} has {image.shape[1]}x{image.shape[0]} pixels, but {self.annotations} says "
                f"{record.size_wh[0]}x{record.size_wh[1]}; the labels belong to another version of the picture."
            )
        return LabelledImage(image, record.keypoints, list(record.ignored))

    def _record(self, image: dict, entries: Sequence[dict]) -> PhotoRecord:
        people, ignored = [], []
        for entry in entries:
            keypoints = np.asarray(entry.get("keypoints", ()), np.float32)
            labelled = keypoints.size > 0 and bool((keypoints[2::3] > 0).any())
            if entry.get("iscrowd") or not labelled:
                ignored.extend(_region(entry, image))
            elif keypoints.size != 3 * len(self.skeleton.names):
                raise SwahrError(
                    f"{self.annotations}: annotation {entry['id']} has {keypoints.size} keypoint numbers, but the "
                    f"skeleton {self.skeleton.name} needs {3 * len(self.skeleton.names)}; choose the skeleton that the "
                    "file was made for."
                )
            else:
                people.append(_centred(keypoints.reshape(-1, 3)))
        stacked = np.stack(people) if people else np.zeros((0, len(self.skeleton.names), 3), np.float32)
        size = (int(image["width"]), int(image["height"]))
        return PhotoRecord(
            image["id"],
            self.images / image["file_name"],
            size,
            image.get("source", ""),
            stacked,
            tuple(ignored),
        )


def read_annotations(path: Path) -> dict:
    """The JSON of a COCO annotation file; what is wrong with it is said in one sentence."""
    try:
        data = json.loads(Path(path).read_text())
    except FileNotFoundError:
        raise SwahrError(f"There is no annotation file {path}; check the path.") from None
    except OSError as error:
        raise SwahrError(f"{path} cannot be read ({error.strerror}); name a file of annotations.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SwahrError(
            f"{path} is not a JSON file ({error}); expected annotations in COCO's keypoint format."
        ) from None
    if not isinstance(data, dict) or not {"images", "annotations"} <= data.keys():
        raise SwahrError(
            f"{path} has no lists 'images' and 'annotations'; expected annotations in COCO's keypoint format."
        )
    return data


def read_rgb(path: Path) -> np.ndarray:
    """Read a picture as RGB uint8 [H,W,3], its pixels as stored: labels do not know of an orientation tag."""
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        raise SwahrError(f"{path} is missing or is not a picture; the annotations name it, so put it back.")
    return pixels


def _centred(keypoints: np.ndarray) -> np.ndarray:
    # COCO counts from the centre of the first pixel, the project from its corner (centres at integer + 0.5).
    keypoints = keypoints.copy()
    keypoints[:, :2] += 0.5 * (keypoints[:, 2:] > 0)
    return keypoints


def _region(entry: dict, image: dict) -> list[np.ndarray]:
    segmentation = entry.get("segmentation")
    if isinstance(segmentation, list) and segmentation:
        return [np.asarray(polygon, np.float32).reshape(-1, 2) for polygon in segmentation]
    if isinstance(segmentation, dict):
        return _rle_polygons(segmentation, image)
    if "bbox" not in entry:
        return []
    x, y, w, h = entry["bbox"]
    return [np.asarray([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], np.float32)]


def _rle_polygons(rle: dict, image: dict) -> list[np.ndarray]:
    try:
        from faster_coco_eval.core import mask as masks
    except ImportError:
        raise SwahrError("Run-length masks need the package faster-coco-eval; install the extra `train`.") from None
    if isinstance(rle["counts"], list):
        rle = masks.frPyObjects(rle, image["height"], image["width"])
    contours, _ = cv2.findContours(masks.decode(rle), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [contour.reshape(-1, 2) + np.float32(0.5) for contour in contours if len(contour) > 2]
