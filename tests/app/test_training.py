"""The way from a recipe to figures, through the command itself."""

import json

import cv2
import numpy as np
import pytest

from app.cli import main


@pytest.fixture
def photos(tmp_path):
    """Two photos with one person each and a recipe that trains two small steps on them."""
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8))
    keypoints = [value for k in range(17) for value in (30 + 3 * k, 20 + 3 * k, 2)]
    person = {"category_id": 1, "iscrowd": 0, "keypoints": keypoints, "num_keypoints": 17}
    person |= {"area": 2500, "bbox": [30, 20, 50, 50]}
    pictures = [(1, "a.png"), (2, "b.png")]
    labels = {
        "images": [{"id": number, "file_name": name, "width": 120, "height": 90} for number, name in pictures],
        "annotations": [{"id": n, "image_id": n, **person} for n in (1, 2)],
        "categories": [{"id": 1, "name": "person"}],
    }
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    (tmp_path / "r.toml").write_text(
        f'[data]\ntrain = "{tmp_path}/labels.json"\nimages = "{tmp_path}"\n'
        f'validation = "{tmp_path}/labels.json"\n[mixture]\nsize = 64\n[schedule]\nsteps = 2\nbatch = 2\n'
    )
    return tmp_path


@pytest.mark.slow
def test_train_evaluate_and_process_with_the_result(photos, capsys):
    run, weights = photos / "run", photos / "run" / "weights.safetensors"
    assert main(["train", str(photos / "r.toml"), "-o", str(run), "--set", "schedule.steps=1"]) == 0
    assert main(["train", str(photos / "r.toml"), "-o", str(run)]) == 2
    assert "--resume" in capsys.readouterr().err
    assert main(["train", str(photos / "r.toml"), "-o", str(run), "--resume"]) == 2
    assert "schedule.steps was 1 and is 2" in capsys.readouterr().err
    assert main(["train", str(photos / "r.toml"), "-o", str(run), "--resume", "--changed"]) == 0
    logged = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert {line["step"] for line in logged} == {1, 2} and any("AP50" in line for line in logged)

    figures = photos / "figures.json"
    arguments = ["--model", str(weights), "--size", "64", "--json", str(figures), "--record"]
    assert main(["evaluate", str(photos / "labels.json"), *arguments]) == 0
    assert "AP50" in capsys.readouterr().out
    assert json.loads(figures.read_text())["figures"]["labelled"] == 1
    assert main(["evaluate", "demo:", "--model", str(weights), "--scale-study", "--size", "128"]) == 0
    assert "Rank correlation" in capsys.readouterr().out
    assert main(["process", str(photos / "a.png"), "--model", str(weights)]) == 0
    assert (photos / "a.swahr.png").exists() or list(photos.glob("a.swahr.*"))

    from engine.checkpoint import load_model

    assert set(load_model(weights)[1].figures) == {"AP on labels", "AP50 on labels"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["evaluate", "labels.json", "--scale-study", "--model", "w"], "write swahr evaluate demo: --scale-study"),
        (["evaluate", "demo:", "--images", "photos", "--model", "w"], "leave out --images photos"),
        (["evaluate", "gone.json", "--model", "gone.safetensors"], "no weights file gone.safetensors"),
        (["evaluate", "demo:", "--scales", "1,x"], "--scales 1,x is no list of numbers"),
        (["train", "gone.toml"], "There is no recipe gone.toml"),
        (["train", "."], "cannot be read"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_code_2(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
