"""``swahr ablate`` from the command line to the table."""

import pytest

from app.cli import main

SMALL = ["--recipe", "synthetic-hrnet", "--rows", "baseline,swahr", "--seeds", "0"]
CHANGES = [
    "model.width=2",
    "mixture.size=64",
    "schedule.steps=1",
    "schedule.batch=1",
    "schedule.workers=0",
    "schedule.precision=float32",
    "test.frames=1",
    "test.size=64",
]


@pytest.mark.slow
def test_the_table_is_printed_written_and_shown_again(tmp_path, capsys):
    folder = tmp_path / "runs"
    command = ["ablate", "table3", "-o", str(folder), *SMALL, *(part for one in CHANGES for part in ("--set", one))]
    assert main(command) == 0
    printed = capsys.readouterr()
    assert "Table3: Ablation of SAHR and WAHR" in printed.out and "68.9" in printed.out
    assert "swahr-seed0, step 1: heatmap_coarse" in printed.err
    assert "| paper AP |" in (folder / "table3.md").read_text()
    assert main([*command, "--show"]) == 0
    shown = capsys.readouterr()
    assert shown.out == printed.out and "step" not in shown.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["table9"], "There is no table 'table9'"),
        (["table3", "--rows", "swa"], "table3 has no row 'swa'"),
        (["table3", "--seeds", "a"], "--seeds a is no list of whole numbers"),
        (["table3", "--recipe", "gone.toml"], "There is no recipe gone.toml"),
        (["table3", "--set", "loss.heatmap2=x"], "unknown key 'heatmap2'"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_code_2(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["ablate", *arguments, "--show"]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
