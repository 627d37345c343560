"""Several processes train as one does, and what becomes of them when one is killed or stops."""

import os
import re
import runpy
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

from app.cli import main
from engine.errors import SwahrError
from engine.training.batch_norm import synchronise_batch_norm
from engine.training.batches import note_on_processes
from engine.training.distributed import ALONE, Processes, joined_processes
from engine.training.recipe import Schedule

ROOT = Path(__file__).parents[2]
TRAIN_SMALL = Path(__file__).with_name("train_small.py")
RECIPE = """
[mixture]
size = 64
[schedule]
steps = 5
batch = 4
warm_up = 2
workers = 0
threads = 1
precision = "float32"
log_every = 1
save_every = 1
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "tiny.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def train_small():
    """The function of that name, whose file is no module of the tests."""
    threads = torch.get_num_threads()
    yield runpy.run_path(str(TRAIN_SMALL))["train"]
    torch.set_num_threads(threads)


def environment(**more):
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}


def torchrun(count, *arguments):
    """What is said, of a run that is to end well."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    done = subprocess.run(
        [*command, *map(str, arguments)],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def two_processes(*command):
    """Connected as torchrun connects them, but without it: it would end the other one when one ends. They are slow."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    return [
        subprocess.Popen(
            [sys.executable, *map(str, command)],
            env=environment(WORLD_SIZE="2", RANK=rank, LOCAL_RANK=rank, MASTER_ADDR="127.0.0.1", MASTER_PORT=port,
                            SECONDS_A_STEP="0.3"),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in ("0", "1")
    ]  # fmt: skip


def wait_for(path, process):
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)


def assert_same_weights(one, other):
    """Of two runs in float64, batch statistics included."""
    states = [torch.load(folder / "state.pt", weights_only=True) for folder in (one, other)]
    assert states[0]["step"] == states[1]["step"] == 5
    for kind in ("network", "average"):
        assert any(name.endswith("running_var") for name in states[0][kind])
        for name, value in states[0][kind].items():
            # atol: for a bias before batch normalisation, whose gradient is nothing but rounding.
            torch.testing.assert_close(states[1][kind][name], value, rtol=1e-6, atol=1e-9, msg=name)


@pytest.mark.slow
def test_two_processes_train_as_one_does_and_go_on_as_one_when_killed(recipe, train_small, tmp_path, capfd):
    one, two, killed = tmp_path / "one", tmp_path / "two", tmp_path / "killed"
    assert train_small([str(recipe), "-o", str(one), "--no-tensorboard"]) == 0
    said = torchrun(2, TRAIN_SMALL, recipe, "-o", two)
    assert said.count("Trained 5 steps") == said.count("step 5:") == 1, said
    assert_same_weights(one, two)
    assert {path.name for path in two.iterdir()} == {"state.pt", "weights.safetensors", "log.jsonl", "tensorboard"}

    processes = two_processes(TRAIN_SMALL, recipe, "-o", killed)
    wait_for(killed / "state.pt", processes[0])
    for process in processes:
        process.kill()
        process.communicate()
    step = torch.load(killed / "state.pt", weights_only=True)["step"]
    assert step < 5
    capfd.readouterr()
    assert train_small([str(recipe), "-o", str(killed), "--resume", "--no-tensorboard"]) == 0
    note = f"The run goes on at step {step} in 1 process instead of 2, with the same 4 pictures in each step.\n"
    assert note in capfd.readouterr().err
    assert_same_weights(one, killed)


@pytest.mark.slow
def test_when_one_process_is_killed_the_other_ends_and_says_so(recipe, tmp_path):
    first, second = two_processes(
        "-m", "app.cli", "train", recipe, "-o", tmp_path / "run", "--set", "schedule.steps=1000"
    )
    wait_for(tmp_path / "run" / "state.pt", first)
    second.kill()
    _, said = first.communicate(timeout=30)
    assert first.returncode == 2
    assert said.splitlines()[-1].startswith("Error: Another process of the run stopped") and "--resume" in said
    assert "Traceback" not in said
    second.communicate()


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_all_and_is_told_once(recipe, tmp_path):
    run = tmp_path / "run"
    settings = ("--set", "schedule.learning_rate=1e20", "--set", "schedule.save_every=100")
    processes = two_processes(TRAIN_SMALL, recipe, "-o", run, *settings)
    (_, said), (_, said_by_other) = (process.communicate(timeout=100) for process in processes)
    assert [process.returncode for process in processes] == [2, 2]
    assert said_by_other == ""
    found = re.search(r"Error: The .* at step (\d) \(its pictures are in .*bad-batch-step\1\.pt and", said)
    assert found and said.count("Error") == 1
    kept = torch.load(run / f"bad-batch-step{found[1]}.pt", weights_only=True)
    assert kept["sample"]["image"].shape == (4, 3, 64, 64)  # those of both processes


def test_shared_statistics_of_one_process_are_its_own(tmp_path):
    torch.manual_seed(0)
    x = torch.randn(4, 3, 5, 5, dtype=torch.float64) * 3 + 7
    plain = nn.BatchNorm2d(3).double()
    nn.init.normal_(plain.weight)
    shared = nn.Sequential(nn.BatchNorm2d(3).double())
    shared[0].load_state_dict(plain.state_dict())
    assert synchronise_batch_norm(shared, torch.device("cpu")).state_dict().keys() == shared.state_dict().keys()
    weights = torch.randn_like(x)
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    try:
        answers = []
        for module in (plain, shared):
            own = x.clone().requires_grad_()
            y = module(own)
            (y * weights).sum().backward()
            answers.append([y, own.grad, *(one.grad for one in module.parameters()), *module.buffers()])
            answers[-1].append(module.eval()(x))
        torch.testing.assert_close(answers[1], answers[0], rtol=1e-12, atol=1e-12)
    finally:
        dist.destroy_process_group()


def test_another_number_of_processes_is_noted():
    schedule = Schedule(batch=8, accumulate=2)
    assert note_on_processes(1, ALONE, 3, schedule) is None
    assert note_on_processes(1, Processes(0, 2), 3, schedule) == (
        "The run goes on at step 3 in 2 processes instead of 1, with the same 8 pictures in each step."
    )
    own_statistics = Schedule(batch=8, accumulate=2, sync_batch_norm=False)
    assert note_on_processes(4, Processes(0, 2), 3, own_statistics).endswith(
        "in each step, but batch normalisation sees 2 of them at a time."
    )


def test_a_process_without_the_others_is_explained(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    said = r"cannot be connected \('RANK' is not set\); start them all with torchrun"
    with pytest.raises(SwahrError, match=said), joined_processes():
        pass


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(SwahrError, match=r"more processes here than the 2 GPUs; use --nproc-per-node 2"):
        Processes(2, 4, 2).device()


def test_torchrun_is_for_training_only(monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for arguments in (["train", "synthetic", "--profile"], ["ablate", "table3"]):
        assert main(arguments) == 2
        assert "torchrun is for training" in capsys.readouterr().err
