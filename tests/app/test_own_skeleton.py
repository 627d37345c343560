"""A skeleton of one's own, all the way through the commands: checked, trained, scored, drawn, written and read."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.cli import main
from app.records import read_poses
from engine.checkpoint import load_model
from engine.training.skeletons import load_skeleton

GLOVE = """
keypoints = ["wrist", "thumb tip", "index tip", "ring tip", "little tip"]
limbs = [["wrist", "thumb tip"], ["wrist", "index tip"], ["wrist", "ring tip"], ["wrist", "little tip"]]
sigmas = {wrist = 0.05, "thumb tip" = 0.06, "index tip" = 0.07, "ring tip" = 0.08, "little tip" = 0.09}
flip_pairs = [["thumb tip", "little tip"], ["index tip", "ring tip"]]
grouping_order = ["index tip", "wrist", "thumb tip", "ring tip", "little tip"]
"""


@pytest.fixture
def gloves(tmp_path, monkeypatch):
    """Four pictures with a hand each, their labels, the skeleton, and a recipe, in the current folder."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    labels = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "hand"}]}
    for number in range(1, 5):
        image = np.full((96, 128, 3), 60, np.uint8)
        wrist = rng.uniform((40, 60), (90, 80))
        tips = wrist + np.array([(-30, -25), (-10, -45), (12, -45), (30, -25)]) + rng.uniform(-4, 4, (4, 2))
        points = np.array([wrist, *tips])
        for index, (x, y) in enumerate(points):
            cv2.circle(image, (round(x), round(y)), 4, (50 * index, 255 - 50 * index, 200), -1)
        cv2.imwrite(f"{number}.png", image)
        labels["images"].append({"id": number, "file_name": f"{number}.png", "width": 128, "height": 96})
        low, high = points.min(0), points.max(0)
        labels["annotations"].append(
            {
                "id": number,
                "image_id": number,
                "category_id": 1,
                "iscrowd": 0,
                "keypoints": [value for x, y in points.round(1) for value in (x, y, 2)],
                "num_keypoints": 5,
                "bbox": [*low, *(high - low)],
                "area": float(np.prod(high - low)),
            }
        )
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    (tmp_path / "glove.toml").write_text(GLOVE)
    (tmp_path / "hands.toml").write_text(
        '[model]\nskeleton = "glove.toml"\n[data]\ntrain = "labels.json"\nvalidation = "labels.json"\n'
        "[mixture]\nsize = 64\nsynthetic = 0.0\n[schedule]\nsteps = 1\nbatch = 2\nworkers = 0\n"
    )
    return load_skeleton(tmp_path / "glove.toml")


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["default", "w32-512"])
def test_train_evaluate_and_process_with_a_skeleton_of_ones_own(gloves, preset, capsys):
    assert main(["train", "hands.toml", "-o", "run", "--set", f"model.preset={preset}"]) == 0
    network, metadata = load_model("run/weights.safetensors")
    assert metadata.preset == preset and metadata.skeleton == gloves == network.config.skeleton
    logged = [json.loads(line) for line in Path("run/log.jsonl").read_text().splitlines()]
    assert any("AP" in line for line in logged)

    own = ["--model", "run/weights.safetensors", "--size", "64", "--backend", "eager"]
    capsys.readouterr()
    assert main(["evaluate", "labels.json", *own, "--flip", "--breakdown", "--threshold", "0"]) == 0
    said = capsys.readouterr().out
    assert "AP50" in said and "thumb" in said

    # Thresholds of 0 find people even where next to nothing was learned.
    arguments = ["process", "1.png", *own, "--threshold", "0", "--person-threshold", "0"]
    arguments += ["--json", "p.jsonl", "--csv", "p.csv", "-o", "drawn.png"]
    assert main(arguments) == 0
    poses = read_poses(Path("p.jsonl"))
    assert poses.skeleton == gloves
    (frame,) = poses.frames
    assert len(frame.people) and frame.people.keypoints.shape[1:] == (5, 3)
    assert (cv2.imread("drawn.png") != cv2.imread("1.png")).any()
    assert "little tip" in Path("p.csv").read_text()
    assert main(["convert", "p.jsonl", "-o", "again.openpose"]) == 0


def test_a_changed_skeleton_is_another_recipe(gloves, capsys, tmp_path):
    assert main(["train", "hands.toml", "-o", "run"]) == 0
    (tmp_path / "glove.toml").rename("renamed.toml")  # where it lies changes nothing, what it says does
    arguments = ["train", "hands.toml", "-o", "run", "--resume"]
    (tmp_path / "glove.toml").write_text("name = 'glove'" + GLOVE.replace("0.09", "0.1"))
    capsys.readouterr()
    assert main(arguments) == 2
    assert "model.skeleton.oks_sigmas was [0.05, 0.06, 0.07, 0.08, 0.09] and is" in capsys.readouterr().err
    (tmp_path / "renamed.toml").write_text("name = 'glove'" + GLOVE)
    assert main([*arguments, "--set", "model.skeleton=renamed.toml"]) == 0


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("model.skeleton=gone.toml", "There is no skeleton gone.toml"),
        ("model.skeleton=mpii", "There is no skeleton 'mpii'; choose one of coco17, crowdpose14, or name a TOML file"),
        ("model.skeleton=5", "model: skeleton must be the name of a skeleton or of a TOML file, but is 5"),
        ("model.skeleton=crowdpose14", "choose the skeleton that the file was made for"),
        ("mixture.synthetic=0.5", "Synthetic people have the keypoints of coco17, not of glove"),
    ],
)
def test_what_does_not_fit_is_one_sentence(gloves, setting, said, capsys):
    assert main(["train", "hands.toml", "-o", "run", "--set", setting]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_data_show_takes_the_recipes_skeleton(gloves, capsys):
    assert main(["data", "show", "labels.json", "-o", "shown", "--number", "1", "--recipe", "hands.toml"]) == 0
    assert "Written" in capsys.readouterr().out
