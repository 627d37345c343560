"""Average precision: perfect, shifted and missing people score as they must."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from engine import PoseEstimator
from engine.checkpoint import ModelMetadata
from engine.errors import SwahrError
from engine.network import build_network
from engine.training.evaluation import (
    average_precision,
    coco_results,
    evaluate,
    evaluate_synthetic,
    synthetic_truth,
    write_results,
)
from engine.training.scale_study import ScaleStudy, _ranks, scale_study
from engine.training.synthetic import SyntheticScene, check_skeleton, random_frame
from grouping import COCO17, CROWDPOSE14, People


@pytest.fixture(scope="module")
def frames():
    scene = SyntheticScene(people=4, seed=3)
    return [scene.render(time) for time in (0.0, 1.0, 2.0)]


def perfect(frames, shift=0.0, leave_out=0):
    results = []
    for number, frame in enumerate(frames, 1):
        keypoints = frame.keypoints[leave_out:].copy()
        keypoints[..., 2] = keypoints[..., 2] > 0
        keypoints[..., :2] += shift * np.sqrt(frame.areas[leave_out:])[:, None, None]
        people = People(keypoints, keypoints[..., 2].mean(1), skeleton=COCO17)
        results += coco_results(people, number)
    return results


def test_the_truth_scores_one(frames):
    figures = average_precision(synthetic_truth(frames, COCO17), perfect(frames), COCO17)
    assert figures["AP"] == pytest.approx(1) and figures["AR"] == pytest.approx(1)


def test_a_shift_costs_and_nothing_gives_nothing(frames):
    truth = synthetic_truth(frames, COCO17)
    near = average_precision(truth, perfect(frames, shift=0.03), COCO17)["AP"]
    far = average_precision(truth, perfect(frames, shift=0.5), COCO17)["AP"]
    assert 0.2 < near < 1 and far < 0.05
    assert average_precision(truth, [], COCO17) == dict.fromkeys(
        ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL"), 0.0
    )


def test_missing_people_cost_recall(frames):
    figures = average_precision(synthetic_truth(frames, COCO17), perfect(frames, leave_out=2), COCO17)
    assert figures["AR50"] == pytest.approx(0.5, abs=0.1)


def test_results_count_from_the_first_pixels_centre():
    keypoints = np.zeros((1, 17, 3), np.float32)
    keypoints[0, 0] = 10.5, 20.5, 0.9
    (entry,) = coco_results(People(keypoints, np.array([0.4], np.float32)), 7)
    assert entry["image_id"] == 7 and entry["keypoints"][:2] == [10, 20] and entry["score"] == pytest.approx(0.4)
    assert entry["keypoints"][3:] == [0] * 48  # what was not found
    json.dumps(entry)


@pytest.mark.parametrize("person", [1, 2])
def test_people_count_whatever_number_their_category_has(tmp_path, person):
    truth = _photo_with_truth(tmp_path, person)
    (entry,) = truth["annotations"]
    result = {"image_id": 1, "category_id": person, "keypoints": entry["keypoints"], "score": 0.9}
    assert average_precision(truth, [result], COCO17)["AP"] == pytest.approx(1)


def test_a_missing_photo_is_named(tmp_path):
    truth = {"images": [{"id": 1, "file_name": "gone.jpg", "width": 90, "height": 70}], "annotations": []}
    (tmp_path / "t.json").write_text(json.dumps(truth))
    with pytest.raises(SwahrError, match=r"gone\.jpg is missing"):
        evaluate(_untrained(), tmp_path / "t.json", tmp_path)


def test_a_model_of_another_skeleton_is_refused(tmp_path):
    truth = _photo_with_truth(tmp_path)
    truth["annotations"][0]["keypoints"] = truth["annotations"][0]["keypoints"][: 3 * 14]
    (tmp_path / "t.json").write_text(json.dumps(truth))
    with pytest.raises(SwahrError, match=r"t\.json: annotation 1 of a\.png has 42 keypoint numbers.*coco17 needs 51"):
        evaluate(_untrained(), tmp_path / "t.json", tmp_path)


class Perfect:
    """Answers each picture with the person who is labelled in it, found by the colour of the first pixel."""

    skeleton, images_per_run = COCO17, 1

    def __init__(self, truth):
        self.people = {a["image_id"]: np.reshape(a["keypoints"], (1, 17, 3)) for a in truth["annotations"]}

    def batch(self, images):
        return [self.answer(int(image[0, 0, 0])) for image in images]

    def answer(self, number):
        keypoints = self.people.get(number, np.zeros((0, 17, 3))) + np.array((0.5, 0.5, 0))
        return People(keypoints.astype(np.float32), np.full(len(keypoints), 0.9, np.float32))


def _photos_with_truth(folder, number=6):
    truth = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]}
    for image in range(1, number + 1):
        cv2.imwrite(str(folder / f"{image}.png"), np.full((70, 90, 3), image, np.uint8))
        truth["images"].append({"id": image, "file_name": f"{image}.png", "width": 90, "height": 70})
        keypoints = [value for k in range(17) for value in (20 + 2 * k, 30 + image, 2)]
        entry = {"id": image, "image_id": image, "category_id": 1, "iscrowd": 0, "keypoints": keypoints}
        truth["annotations"].append(entry | {"num_keypoints": 17, "area": 2000, "bbox": [10, 20, 40, 50]})
    (folder / "t.json").write_text(json.dumps(truth))
    return truth


def test_broken_photos_and_entries_stop_an_evaluation_or_are_left_out_and_named(tmp_path):
    truth = _photos_with_truth(tmp_path)
    (tmp_path / "2.png").unlink()
    content = bytearray((tmp_path / "3.png").read_bytes())
    content[len(content) // 2 - 5 : len(content) // 2 + 5] = bytes(10)
    (tmp_path / "3.png").write_bytes(content)
    truth["annotations"][3]["keypoints"][2] = 5
    (tmp_path / "t.json").write_text(json.dumps(truth))
    with pytest.raises(SwahrError, match="annotation 4"):
        evaluate(Perfect(truth), tmp_path / "t.json", tmp_path)
    done = evaluate(Perfect(truth), tmp_path / "t.json", tmp_path, skip_broken=True)
    assert [image["id"] for image in done.truth["images"]] == [1, 4, 5, 6]
    assert [entry["id"] for entry in done.truth["annotations"]] == [1, 5, 6]
    assert done.figures["labelled"] == 3 / 4 and done.figures["AR"] == 1
    assert len(done.skipped) == 3
    for told in ("2.png is missing", "3.png cannot be decoded", "annotation 4 of 4.png gives the nose the flag 5"):
        assert any(told in sentence for sentence in done.skipped)


def test_results_are_what_the_servers_take_and_nothing_else(tmp_path):
    truth = _photos_with_truth(tmp_path)
    done = evaluate(Perfect(truth), tmp_path / "t.json", tmp_path)
    assert done.figures["AP"] == pytest.approx(1) and done.skipped == ()
    write_results(tmp_path / "results.json", done.results)
    stored = json.loads((tmp_path / "results.json").read_text())
    assert len(stored) == 6 and not list(tmp_path.glob("*.partial"))
    for entry in stored:
        assert set(entry) == {"image_id", "category_id", "keypoints", "score"}
        assert isinstance(entry["image_id"], int) and len(entry["keypoints"]) == 51
    assert average_precision(truth, stored, COCO17)["AP"] == pytest.approx(1)
    with pytest.raises(SwahrError, match="cannot be written"):
        write_results(tmp_path / "gone" / "results.json", done.results)


def test_crowdpose_is_known_by_its_crowd_index(tmp_path):
    truth = _photos_with_truth(tmp_path)
    for image in truth["images"]:
        image["crowdIndex"] = 0.3 * (image["id"] % 3)
    (tmp_path / "t.json").write_text(json.dumps(truth))
    figures = evaluate(Perfect(truth), tmp_path / "t.json", tmp_path).figures
    assert figures["AP easy"] == pytest.approx(1) and figures["AP hard"] == -1 and "APL" not in figures


def test_an_evaluation_can_be_parted_by_keypoint_and_size(tmp_path):
    truth = _photos_with_truth(tmp_path)
    parts = evaluate(Perfect(truth), tmp_path / "t.json", tmp_path).breakdown()
    assert all(row.found == 1 for row in parts.keypoints) and parts.sizes[1].ap == pytest.approx(1)


@pytest.mark.parametrize(
    ("annotations", "images"),
    [
        ("annotations/person_keypoints_val2017.json", "val2017"),
        ("annotations/person_keypoints_val2017.json", "images/val2017"),
        ("json/crowdpose_test.json", "images"),
        ("labels.json", "."),
        ("labels.json", "images"),
    ],
)
def test_photos_are_found_where_they_usually_are(tmp_path, annotations, images):
    (tmp_path / images).mkdir(parents=True, exist_ok=True)
    truth = _photos_with_truth(tmp_path / images)
    (tmp_path / annotations).parent.mkdir(exist_ok=True)
    (tmp_path / images / "t.json").rename(tmp_path / annotations)
    assert evaluate(Perfect(truth), tmp_path / annotations, None).figures["AP"] == pytest.approx(1)


def test_annotations_without_images_are_refused(tmp_path):
    (tmp_path / "t.json").write_text('{"images": [], "annotations": []}')
    with pytest.raises(SwahrError, match="nothing to evaluate"):
        evaluate(_untrained(), tmp_path / "t.json", tmp_path)


def test_photos_are_evaluated_from_files(tmp_path):
    (tmp_path / "t.json").write_text(json.dumps(_photo_with_truth(tmp_path)))
    told = []
    done = evaluate(_untrained(), tmp_path / "t.json", tmp_path, progress=lambda n, of: told.append((n, of)))
    assert done.figures["labelled"] == 1 and 0 <= done.figures["AP"] <= 0.1 and told == [(1, 1)]


def test_the_true_keypoints_as_answers_score_one_on_synthetic_frames():
    class Oracle:
        """Answers with the truth of the frames that evaluate_synthetic shows, in order."""

        skeleton, images_per_run = COCO17, 1

        def __init__(self):
            scene = SyntheticScene(people=6, seed=1000)
            self.answers = iter([scene.render(i * 0.5).keypoints for i in range(4)])

        def batch(self, images):
            (keypoints,) = (next(self.answers).copy() for _ in images)
            keypoints[..., 2] = keypoints[..., 2] > 0
            return [People(keypoints, keypoints[..., 2].mean(1), skeleton=COCO17)]

    figures = evaluate_synthetic(Oracle(), frames=4).figures
    assert figures["AP"] == pytest.approx(1) and figures["people"] == figures["labelled"]


def test_synthetic_people_are_refused_for_other_skeletons():
    with pytest.raises(SwahrError, match="not of crowdpose14"):
        check_skeleton(CROWDPOSE14)


def test_the_scale_study_reads_s_at_the_keypoints():
    frames = []

    class Known:
        """The alphas of each keypoint's own place grow with the true height of the person it belongs to; elsewhere
        they are far off. The maps are half as large as the picture and begin 10 pixels to the left of it."""

        skeleton, model = COCO17, "known"

        def detailed(self, image):
            frame = random_frame(np.random.default_rng((7, len(frames))), 320, 180, size_range=(30, 100))
            frames.append(frame)
            assert (frame.image == image).all()
            alphas = np.full((17, 90, 170), 3.0, np.float32)
            for keypoints, height in zip(frame.keypoints, frame.heights, strict=True):
                for k in np.flatnonzero(keypoints[:, 2] == 2):
                    x, y = np.floor((keypoints[k, :2] + (10, 0)) / 2).astype(int)
                    alphas[k, min(y, 89), min(x, 169)] = 100 / height - 1
            return None, SimpleNamespace(alphas=alphas, to_source=np.array([[2.0, 0, -10], [0, 2.0, 0]]))

    study = scale_study(Known(), frames=6, frame_size=(320, 180), size_range=(30, 100), seed=7)
    assert len(study.heights) == len(study.scales) > 6
    assert study.rank_correlation > 0.9  # where two people's keypoints share a pixel, one of them is misread
    assert np.median(study.scales - study.heights / 100) == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
def test_the_bundled_models_scale_grows_with_size_at_the_size_it_was_trained_at():
    study = scale_study(PoseEstimator.load("default", device="cpu", size=256))
    small, large = study.by_thirds()
    assert study.rank_correlation > 0.5 and large > small


def _photo_with_truth(folder, person=1):
    cv2.imwrite(str(folder / "a.png"), np.full((70, 90, 3), 90, np.uint8))
    keypoints = [value for k in range(17) for value in (20 + k, 30 + k, 2)]
    entry = {"id": 1, "image_id": 1, "category_id": person, "iscrowd": 0, "keypoints": keypoints, "num_keypoints": 17}
    return {
        "images": [{"id": 1, "file_name": "a.png", "width": 90, "height": 70}],
        "annotations": [entry | {"area": 2000, "bbox": [10, 20, 40, 50]}],
        "categories": [{"id": person, "name": "person"}],
    }


def _untrained():
    network = build_network("default")
    return PoseEstimator(network, ModelMetadata.of(network.config), model="untrained", device="cpu", size=64)


def test_rank_correlation_by_hand():
    heights = np.array([50.0, 100.0, 200.0, 400.0])
    assert ScaleStudy(heights, np.array([0.9, 1.0, 1.3, 1.2])).rank_correlation == pytest.approx(0.8)
    assert ScaleStudy(heights, heights**3).rank_correlation == pytest.approx(1)
    assert ScaleStudy(heights, -heights).rank_correlation == pytest.approx(-1)
    assert ScaleStudy(heights, np.ones(4)).rank_correlation == 0
    assert _ranks(np.array([3.0, 1.0, 3.0])).tolist() == [1.5, 0, 1.5]
