"""Who sees which pictures, and what is said when a process that makes them is killed."""

import json
import multiprocessing
import os
import re
import signal

import pytest
import torch

from engine.errors import SwahrError
from engine.training.batches import check_shares, share_of_step, worker_deaths_in_words
from engine.training.distributed import Processes
from engine.training.recipe import ModelSettings, Recipe, Schedule
from engine.training.samples import Mixture
from engine.training.trainer import Trainer


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_every_pass_shows_the_same_pictures_whoever_shares_them_out(count, accumulate):
    schedule = Schedule(batch=12, accumulate=accumulate)
    shares = [share_of_step(3, schedule, Processes(rank, count)) for rank in range(count)]
    in_pass, own = 12 // accumulate, 12 // accumulate // count
    for number in range(accumulate):
        seen = [index for share in shares for index in share[number * own : (number + 1) * own]]
        assert seen == list(range(36 + number * in_pass, 36 + (number + 1) * in_pass))


def test_uneven_shares_are_refused_and_the_nearest_even_batch_is_named():
    check_shares(Schedule(batch=16, accumulate=2), Processes(0, 8))
    for batch, accumulate, said in (
        (20, 2, r"batch is 20, .* which 8 processes in 2 passes cannot .* multiple of 16, such as 16\."),
        (1, 1, r"which 8 processes in 1 pass cannot .* multiple of 8, such as 8\."),
    ):
        with pytest.raises(SwahrError, match=said):
            check_shares(Schedule(batch=batch, accumulate=accumulate), Processes(0, 8))


def test_a_killed_worker_is_named_and_the_run_can_go_on(tmp_path):
    threads = torch.get_num_threads()
    schedule = {"steps": 500, "batch": 1, "save_every": 2, "log_every": 1, "workers": 1}
    recipe = Recipe(
        ModelSettings("w32-512", width=2),
        mixture=Mixture(size=64),
        schedule=Schedule(**schedule, threads=1, precision="float32"),
    )
    killed = []

    def report(step, _):
        if step == 3:
            (worker,) = multiprocessing.active_children()
            killed.append(worker.pid)
            os.kill(worker.pid, signal.SIGKILL)

    with pytest.raises(SwahrError) as error:
        Trainer(recipe, tmp_path).train(report)
    said = str(error.value)
    how = "(was killed by signal: Killed|exited unexpectedly)"  # whichever PyTorch notices first
    assert re.search(rf"\(pid {killed[0]}\) {how}, most often because memory ran out", said)
    assert said.endswith("go on from the last state with --resume.") and "\n" not in said
    resumed = Trainer(recipe, tmp_path)
    resumed.restore()
    assert resumed.step >= 2
    resumed.train(until=5)
    torch.set_num_threads(threads)
    logged = [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert logged == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible",
            r"\(pid 7\) was killed by .*error,",
        ),
        ("DataLoader worker (pid(s) 7, 8) exited unexpectedly", r"\(pid 7, 8\) exited unexpectedly,"),
    ],
)
def test_what_pytorch_says_of_dead_workers_is_understood(said, expected):
    with pytest.raises(SwahrError, match=expected), worker_deaths_in_words(lambda: "start again"):
        raise RuntimeError(said)
    with pytest.raises(RuntimeError, match="another"), worker_deaths_in_words(lambda: "start again"):
        raise RuntimeError("another")
