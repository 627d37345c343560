"""What is broken in a data set stops training, or is named, left out and counted, as the recipe says."""

import json
import logging

import cv2
import numpy as np
import pytest

from engine.errors import SwahrError
from engine.training.coco import CocoPhotos
from engine.training.recipe import DataSettings, Recipe, Schedule
from engine.training.samples import Mixture
from engine.training.trainer import Trainer
from grouping import COCO17


@pytest.fixture
def folder(tmp_path):
    """Six photos with a person each. One is cut off, one is missing, the labels of one are no numbers; one nose lies
    outside of its picture; one photo is damaged where only decoding tells."""
    rng = np.random.default_rng(0)
    labels = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]}
    for number in range(1, 7):
        cv2.imwrite(str(tmp_path / f"{number}.jpg"), rng.integers(0, 255, (80, 100, 3), np.uint8))
        keypoints = [value for k in range(17) for value in (30 + k, 20 + k, 2)]
        labels["images"].append({"id": number, "file_name": f"{number}.jpg", "width": 100, "height": 80})
        person = {"id": number, "image_id": number, "category_id": 1, "iscrowd": 0, "keypoints": keypoints}
        labels["annotations"].append(person | {"bbox": [30, 20, 17, 17], "area": 289})
    cut = tmp_path / "1.jpg"
    cut.write_bytes(cut.read_bytes()[:500])
    (tmp_path / "2.jpg").unlink()
    labels["annotations"][2]["keypoints"][0] = "left"
    labels["annotations"][3]["keypoints"][:2] = [130, 20]
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    return tmp_path


def recipe(folder, workers=0, **data):
    data = {"train": str(folder / "labels.json"), "images": str(folder), **data}
    schedule = Schedule(steps=4, batch=2, workers=workers, log_every=2, threads=1, precision="float32")
    return Recipe(data=DataSettings(**data), mixture=Mixture(size=64, mosaic=0, synthetic=0), schedule=schedule)


def log_of(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_faults_stop_a_run_unless_the_recipe_skips_them(folder):
    # Whether pictures are whole is looked at where that helps: a run that stops anyway meets them when it reads them.
    with pytest.raises(SwahrError, match=r"one of 2 faults; swahr data check lists them"):
        Trainer(recipe(folder), folder / "run")
    Trainer(recipe(folder, skip_broken=True), folder / "run")


def test_what_is_left_out_is_said_and_logged(folder, caplog):
    data = {"validation": str(folder / "labels.json"), "skip_broken": True}
    trainer = Trainer(recipe(folder, **data), folder / "run")
    faults, outside = caplog.messages[:2]
    assert caplog.messages[2:] == [faults, outside]  # of the photos to validate on, which are the same here
    kinds = "wrong keypoints: 1, missing pictures: 1, damaged pictures: 1"
    assert f"3 faults are left out ({kinds}), 4 of 6 photos remain" in faults
    assert "annotation 3 of 3.jpg has keypoints that are no list of finite numbers" in faults
    assert "keypoints outside of the picture (1) do not count" in outside and "4.jpg has the nose at 130, 20" in outside
    trainer.train()
    first, *others = log_of(folder / "run")
    assert first == {"step": 0, "left_out": 3, "keypoints_outside": 1, "photos": 4}
    (figures,) = (line for line in others if "AP" in line)
    assert figures["skipped"] == 3
    assert not any("damaged_photos" in line for line in others)


@pytest.mark.parametrize("workers", [0, 2])
def test_photos_that_turn_out_damaged_are_named_once_and_counted(folder, workers, tmp_path):
    told = logging.FileHandler(tmp_path / "told.txt")  # which processes share
    logger = logging.getLogger("engine.training.coco")
    logger.addHandler(told)
    try:
        trainer = Trainer(recipe(folder, workers, skip_broken=True), folder / "run")
        for number in (5, 6):
            (folder / f"{number}.jpg").write_bytes(b"broken since")
        trainer.train()
    finally:
        logger.removeHandler(told)
    lines = (tmp_path / "told.txt").read_text().splitlines()
    assert sorted(line.split(".jpg")[0][-1] for line in set(lines)) == ["5", "6"]
    assert all(line.endswith("The next photo takes its place.") for line in lines)
    assert len(lines) == 2 or workers  # two processes may meet the same photo at the same moment
    assert log_of(folder / "run")[-1]["damaged_photos"] == 2 == trainer.samples.photos.damaged


def test_a_photo_that_breaks_later_stops_a_run_that_does_not_skip(folder):
    for number in (1, 2, 3):
        cv2.imwrite(str(folder / f"{number}.jpg"), np.zeros((80, 100, 3), np.uint8))
    labels = json.loads((folder / "labels.json").read_text())
    labels["annotations"][2]["keypoints"][0] = 1
    (folder / "labels.json").write_text(json.dumps(labels))
    trainer = Trainer(recipe(folder), folder / "run")
    for number in range(1, 7):
        (folder / f"{number}.jpg").write_bytes(b"broken since")
    with pytest.raises(SwahrError, match="cannot be decoded as a picture"):
        trainer.train()


def test_fixed_pictures_leave_out_what_is_broken_as_well(folder):
    pytest.importorskip("tensorboard")
    data = {"validation": str(folder / "labels.json"), "skip_broken": True}
    trainer = Trainer(recipe(folder, **data), folder / "run", tensorboard=True)
    assert len(trainer.pictures.images) == 4
    beside = recipe(folder, images="", **data)  # found beside the annotations
    assert len(Trainer(beside, folder / "other", tensorboard=True).pictures.images) == 4


def test_another_photo_without_people_takes_the_place_of_a_broken_one(folder):
    labels = json.loads((folder / "labels.json").read_text())
    for number, grey in ((11, 10), (12, 40)):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((80, 100, 3), grey, np.uint8))
        labels["images"].append({"id": number, "file_name": f"{number}.png", "width": 100, "height": 80})
    labels["images"].insert(0, labels["images"].pop())  # people stand between the two in the file
    (folder / "labels.json").write_text(json.dumps(labels))
    photos = CocoPhotos(folder / "labels.json", folder, COCO17, skip_broken=True)
    empty = photos.without_people()
    assert empty.tolist() == [0, 5]  # not that whose only person has faulty labels
    assert photos[1].path.name == "3.jpg" and len(photos[1].keypoints) == 0 and len(photos[1].ignored) == 1
    (folder / "12.png").write_bytes(b"broken since")
    assert (photos.load(0, empty).image == 10).all()
    assert len(photos.load(0).ignored) == 1  # any other will do
