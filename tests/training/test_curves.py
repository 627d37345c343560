"""What TensorBoard is given: every figure under its own name, pictures, and nothing twice after a resume."""

from dataclasses import replace

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from engine.errors import SwahrError
from engine.training.curves import curves_wanted
from engine.training.objective import LossSettings
from engine.training.recipe import ModelSettings, Recipe, Schedule
from engine.training.samples import Mixture
from engine.training.trainer import Trainer

RECIPE = Recipe(
    ModelSettings("w32-512", width=2),
    mixture=Mixture(size=64),
    schedule=Schedule(
        steps=6, batch=1, warm_up=0, log_every=1, save_every=2, evaluate_every=2, workers=0, threads=1,
        precision="float32",
    ),
)  # fmt: skip


@pytest.fixture(autouse=True)
def threads_as_before():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def read(run):
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0, "scalars": 0})
    events.Reload()
    return events


def test_every_figure_has_its_curve_and_fixed_pictures_their_maps(tmp_path):
    trainer = Trainer(RECIPE, tmp_path, tensorboard=True)
    trainer.train(until=2)
    trainer.log({"AP": 0.25}, None, "validation")  # synthetic people come without a validation
    trainer.curves.close()
    events = read(tmp_path)
    names = {"heatmap_coarse", "heatmap_fine", "scale_coarse", "scale_fine", "push", "pull", "gradient_norm"}
    expected = {f"training/{name}" for name in names | {"learning_rate", "images_per_second"}} | {"validation/AP"}
    assert set(events.Tags()["scalars"]) == expected
    rates = [point.value for point in events.Scalars("training/learning_rate")]
    assert rates == pytest.approx([1e-3, 1e-3 * 5 / 6])
    pictures = {f"{kind}/{number}" for kind in ("heatmaps", "inverse_scales") for number in range(4)}
    assert set(events.Tags()["images"]) == pictures
    assert [(one.step, one.width, one.height) for one in events.Images("heatmaps/0")] == [(2, 64, 64)]


def test_a_network_without_scales_shows_none(tmp_path):
    trainer = Trainer(replace(RECIPE, loss=LossSettings("baseline")), tmp_path, tensorboard=True)
    assert {kind: len(shown) for kind, shown in trainer.pictures.panels(trainer.network).items()} == {
        "heatmaps": 4, "inverse_scales": 0,
    }  # fmt: skip


def test_what_is_run_again_is_not_shown_twice(tmp_path):
    def killed(step, _):
        if step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Trainer(RECIPE, tmp_path, tensorboard=True).train(killed)
    assert [point.step for point in read(tmp_path).Scalars("training/pull")] == [1, 2, 3, 4, 5]
    resumed = Trainer(RECIPE, tmp_path, tensorboard=True)
    resumed.restore()
    assert resumed.step == 4
    resumed.train()
    events = read(tmp_path)
    assert [point.step for point in events.Scalars("training/pull")] == [1, 2, 3, 4, 5, 6]
    assert [one.step for one in events.Images("heatmaps/1")] == [2, 4, 6]


def test_curves_are_optional_but_not_when_asked_for(monkeypatch, tmp_path):
    assert curves_wanted(None) and curves_wanted(True) and not curves_wanted(False)
    monkeypatch.setattr("engine.training.curves.find_spec", lambda name: None)
    assert not curves_wanted(None)
    with pytest.raises(SwahrError, match="tensorboard, which is not installed"):
        curves_wanted(True)
