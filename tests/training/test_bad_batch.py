"""Numbers that are not finite stop a run before they change it, and the pictures of the step are kept."""

import math

import cv2
import pytest
import torch

from engine.errors import SwahrError
from engine.training.bad_batch import check_finite
from engine.training.recipe import ModelSettings, Recipe, Schedule
from engine.training.samples import Mixture
from engine.training.trainer import Trainer

RECIPE = Recipe(
    ModelSettings("w32-512", width=2),
    mixture=Mixture(size=64),
    schedule=Schedule(steps=4, batch=2, save_every=1, workers=0, precision="float32", threads=1),
)


@pytest.fixture(autouse=True)
def threads_as_before():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_the_pictures_of_a_bad_step_are_kept_and_the_last_state_stays(tmp_path):
    trainer = Trainer(RECIPE, tmp_path)
    trainer.train(until=2)
    state = (tmp_path / "state.pt").read_bytes()
    trainer.network.final_layers[1].bias.data.fill_(math.nan)
    with pytest.raises(SwahrError) as error:
        trainer.train()
    path = tmp_path / "bad-batch-step2.pt"
    assert str(error.value) == (
        f"The loss 'heatmap_fine' became nan at step 2 (its pictures are in {path} and bad-batch-step2.png); "
        'lower schedule.learning_rate or use schedule.precision = "float32", '
        "and go on from the last state with --resume."
    )
    kept = torch.load(path, weights_only=True)
    assert (kept["step"], kept["indices"]) == (2, [4, 5])
    for number, index in enumerate(kept["indices"]):
        for name, value in trainer.samples[index].items():
            assert torch.equal(kept["sample"][name][number], value), name
    sheet = cv2.imread(str(path.with_suffix(".png")))
    assert sheet.shape == (256, 512, 3) and sheet.std() > 10
    assert (tmp_path / "state.pt").read_bytes() == state
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "bad-batch-step2.png", "bad-batch-step2.pt", "log.jsonl", "state.pt", "weights.safetensors",
    ]  # fmt: skip


def test_gradients_that_are_not_finite_change_no_weight(tmp_path):
    trainer = Trainer(RECIPE, tmp_path)
    trainer.network.final_layers[1].bias.register_hook(lambda gradient: gradient * math.inf)
    before = {name: value.clone() for name, value in trainer.network.named_parameters()}
    with pytest.raises(SwahrError, match=r"norm of the gradients became (inf|nan) at step 0 .*start again: no state"):
        trainer.train()
    assert all(torch.equal(before[name], value) for name, value in trainer.network.named_parameters())


def test_pictures_that_cannot_be_kept_do_not_hide_the_error(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.training.bad_batch.write_whole", full)
    trainer = Trainer(RECIPE, tmp_path)
    trainer.network.final_layers[1].bias.data.fill_(math.nan)
    with pytest.raises(SwahrError, match=r"became nan at step 0 \(its pictures could not be kept: .* No space left"):
        trainer.train()


def test_the_first_bad_figure_is_named():
    check_finite({"push": 1.0, "gradient_norm": 2.0}, 3)
    with pytest.raises(SwahrError, match=r"loss 'pull' became inf at step 3; lower"):
        check_finite({"push": 1.0, "pull": math.inf, "gradient_norm": math.nan}, 3)
