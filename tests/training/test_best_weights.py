"""The weights with the best AP are kept, through whatever happens in between."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from engine.errors import SwahrError
from engine.training.recipe import DataSettings, ModelSettings, Recipe, Schedule
from engine.training.run_folder import Best, RunFolder
from engine.training.samples import Mixture
from engine.training.trainer import Trainer


@pytest.fixture
def recipe(tmp_path):
    """Four steps on synthetic people, each followed by a validation on one photo."""
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((64, 64, 3), np.uint8))
    images = [{"id": 1, "file_name": "a.png", "width": 64, "height": 64}]
    (tmp_path / "v.json").write_text(json.dumps({"images": images, "annotations": []}))
    threads = torch.get_num_threads()
    yield Recipe(
        ModelSettings("w32-512", width=2),
        DataSettings(validation=str(tmp_path / "v.json"), validation_images=str(tmp_path)),
        Mixture(size=64),
        schedule=Schedule(steps=4, batch=1, evaluate_every=1, workers=0, precision="float32", threads=1, ema=0.0),
    )
    torch.set_num_threads(threads)


@pytest.fixture
def aps(monkeypatch):
    """The AP of each step; an error in its place is raised."""
    chosen = {1: 0.1, 2: 0.3, 3: 0.2, 4: 0.3}

    def evaluate(self):
        ap = chosen[self.step]
        if isinstance(ap, BaseException):
            raise ap
        return {"AP": ap, "AP50": 2 * ap}

    monkeypatch.setattr(Trainer, "evaluate", evaluate)
    return chosen


def logged(folder):
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return {line["step"]: line["AP"] for line in lines if "AP" in line}


def test_the_best_weights_stay_beside_the_last(recipe, aps, tmp_path):
    run, weights = tmp_path / "run", {}

    def report(step, figures):
        if "AP" in figures:
            weights[step] = load_file(run / "weights.safetensors")

    trainer = Trainer(recipe, run)
    trainer.train(report)
    assert (
        trainer.best == Best(0.3, 2) == RunFolder(run).read_best(2, None)
    )  # the first of the two that are equally good
    best, last = load_file(run / "best.safetensors"), load_file(run / "weights.safetensors")
    assert all(torch.equal(best[name], weights[2][name]) for name in best)
    assert any(not torch.equal(best[name], last[name]) for name in best)


def test_the_best_survives_a_resume(recipe, aps, tmp_path):
    run = tmp_path / "run"
    Trainer(recipe, run).train(until=3)
    kept = (run / "best.safetensors").read_bytes()
    resumed = Trainer(recipe, run)
    resumed.restore()
    assert resumed.best == Best(0.3, 2)
    resumed.train()
    assert (run / "best.safetensors").read_bytes() == kept and logged(run) == {1: 0.1, 2: 0.3, 3: 0.2, 4: 0.3}


def test_an_evaluation_that_was_cut_off_is_made_up_for(recipe, aps, tmp_path):
    run = tmp_path / "run"
    aps[2] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        Trainer(recipe, run).train()
    assert logged(run) == {1: 0.1}
    aps[2] = 0.3
    resumed = Trainer(recipe, run)
    resumed.restore()
    resumed.train()
    assert logged(run) == {1: 0.1, 2: 0.3, 3: 0.2, 4: 0.3} and resumed.best.step == 2


def test_a_new_run_forgets_the_best_of_an_older_one(recipe, aps, tmp_path):
    run = tmp_path / "run"
    Trainer(recipe, run).train(until=2)
    (run / "state.pt").unlink()
    aps[1] = 0.05
    trainer = Trainer(replace(recipe, schedule=replace(recipe.schedule, seed=1)), run)
    trainer.train(until=1)
    assert trainer.best == Best(0.05, 1) and logged(run) == {1: 0.05}


def test_the_best_of_another_run_is_not_taken_over(recipe, aps, tmp_path):
    run, other = tmp_path / "run", tmp_path / "other"
    for folder, until in ((run, 1), (other, 3)):
        Trainer(recipe, folder).train(until=until)
    (other / "best.safetensors").replace(run / "best.safetensors")
    resumed = Trainer(recipe, run)
    resumed.restore()
    assert resumed.best is None


def test_a_damaged_best_file_is_explained(recipe, aps, tmp_path):
    run = tmp_path / "run"
    Trainer(recipe, run).train(until=1)
    (run / "best.safetensors").write_bytes(b"damaged")
    with pytest.raises(SwahrError, match=r"best\.safetensors is damaged"):
        Trainer(recipe, run).restore()
