"""Processing as the window's queue uses it: progress told, stopped from another thread, and nothing kept open."""

from __future__ import annotations

import gc
import json
import threading
import time
import weakref
from pathlib import Path

import pytest

from app.engine_settings import EngineSettings, GroupingChoice
from app.processing.run import ProcessOptions, StoppedError, process
from engine.errors import SwahrError
from grouping import GroupingOptions

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


@pytest.fixture
def estimators(tools, tmp_path, monkeypatch) -> list:
    """The estimators that are made, as weak references; the test runs in a folder of its own."""
    made = []

    class Kept(tools.FakeEstimator):
        def __init__(self, *arguments, **settings):
            super().__init__(*arguments, **settings)
            made.append(weakref.ref(self))

    monkeypatch.setattr("engine.PoseEstimator", Kept)
    monkeypatch.chdir(tmp_path)
    return made


@pytest.fixture
def clip(tools, tmp_path) -> Path:
    return tools.write_video(tmp_path / "in.mp4", tools.VideoSpec(frames=60, audio="aac"))


def open_files(folder: Path) -> list[str]:
    """The files in a folder that this process holds open."""
    links = (path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink())
    return [str(link) for link in links if str(link).startswith(str(folder))]


def test_progress_is_told_after_every_frame(estimators, clip):
    told = []
    said = process(ProcessOptions(str(clip), Path("out.mp4")), progress=lambda *figures: told.append(figures))
    assert [(frames, expected) for frames, expected, _ in told] == [(count, 60) for count in range(1, 61)]
    assert all(rate > 0 for *_, rate in told)
    assert "in 60 frames of" in said


def stopped_run(clip: Path, frames: int) -> StoppedError:
    """A run that another thread stops when so many frames are written."""
    stopped = threading.Event()
    errors = []

    def progress(written, expected, rate):
        if written >= frames:
            stopped.set()
            time.sleep(0.01)  # or it might be through before it notices

    def run():
        try:
            process(ProcessOptions(str(clip), Path("out.mp4"), Path("out.jsonl"), quiet=True), progress, stopped)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(20)
    (error,) = errors
    return error


def test_a_stopped_run_keeps_partial_files_that_agree(estimators, tools, tmp_path, monkeypatch):
    source = tools.write_video(tmp_path / "long.mp4", tools.VideoSpec(frames=300, size=(64, 48)))
    error = stopped_run(source, 20)
    assert isinstance(error, StoppedError) and error.exit_code == 130
    lines = Path("out.partial.jsonl").read_text().splitlines()[1:]
    assert 20 <= len(lines) < 300
    assert str(error) == f"Stopped after {len(lines)} frames."
    assert error.__notes__ == [
        "What was written so far is in out.partial.mp4 and out.partial.jsonl.",
        "The same command goes on from there.",
    ]
    assert [float(stamp) for stamp in tools.video_stamps(Path("out.partial.mp4"))] == [
        json.loads(line)["time"] for line in lines
    ]
    assert not Path("out.mp4").exists() and not Path("out.jsonl").exists()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="only Linux tells which files are open")
def test_who_keeps_the_error_keeps_neither_network_nor_files(estimators, clip, tmp_path, monkeypatch):
    gc.disable()  # nothing may depend on when it happens to run
    try:
        stopped = stopped_run(clip, 5)
        monkeypatch.setattr("engine.PoseEstimator.__call__", fail)
        with pytest.raises(ZeroDivisionError) as failed:
            process(ProcessOptions(str(clip), Path("b.mp4"), Path("b.jsonl"), quiet=True))
        assert len(estimators) == 2
        assert [estimator() for estimator in estimators] == [None, None], (stopped, failed)
        assert open_files(tmp_path) == []
    finally:
        gc.enable()


def fail(self, image):
    raise ZeroDivisionError


@pytest.mark.parametrize("when", ["before", "while loading", "while compiling"])
def test_a_run_stopped_before_its_first_frame_leaves_nothing(when, estimators, clip, tmp_path, monkeypatch):
    stopped = threading.Event()
    if when == "before":
        stopped.set()
    elif when == "while loading":
        load = EngineSettings.load
        monkeypatch.setattr(EngineSettings, "load", lambda *all, **more: (stopped.set(), load(*all, **more))[1])
    else:
        monkeypatch.setattr("engine.PoseEstimator.prepare", lambda *all, **more: stopped.set())
    with pytest.raises(StoppedError, match="Stopped after 0 frames"):
        process(ProcessOptions(str(clip), Path("out.mp4"), Path("out.jsonl"), quiet=True), stopped=stopped)
    assert [path.name for path in tmp_path.iterdir()] == [clip.name]


def test_a_progress_that_fails_ends_the_run(estimators, clip, tools):
    def progress(written, expected, rate):
        raise RuntimeError("the window is gone")

    with pytest.raises(RuntimeError, match="the window is gone"):
        process(ProcessOptions(str(clip), Path("out.mp4")), progress)
    assert len(tools.video_stamps(Path("out.partial.mp4"))) == 1


def test_grouping_that_was_chosen_is_used_and_written_down(estimators, clip):
    choice = GroupingChoice(threshold=0.3, tag_threshold=0.7, max_people=4, person_threshold=0.2)
    process(ProcessOptions(str(clip), Path("out.mp4"), Path("out.jsonl"), quiet=True, grouping=choice))
    settings = json.loads(Path("out.jsonl").read_text().splitlines()[0])["settings"]
    assert (settings["detection_threshold"], settings["tag_threshold"], settings["max_people"]) == (0.3, 0.7, 4)
    assert (settings["person_threshold"], settings["nms_kernel"]) == (0.2, 5)


@pytest.mark.parametrize("raw", [True, False])
def test_people_have_numbers_unless_they_are_wanted_raw(estimators, clip, raw):
    process(ProcessOptions(str(clip), Path("out.mp4"), Path("out.jsonl"), quiet=True, raw=raw))
    first, *lines = [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]
    assert first["settings"]["smoothed"] is not raw
    assert {person["id"] for line in lines for person in line["people"]} == {None if raw else 1}


def test_a_choice_that_is_taken_back_leaves_the_models_own(tools):
    estimator = tools.FakeEstimator()
    estimator.own_options = own = GroupingOptions(detection_threshold=0.25, tag_threshold=0.5, refine=False)
    GroupingChoice(threshold=0.4, max_people=2).apply(estimator)
    assert estimator.options == GroupingOptions(2, 0.4, 0.5, refine=False)
    GroupingChoice(tag_threshold=2.0).apply(estimator)
    assert estimator.options == GroupingOptions(30, 0.25, 2.0, refine=False)
    GroupingChoice().apply(estimator)
    assert estimator.options == own


@pytest.mark.parametrize(
    "wrong", [{"threshold": 1.5}, {"tag_threshold": 0.0}, {"max_people": 0}, {"person_threshold": -1}]
)
def test_a_choice_out_of_range_is_refused(wrong):
    with pytest.raises(SwahrError, match="it must"):
        GroupingChoice(**wrong)
