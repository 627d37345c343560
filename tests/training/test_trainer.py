"""A run that was interrupted ends as one that was not; what goes wrong is said."""

import json
import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from engine import PoseEstimator
from engine.errors import SwahrError
from engine.training.recipe import DataSettings, ModelSettings, Recipe, Schedule
from engine.training.samples import Mixture
from engine.training.trainer import Trainer, open_run


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def small_recipe(**schedule):
    values = {
        "steps": 20,
        "batch": 2,
        "warm_up": 4,
        "log_every": 5,
        "workers": 0,
        "precision": "float32",
        **schedule,
    }
    return Recipe(mixture=Mixture(size=64), schedule=Schedule(**values))


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_twenty_steps_equal_ten_and_ten_resumed(tmp_path, precision):
    recipe = small_recipe(precision=precision)
    whole = Trainer(recipe, tmp_path / "whole")
    whole.train()
    Trainer(recipe, tmp_path / "parts").train(until=10)
    resumed = Trainer(recipe, tmp_path / "parts")
    resumed.restore()
    assert resumed.step == 10
    resumed.train()
    for trained, again in ((whole.network, resumed.network), (whole.average, resumed.average)):
        for (name, one), other in zip(trained.state_dict().items(), again.state_dict().values(), strict=True):
            assert torch.equal(one, other), name


def test_a_changed_recipe_is_not_resumed_by_accident(tmp_path):
    Trainer(small_recipe(steps=2), tmp_path).train(until=1)
    changed = Trainer(small_recipe(steps=2, learning_rate=0.5), tmp_path)
    with pytest.raises(SwahrError, match=r"schedule\.learning_rate was 0\.001 and is 0\.5.*--changed"):
        changed.restore()
    changed.restore(changed=True)
    assert changed.step == 1
    Trainer(small_recipe(steps=2, log_every=1, workers=3), tmp_path).restore()  # these change nothing


def test_a_damaged_state_is_explained(tmp_path):
    trainer = Trainer(small_recipe(), tmp_path)
    (tmp_path / "state.pt").write_bytes(b"not a state")
    with pytest.raises(SwahrError, match=r"state\.pt cannot be resumed"):
        trainer.restore()


def test_weights_that_are_not_finite_leave_the_last_state(tmp_path):
    trainer = Trainer(small_recipe(steps=2), tmp_path)
    trainer.train(until=1)
    before = (tmp_path / "state.pt").read_bytes()
    trainer.average.module.final_layers[0].bias.data.fill_(float("nan"))
    with pytest.raises(SwahrError, match="not finite"):
        trainer.save()
    assert (tmp_path / "state.pt").read_bytes() == before


def test_the_log_averages_what_was_run_and_forgets_what_is_run_again(tmp_path):
    Trainer(small_recipe(log_every=2, save_every=3), tmp_path).train(until=5)
    resumed = Trainer(small_recipe(log_every=2, save_every=3), tmp_path)
    resumed.restore()
    log = tmp_path / "log.jsonl"
    steps = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert resumed.step == 5 and steps == [2, 4, 5]
    (tmp_path / "log.jsonl").write_text(log.read_text() + '{"step": 6}\n')
    resumed.restore()
    resumed.train(until=6)
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == [2, 4, 5, 6]
    last = json.loads(log.read_text().splitlines()[-1])
    whole = Trainer(small_recipe(log_every=1), tmp_path / "whole")
    whole.train(until=6)
    expected = json.loads((tmp_path / "whole" / "log.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 6 and last["heatmap_fine"] == pytest.approx(expected["heatmap_fine"], rel=1e-3)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_photo_that_breaks_while_training_is_named_in_one_sentence(tmp_path, workers):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((64, 64, 3), np.uint8))
    images = [{"id": 1, "file_name": "a.png", "width": 64, "height": 64}]
    (tmp_path / "t.json").write_text(json.dumps({"images": images, "annotations": []}))
    recipe = Recipe(
        data=DataSettings(str(tmp_path / "t.json"), str(tmp_path)),
        mixture=Mixture(size=64, synthetic=0.0),
        schedule=small_recipe(workers=workers).schedule,
    )
    trainer = Trainer(recipe, tmp_path / "run")
    (tmp_path / "a.png").write_bytes(b"broken")
    with pytest.raises(SwahrError) as error:
        trainer.train()
    assert str(error.value).count("\n") == 0 and "a.png cannot be decoded as a picture" in str(error.value)


def test_missing_validation_is_found_before_training(tmp_path):
    recipe = Recipe(data=DataSettings(validation=str(tmp_path / "gone.json")), mixture=Mixture(size=64))
    with pytest.raises(SwahrError, match=r"gone\.json"):
        Trainer(recipe, tmp_path)


def test_movenet_weights_are_for_the_slim_network_only(tmp_path):
    recipe = Recipe(ModelSettings("w32-512", "model.json"), mixture=Mixture(size=64))
    with pytest.raises(SwahrError, match="another trunk"):
        Trainer(recipe, tmp_path)


@pytest.mark.slow
def test_training_learns_one_picture(tmp_path):
    trainer = Trainer(small_recipe(steps=60, learning_rate=1e-2), tmp_path)
    nn.init.normal_(trainer.network.trunk.offsets[1].bias)  # people so large that keypoints may be anywhere
    sample = {name: value[None].repeat_interleave(2, 0) for name, value in trainer.samples[3].items()}
    losses = [trainer.update(sample) for _ in range(60)]
    assert losses[-1]["heatmap_fine"] < 0.5 * losses[0]["heatmap_fine"]
    assert losses[-1]["pull"] < 0.5 * losses[0]["pull"]


def test_the_weights_of_a_run_can_be_used(tmp_path):
    Trainer(small_recipe(steps=1), tmp_path).train()
    people = PoseEstimator.load(tmp_path / "weights.safetensors", size=64)(np.zeros((80, 90, 3), np.uint8))
    assert people.keypoints.shape[1:] == (17, 3)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[0]["step"] == 1 and {"heatmap_fine", "scale_coarse", "push", "pull"} <= lines[0].keys()


def test_frozen_modules_keep_weights_and_statistics(tmp_path):
    recipe = small_recipe(steps=2)
    frozen = ("trunk.stem", "fusion.smooth.0")
    recipe = Recipe(ModelSettings(frozen=frozen), recipe.data, recipe.mixture, schedule=recipe.schedule)
    trainer = Trainer(recipe, tmp_path)
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    trainer.train()
    after = trainer.network.state_dict()
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert {name for name in before if name.startswith(frozen)} <= same
    assert not {"trunk.blocks.0.layers.0.weight", "fusion.smooth.1.layers.2.running_mean"} & same


def test_an_unknown_frozen_module_is_named(tmp_path):
    with pytest.raises(SwahrError, match=r"'trunk\.roots'"):
        Trainer(Recipe(ModelSettings(frozen=("trunk.roots",))), tmp_path)


def test_a_loss_that_is_not_finite_stops_the_run_and_is_named(tmp_path):
    trainer = Trainer(small_recipe(), tmp_path)
    sample = {name: value[None] for name, value in trainer.samples[0].items()}
    trainer.network.final_layers[1].bias.data.fill_(float("nan"))
    before = [parameter.clone() for parameter in trainer.network.parameters()]
    with pytest.raises(SwahrError, match=r"'heatmap_fine' became nan at step 0"):
        trainer.update(sample)
    for one, other in zip(before, trainer.network.parameters(), strict=True):
        assert torch.equal(one, other) or one.isnan().any()


def test_a_folder_with_a_run_is_not_overwritten(tmp_path):
    (tmp_path / "state.pt").write_bytes(b"precious")
    recipe = tmp_path / "r.toml"
    recipe.write_text("[mixture]\nsize = 64\n")
    with pytest.raises(SwahrError, match="add --resume"):
        open_run(recipe, tmp_path)
    assert (tmp_path / "state.pt").read_bytes() == b"precious"


def test_resuming_nothing_is_explained(tmp_path):
    with pytest.raises(SwahrError, match=r"no state\.pt"):
        Trainer(small_recipe(), tmp_path).restore()


def gradients(trainer, sample):
    values = trainer._gradients(sample)
    return values, torch.cat([one.grad.flatten() for one in trainer.network.parameters() if one.grad is not None])


def test_passes_add_up_to_the_step_they_are_parts_of(tmp_path):
    answers = []
    for accumulate in (1, 2):
        trainer = Trainer(small_recipe(batch=4, accumulate=accumulate), tmp_path)
        trainer.network.eval()  # with its own statistics in every pass it would be another step
        sample = {name: torch.stack([trainer.samples[i][name] for i in range(4)]) for name in trainer.samples[0]}
        answers.append(gradients(trainer, sample))
    (values, whole), (values_of_passes, in_passes) = answers
    assert values_of_passes == pytest.approx(values, rel=1e-4)
    torch.testing.assert_close(in_passes, whole, rtol=1e-3, atol=1e-4 * whole.abs().max().item())


def test_passes_that_do_not_come_out_even_are_refused(tmp_path):
    with pytest.raises(SwahrError, match="which 1 process in 3 passes cannot share out evenly"):
        Trainer(small_recipe(batch=4, accumulate=3), tmp_path)


@pytest.mark.slow
def test_a_compiled_network_trains_alike_and_goes_on_uncompiled(tmp_path, monkeypatch):
    small = runpy.run_path(str(Path(__file__).with_name("train_small.py")))["SmallNetwork"]
    monkeypatch.setattr("engine.training.trainer.initial_network", lambda recipe: small())
    losses = []
    for compiled in (False, True):
        trainer = Trainer(small_recipe(steps=2, log_every=1, save_every=1, compile=compiled), tmp_path / str(compiled))
        trainer.train(lambda step, figures: losses.append(figures["heatmap_fine"]), until=2)
    assert trainer.network._compiled_call_impl is not None
    assert losses[2:] == pytest.approx(losses[:2], rel=1e-4)
    resumed = Trainer(small_recipe(steps=2, compile=False), tmp_path / "True")
    resumed.restore()
    for name, value in trainer.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[name], value)


def test_without_a_compiler_compiling_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("engine.backends.inductor.shutil.which", lambda name: None)
    with pytest.raises(SwahrError, match=r"schedule\.compile cannot be had on cpu: there is no C\+\+ compiler"):
        Trainer(small_recipe(compile=True), tmp_path)


def test_what_a_compiler_cannot_do_is_explained(tmp_path, monkeypatch):
    def fails(*_):
        raise RuntimeError("no such instruction")

    trainer = Trainer(small_recipe(steps=1), tmp_path)
    trainer.network.compile(backend=fails)
    with pytest.raises(SwahrError, match=r"cannot be compiled here \(.*\); set schedule\.compile to false") as error:
        trainer.train()
    assert "\n" not in str(error.value)
