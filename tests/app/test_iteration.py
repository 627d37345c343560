"""``for frame, people in process(...)``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from app import process
from engine.errors import SwahrError

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


@pytest.fixture
def fake(tools, monkeypatch, tmp_path):
    monkeypatch.setattr("engine.PoseEstimator", tools.FakeEstimator, raising=False)
    monkeypatch.chdir(tmp_path)
    return tools.FakeEstimator


@pytest.fixture
def clip(tools, tmp_path) -> Path:
    return tools.write_video(tmp_path / "in.mp4", tools.VideoSpec(frames=30, stamps=list(range(7, 37))))


def test_every_frame_comes_with_its_people(fake, clip, tools):
    pairs = list(process(clip))
    assert [frame.index for frame, _ in pairs] == list(range(30))
    assert [frame.time for frame, _ in pairs] == tools.video_stamps(clip)
    assert pairs[0][0].image.shape == (120, 160, 3) and pairs[0][0].image.dtype == np.uint8
    assert [len(people) for _, people in pairs] == [1, 1, 0] * 10
    assert {int(person) for _, people in pairs for person in (people.ids if people.ids is not None else [])} == {1}


def test_it_finds_what_the_command_finds(fake, clip, swahr, tmp_path):
    found = [people for _, people in process(clip)]
    assert swahr("process", clip, "-o", "out.mp4", "--json") == 0
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()[1:]]
    for people, line in zip(found, lines, strict=True):
        assert [person["id"] for person in line["people"]] == ([] if people.is_empty else people.ids.tolist())
        for person, keypoints in zip(line["people"], people.keypoints, strict=True):
            np.testing.assert_allclose(np.array(person["keypoints"])[:, :2], keypoints[:, :2], atol=1e-3)


def test_raw_people_have_no_ids(fake, clip):
    assert all(people.ids is None for _, people in process(clip, raw=True))


def test_a_part_of_it(fake, clip, tools):
    frames = [frame for frame, _ in process(clip, start=0.2, end="0:00.8", every=2)]
    assert [frame.index for frame in frames] == list(range(9))
    assert [frame.time for frame in frames] == tools.video_stamps(clip)[6:24:2]


def test_an_estimator_that_is_loaded_already_is_used(fake, clip):
    estimator = fake("mine")
    list(process(str(clip), estimator=estimator, max_people=3))
    assert estimator.seen == 30 and estimator.options.max_people == 3


def test_leaving_the_loop_ends_it(fake, tools, tmp_path):
    clip = tools.write_video(tmp_path / "long.mp4", tools.VideoSpec(frames=400, size=(64, 48)))
    estimator = fake()
    for frame, _ in process(clip, estimator=estimator):
        if frame.index == 3:
            break
    assert estimator.seen < 200


def test_errors_reach_the_caller(fake, clip, monkeypatch):
    with pytest.raises(SwahrError, match="There is no file"):
        next(process("missing.mp4"))
    with pytest.raises(SwahrError, match="cannot end"):
        process(clip, start=3, end=2)

    def fail(self, image):
        raise ZeroDivisionError

    monkeypatch.setattr(fake, "__call__", fail)
    with pytest.raises(ZeroDivisionError):
        list(process(clip))


def test_pictures_have_no_ids(fake, tools, tmp_path):
    import cv2

    cv2.imwrite(str(tmp_path / "a.png"), tools.picture(0, 80, 60))
    ((frame, people),) = process(tmp_path / "a.png")
    assert frame.time is None and people.ids is None and len(people) == 1


def test_the_package_has_nothing_else():
    import app

    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = app.nothing
