"""The whole command with the real network."""

from __future__ import annotations

import json

import pytest

from app.cli import main
from engine.checkpoint import ModelMetadata, save_weights
from engine.network import PRESETS, build_network

pytestmark = pytest.mark.slow


def test_demo_runs_through_a_network_of_its_own(tools, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_weights(tmp_path / "new.safetensors", build_network("default"), ModelMetadata.of(PRESETS["default"]))
    demo = "demo:?people=2&seconds=0.1&size=192x128"
    assert main(["process", demo, "-o", "out.mp4", "--json", "--model", "new.safetensors", "--scale-map"]) == 0
    assert "3 frames of demo:" in capsys.readouterr().out
    header, *lines = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert (header["model"], header["device"]) == ("new.safetensors", "cpu")
    assert [line["time"] for line in lines] == [0, 1 / 30, 2 / 30]
    assert len(tools.video_frames(tmp_path / "out.mp4")) == 3


def test_bundled_model_finds_people_in_the_demo(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["process", "demo:?seconds=0.5", "--json"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Found ")
    assert "demo.swahr.mp4 and demo.swahr.jsonl" in said
    lines = [json.loads(line) for line in (tmp_path / "demo.swahr.jsonl").read_text().splitlines()[1:]]
    assert sum(len(line["people"]) for line in lines) > len(lines)
