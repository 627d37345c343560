"""`swahr bench tracking`, and that its figures count what they say."""

from __future__ import annotations

import json

import numpy as np
import pytest

from app.bench.calm import NoFilter, PlainOneEuro, jitter, lag, still_frames, waving_frames
from app.bench.crowds import Trouble, crowd, followed, person_seconds, seen_truly, without_picture
from app.bench.identity import FrameIds, best_idf1, id_switches, idf1, similarities
from app.bench.tracking import smoothing_figures
from app.cli import main
from app.sources import open_source
from grouping import COCO17, People

FOUR = [
    FrameIds.paired([0, 1], [5, 6]),
    FrameIds.paired([0, 1], [5, 6]),
    FrameIds.paired([1], [7]),
    FrameIds(np.array([0, 1]), np.array([5, 7, 8]), np.eye(2, 3)),  # 8 is nobody
]


def test_switches_and_idf1_are_those_worked_out_by_hand():
    assert id_switches(FOUR) == 1
    assert idf1(FOUR) == pytest.approx(2 * 5 / (7 + 8))
    assert best_idf1(FOUR) == pytest.approx(2 * 7 / (7 + 8))


def test_who_is_not_found_counts_against_idf1_and_is_no_switch():
    missed = FrameIds(np.array([0, 1]), np.array([5]), np.array([[1.0], [0]]))
    frames = [FOUR[0], missed, FOUR[0]]
    assert id_switches(frames) == 0
    assert idf1(frames) == best_idf1(frames) == pytest.approx(2 * 5 / (6 + 5))


def test_an_id_that_two_could_have_stays_with_whom_it_was():
    """Of two skeletons on one person, the one that had the person's id counts, be the other a little nearer."""
    twice = FrameIds(np.array([0]), np.array([5, 6]), np.array([[0.7, 0.9]]))
    assert id_switches([FrameIds.paired([0], [5]), twice, twice]) == 0
    assert id_switches([FrameIds.paired([0], [7]), twice]) == 1


def test_nobody_gives_no_figures():
    nobody = FrameIds.paired([], [])
    assert id_switches([nobody]) == 0 and idf1([nobody]) == best_idf1([]) == 1


def test_similarity_is_cocos():
    truth = np.zeros((1, 17, 3))
    truth[0, :, 0], truth[0, :2, 2], truth[0, 2, 2] = np.arange(17) * 10, 2, 1
    found = truth.copy()
    found[0, :, 2] = 0.9
    found[0, 1, 1] = 5
    areas = np.array([900.0])
    expected = (1 + np.exp(-25 / (2 * 900 * (2 * COCO17.oks_sigmas[1]) ** 2))) / 2
    assert similarities(truth, areas, People(found, [1])) == pytest.approx(expected)
    found[0, 1, 2] = 0  # missed
    assert similarities(truth, areas, People(found, [1])) == pytest.approx(0.5)
    found[0, 0, 1] = 5
    assert similarities(truth, areas, People(found, [1])) == 0  # below a half it is somebody else


def test_the_crowd_is_that_of_the_demo():
    (frame,) = crowd(3, 1)
    with open_source("demo:?seed=3") as source:
        np.testing.assert_array_equal(next(iter(source)).image, frame.image)


def test_trouble_is_as_much_as_asked_for():
    truth = [without_picture(frame) for frame in crowd(0, 60, narrowing=4)]
    plain, bad = seen_truly(truth), seen_truly(truth, Trouble(0.5, 0.4, 0.05), seed=1)
    assert len(plain) == 60 and 15 < len(bad) < 45
    share = np.mean([one.people.found.mean() for one in bad]) / np.mean([one.people.found.mean() for one in plain])
    assert share == pytest.approx(0.6, abs=0.1)
    assert person_seconds(truth) == pytest.approx(sum(len(frame.ids) for frame in truth) / 30)
    assert id_switches(followed(plain)) == 0 and idf1(followed(plain)) == 1


def test_smoothing_is_calm_and_in_time_at_every_size_beside_none_and_a_plain_one_euro_filter():
    figures = {(one.filter, one.height): one for one in smoothing_figures()}
    for height in (60, 200, 700):
        none, plain, ours = (figures[name, height] for name in ("none", "One-Euro, fixed", "ours"))
        assert none.calmed == 0 and none.lag == 0
        assert ours.calmed >= 60 and ours.lag <= 1
        assert ours.lag < plain.lag
        assert ours.jitter == pytest.approx(none.jitter * (1 - ours.calmed / 100))


def test_jitter_and_lag_are_those_of_a_filter_that_can_be_worked_out():
    class OneFrameLate:
        last = None

        def update(self, people, seconds):
            self.last, before = people, self.last or people
            return before

    still, waving = still_frames(200, 4, 3), waving_frames(200, 4)
    assert lag(waving, OneFrameLate()) == pytest.approx(1, abs=1e-3)
    assert jitter(still, NoFilter()) == pytest.approx(3 * 2**0.5, rel=0.05)
    assert jitter(still, PlainOneEuro()) < jitter(still, NoFilter())


def test_the_command_prints_and_writes_the_figures(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    path = tmp_path / "figures.json"
    options = ["--seeds", "0,4", "--frames", "12", "--size", "128", "--device", "cpu", "--json", str(path)]
    assert main(["bench", "tracking", *options]) == 0
    figures = json.loads(path.read_text())
    assert figures["seeds"] == [0, 4] and figures["frames"] == 12 and "cores" in figures["machine"]
    assert [(row["keypoints"], row["tags"]) for row in figures["ids"]] == [
        ("true", False),
        ("true, seen badly", False),
        ("the model's", False),
        ("the model's", True),
    ]
    for row in figures["ids"]:
        assert row["switches"] >= 0 and 0 <= row["idf1"] <= row["best_idf1"] <= 1
    assert figures["ids"][0]["switches"] == 0
    assert {row["filter"] for row in figures["smoothing"]} == {"none", "One-Euro, fixed", "ours"}
    said = capsys.readouterr().out
    assert "2 crowds of 6" in said and "IDF1" in said and "late by" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "a"], "--seeds a is no list"),
        (["--seeds", "1,-2"], "--seeds names -2"),
        (["--json", "nowhere/figures.json"], "nowhere does not exist"),
    ],
)
def test_bad_values_get_one_sentence(arguments, message, capsys):
    assert main(["bench", "tracking", *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
