"""Training where nothing is installed but torch, NumPy, Numba, OpenCV and safetensors."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from engine.checkpoint import load_model
from engine.training.__main__ import main
from engine.training.batches import batches
from engine.training.coco import CocoPhotos
from engine.training.distributed import ALONE
from engine.training.packing import PackOptions, pack
from engine.training.recipe import Schedule
from engine.training.throughput import DataRate, data_rate
from grouping import COCO17

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
write_photos = runpy.run_path(str(HERE / "packs.py"))["write_photos"]

# Python imports a module of this name whenever it starts.
SITECUSTOMIZE = """
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter, PathFinder

THERE = {"engine", "grouping", "torch", "torchgen", "functorch", "numpy", "numba", "llvmlite", "cv2", "safetensors",
         "sympy", "mpmath", "typing_extensions", "filelock", "fsspec", "jinja2", "markupsafe", "networkx"}


class OnlyThese:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        is_there = top in THERE or top in sys.stdlib_module_names or top.startswith("_")
        return PathFinder.find_spec(name, path, target) if is_there else None


sys.meta_path[:] = [BuiltinImporter, FrozenImporter, OnlyThese()]
"""


@pytest.fixture
def bare(tmp_path):
    """Runs Python in `tmp_path`, where nothing is installed that training does not need, nor this program itself."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SITECUSTOMIZE)
    path = os.pathsep.join((str(tmp_path / "site"), str(ROOT)))

    def run(*arguments):
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path, "SWAHR_CACHE": str(tmp_path / "cache")},
            text=True,
            capture_output=True,
            timeout=300,
        )

    return run


@pytest.fixture
def packed(tmp_path):
    photos = CocoPhotos(write_photos(tmp_path / "photos", [(160, 120)] * 6), None, COCO17)
    pack([photos], tmp_path / "pack", PackOptions(shard_bytes=60_000))
    return tmp_path / "pack"


SETTINGS = {
    "data.train": "pack",
    "data.validation": "",
    "model.initial": ROOT / "assets" / "default.safetensors",
    "mixture.size": 64,
    "mixture.synthetic": 0.3,
    "schedule.batch": 2,
    "schedule.steps": 4,
    "schedule.log_every": 2,
    "schedule.workers": 2,
    "schedule.threads": 1,
    "schedule.precision": "float32",
}
CHANGES = [part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")]


@pytest.mark.slow
def test_a_bare_machine_trains_from_packed_photos(bare, packed, tmp_path):
    names = ("av", "PyQt6", "openvino", "ray", "typer", "rich", "app", "faster_coco_eval", "tensorboard", "cupy")
    found = bare("-c", f"from importlib.util import find_spec; print([name for name in {names} if find_spec(name)])")
    assert found.stdout == "[]\n"
    for path in (tmp_path / "photos").iterdir():
        path.unlink()  # nothing but the pack is carried there
    done = bare("-m", "engine.training", "default", "-o", "run", *CHANGES, "--weights-mib", "4", "--stop-after", "10")
    assert done.returncode == 0, done.stderr
    assert "Trained 4 steps; the weights are run/weights.safetensors (in 3 parts)" in done.stdout
    assert "step 4 of 4: heatmap_coarse" in done.stderr
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        *(f"weights-{number}-of-3.safetensors" for number in (1, 2, 3)), "state.pt", "log.jsonl"
    }  # fmt: skip
    assert load_model(tmp_path / "run" / "weights.safetensors")[1].preset == "default"
    more = [*CHANGES, "--set", "schedule.steps=6", "--resume"]
    refused = bare("-m", "engine.training", "default", "-o", "run", *more)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1 and "schedule.steps was 4 and is 6" in refused.stderr
    done = bare("-m", "engine.training", "default", "-o", "run", *more, "--changed")
    assert done.returncode == 0, done.stderr
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert steps == [2, 4, 6]
    assert [path.name for path in (tmp_path / "run").glob("weights*")] == ["weights.safetensors"]  # no limit this time


@pytest.mark.slow
def test_a_bare_machine_says_what_it_cannot_do(bare, packed, tmp_path):
    labels = ("--set", "data.validation=photos/labels.json", "--set", "data.validation_images=photos")
    done = bare("-m", "engine.training", "default", "-o", "run", *CHANGES, *labels)
    assert done.returncode == 2
    assert done.stderr == "Error: Evaluation needs the package faster-coco-eval; install the extra `train`.\n"


@pytest.mark.slow
def test_the_data_path_alone_is_measured(packed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    overrides = [f"{name}={value}" for name, value in SETTINGS.items()]
    for workers in (0, 2):
        rate = data_rate(Path("default"), [*overrides, f"schedule.workers={workers}"], seconds=0.5)
        assert rate.workers == workers and rate.pictures >= 2 and rate.seconds >= 0.5
    monkeypatch.setattr("engine.training.throughput.batches", lambda *_: iter(range(10**9)))
    assert main(["default", *CHANGES, "--profile-data"]) == 0
    assert "Data: 2 workers made" in capsys.readouterr().out


def test_a_rate_is_a_sentence():
    assert (
        DataRate(640, 8.0, 16)
        .in_words()
        .startswith("Data: 16 workers made 640 pictures in 8.0 s, 80.0 a second, 5.0 each")
    )
    assert (
        DataRate(640, 8.0, 0)
        .in_words()
        .startswith("Data: the training process itself made 640 pictures in 8.0 s, 80.0 a")
    )


class WhoMakesThem(torch.utils.data.Dataset):
    def __getitem__(self, index):
        return {"index": torch.tensor(index), "process": torch.tensor(os.getpid())}


@pytest.mark.parametrize("workers", [1, 3])
def test_every_worker_makes_pictures_and_the_trainer_none(workers):
    schedule = Schedule(batch=4, workers=workers)
    made = list(batches(WhoMakesThem(), schedule, 0, 12, ALONE))
    processes = {one for batch in made for one in batch["process"].tolist()}
    assert len(processes) == workers and os.getpid() not in processes
    assert [one for batch in made for one in batch["index"].tolist()] == list(range(48))


def test_wrong_arguments_and_recipes_are_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["gone.toml"]) == 2
    assert capsys.readouterr().err == "Error: There is no recipe gone.toml; name a TOML file.\n"
    assert main(["default", *CHANGES, "--set", "data.train=gone"]) == 2
    assert "There is no annotation file gone" in capsys.readouterr().err
    with pytest.raises(SystemExit) as error:
        main(["default", "--stop-after", "soon"])
    assert error.value.code == 2
