"""Where the time of a step goes."""

import pytest
import torch

from app.cli import main
from engine.training.profiling import StepProfile, profile
from engine.training.recipe import ModelSettings, Recipe, Schedule
from engine.training.samples import Mixture


def test_every_part_of_a_step_is_measured(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    recipe = Recipe(
        ModelSettings("w32-512", width=2),
        mixture=Mixture(size=64),
        schedule=Schedule(batch=1, precision="float32", threads=1),
    )
    measured = profile(recipe, steps=1)
    torch.set_num_threads(threads)
    assert list(measured.seconds) == ["forward", "losses", "backward", "Adam", "average"]
    assert min(measured.seconds.values()) > 0 and measured.data_seconds > 0 and measured.batch == 1
    assert not list(tmp_path.iterdir())  # nothing is trained, so nothing is written


@pytest.mark.parametrize(("data", "step", "workers"), [(0.1, 0.3, 1), (0.5, 0.2, 3)])
def test_workers_are_as_many_as_keep_up(data, step, workers):
    assert StepProfile(1, 1, {"forward": step}, data).workers_needed == workers


@pytest.mark.slow
def test_the_command_says_it_in_lines(capsys):
    settings = ["model.width=2", "mixture.size=64", "schedule.batch=1", "schedule.precision=float32"]
    assert main(["train", "synthetic-hrnet", "--profile", *(part for one in settings for part in ("--set", one))]) == 0
    printed = capsys.readouterr().out
    assert "forward" in printed and "pictures a second" in printed and "schedule.workers" in printed
