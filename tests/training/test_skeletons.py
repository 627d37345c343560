"""Skeletons described in TOML: mirrored pairs read off the names or given, and what is said of a wrong one."""

import json

import cv2
import numpy as np
import pytest

from engine.errors import SwahrError
from engine.training.augment import Window, place
from engine.training.coco import CocoPhotos, LabelledImage
from engine.training.skeletons import find_skeleton, load_skeleton
from grouping import COCO17, Skeleton

NAMED = """
keypoints = ["nose", "left_ear", "right_ear"]
limbs = [["nose", "left_ear"], ["nose", "right_ear"]]
sigmas = {right_ear = 0.04, left_ear = 0.03, nose = 0.02}
"""
GIVEN = """
name = "horse"
keypoints = ["muzzle", "hoof near", "hoof off", "tail"]
limbs = [["muzzle", "tail"], ["tail", "hoof near"], ["tail", "hoof off"]]
sigmas = 0.05
flip_pairs = [["hoof near", "hoof off"]]
grouping_order = ["tail", "muzzle", "hoof near", "hoof off"]
"""


@pytest.fixture
def write(tmp_path):
    def _write(text, name="cat.toml"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return _write


def test_pairs_are_read_off_the_names(write):
    skeleton = load_skeleton(write(NAMED))
    assert skeleton == Skeleton("cat", ("nose", "left_ear", "right_ear"), ((0, 1), (0, 2)), (0.02, 0.03, 0.04))
    assert skeleton.flip_indices == (0, 2, 1) and skeleton.flip_pairs == ((1, 2),)


def test_pairs_are_given(write):
    skeleton = load_skeleton(write(GIVEN))
    assert skeleton.name == "horse" and skeleton.oks_sigmas == (0.05,) * 4
    assert skeleton.flip_indices == (0, 2, 1, 3) and skeleton.flip_pairs == ((1, 2),)
    assert skeleton.keypoint_sides == ("centre", "left", "right", "centre")
    assert skeleton.limb_sides == ("centre", "left", "right") and skeleton.grouping_order == (3, 0, 1, 2)
    assert Skeleton.from_dict(json.loads(json.dumps(skeleton.to_dict()))) == skeleton
    assert hash(skeleton) == hash(load_skeleton(write(GIVEN)))


def test_given_pairs_change_places_in_a_mirrored_photo(write):
    keypoints = np.zeros((1, 4, 3), np.float32)
    keypoints[0, 1], keypoints[0, 3] = (10.5, 20.5, 2), (30.5, 20.5, 2)
    photo = LabelledImage(np.zeros((64, 64, 3), np.uint8), keypoints)
    canvas, mask = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8)
    mirror = np.array([[-1.0, 0, 64], [0, 1, 0]])
    (moved,) = place(photo, mirror, True, Window(0, 0, 64, 64), canvas, [mask], load_skeleton(write(GIVEN)))
    assert moved[2].tolist() == [53.5, 20.5, 2] and moved[3].tolist() == [33.5, 20.5, 2] and not moved[:2].any()


def test_photos_of_another_skeleton_are_read(write, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((60, 80, 3), np.uint8))
    horse = {"id": 1, "image_id": 1, "category_id": 18, "iscrowd": 0, "keypoints": [5, 6, 2] * 4, "bbox": [0, 0, 9, 9]}
    labels = {"images": [{"id": 1, "file_name": "a.png", "width": 80, "height": 60}], "annotations": [horse]}
    labels["categories"] = [{"id": 18, "name": "horse", "keypoints": ["muzzle", "hoof near", "hoof off", "tail"]}]
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    photos = CocoPhotos(tmp_path / "labels.json", None, load_skeleton(write(GIVEN)))
    assert photos.load(0).keypoints.tolist() == [[[5.5, 6.5, 2]] * 4]
    assert photos.findings.counts == {"strange areas": 1, "other names of keypoints": 1}


def test_a_skeleton_is_found_by_name_or_file(write):
    assert find_skeleton("coco17") is COCO17
    assert find_skeleton(str(write(GIVEN))).name == "horse"
    with pytest.raises(SwahrError, match=r"no skeleton 'mpii'; choose one of coco17, crowdpose14, or name a TOML file"):
        find_skeleton("mpii")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("keypoints = [", "is not valid TOML"),
        ("limbs = []\nsigmas = 1", "'keypoints' is missing"),
        ('keypoints = ["a", 3]\nsigmas = 1', "'keypoints' is missing"),
        ('keypoints = ["a"]\nsigma = 1', "unknown key 'sigma'; known keys are"),
        ('keypoints = ["a", "a"]\nsigmas = 1', "names the keypoint 'a' twice"),
        ('keypoints = ["a"]', "'sigmas' is missing"),
        ('keypoints = ["a"]\nsigmas = [1, 2]', "has 2 OKS sigmas for 1 keypoints"),
        ('keypoints = ["a"]\nsigmas = {b = 1}', "do not both have 'b'"),
        ('keypoints = ["a"]\nsigmas = -1', "sigmas are positive"),
        ('keypoints = ["left_a"]\nsigmas = 1', "has 'left_a' but no 'right_a'"),
        (
            'keypoints = ["a", "b"]\nsigmas = 1\nlimbs = [["a", "c"]]',
            "'limbs' has 'c', which is not among the keypoints",
        ),
        ('keypoints = ["a", "b"]\nsigmas = 1\nlimbs = [["a", "a"]]', "a limb joins two different keypoints"),
        ('keypoints = ["a", "b"]\nsigmas = 1\nflip_pairs = ["a"]', "'flip_pairs' is no list of pairs of names"),
        ('keypoints = ["a", "b"]\nsigmas = 1\nflip_pairs = [["a", "b"], ["b", "a"]]', "in more than one flip pair"),
        ('keypoints = ["a", "b"]\nsigmas = 1\ngrouping_order = 5', "'grouping_order' is no list of names"),
        ('keypoints = ["a", "b"]\nsigmas = 1\ngrouping_order = ["a"]', "it holds each index from 0 to 1 once"),
    ],
)
def test_what_is_wrong_with_a_skeleton_is_said(write, text, said):
    with pytest.raises(SwahrError, match=r"cat\.toml") as error:
        load_skeleton(write(text))
    assert said in str(error.value) and str(error.value).endswith(".")


def test_a_missing_skeleton_is_named(tmp_path):
    with pytest.raises(SwahrError, match=r"There is no skeleton .*gone\.toml"):
        load_skeleton(tmp_path / "gone.toml")
    with pytest.raises(SwahrError, match="cannot be read"):
        load_skeleton(tmp_path)
