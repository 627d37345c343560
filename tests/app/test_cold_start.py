"""A start with warm caches compiles nothing; what each stage of it took is printed, for the record."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys, time
start = time.perf_counter()
stages = {}

def lap(stage):
    stages[stage] = round(time.perf_counter() - start, 2)

import torch; lap("torch imported")
from engine import PoseEstimator
from engine.backends import openvino
from engine.proof import shown_pixels
from engine import runner
made = []
convert, objection = openvino._convert, runner.proof.objection
openvino._convert = lambda task: made.append("conversion") or convert(task)
runner.proof.objection = lambda *arguments: made.append("proof") or objection(*arguments)
estimator = PoseEstimator.load("default", device="cpu"); lap("weights loaded")
estimator.prepare(640, 360); lap("network ready")
people = estimator(shown_pixels((1, 360, 640))[0].numpy()); lap("first people")
import importlib
grouping = importlib.import_module("grouping.group")
misses = sum(grouping._scan.stats.cache_misses.values())
print(json.dumps({"stages": stages, "made": made, "grouping compiled": misses, "backend": estimator.backend}))
"""


def start():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_a_second_start_compiles_nothing(capsys):
    first = start()
    second = start()
    assert first["backend"] == second["backend"] == "openvino"
    assert second["made"] == [] and second["grouping compiled"] == 0
    assert list(second["stages"].values()) == sorted(second["stages"].values())
    with capsys.disabled():
        print("\nseconds after the start with warm caches:", second["stages"])
