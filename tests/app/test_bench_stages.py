"""``swahr bench SOURCE`` and ``swahr compile``, with the bundled model on small inputs."""

from __future__ import annotations

import json

import pytest

from app.bench import stages
from app.cli import main

SMALL = ["--size", "128"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bench(*arguments):
    return main(["bench", *arguments, *SMALL, "--frames", "8", "--json", "figures.json"])


def test_every_stage_of_every_backend_is_measured(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert bench("demo:?size=160x96&seconds=1", "--device", "cpu") == 0
    figures = json.loads((folder / "figures.json").read_text())
    assert figures["frame_size"] == [160, 96] and figures["machine"]
    rows = {(row["backend"], row["precision"], row["stage"]): row for row in figures["timings"]}
    for backend in {("eager", "float32"), ("openvino", "float32")}:
        for stage in (*stages.STAGES, stages.WHOLE):
            row = rows[*backend, stage]
            assert 0 < row["median"] <= row["p95"] and row["ratio"] > 0
    assert rows["eager", "float32", "network"]["ratio"] == 1
    whole = rows["openvino", "float32", stages.WHOLE]["median"]
    parts = sum(rows["openvino", "float32", stage]["median"] for stage in ("resize", "network", "grouping"))
    assert whole == pytest.approx(parts, rel=0.3, abs=1)
    said = capsys.readouterr().out
    assert "openvino float32" in said and "eager float32" in said and "end to end" in said


def test_an_untrained_preset_and_one_backend(folder):
    assert bench("--model", "untrained", "--backend", "eager", "--precision", "float32", "--batch", "3") == 0
    figures = json.loads((folder / "figures.json").read_text())
    assert figures["model"] == "untrained default" and figures["batch"] == 3
    assert {(row["backend"], row["precision"]) for row in figures["timings"]} == {("eager", "float32")}


def test_what_is_refused_is_named(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert bench("--backend", "tensorrt", "--device", "cpu") == 0
    assert "tensorrt cannot run here: it is used on CUDA" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["nowhere.mp4"], "no file or folder named nowhere.mp4"),
        (["--backend", "magic"], "magic"),
        (["--json", "missing/figures.json"], "folder missing does not exist"),
        (["--model", "untrained", "--preset", "magic"], "no preset 'magic'"),
    ],
)
def test_bad_input_is_one_sentence(arguments, complaint, capsys):
    assert main(["bench", *arguments, *SMALL]) == 2
    said = capsys.readouterr().err
    assert complaint in said and "Traceback" not in said


def test_compile_makes_ready_and_says_where(capsys):
    assert main(["compile", "demo:?size=160x96", "--device", "cpu", *SMALL]) == 0
    said = capsys.readouterr().out
    assert "openvino on cpu" in said and "160x96" in said and "MiB" in said


@pytest.mark.slow
def test_compile_calibrates_int8_on_the_frames_of_a_source(capsys, caplog):
    """Where the processor is exact enough in 8 bits; elsewhere the proof refuses it, and says why."""
    pytest.importorskip("nncf", reason="comes with the extra `int8`")
    source = "demo:?size=160x96&seconds=2"
    assert main(["compile", source, "--device", "cpu", "--precision", "int8", *SMALL]) == 0
    said = capsys.readouterr().out
    assert "Statistics collection" in said
    refused = "openvino in int8 is not used (its heatmaps are off by" in caplog.text
    assert ("openvino on cpu in float32" if refused else "openvino on cpu in int8") in said


def test_the_doctor_says_what_it_would_choose_and_why(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    for word in ("auto chooses", "openvino", "tensorrt", "compiled networks", "cameras", "Qt", "compiled grouping"):
        assert word in said
