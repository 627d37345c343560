"""Tables of the paper: what is finished is kept, what was cut off goes on, what is printed has the paper's layout."""

import json
import math
from dataclasses import replace

import pytest
import torch

from engine.errors import SwahrError
from engine.training import ablation as module
from engine.training.ablation import Ablation
from engine.training.paper_table import document, grid
from engine.training.recipe import EvaluationSettings, ModelSettings, Recipe, Schedule
from engine.training.samples import Mixture
from engine.training.trainer import Trainer
from engine.training.variants import TABLES, find_table

TINY = Recipe(
    ModelSettings("w32-512", width=2),
    mixture=Mixture(size=64),
    schedule=Schedule(steps=2, batch=1, warm_up=0, workers=0, precision="float32", save_every=1),
    test=EvaluationSettings(size=64, frames=1),
)
TABLE3 = TABLES["table3"]


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def quick(monkeypatch):
    """Trainers that do nothing; the figures are chosen. Counts what was trained."""
    trained = []

    class Quick:
        step = 2
        network = torch.nn.Linear(2, 2)

        def __init__(self, recipe, folder):
            self.recipe, self.folder = recipe, folder

        def train(self, report, validate):
            self.folder.mkdir(parents=True)
            trained.append(self.folder.name)

        def evaluate(self):
            base = {"baseline": 0.2, "swahr": 0.25}[self.recipe.loss.heatmap]
            value = base + 0.01 * self.recipe.schedule.seed
            return {"AP": value, "APM": -1.0, "APL": 2 * value}

    monkeypatch.setattr(module, "Trainer", Quick)
    return trained


def chosen(output, recipe=TINY, names=("baseline", "swahr"), seeds=(0, 1, 2)):
    return Ablation(TABLE3, recipe, output, TABLE3.chosen(names), seeds)


def run_all(ablation):
    for run in ablation.unfinished():
        ablation.train(run)
    return ablation


def test_all_rows_of_a_seed_come_before_the_next_seed(quick, tmp_path):
    run_all(chosen(tmp_path))
    assert quick == [f"{name}-seed{seed}" for seed in range(3) for name in ("baseline", "swahr")]


def test_what_is_finished_is_not_run_again(quick, tmp_path):
    run_all(chosen(tmp_path, names=["baseline"], seeds=(0, 1)))
    before = {path: path.read_bytes() for path in tmp_path.rglob("figures.json")}
    run_all(chosen(tmp_path))
    assert sorted(quick) == sorted({*quick}) and len(quick) == 6
    assert all(path.read_bytes() == text for path, text in before.items())


def test_a_folder_of_other_runs_is_refused(quick, tmp_path):
    run_all(chosen(tmp_path, seeds=(0,)))
    other = replace(TINY, schedule=replace(TINY.schedule, learning_rate=0.5))
    with pytest.raises(SwahrError, match=r"baseline-seed0 holds .*schedule\.learning_rate was 0\.001 and is 0\.5"):
        chosen(tmp_path, other)


def test_a_damaged_result_is_named(quick, tmp_path):
    run_all(chosen(tmp_path, names=["baseline"], seeds=(0,)))
    (tmp_path / "runs" / "baseline-seed0" / "figures.json").write_text("{")
    with pytest.raises(SwahrError, match=r"figures\.json cannot be read .*remove it"):
        chosen(tmp_path)


def test_the_rows_are_the_tables_own(tmp_path):
    assert [row.name for row in TABLE3.chosen(["swahr", "baseline"])] == ["baseline", "swahr"]
    with pytest.raises(SwahrError, match=r"table3 has no row 'swa'; its rows are baseline, wahr, sahr, swahr"):
        TABLE3.chosen(["swa"])
    with pytest.raises(SwahrError, match=r"no table 'table9'; choose one of table3,"):
        find_table("table9")


def test_the_table_has_means_spreads_and_differences_by_hand(quick, tmp_path):
    done = run_all(chosen(tmp_path))
    cells = grid(TABLE3, done.rows, done.seeds, done.figures())
    assert cells.heads == ("SAHR", "WAHR", "AP", "APM", "APL", "Δ AP", "paper AP", "paper APM", "paper APL", "runs")
    # 20, 21, 22: mean 21, standard deviation 1; the difference of 5 is the same for every seed; -1 says nothing.
    assert cells.body == (
        ("", "", "21.0 ± 1.0", "–", "42.0 ± 2.0", "", "67.1", "61.5", "76.1", "3 of 3"),
        ("✓", "✓", "26.0 ± 1.0", "–", "52.0 ± 2.0", "+5.0 ± 0.0", "68.9", "63.0", "77.5", "3 of 3"),
    )
    text = document(TABLE3, TINY, done.rows, done.seeds, done.figures())
    assert "| ✓ | ✓ | 26.0 ± 1.0 |" in text and "2 steps of 1 pictures of 64 px from synthetic people" in text


def test_what_is_not_finished_is_left_open(tmp_path):
    figures = {("swahr", 0): {"AP": 0.3, "APM": 0.1, "APL": 0.2}}
    rows = TABLE3.chosen(["baseline", "swahr"])
    lines = grid(TABLE3, rows, (0, 1), figures).body
    assert lines[0][2:6] == ("–", "–", "–", "") and lines[0][-1] == "0 of 2"
    assert lines[1][2:6] == ("30.0", "10.0", "20.0", "–") and lines[1][-1] == "1 of 2"


def test_tables_of_one_number_stand_side_by_side_as_in_the_paper():
    table = TABLES["table5"]
    figures = {(row.name, 0): {"AP": 0.1 * number} for number, row in enumerate(table.rows, 1)}
    cells = grid(table, table.rows, (0,), figures)
    assert cells.heads == ("λ", "0.1", "0.5", "1", "+∞")
    assert cells.body == (
        ("AP", "10.0", "20.0", "30.0", "40.0"),
        ("Δ AP", "-30.0", "-20.0", "-10.0", ""),
        ("paper AP", "67.6", "67.8", "67.8", "67.1"),
        ("runs", *["1 of 1"] * 4),
    )


@pytest.mark.slow
def test_a_run_that_was_cut_off_ends_as_one_that_was_not(tmp_path):
    whole, parts = (chosen(tmp_path / name, names=["swahr"], seeds=(3,)) for name in ("whole", "parts"))
    (run,), (cut,) = whole.runs, parts.runs
    figures = whole.train(run)
    Trainer(cut.recipe, cut.folder).train(until=1)
    assert list(parts.unfinished()) == [cut]
    assert parts.train(cut) == figures
    one, other = (torch.load(each.folder / "state.pt", weights_only=True) for each in (run, cut))
    assert one["step"] == other["step"] == 2
    assert all(torch.equal(value, other["network"][name]) for name, value in one["network"].items())


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_the_rows_of_every_table_are_trained_and_tested(name, tmp_path):
    table = TABLES[name]
    done = run_all(Ablation(table, TINY, tmp_path, table.rows, (0,)))
    assert all(math.isfinite(figures["AP"]) for figures in done.figures().values())
    assert len(done.figures()) == len(table.rows)
    assert "1 of 1" in document(table, TINY, table.rows, (0,), done.figures())


@pytest.mark.slow
def test_another_test_trains_nothing_again(tmp_path):
    run = next(chosen(tmp_path, names=["baseline"], seeds=(0,)).unfinished())
    chosen(tmp_path, names=["baseline"], seeds=(0,)).train(run)
    before = (run.folder / "state.pt").read_bytes()
    again = chosen(tmp_path, replace(TINY, test=EvaluationSettings(size=128, frames=2)), ["baseline"], (0,))
    run_all(again)
    finished = json.loads((run.folder / "figures.json").read_text())
    assert finished["recipe"]["test"]["frames"] == 2 and finished["steps"] == 2
    assert (run.folder / "state.pt").read_bytes() == before
