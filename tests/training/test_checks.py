"""Broken annotation files: each breach gives the one right sentence, which names the entry and what to do."""

import copy
import json

import cv2
import numpy as np
import pytest

from engine.errors import SwahrError
from engine.training.checks import check_entries
from engine.training.coco import CocoPhotos
from engine.training.findings import KEPT, KINDS, Findings
from engine.training.photo_table import open_table
from engine.training.picture_checks import check_pictures
from grouping import COCO17, CROWDPOSE14


def sound():
    """Two images: one with two people and a crowd, one with somebody without keypoints."""
    person = [value for k in range(17) for value in (20 + 2 * k, 10 + 2 * k, 1 + k % 2)]
    other = [value for k in range(17) for value in (24 + 2 * k, 11 + 2 * k, 2)]
    common = {"category_id": 1, "iscrowd": 0, "num_keypoints": 17, "area": 900.0, "bbox": [20, 10, 40, 40]}
    return {
        "images": [
            {"id": 7, "file_name": "a.png", "width": 80, "height": 60},
            {"id": 8, "file_name": "b.png", "width": 80, "height": 60},
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "keypoints": person, **common},
            {"id": 2, "image_id": 7, "keypoints": other, **common},
            {
                **common,
                "id": 3,
                "image_id": 7,
                "iscrowd": 1,
                "segmentation": {"counts": [100, 200, 4500], "size": [60, 80]},
            },
            {**common, "id": 4, "image_id": 8, "num_keypoints": 0, "keypoints": [0] * 51},
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.names)}],
    }


def at(*path, value):
    """A change of one entry."""

    def change(data):
        place = data
        for step in path[:-1]:
            place = place[step]
        if value is KeyError:
            del place[path[-1]]
        else:
            place[path[-1]] = value

    return change


def keypoint(index, position, value):
    def change(data):
        data["annotations"][0]["keypoints"][3 * index + position] = value

    return change


SHUFFLED = [COCO17.names[1], COCO17.names[0], *COCO17.names[2:]]
ANNOTATION, IMAGE = ("annotations", 0), ("images", 0)

BREACHES = [
    (at("images", 0, value=5), "image number 0 of the list has no whole number as its 'id'; give it one."),
    (at("images", 1, "id", value="8"), "image number 1 of the list has no whole number as its 'id'; give it one."),
    (at("images", 0, "file_name", value=KeyError), "image 7 has no 'file_name'; name its picture."),
    (at("images", 0, "width", value=KeyError), "image 7 (a.png) has the size Nonex60; give whole numbers of pixels."),
    (at("images", 0, "height", value=0), "image 7 (a.png) has the size 80x0; give whole numbers of pixels."),
    (
        at("images", 1, "id", value=7),
        "image 7 is listed twice, as a.png and b.png; give each image an id of its own.",
    ),
    (
        at("annotations", 0, value="person"),
        "annotation number 0 of the list has no whole number as its 'id'; give it one.",
    ),
    (
        at("annotations", 0, "id", value=None),
        "annotation number 0 of the list has no whole number as its 'id'; give it one.",
    ),
    (at("annotations", 1, "id", value=1), "annotation 1 is listed twice; give each annotation an id of its own."),
    (
        at("annotations", 0, "image_id", value=99),
        "annotation 1 belongs to image 99, which is not in the list of images; add the image or remove the annotation.",
    ),
    (
        at("annotations", 0, "category_id", value=9),
        "annotation 1 has the category 9, which is not in the list of categories; correct its 'category_id'.",
    ),
    (at("annotations", 0, "iscrowd", value=2), "annotation 1 of a.png has iscrowd 2; it is 0 or 1."),
    (
        at("annotations", 0, "keypoints", value=[1, 2, 2]),
        "annotation 1 of a.png has 3 keypoint numbers, but the skeleton coco17 needs 51; "
        "choose the skeleton that the file was made for.",
    ),
    (
        at("annotations", 0, "keypoints", value="nose"),
        "annotation 1 of a.png has keypoints that are no list of finite numbers; correct or remove it.",
    ),
    (
        keypoint(0, 0, None),
        "annotation 1 of a.png has keypoints that are no list of finite numbers; correct or remove it.",
    ),
    (
        keypoint(0, 0, float("nan")),
        "annotation 1 of a.png has keypoints that are no list of finite numbers; correct or remove it.",
    ),
    (
        keypoint(13, 2, 3),
        "annotation 1 of a.png gives the left_knee the flag 3; it is 0 (not labelled), 1 (hidden) or 2 (visible).",
    ),
    (
        at("annotations", 3, "bbox", value=KeyError),
        "annotation 4 of b.png has the box None, which is not x, y, width and height; correct or remove it.",
    ),
    (
        at("annotations", 3, "bbox", value=[1, 2, -3, 4]),
        "annotation 4 of b.png has the box [1, 2, -3, 4], which is not x, y, width and height; correct or remove it.",
    ),
    (
        at("categories", 0, "keypoints", value=list(CROWDPOSE14.names)),
        "category 1 has 14 keypoints, but the skeleton coco17 has 17; choose the skeleton that the file was made for.",
    ),
    (
        at("categories", 0, "keypoints", value=SHUFFLED),
        "category 1 has the keypoints of coco17 in another order (left_eye, nose, right_eye first); "
        "choose the skeleton that the file was made for.",
    ),
]

REMARKS = [
    (
        keypoint(16, 0, 82.5),
        "annotation 1 of a.png has the right_ankle at 82.5, 42, outside of the 80x60 pixels; "
        "it is taken as not labelled.",
    ),
    (keypoint(16, 2, 0), "annotation 1 of a.png says num_keypoints 17, but labels 16."),
    (
        at("annotations", 0, "area", value=-4),
        "annotation 1 of a.png has the area -4, in a picture of 4800 pixels; correct it.",
    ),
    (
        at("annotations", 0, "area", value=1e6),
        "annotation 1 of a.png has the area 1000000.0, in a picture of 4800 pixels; correct it.",
    ),
    (
        at("annotations", 0, "area", value=KeyError),
        "annotation 1 of a.png has no area; evaluation takes 0.53 of its box.",
    ),
    (
        at("annotations", 0, "bbox", value=[1, 2]),
        "annotation 1 of a.png has the box [1, 2], which is not x, y, width and height; "
        "evaluation takes the box around its keypoints.",
    ),
    (
        at("annotations", 0, "bbox", value=[90, 10, 5, 5]),
        "annotation 1 of a.png has the box 90, 10, 5, 5, of which nothing lies in the 80x60 pixels.",
    ),
    (
        at("annotations", 2, "segmentation", "counts", value=[5, 5]),
        "annotation 3 of a.png has a mask of 10 pixels in a picture of 4800; its whole box is ignored instead.",
    ),
    (
        at("annotations", 3, "segmentation", value=[[1, 2, 3, 4]]),
        "annotation 4 of b.png has a polygon of 4 numbers, which are not three or more corners x, y; "
        "its whole box is ignored instead.",
    ),
    (at("images", 1, "file_name", value="a.png"), "a.png is listed twice, as image 7 and image 8; it counts twice."),
    (at("images", 0, "crowdIndex", value=3), "image 7 (a.png) has the crowd index 3; it goes from 0 to 1."),
    (
        lambda data: data["annotations"][1].update(keypoints=data["annotations"][0]["keypoints"]),
        "annotation 2 of a.png has the same keypoints as annotation 1; remove one of them.",
    ),
    (
        at("categories", 0, "keypoints", value=["tip", *COCO17.names[1:]]),
        "category 1 calls 'tip' what is 'nose' in the skeleton coco17.",
    ),
]


def findings_after(change):
    data = sound()
    change(data)
    return check_entries(data, COCO17)


def test_a_sound_file_has_no_findings():
    photos, findings = check_entries(sound(), COCO17)
    assert findings == Findings() and [len(photo.people) for photo in photos] == [2, 0]
    assert [len(photo.ignored) for photo in photos] == [1, 1]
    assert photos[0].annotation_ids == [1, 2, 3] and photos[1].annotation_ids == [4]


@pytest.mark.parametrize(("change", "sentence"), BREACHES)
def test_each_fault_is_one_sentence_and_is_left_out(change, sentence):
    photos, findings = findings_after(change)
    assert findings.first_fault == sentence
    about_skeleton = "another skeleton" in findings.counts
    # The annotations of an image that has no usable id belong to no image.
    assert findings.faults - findings.counts.get("annotations of no image", 0) <= 1 and findings.remarks == 0
    assert about_skeleton or sum(len(photo.annotation_ids) for photo in photos) < 4


@pytest.mark.parametrize(("change", "sentence"), REMARKS)
def test_each_remark_is_one_sentence_and_nothing_is_left_out(change, sentence):
    photos, findings = findings_after(change)
    assert findings.faults == 0 and findings.remarks == 1
    ((kept,),) = findings.sentences.values()
    assert kept == sentence
    assert sum(len(photo.annotation_ids) for photo in photos) == 4


def test_a_keypoint_outside_is_not_learned_and_one_on_the_edge_is():
    def change(data):
        data["annotations"][0]["keypoints"][0:3] = [-30, 5, 2]
        data["annotations"][0]["keypoints"][3:6] = [80, 60, 2]

    photos, findings = findings_after(change)
    keypoints = photos[0].people[0]
    assert keypoints[0].tolist() == [0, 0, 0] and findings.counts == {"keypoints outside of the picture": 1}
    assert keypoints[1, 2] == 2 and (79.9 < keypoints[1, 0] < 80) and (59.9 < keypoints[1, 1] < 60)


def test_a_person_all_of_whose_keypoints_lie_outside_is_ignored():
    def change(data):
        data["annotations"][0]["keypoints"] = [value for _ in range(17) for value in (500, 5, 2)]

    photos, _ = findings_after(change)
    assert len(photos[0].people) == 1 and len(photos[0].ignored) == 2


def test_other_categories_count_for_nothing():
    data = sound()
    data["categories"].append({"id": 2, "name": "chair"})
    data["annotations"].append({"id": 5, "image_id": 8, "category_id": 2, "bbox": [0, 0, 9, 9], "iscrowd": 0})
    photos, findings = check_entries(data, COCO17)
    assert findings == Findings() and len(photos[1].ignored) == 1


def test_crowdpose_has_no_areas_and_that_is_no_remark():
    data = sound()
    for image in data["images"]:
        image["crowdIndex"] = 0.4
    for annotation in data["annotations"]:
        del annotation["area"]
    photos, findings = check_entries(data, COCO17)
    assert findings == Findings() and photos[0].crowd_index == pytest.approx(0.4)


def test_only_the_first_sentences_of_a_kind_are_kept_and_all_are_counted():
    findings = Findings()
    for number in range(KEPT + 7):
        findings.add("wrong keypoints", f"annotation {number}.")
    findings.add("strange areas", "annotation 3.")
    lines = list(findings.lines())
    assert lines[0] == "Fault: wrong keypoints (27)" and lines[KEPT + 1] == "  and 7 more."
    assert lines[-2:] == ["Remark: strange areas (1)", "  annotation 3."]
    both = findings.merged(findings)
    assert both.faults == 54 and len(both.sentences["wrong keypoints"]) == KEPT and findings.faults == 27


def test_every_kind_is_known():
    seen = {kind for change, _ in BREACHES + REMARKS for kind in findings_after(change)[1].counts}
    pictures = {"missing pictures", "damaged pictures", "pictures of another size"}
    assert seen | pictures == set(KINDS)


@pytest.fixture
def folder(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), noise)
    (tmp_path / "labels.json").write_text(json.dumps(sound()))
    return tmp_path


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-500])


def with_a_hole(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :][:200] = b""
    content[len(content) // 2 : len(content) // 2 + 200] = bytes(200)
    path.write_bytes(content)


PICTURES = [
    (lambda path: path.unlink(), False, "missing pictures", "is missing, but the annotations name it"),
    (cut_off, False, "damaged pictures", "is cut off: its end is missing; fetch the picture again."),
    (lambda path: path.write_bytes(b""), False, "damaged pictures", "cannot be decoded as a picture"),
    (lambda path: path.write_text("no picture"), False, "damaged pictures", "cannot be decoded as a picture"),
    (with_a_hole, True, "damaged pictures", "cannot be decoded as a picture"),
    (
        lambda path: cv2.imwrite(str(path), np.zeros((30, 40, 3), np.uint8)),
        False,
        "pictures of another size",
        "has 40x30 pixels, but the annotations say 80x60; the labels belong to another version of the picture.",
    ),
]


@pytest.mark.parametrize(("damage", "decode", "kind", "said"), PICTURES)
def test_each_broken_picture_is_named(folder, damage, decode, kind, said):
    damage(folder / "b.png")
    table = open_table(folder / "labels.json", COCO17)
    right, findings = check_pictures(table, folder, decode)
    assert right.tolist() == [True, False] and findings.counts == {kind: 1}
    assert findings.first_fault.startswith(str(folder / "b.png")) and said in findings.first_fault


@pytest.mark.parametrize(("damage", "decode", "kind", "said"), PICTURES)
def test_a_broken_picture_stops_training_or_is_skipped_and_counted(folder, damage, decode, kind, said, caplog):
    damage(folder / "b.png")
    with pytest.raises(SwahrError, match=r"b\.png"):
        CocoPhotos(folder / "labels.json", folder, COCO17).load(1)
    photos = CocoPhotos(folder / "labels.json", folder, COCO17, skip_broken=True)
    if decode:  # found out when it is read: another photo takes its place
        assert len(photos) == 2 and np.array_equal(photos.load(1).image, photos.load(0).image)
        assert "b.png cannot be decoded" in caplog.text and "next photo takes its place" in caplog.text
    else:
        assert [record.path.name for record in photos] == ["a.png"] and photos.findings.counts == {kind: 1}


def test_a_faulty_entry_stops_training_or_is_skipped_and_counted(folder):
    data = sound()
    data["annotations"][0]["keypoints"][2] = 7
    (folder / "labels.json").write_text(json.dumps(data))
    with pytest.raises(SwahrError, match=r"labels\.json: annotation 1 of a\.png gives the nose the flag 7"):
        CocoPhotos(folder / "labels.json", folder, COCO17)
    photos = CocoPhotos(folder / "labels.json", folder, COCO17, skip_broken=True)
    assert len(photos[0].keypoints) == 1 and photos.findings.faults == 1
    data["annotations"][1]["keypoints"][2] = 7
    (folder / "labels.json").write_text(json.dumps(data))
    with pytest.raises(SwahrError, match=r"one of 2 faults; swahr data check lists them") as error:
        CocoPhotos(folder / "labels.json", folder, COCO17)
    assert str(error.value).count(". ") == 0  # one sentence


def test_where_nothing_is_left_that_is_said(folder):
    for name in ("a.png", "b.png"):
        (folder / name).unlink()
    with pytest.raises(SwahrError, match="not one photo can be used"):
        CocoPhotos(folder / "labels.json", folder, COCO17, skip_broken=True)


def test_checking_changes_nothing():
    data = sound()
    before = copy.deepcopy(data)
    check_entries(data, COCO17)
    assert data == before
