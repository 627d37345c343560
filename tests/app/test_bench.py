"""`swahr bench grouping` and `process`: a table on the screen, figures in a file, bad values in one sentence."""

import json

import pytest

from app.cli import main


def test_grouping_is_measured_beside_the_reference(tmp_path, capsys):
    path = tmp_path / "figures.json"
    options = ["--people", "0,3", "--sizes", "64,128", "--repeats", "3", "--json", str(path)]
    assert main(["bench", "grouping", *options]) == 0
    shown = capsys.readouterr().out
    assert "times slower" in shown and "fused" in shown
    figures = json.loads(path.read_text())
    assert "cores" in figures["machine"] and figures["repeats"] == 3
    by_scene = {}
    for timing in figures["timings"]:
        assert 0 < timing["median"] <= timing["p95"]
        by_scene.setdefault((timing["people"], timing["size"]), {})[timing["path"]] = timing["found"]
    assert set(by_scene) == {(0, 64), (3, 64), (0, 128), (3, 128)}
    for scene, found in by_scene.items():
        assert set(found) == {"fused", "maps", "reference", "projection"}
        assert found["fused"] == found["maps"] == found["reference"], scene
    assert by_scene[0, 64]["fused"] == 0 and by_scene[3, 128]["fused"] >= 3


@pytest.mark.slow
def test_all_stages_together_are_measured_beside_each_alone(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("app.bench.process.SETTLED", 50)
    path = tmp_path / "figures.json"
    assert main(["bench", "process", "--size", "192", "--frames", "100", "--json", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "all together" in shown and "The slowest stage alone is" in shown
    figures = json.loads(path.read_text())
    assert set(figures["rates"]) == {"read", "find", "write", "process"}
    assert min(figures["rates"].values()) > 0
    memory = figures["memory_megabytes"]
    assert memory is None or memory["lowest"] <= min(memory["first"], memory["last"]) <= memory["highest"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.mp4"], "nowhere.mp4"),
        (["grouping", "--people", "a"], "--people a is no list"),
        (["grouping", "--sizes", "100"], "--sizes names 100"),
        (["grouping", "--people", "3,-1"], "--people names -1"),
        (["grouping", "--json", "nowhere/figures.json"], "nowhere does not exist"),
    ],
)
def test_bad_values_get_one_sentence(arguments, message, capsys):
    assert main(["bench", *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
