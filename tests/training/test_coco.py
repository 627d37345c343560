"""Reading COCO's format: what counts, what is ignored, and what is said of a file that is wrong."""

import json

import cv2
import numpy as np
import pytest

from engine.errors import SwahrError
from engine.training.augment import Window, place
from engine.training.coco import CocoPhotos
from grouping import COCO17

LABELLED = [10, 20, 2] + [0, 0, 0] * 15 + [30, 40, 1]
UNLABELLED = [0, 0, 0] * 17


def annotation(number, **values):
    return {"id": number, "image_id": 7, "category_id": 1, "iscrowd": 0, "keypoints": UNLABELLED, **values}


@pytest.fixture
def write(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((60, 80, 3), (0, 0, 255), np.uint8))

    def _write(*annotations, images=None):
        images = images or [{"id": 7, "file_name": "a.png", "width": 80, "height": 60}]
        path = tmp_path / "labels.json"
        path.write_text(json.dumps({"images": images, "annotations": list(annotations)}))
        return CocoPhotos(path, tmp_path, COCO17)

    return _write


def test_keypoints_move_to_pixel_centres_at_a_half(write):
    photo = write(annotation(1, keypoints=LABELLED)).load(0)
    assert photo.keypoints.shape == (1, 17, 3)
    assert photo.keypoints[0, 0].tolist() == [10.5, 20.5, 2] and photo.keypoints[0, 16].tolist() == [
        30.5,
        40.5,
        1,
    ]
    assert photo.keypoints[0, 1].tolist() == [0, 0, 0]
    assert photo.image.shape == (60, 80, 3) and photo.image[0, 0].tolist() == [255, 0, 0]  # RGB


def test_people_without_keypoints_are_ignored_by_their_polygons(write):
    photo = write(annotation(1, segmentation=[[0, 0, 10, 0, 10, 10]], bbox=[0, 0, 60, 60])).load(0)
    assert len(photo.keypoints) == 0
    assert [polygon.tolist() for polygon in photo.ignored] == [[[0, 0], [10, 0], [10, 10]]]


def test_without_segmentation_the_box_is_ignored(write):
    photo = write(annotation(1, iscrowd=1, bbox=[5, 6, 10, 20])).load(0)
    assert photo.ignored[0].tolist() == [[5, 6], [15, 6], [15, 26], [5, 26]]


def test_crowds_by_run_lengths_are_ignored(write):
    mask = np.zeros((60, 80), np.uint8)
    mask[10:30, 40:70] = 1
    flat = mask.flatten(order="F")
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate(([2], flat, [2])))))
    counts = ([0] if flat[0] else []) + runs.tolist()
    photo = write(annotation(1, iscrowd=1, segmentation={"counts": counts, "size": [60, 80]})).load(0)
    valid = np.zeros((60, 80), np.uint8)
    canvas = np.zeros((60, 80, 3), np.uint8)
    place(photo, np.eye(2, 3), False, Window(0, 0, 80, 60), canvas, [valid], COCO17)
    assert np.array_equal(valid, 1 - mask)


def test_a_photo_without_annotations_is_empty(write):
    photo = write().load(0)
    assert photo.keypoints.shape == (0, 17, 3) and photo.ignored == []


def test_wrong_number_of_keypoints_names_file_and_annotation(write):
    with pytest.raises(SwahrError, match=r"labels\.json: annotation 3 of a\.png has 6 keypoint numbers.*51"):
        write(annotation(3, keypoints=[1, 2, 2, 3, 4, 2]))


def test_a_missing_picture_is_named(write):
    with pytest.raises(SwahrError, match=r"gone\.png is missing"):
        write(images=[{"id": 7, "file_name": "gone.png", "width": 80, "height": 60}])


def test_a_picture_of_another_size_is_named(write):
    photos = write(images=[{"id": 7, "file_name": "a.png", "width": 160, "height": 120}])
    with pytest.raises(SwahrError, match=r"a\.png has 80x60 pixels, but the annotations say 160x120"):
        photos.load(0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not json", "is not a JSON file"),
        ("[1]", "no lists 'images'"),
        ('{"images": []}', "no lists 'images'"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, content, message):
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(SwahrError, match=message) as error:
        CocoPhotos(path, tmp_path, COCO17)
    assert "x.json" in str(error.value)


def test_a_missing_file_or_folder_is_named(tmp_path):
    with pytest.raises(SwahrError, match=r"no annotation file .*nothing\.json"):
        CocoPhotos(tmp_path / "nothing.json", tmp_path, COCO17)
    (tmp_path / "x.json").write_text('{"images": [], "annotations": []}')
    with pytest.raises(SwahrError, match="no folder of images"):
        CocoPhotos(tmp_path / "x.json", tmp_path / "photos", COCO17)
