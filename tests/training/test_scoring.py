"""The figures are those of COCO's and CrowdPose's own programs."""

import contextlib
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from engine.training.breakdown import SIDES, breakdown, similarities
from engine.training.crowdpose import crowd_levels, crowdpose_figures
from engine.training.scoring import FIGURES, average_precision, scorable, score
from grouping import COCO17, CROWDPOSE14, Skeleton

PACK = Path(__file__).parents[3] / "shared" / "data" / "pack" / "val.json"


def official(truth, results, skeleton):
    """What pycocotools says; it writes into what it is given."""
    truth, results = json.loads(json.dumps(truth)), json.loads(json.dumps(results))
    with contextlib.redirect_stdout(io.StringIO()):
        labelled = COCO()
        labelled.dataset = truth
        labelled.createIndex()
        scorer = COCOeval(labelled, labelled.loadRes(results), "keypoints")
        scorer.params.kpt_oks_sigmas = np.array(skeleton.oks_sigmas)
        scorer.evaluate()
        scorer.accumulate()
        scorer.summarize()
    return dict(zip(FIGURES, scorer.stats.tolist(), strict=True))


def random_truth(rng, skeleton, images=30):
    """People of all sizes, some crowds, some without keypoints, some images without anybody."""
    number = skeleton.num_keypoints
    truth = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]}
    for image in range(1, images + 1):
        truth["images"].append({"id": image, "file_name": f"{image}.jpg", "width": 640, "height": 480})
        for _ in range(rng.integers(0, 7)):
            side = math.exp(rng.uniform(math.log(15), math.log(300)))
            corner = rng.uniform((0, 0), (600, 400))
            keypoints = np.column_stack((corner + rng.uniform(0, side, (number, 2)), rng.integers(0, 3, number)))
            crowd = bool(rng.random() < 0.1)
            if crowd or rng.random() < 0.1:
                keypoints[:] = 0
            keypoints[keypoints[:, 2] == 0] = 0
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": image,
                    "category_id": 1,
                    "iscrowd": int(crowd),
                    "keypoints": keypoints.round(2).ravel().tolist(),
                    "num_keypoints": int((keypoints[:, 2] > 0).sum()),
                    "bbox": [*corner.tolist(), side, side],
                    "area": float(0.6 * side**2),
                }
            )
    return truth


def random_results(rng, truth, skeleton):
    """Some people more or less well, some twice, some that are not there."""
    results = []
    for entry in truth["annotations"]:
        keypoints = np.reshape(entry["keypoints"], (-1, 3)).astype(float)
        for _ in range(rng.integers(0, 3)):
            noise = rng.normal(0, rng.choice((0.005, 0.03, 0.1)) * entry["bbox"][2], keypoints[:, :2].shape)
            found = np.column_stack((keypoints[:, :2] + noise, rng.random(len(keypoints))))
            results.append(result(entry["image_id"], found, float(rng.random())))
    for image in truth["images"]:
        for _ in range(rng.integers(0, 3)):
            found = rng.uniform(0, 480, (skeleton.num_keypoints, 3))
            results.append(result(image["id"], found, float(rng.random())))
    return results


def result(image, keypoints, score):
    return {"image_id": image, "category_id": 1, "keypoints": np.ravel(keypoints).tolist(), "score": score}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("skeleton", [COCO17, CROWDPOSE14], ids=lambda skeleton: skeleton.name)
def test_random_results_score_as_pycocotools_has_it(seed, skeleton):
    rng = np.random.default_rng(seed)
    truth = random_truth(rng, skeleton)
    results = random_results(rng, truth, skeleton)
    expected = official(truth, results, skeleton)
    assert 0.01 < expected["AP"] < 0.99
    before = json.dumps([truth, results])
    assert average_precision(truth, results, skeleton) == pytest.approx(expected, abs=1e-6)
    assert json.dumps([truth, results]) == before  # neither is changed


def test_more_than_twenty_people_a_picture_count_as_on_the_server():
    rng = np.random.default_rng(5)
    truth = random_truth(rng, COCO17, images=3)
    results = [one for _ in range(12) for one in random_results(rng, truth, COCO17)]
    assert max(sum(one["image_id"] == image for one in results) for image in (1, 2, 3)) > 20
    assert average_precision(truth, results, COCO17) == pytest.approx(official(truth, results, COCO17), abs=1e-6)


@pytest.mark.skipif(not PACK.exists(), reason="there are no labelled photos beside the project")
def test_labels_of_real_photos_score_as_pycocotools_has_it():
    truth = json.loads(PACK.read_text())
    for seed in range(3):
        results = random_results(np.random.default_rng(seed), truth, COCO17)
        assert average_precision(truth, results, COCO17) == pytest.approx(official(truth, results, COCO17), abs=1e-6)


def test_what_the_truth_leaves_out_is_filled_in():
    rng = np.random.default_rng(2)
    truth = random_truth(rng, COCO17)
    truth["annotations"] = [a for a in truth["annotations"] if a["num_keypoints"] and not a["iscrowd"]]
    for entry in truth["annotations"]:
        entry["area"] = 0.53 * entry["bbox"][2] * entry["bbox"][3]
    results = random_results(rng, truth, COCO17)
    expected = average_precision(truth, results, COCO17)
    bare = {**truth, "categories": []}
    bare["annotations"] = [
        {name: value for name, value in entry.items() if name not in ("area", "num_keypoints", "iscrowd")}
        for entry in truth["annotations"]
    ]
    assert average_precision(bare, results, COCO17) == pytest.approx(expected)
    first = scorable({**bare, "annotations": [{**bare["annotations"][0], "bbox": [1]}]}, COCO17)["annotations"][0]
    labelled = np.reshape(first["keypoints"], (17, 3))
    labelled = labelled[labelled[:, 2] > 0]
    assert first["bbox"][:2] == labelled[:, :2].min(0).tolist() and first["area"] > 0


def test_other_categories_do_not_count():
    rng = np.random.default_rng(3)
    truth = random_truth(rng, COCO17)
    results = random_results(rng, truth, COCO17)
    expected = average_precision(truth, results, COCO17)
    chair = {"id": 9999, "image_id": 1, "category_id": 2, "bbox": [0, 0, 9, 9], "area": 81, "iscrowd": 0}
    truth["categories"].append({"id": 2, "name": "chair"})
    truth["annotations"].append(chair)
    assert average_precision(truth, results, COCO17) == pytest.approx(expected)


def test_a_skeleton_of_ones_own_is_scored_by_its_own_sigmas():
    arrow = Skeleton("arrow", ("tip", "tail"), ((0, 1),), (0.05, 0.1))
    person = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 100, 100], "area": 5300.0, "iscrowd": 0}
    truth = {"images": [{"id": 1}], "categories": [], "annotations": [person | {"keypoints": [10, 10, 2, 90, 90, 2]}]}
    # Terms of 0.9 and 0.63, so a similarity of 0.765: right at six of the ten thresholds, 0.5 to 0.75.
    shifts = [2 * sigma * math.sqrt(2 * 5300 * -math.log(term)) for sigma, term in ((0.05, 0.9), (0.1, 0.63))]
    found = [10 + shifts[0], 10, 1, 90, 90 + shifts[1], 1]
    assert score(truth, [result(1, found, 0.9)], arrow).ap() == pytest.approx(0.6)
    terms = similarities(
        np.reshape(found, (1, 2, 3))[..., :2],
        np.array([[[10, 10], [90, 90]]]),
        np.array([5300.0]),
        np.array([0.05, 0.1]),
    )
    assert terms[0, 0].tolist() == pytest.approx([0.9, 0.63])


def crowdpose_case():
    """Five images with one or two people each, whose figures can be computed by hand.

    Easy: one person, found exactly. Medium, at 0.2 and 0.5: three people, two of them found exactly. Hard, at 0.8 and
    0.9: two people, of whom one is found with a similarity of 0.72, and nothing else.
    """
    rng = np.random.default_rng(0)
    crowding = {1: 0.1, 2: 0.2, 3: 0.5, 4: 0.8, 5: 0.9}
    truth = {"images": [{"id": i, "crowdIndex": c} for i, c in crowding.items()], "annotations": []}
    truth["categories"] = [{"id": 1, "name": "person"}]
    for image in (1, 2, 3, 3, 4, 5):
        x, y = rng.uniform(0, 300, 2)
        keypoints = np.column_stack((rng.uniform(x, x + 100, 14), rng.uniform(y, y + 200, 14), np.full(14, 2)))
        number = len(truth["annotations"]) + 1
        entry = {"id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "bbox": [x, y, 100, 200]}
        # CrowdPose's program takes 0.53 of the box: a wrong area must change nothing.
        truth["annotations"].append(entry | {"keypoints": keypoints.ravel().tolist(), "area": 1e6, "num_keypoints": 14})
    area = 0.53 * 100 * 200
    results = []
    for number, (person, certainty) in enumerate(((0, 0.9), (1, 0.8), (2, 0.7), (4, 0.6))):
        entry = truth["annotations"][person]
        keypoints = np.reshape(entry["keypoints"], (14, 3)).copy()
        if number == 3:
            keypoints[:, 0] += 2 * np.array(CROWDPOSE14.oks_sigmas) * math.sqrt(-2 * area * math.log(0.72))
        results.append(result(entry["image_id"], keypoints, certainty))
    return truth, results


def test_crowdposes_figures_are_those_computed_by_hand():
    truth, results = crowdpose_case()
    assert crowd_levels(truth) == {"easy": {1}, "medium": {2, 3}, "hard": {4, 5}}
    figures = crowdpose_figures(truth, results, CROWDPOSE14)
    # Precision is read at 101 recalls 0, 0.01 … 1. Of three people two are found: at 67 of them it is 1.
    assert figures["AP easy"] == pytest.approx(1)
    assert figures["AP medium"] == pytest.approx(67 / 101)
    # Half the people up to the threshold 0.7, five of ten; nobody above.
    assert figures["AP hard"] == pytest.approx(0.5 * 51 / 101)
    # Six people: four are found up to 0.7, three above, and the fourth answer, which is wrong then, comes last.
    assert figures["AP"] == pytest.approx((5 * 67 + 5 * 51) / 1010)
    assert figures["AP50"] == pytest.approx(67 / 101) and figures["AP75"] == pytest.approx(51 / 101)
    assert figures["AR"] == pytest.approx((5 * 4 / 6 + 5 * 3 / 6) / 10)
    assert list(figures) == [*("AP", "AP50", "AP75", "AR", "AR50", "AR75"), "AP easy", "AP medium", "AP hard"]


@pytest.mark.parametrize("seed", range(3))
def test_crowdposes_levels_are_coco_evaluations_of_their_images_with_areas_by_the_boxes(seed):
    rng = np.random.default_rng(seed)
    truth = random_truth(rng, CROWDPOSE14, images=40)
    for image in truth["images"]:
        image["crowdIndex"] = round(float(rng.random()), 2)
    results = random_results(rng, truth, CROWDPOSE14)
    by_box = [{**a, "area": 0.53 * a["bbox"][2] * a["bbox"][3]} for a in truth["annotations"]]
    figures = crowdpose_figures(truth, results, CROWDPOSE14)
    for name, low, high in (("AP", 0, 2), ("AP easy", 0, 0.2), ("AP medium", 0.2, 0.8), ("AP hard", 0.8, 2)):
        chosen = [image for image in truth["images"] if low <= image["crowdIndex"] < high]
        ids = {image["id"] for image in chosen}
        part = {**truth, "images": chosen, "annotations": [a for a in by_box if a["image_id"] in ids]}
        found = [one for one in results if one["image_id"] in ids]
        assert figures[name] == pytest.approx(official(part, found, CROWDPOSE14)["AP"], abs=1e-6)


def test_a_level_without_people_has_no_figure():
    truth, results = crowdpose_case()
    truth["images"] = truth["images"][1:]
    truth["annotations"] = truth["annotations"][1:]
    assert crowdpose_figures(truth, results[1:], CROWDPOSE14)["AP easy"] == -1


def test_the_breakdown_tells_keypoints_and_sizes_apart():
    rng = np.random.default_rng(0)
    truth = random_truth(rng, COCO17)
    truth["annotations"] = [a for a in truth["annotations"] if a["num_keypoints"] and not a["iscrowd"]]
    results = []
    for entry in truth["annotations"]:
        keypoints = np.reshape(entry["keypoints"], (17, 3)).copy()
        keypoints[10, :2] += entry["bbox"][2]  # the right wrist is far off
        if math.sqrt(entry["area"]) >= 96:  # small people are not found
            results.append(result(entry["image_id"], keypoints, 0.9))
    parts = breakdown(truth, results, COCO17)
    by_name = {row.name: row for row in parts.keypoints}
    large = [a for a in truth["annotations"] if math.sqrt(a["area"]) >= 96]
    noses = [sum(a["keypoints"][2] > 0 for a in some) for some in (truth["annotations"], large)]
    assert by_name["nose"].labelled == noses[0] and by_name["nose"].found == pytest.approx(
        noses[1] / noses[0], abs=0.03
    )
    assert by_name["nose"].similarity == pytest.approx(1) and by_name["nose"].error == pytest.approx(0)
    assert by_name["right_wrist"].found == 0 and by_name["right_wrist"].error == pytest.approx(100 * math.sqrt(2 / 0.6))
    assert [row.low for row in parts.sizes] == list(SIDES)
    assert sum(row.labelled for row in parts.sizes) == len(truth["annotations"])
    assert all(row.ar == 0 for row in parts.sizes[:3]) and all(row.ar > 0.5 for row in parts.sizes[3:5])
    text = "\n".join(parts.lines())
    assert "right_wrist" in text and "192 to 384" in text and "from 384" in text


def test_the_breakdown_of_nothing_found_is_told_too():
    truth = random_truth(np.random.default_rng(0), COCO17)
    parts = breakdown(truth, [], COCO17)
    assert parts.keypoints[0].found == 0 and math.isnan(parts.keypoints[0].error)
    assert " - " in "\n".join(parts.lines())
