"""How good a model is: OKS average precision on labelled photos or on synthetic frames (section 4.1)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import SwahrError
from engine.estimator import PoseEstimator
from engine.training.annotations import has_crowd_index, read_annotations
from engine.training.answers import Image, answers
from engine.training.breakdown import Breakdown, breakdown
from engine.training.coco import CocoPhotos
from engine.training.crowdpose import crowdpose_figures
from engine.training.scoring import average_precision, part_of, person_id, require_coco_eval, scorable
from engine.training.synthetic import SyntheticScene, check_skeleton
from grouping import People, Skeleton

Progress = Callable[[int, int], None]  # pictures done, of how many


@dataclass(frozen=True)
class Evaluation:
    """Figures of one evaluation, and what is behind them.

    figures: AP, AP50, AP75, APM, APL and the same of recall, or for CrowdPose what `crowdpose_figures` gives, each
    0..1, or -1 where nobody of that kind is labelled; `people` and `labelled`, people found and labelled a picture; and
    `skipped`, how many broken entries and pictures were left out, if any were.
    results: COCO keypoint results, as the official servers take them. truth: the annotations that counted.
    skipped: a sentence for each of them, of the first 20 of a kind.
    """

    figures: dict[str, float]
    results: list[dict]
    truth: Mapping[str, Any]
    skeleton: Skeleton
    skipped: tuple[str, ...] = ()

    def breakdown(self) -> Breakdown:
        """The figures by keypoint and by people's size."""
        return breakdown(self.truth, self.results, self.skeleton)


def evaluate(
    estimator: PoseEstimator,
    annotations: Path,
    images: Path | None,
    progress: Progress | None = None,
    skip_broken: bool = False,
) -> Evaluation:
    """Average precision on the photos of a COCO keypoint annotation file, with the estimator's own thresholds.

    `images` is the folder of the photos; None: where they usually are (see `CocoPhotos`). CrowdPose is known by its
    crowd index, and gets CrowdPose's figures. `progress` is told how many photos of how many are done. Raises
    SwahrError naming what is missing or unreadable; with `skip_broken`, broken entries and photos are left out instead.
    """
    require_coco_eval()
    photos = CocoPhotos(annotations, images, estimator.skeleton, skip_broken)
    if not len(photos):
        raise SwahrError(f"{annotations} names no image, so there is nothing to evaluate; check the file.")
    truth = _sound_part(read_annotations(Path(annotations)), photos)
    skipped = photos.findings.fault_sentences() if skip_broken else []
    faults = photos.findings.faults - len(skipped)

    def read(index: int) -> Image | None:
        try:
            return photos.read(index)
        except SwahrError as error:
            if not skip_broken:
                raise
            skipped.append(str(error))
            return None

    done = _evaluate(estimator, truth, read, progress, skipped)
    return replace(done, figures={**done.figures, "skipped": faults + len(skipped)}) if skipped else done


def evaluate_synthetic(
    estimator: PoseEstimator,
    *,
    frames: int = 100,
    people: int = 6,
    seed: int = 1000,
    progress: Progress | None = None,
) -> Evaluation:
    """Average precision on frames of the source `demo:`, half a second apart, one crowd every 10 frames."""
    require_coco_eval()
    check_skeleton(estimator.skeleton)
    scenes = [SyntheticScene(people=people, seed=seed + i) for i in range((frames + 9) // 10)]
    rendered = [scenes[i // 10].render((i % 10) * 0.5) for i in range(frames)]
    truth = synthetic_truth(rendered, estimator.skeleton)
    return _evaluate(estimator, truth, lambda index: rendered[index].image, progress, [])


def synthetic_truth(frames: Sequence, skeleton: Skeleton) -> dict:
    """COCO keypoint annotations of rendered frames (`SyntheticFrame`), image ids from 1."""
    truth: dict = {"images": [], "annotations": [], "categories": [_category(skeleton)]}
    for number, frame in enumerate(frames, 1):
        height, width = frame.image.shape[:2]
        truth["images"].append({"id": number, "file_name": f"{number}.png", "width": width, "height": height})
        for keypoints, box, area in zip(frame.keypoints, frame.boxes, frame.areas, strict=True):
            labelled = keypoints[:, 2] > 0
            if not labelled.any():
                continue
            stored = np.where(labelled[:, None], keypoints - (0.5, 0.5, 0), 0)
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "iscrowd": 0,
                    "area": float(area),
                    "bbox": [*box[:2].tolist(), *(box[2:] - box[:2]).tolist()],
                    "keypoints": stored.flatten().tolist(),
                    "num_keypoints": int(labelled.sum()),
                }
            )
    return truth


def coco_results(people: People, image_id: int, category_id: int = 1) -> list[dict]:
    """COCO keypoint results of one picture's people; coordinates count from the first pixel's centre, as COCO's.

    A keypoint that was not found is 0, 0, 0.
    """
    results = []
    for keypoints, score in zip(people.keypoints, people.scores, strict=True):
        found = keypoints[:, 2:] > 0
        stored = np.where(found, keypoints.astype(np.float64) - (0.5, 0.5, 0), 0)
        results.append(
            {
                "image_id": image_id,
                "category_id": category_id,
                "keypoints": stored.round(3).flatten().tolist(),
                "score": float(score),
            }
        )
    return results


def write_results(path: Path, results: Sequence[dict]) -> None:
    """Write results as the JSON list that COCO's servers take; the file appears when it is complete.

    Raises SwahrError if it cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f"{path.name}.partial")
    try:
        temporary.write_text(json.dumps(results), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise SwahrError(f"{path} cannot be written ({error.strerror}); name a file in a folder that exists.") from None


def figures_of(truth: Mapping[str, Any], results: Sequence[dict], skeleton: Skeleton) -> dict[str, float]:
    """CrowdPose's figures where every image has a crowd index, else COCO's."""
    measure = crowdpose_figures if has_crowd_index(truth) else average_precision
    return measure(truth, results, skeleton)


def _evaluate(
    estimator: PoseEstimator,
    truth: Mapping[str, Any],
    read: Callable[[int], Image | None],
    progress: Progress | None,
    skipped: list[str],
) -> Evaluation:
    person, images = person_id(truth), truth["images"]
    results, kept, found = [], [], 0
    for index, people in enumerate(answers(estimator, read, len(images))):
        if people is not None:
            kept.append(images[index])
            found += len(people)
            results += coco_results(people, images[index]["id"], person)
        if progress:
            progress(index + 1, len(images))
    if not kept:
        raise SwahrError("Not one picture could be read, so there is nothing to evaluate; check the folder of images.")
    truth = part_of(truth, {image["id"] for image in kept})
    figures = figures_of(truth, results, estimator.skeleton)
    people = [a for a in scorable(truth, estimator.skeleton)["annotations"] if a["num_keypoints"] and not a["iscrowd"]]
    figures |= {"people": found / len(kept), "labelled": len(people) / len(kept)}
    return Evaluation(figures, results, truth, estimator.skeleton, tuple(skipped))


def _sound_part(truth: dict[str, Any], photos: CocoPhotos) -> dict[str, Any]:
    """The images and annotations that have no fault, in the order of the photos."""
    images = {image["id"]: image for image in reversed(truth["images"])}
    sound = set(photos.annotation_ids)
    annotations = {entry["id"]: entry for entry in reversed(truth["annotations"]) if entry["id"] in sound}
    kept = set(photos.ids)
    return {
        **truth,
        "images": [images[number] for number in photos.ids],
        "annotations": [entry for entry in reversed(annotations.values()) if entry["image_id"] in kept],
    }


def _category(skeleton: Skeleton) -> dict:
    return {"id": 1, "name": "person", "keypoints": list(skeleton.names), "skeleton": []}
