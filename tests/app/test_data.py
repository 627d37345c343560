"""``swahr data``: what a data set holds, what is wrong with it, and pictures of what training sees."""

import json

import cv2
import numpy as np
import pytest
import torch

from app.cli import main
from app.data_sheets import people_of, sheet
from engine.training.coco import CocoPhotos
from engine.training.samples import Mixture, TrainingSamples
from grouping import COCO17


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Three photos laid out as COCO's are: two people, one person and a crowd, nobody."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "val2017").mkdir()
    (tmp_path / "annotations").mkdir()
    labels = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]}
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 255, (120, 160, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "val2017" / f"{number}.jpg"), noise)
        labels["images"].append({"id": number, "file_name": f"{number}.jpg", "width": 160, "height": 120})
    for number, (image, crowd) in enumerate(((0, 0), (0, 0), (1, 0), (1, 1))):
        keypoints = [value for k in range(17) for value in (50 + 4 * k, 30 + 3 * k + number, 1 + k % 2)]
        entry = {
            "id": number,
            "image_id": image,
            "category_id": 1,
            "iscrowd": crowd,
            "area": 900,
            "bbox": [5, 5, 30, 40],
        }
        labels["annotations"].append(entry | {"keypoints": keypoints, "num_keypoints": 17})
    return write(tmp_path, labels)


def write(folder, labels):
    path = folder / "annotations" / "person_keypoints_val2017.json"
    path.write_text(json.dumps(labels))
    return path


def change(path, edit):
    labels = json.loads(path.read_text())
    edit(labels)
    path.write_text(json.dumps(labels))


def test_a_sound_data_set_is_counted(photos, capsys):
    assert main(["data", "check", str(photos)]) == 0
    said = capsys.readouterr().out
    assert "with the skeleton coco17; pictures in" in said and "val2017." in said
    assert "3 images, 2 of them with 3 labelled people." in said
    assert "1 regions of crowds and of people without keypoints are ignored." in said
    assert "most often 160x120" in said and "No fault was found (read: all annotations" in said
    (row,) = (line for line in said.splitlines() if line.split()[:1] == ["nose"])
    assert row.split() == ["nose", "0", "3", "0"]  # visible, hidden, not labelled


@pytest.mark.parametrize("decode", [[], ["--decode"]])
def test_faults_and_remarks_are_listed_with_code_2(photos, decode, capsys):
    def edit(labels):
        labels["annotations"][0]["keypoints"][2] = 9
        labels["annotations"][1]["keypoints"][0] = -70
        labels["images"].append({"id": 3, "file_name": "3.jpg", "width": 160, "height": 120})

    change(photos, edit)
    picture = photos.parent.parent / "val2017" / "2.jpg"
    picture.write_bytes(picture.read_bytes()[:900])
    assert main(["data", "check", str(photos), *decode]) == 2
    captured = capsys.readouterr()
    for told in (
        "Fault: unknown flags (1)\n  annotation 0 of 0.jpg gives the nose the flag 9",
        "Fault: missing pictures (1)\n  ",
        "3.jpg is missing, but the annotations name it; put it back or remove its entry.",
        "Fault: damaged pictures (1)\n  ",
        "2.jpg is cut off: its end is missing; fetch the picture again.",
        "Remark: keypoints outside of the picture (1)\n  annotation 1 of 0.jpg has the nose at -70, 31, outside of",
        "Faults: 3, remarks: 1.",
    ):
        assert told in captured.out
    assert captured.err == ""


def test_crowdpose_is_told_by_its_levels(photos, capsys):
    def edit(labels):
        for image, index in zip(labels["images"], (0.1, 0.5, 0.9), strict=True):
            image["crowdIndex"] = index

    change(photos, edit)
    assert main(["data", "check", str(photos)]) == 0
    assert "By their crowd index 1 images are easy, 1 medium and 1 hard." in capsys.readouterr().out


def test_another_skeleton_is_described_in_toml(photos, capsys):
    def edit(labels):
        for annotation in labels["annotations"]:
            annotation["keypoints"] = annotation["keypoints"][:6]
            annotation["num_keypoints"] = 2

    change(photos, edit)
    assert main(["data", "check", str(photos)]) == 2
    assert "people of 2 keypoints, which are neither COCO's 17 nor CrowdPose's 14" in capsys.readouterr().err
    toml = photos.with_name("arrow.toml")
    toml.write_text('keypoints = ["tip", "tail"]\nlimbs = [["tip", "tail"]]\nsigmas = 0.05\n')
    assert main(["data", "check", str(photos), "--skeleton", str(toml)]) == 0
    assert "with the skeleton arrow" in capsys.readouterr().out
    assert main(["data", "show", str(photos), "--skeleton", str(toml), "-o", "shown", "--number", "1"]) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "gone.json"], "no annotation file gone.json"),
        (["check", "annotations/person_keypoints_val2017.json", "--images", "gone"], "no folder of images at gone"),
        (["check", "annotations/person_keypoints_val2017.json", "--skeleton", "mpii"], "There is no skeleton 'mpii'"),
        (["show", "gone.json", "-o", "out"], "no annotation file gone.json"),
        (["show", "demo:", "-o", "annotations/person_keypoints_val2017.json"], "cannot be a folder of pictures"),
        (["show", "demo:", "-o", "out", "--recipe", "gone.toml"], "no recipe gone.toml"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_code_2(photos, arguments, said, capsys):
    assert main(["data", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_what_training_sees_is_drawn(photos, tmp_path, capsys):
    shown = tmp_path / "shown"
    assert main(["data", "show", str(photos), "-o", str(shown), "--number", "3"]) == 0
    assert capsys.readouterr().out == f"Written: {shown}/sample-000.png to sample-002.png.\n"
    assert sorted(path.name for path in shown.iterdir()) == ["sample-000.png", "sample-001.png", "sample-002.png"]
    before = (shown / "sample-000.png").read_bytes()
    assert main(["data", "show", str(photos), "-o", str(shown), "--seed", "5"]) == 2
    assert "sample-000.png exists; add --overwrite" in capsys.readouterr().err
    assert (shown / "sample-000.png").read_bytes() == before
    assert main(["data", "show", str(photos), "-o", str(shown), "--seed", "5", "--overwrite"]) == 0
    assert (shown / "sample-000.png").read_bytes() != before


def test_synthetic_people_and_a_recipe_are_shown(photos, tmp_path):
    (tmp_path / "r.toml").write_text("[mixture]\nsize = 64\nmosaic = 0.5\nsynthetic = 0.5\n")
    arguments = ["-o", str(tmp_path / "shown"), "--number", "1", "--recipe", str(tmp_path / "r.toml")]
    assert main(["data", "show", "demo:", *arguments]) == 0
    assert main(["data", "show", str(photos), *arguments, "--overwrite"]) == 0


@pytest.mark.slow
def test_a_model_shows_its_answers(tmp_path):
    arguments = ["data", "show", "demo:", "-o", str(tmp_path), "--number", "1"]
    assert main(arguments) == 0
    without = cv2.imread(str(tmp_path / "sample-000.png")).shape
    assert main([*arguments, "--model", "default", "--overwrite"]) == 0
    shape = cv2.imread(str(tmp_path / "sample-000.png")).shape
    assert shape[1] > 1.4 * without[1]  # two more panels


def test_broken_photos_are_left_out_of_the_show_if_wanted(photos, tmp_path, capsys):
    (photos.parent.parent / "val2017" / "2.jpg").unlink()
    arguments = ["data", "show", str(photos), "-o", str(tmp_path / "shown"), "--number", "1"]
    assert main(arguments) == 2
    assert "2.jpg is missing" in capsys.readouterr().err
    assert main([*arguments, "--skip-broken"]) == 0


def test_the_sheet_shows_the_people_where_the_targets_have_them(photos):
    dataset = TrainingSamples(
        CocoPhotos(photos, None, COCO17),
        COCO17,
        Mixture(size=128, mosaic=0, synthetic=0),
        augmentation=_plain(),
        seed=0,
        count=20,
    )
    sample = next(one for one in (dataset[i] for i in range(20)) if one["tags"][1, :, 1].any())
    people = people_of(sample, COCO17)
    assert len(people) == 2
    for person, tags in zip(people, sample["tags"][:2], strict=True):
        for k in torch.nonzero(tags[:, 1]).flatten().tolist():
            x, y = (int(side // 4) for side in person.keypoints[0, k, :2])
            assert sample["coarse"][k, y, x] == 1
    drawn = sheet(sample, COCO17)
    assert drawn.dtype == np.uint8 and drawn.shape[2] == 3


def _plain():
    from engine.training.augment import Augmentation

    return Augmentation(rotation=0, scale=(1, 1), translation=0, photometric=0)
