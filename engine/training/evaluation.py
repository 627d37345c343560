"""How good a model is: OKS average precision on COCO-format annotations or on synthetic frames (section 4.1)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from engine.errors import SwahrError
from engine.estimator import PoseEstimator
from engine.training.coco import read_annotations, read_rgb
from engine.training.synthetic import SyntheticScene, check_skeleton
from grouping import People, Skeleton

FIGURES = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")


@dataclass(frozen=True)
class Evaluation:
    """Figures of one evaluation, and the results behind them.

    figures: AP, AP50, AP75, APM, APL and the same of recall, each 0..1, or -1 where nobody of that size is labelled;
    `people` and `labelled`, people found and labelled a picture. results: COCO keypoint results, as the official
    servers take them.
    """

    figures: dict[str, float]
    results: list[dict]


def evaluate(
    estimator: PoseEstimator,
    annotations: Path,
    images: Path,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Average precision on the photos of a COCO keypoint annotation file, with the estimator's own thresholds.

    `images` is the folder of the photos. `progress` is told how many photos of how many are done. Raises SwahrError
    naming what is missing or unreadable.
    """
    truth = read_annotations(Path(annotations))
    pictures = (read_rgb(Path(images) / entry["file_name"]) for entry in truth["images"])
    return _evaluate(estimator, truth, pictures, progress)


def evaluate_synthetic(
    estimator: PoseEstimator,
    *,
    frames: int = 100,
    people: int = 6,
    seed: int = 1000,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Average precision on frames of the source `demo:`, half a second apart, one crowd every 10 frames."""
    check_skeleton(estimator.skeleton)
    scenes = [SyntheticScene(people=people, seed=seed + i) for i in range((frames + 9) // 10)]
    rendered = [scenes[i // 10].render((i % 10) * 0.5) for i in range(frames)]
    truth = synthetic_truth(rendered, estimator.skeleton)
    return _evaluate(estimator, truth, (frame.image for frame in rendered), progress)


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
    """COCO keypoint results of one picture's people; coordinates count from the first pixel's centre, as COCO's."""
    results = []
    for keypoints, score in zip(people.keypoints, people.scores, strict=True):
        stored = keypoints.astype(np.float64) - (0.5, 0.5, 0)
        results.append(
            {
                "image_id": image_id,
                "category_id": category_id,
                "keypoints": stored.round(3).flatten().tolist(),
                "score": float(score),
            }
        )
    return results


def average_precision(truth: dict, results: list[dict], skeleton: Skeleton) -> dict[str, float]:
    """COCO's ten keypoint figures for `results` against `truth` (both in COCO's format); 0 where nothing was found."""
    require_coco_eval()
    from faster_coco_eval import COCO, COCOeval_faster

    if not results:
        return dict.fromkeys(FIGURES, 0.0)
    with contextlib.redirect_stdout(io.StringIO()):
        labelled = COCO({**truth, "categories": truth.get("categories") or [_category(skeleton)]})
        scorer = COCOeval_faster(
            labelled, labelled.loadRes(results), "keypoints", kpt_oks_sigmas=np.array(skeleton.oks_sigmas)
        )
        scorer.run()
    return {name: float(value) for name, value in zip(FIGURES, scorer.stats, strict=False)}


def require_coco_eval() -> None:
    """Raise SwahrError if the package that computes average precision is not installed."""
    if find_spec("faster_coco_eval") is None:
        raise SwahrError("Evaluation needs the package faster-coco-eval; install the extra `train`.")


def _evaluate(
    estimator: PoseEstimator,
    truth: dict,
    pictures: Iterable[np.ndarray],
    progress: Callable[[int, int], None] | None,
) -> Evaluation:
    require_coco_eval()
    if not truth["images"]:
        raise SwahrError("The annotations name no image, so there is nothing to evaluate; check the file.")
    person = _person_id(truth)
    results, found = [], 0
    for done, (entry, picture) in enumerate(zip(truth["images"], pictures, strict=True), 1):
        people = estimator(picture)
        found += len(people)
        results += coco_results(people, entry["id"], person)
        if progress:
            progress(done, len(truth["images"]))
    figures = average_precision(truth, results, estimator.skeleton)
    labelled = sum(1 for entry in truth["annotations"] if not entry.get("iscrowd") and entry.get("num_keypoints", 0))
    number = len(truth["images"])
    return Evaluation({**figures, "people": found / number, "labelled": labelled / number}, results)


def _person_id(truth: dict) -> int:
    categories = truth.get("categories") or [{"id": 1, "name": "person"}]
    return next((entry["id"] for entry in categories if entry.get("name") == "person"), categories[0]["id"])


def _category(skeleton: Skeleton) -> dict:
    return {"id": 1, "name": "person", "keypoints": list(skeleton.names), "skeleton": []}
