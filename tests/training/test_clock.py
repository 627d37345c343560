"""A run ends by the clock in time, with everything saved, and goes on as if it had not."""

import json
import runpy
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from engine.errors import SwahrError
from engine.training.clock import Clock
from engine.training.distributed import Processes
from engine.training.recipe import DataSettings, Recipe, Schedule
from engine.training.samples import Mixture
from engine.training.trainer import Trainer

TRAIN_SMALL = Path(__file__).with_name("train_small.py")


class Watch:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


@pytest.fixture(autouse=True)
def same_threads_afterwards():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def watch():
    return Watch()


def test_without_a_limit_nothing_ends(watch):
    clock = Clock(now=watch)
    watch.seconds += 1e9
    assert not clock.step_done() and not clock.weights_due() and clock.allows_evaluation() and not clock.ends_run


def test_the_last_step_leaves_time_for_another_and_for_saving(watch):
    clock = Clock(10, now=watch)
    watch.seconds += 100  # compiling
    assert not clock.step_done()
    for _ in range(2):
        watch.seconds += 20
        assert not clock.step_done()
    with clock.during("saving"):
        watch.seconds += 30
    steps = 0
    while True:
        watch.seconds += 20
        steps += 1
        if clock.step_done():
            break
    assert steps > 10
    left = 1000 + 600 - watch.seconds
    assert 60 + 15 <= left < 60 + 15 + 2 * 20  # two savings and the reserve


def test_weights_are_due_by_the_minute(watch):
    clock = Clock(weights_every=2, now=watch)
    watch.seconds += 119
    assert not clock.weights_due()
    watch.seconds += 1
    assert clock.weights_due()
    with clock.during("saving"):
        watch.seconds += 5
    watch.seconds += 119
    assert not clock.weights_due()


def test_an_evaluation_that_would_last_too_long_is_left_out(watch):
    clock = Clock(10, now=watch)
    with clock.during("evaluation"):
        watch.seconds += 200
    assert clock.allows_evaluation()
    watch.seconds += 200
    assert not clock.allows_evaluation()


def test_it_counts_from_when_the_program_began(watch):
    clock = Clock(10, start=watch.seconds - 599, now=watch)
    assert clock.step_done()


@pytest.mark.parametrize(("option", "values"), [("--stop-after", (0,)), ("--weights-every", (None, -1))])
def test_times_are_positive(option, values):
    with pytest.raises(SwahrError, match=rf"{option} is .* minutes; it must be more than 0"):
        Clock(*values)


class SlowTrainer(Trainer):
    def update(self, sample):
        time.sleep(0.1)
        return super().update(sample)


def small_recipe(**schedule):
    values = {
        "steps": 1000,
        "batch": 1,
        "warm_up": 4,
        "log_every": 1000,
        "save_every": 1000,
        "workers": 0,
        "threads": 1,
    }
    return Recipe(mixture=Mixture(size=64), schedule=Schedule(**{**values, "precision": "float32", **schedule}))


@pytest.fixture
def small_network(monkeypatch):
    small = runpy.run_path(str(TRAIN_SMALL))["SmallNetwork"]
    monkeypatch.setattr("engine.training.trainer.initial_network", lambda recipe: small())


def logged(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_a_run_stopped_by_the_clock_goes_on_as_if_it_had_not(small_network, tmp_path):
    stopped = SlowTrainer(small_recipe(), tmp_path / "stopped")
    stopped.clock = Clock(0.05)
    began = time.monotonic()
    stopped.train()
    assert time.monotonic() - began < 3
    assert 2 < stopped.step < 30
    assert [line["step"] for line in logged(tmp_path / "stopped")] == [stopped.step]
    state = torch.load(tmp_path / "stopped" / "state.pt", weights_only=True)
    assert state["step"] == stopped.step
    resumed = Trainer(small_recipe(), tmp_path / "stopped")
    resumed.restore()
    last = stopped.step + 3
    resumed.train(until=last)
    whole = Trainer(small_recipe(), tmp_path / "whole")
    whole.train(until=last)
    for (name, one), other in zip(
        whole.average.state_dict().items(), resumed.average.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other), name


def test_weights_are_saved_between_states_and_in_parts(small_network, tmp_path):
    trainer = SlowTrainer(small_recipe(), tmp_path)
    trainer.clock = Clock(weights_every=0.005)
    trainer.folder.weights_limit = 12_000
    seen = []

    def update(sample, usual=trainer.update):
        if trainer.step and not seen and list(tmp_path.glob("weights-*")):
            seen.append((trainer.step, (tmp_path / "state.pt").exists()))
        return usual(sample)

    trainer.update = update
    trainer.train(until=8)
    assert seen and seen[0][1] is False
    parts = sorted(tmp_path.glob("weights-*-of-*.safetensors"))
    assert len(parts) > 1 and all(part.stat().st_size < 12_000 for part in parts)
    tensors = {name: tensor for part in parts for name, tensor in load_file(part).items()}
    for name, tensor in trainer.average.module.state_dict().items():
        assert torch.equal(tensors[name].float(), (tensor.half() if tensor.ndim > 1 else tensor).float()), name


def test_at_the_end_of_time_there_is_no_evaluation(small_network, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(Trainer, "evaluate", lambda self: asked.append(self.step) or {"AP": 0.1})
    recipe = small_recipe(evaluate_every=2, save_every=2)
    trainer = SlowTrainer(recipe, tmp_path)
    trainer.recipe = Recipe(
        recipe.model, DataSettings(validation="some.json"), recipe.mixture, schedule=recipe.schedule
    )
    trainer.clock = Clock(0.03)
    trainer.train()
    assert asked and all(step % 2 == 0 and step < trainer.step for step in asked)
    assert trainer.folder.has_state


def test_one_process_that_is_ready_asks_nobody():
    assert Processes().all(True) and not Processes().all(False)


@pytest.mark.slow
def test_all_processes_stop_at_the_same_step(tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        "[mixture]\nsize = 64\n[schedule]\nsteps = 100000\nbatch = 2\nlog_every = 5\nworkers = 0\nthreads = 1\n"
        'precision = "float32"\n'
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(TRAIN_SMALL)]
    arguments = [str(recipe), "-o", str(tmp_path / "run"), "--no-tensorboard", "--stop-after", "0.5"]
    done = subprocess.run([*command, *arguments], text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Stopped by the clock (0.5 minutes) at step") == 1, done.stdout
    assert torch.load(tmp_path / "run" / "state.pt", weights_only=True)["processes"] == 2
