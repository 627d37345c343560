"""`swahr bench training`: two checkouts in turn, and threads that sleep while they wait."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import main
from app.threads import let_threads_sleep

ROOT = Path(__file__).resolve().parents[2]
TINY = """
[model]
preset = "w32-512"
width = 2
[mixture]
size = 64
[schedule]
batch = 1
precision = "float32"
threads = 1
workers = 0
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


@pytest.mark.slow
def test_two_checkouts_are_trained_in_turn(recipe, tmp_path, capsys):
    figures = tmp_path / "figures.json"
    options = ["--recipe", str(recipe), "--steps", "1", "--against", str(ROOT), "--json", str(figures)]
    assert main(["bench", "training", *options]) == 0
    shown = capsys.readouterr().out
    assert "forward" in shown and "times as fast" in shown and "not the same" not in shown
    written = json.loads(figures.read_text())
    assert written["same_network"] and written["steps"] == 1
    assert {name: len(rates) for name, rates in written["pictures_a_second"].items()} == {"this code": 3, str(ROOT): 3}


def test_a_folder_that_is_no_checkout_is_told(tmp_path, capsys):
    assert main(["bench", "training", "--against", str(tmp_path)]) == 2
    assert "is no checkout" in capsys.readouterr().err


@pytest.mark.slow
def test_a_checkout_that_cannot_train_the_recipe_is_told_with_its_own_words(recipe, tmp_path, capsys):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").touch()
    (tmp_path / "app" / "cli.py").write_text("import sys\nsys.exit('Error: it has an unknown key')\n")
    assert main(["bench", "training", "--recipe", str(recipe), "--steps", "1", "--against", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "cannot train this recipe" in said and "it has an unknown key" in said


def test_threads_sleep_unless_the_user_says_otherwise(monkeypatch):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    let_threads_sleep()
    assert os.environ["GOMP_SPINCOUNT"] == "5000"
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    let_threads_sleep()
    assert "GOMP_SPINCOUNT" not in os.environ


def test_the_command_line_does_not_import_torch_before_threads_are_told_to_sleep():
    code = "import sys, app.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
