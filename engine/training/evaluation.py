"""How good a model is: OKS average precision on COCO-format annotations or on synthetic frames (section 4.1)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.errors import SwahrError
from engine.estimator import PoseEstimator
from engine.training.coco import read_annotations, read_rgb
from grouping import GroupingOptions, People, Skeleton

FIGURES = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")
# Keypoints of low score still count for AP, and so do doubtful people: precision falls only where recall rises.
EVALUATION_THRESHOLD = 0.05


@dataclass(frozen=True)
class Evaluation:
    """Figures of one evaluation, and the results behind them.

    figures: AP, AP50, AP75, APM, APL and the same of recall, each 0..1; `people` and `labelled`, people found and
    labelled a picture. results: COCO keypoint results, as the official servers take them.
    """

    figures: dict[str, float]
    results: list[dict]


def evaluate(
    model: str | Path = "default",
    annotations: Path = Path(),
    images: Path = Path(),
    *,
    size: int | None = None,
    flip: bool = False,
    scales: Sequence[float] = (1.0,),
    threshold: float = EVALUATION_THRESHOLD,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Average precision of `model` on the photos of a COCO keypoint annotation file.

    `images` is the folder of the photos. `threshold` replaces the model's detection threshold. `progress` is told how
    many photos of how many are done. Raises SwahrError naming what is missing or unreadable.
    """
    truth = read_annotations(Path(annotations))
    estimator = _estimator(model, size, flip, scales, threshold)
    pictures = (read_rgb(Path(images) / entry["file_name"]) for entry in truth["images"])
    return _evaluate(estimator, truth, pictures, progress)


def evaluate_synthetic(
    model: str | Path = "default",
    *,
    frames: int = 100,
    people: int = 6,
    seed: int = 1000,
    size: int | None = None,
    flip: bool = False,
    threshold: float = EVALUATION_THRESHOLD,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Average precision of `model` on frames of the source `demo:`, half a second apart, one crowd every 10 frames."""
    from engine.training.synthetic import SyntheticScene

    estimator = _estimator(model, size, flip, (1.0,), threshold)
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


def coco_results(people: People, image_id: int) -> list[dict]:
    """COCO keypoint results of one picture's people; coordinates count from the first pixel's centre, as COCO's."""
    results = []
    for keypoints, score in zip(people.keypoints, people.scores, strict=True):
        stored = keypoints.astype(np.float64) - (0.5, 0.5, 0)
        results.append(
            {
                "image_id": image_id,
                "category_id": 1,
                "keypoints": stored.round(3).flatten().tolist(),
                "score": float(score),
            }
        )
    return results


def average_precision(truth: dict, results: list[dict], skeleton: Skeleton) -> dict[str, float]:
    """COCO's ten keypoint figures for `results` against `truth` (both in COCO's format); 0 where nothing was found."""
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


def _evaluate(
    estimator: PoseEstimator,
    truth: dict,
    pictures: Iterable[np.ndarray],
    progress: Callable[[int, int], None] | None,
) -> Evaluation:
    results, found = [], 0
    for done, (entry, picture) in enumerate(zip(truth["images"], pictures, strict=True), 1):
        people = estimator(picture)
        found += len(people)
        results += coco_results(people, entry["id"])
        if progress:
            progress(done, len(truth["images"]))
    if not truth["images"]:
        raise SwahrError("The annotations name no image, so there is nothing to evaluate; check the file.")
    figures = average_precision(truth, results, estimator.skeleton)
    labelled = sum(1 for entry in truth["annotations"] if not entry.get("iscrowd") and entry.get("num_keypoints", 0))
    number = len(truth["images"])
    return Evaluation({**figures, "people": found / number, "labelled": labelled / number}, results)


def _estimator(
    model: str | Path, size: int | None, flip: bool, scales: Sequence[float], threshold: float
) -> PoseEstimator:
    estimator = PoseEstimator.load(model, size=size, flip=flip, scales=scales)
    estimator.options = GroupingOptions(detection_threshold=threshold, tag_threshold=estimator.options.tag_threshold)
    return estimator


def _category(skeleton: Skeleton) -> dict:
    return {"id": 1, "name": "person", "keypoints": list(skeleton.names), "skeleton": []}
