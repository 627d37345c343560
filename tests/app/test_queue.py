"""Many sources: what they are, that one that fails stops no other, and that what is done is not done again."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import cv2
import pytest

from app.processing.queue import is_several, sources_in
from engine.errors import SwahrError

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


@pytest.fixture
def clips(tools, tmp_path) -> list[Path]:
    """Four clips in a folder, of which the second is broken, and what does not belong."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for number in (1, 3, 10):
        tools.write_video(folder / f"{number}.mp4", tools.VideoSpec(frames=6, size=(64, 48)))
    (folder / "2.mp4").write_bytes(b"no video at all" * 50)
    (folder / "1.swahr.mp4").write_bytes(b"what an earlier run wrote")
    (folder / "3.partial.mp4").write_bytes(b"what was left over")
    (folder / "notes.txt").write_text("hello")
    return [folder / f"{number}.mp4" for number in (1, 2, 3, 10)]


def test_a_folder_stands_for_its_videos_as_people_count(clips, tmp_path):
    assert is_several([str(tmp_path / "clips")])
    assert sources_in([str(tmp_path / "clips")]) == [str(clip) for clip in clips]


def test_a_folder_with_pictures_as_well_stands_for_both(clips, tools, tmp_path):
    cv2.imwrite(str(tmp_path / "clips" / "a.png"), tools.picture(0, 64, 48))
    assert sources_in([str(tmp_path / "clips")]) == [*map(str, clips), str(tmp_path / "clips")]


def test_a_folder_of_pictures_is_one_source(tools, tmp_path):
    (tmp_path / "shots").mkdir()
    cv2.imwrite(str(tmp_path / "shots" / "a.png"), tools.picture(0, 64, 48))
    assert not is_several([str(tmp_path / "shots")])


def test_patterns_and_lists(clips, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sources_in(["clips/[13]*.mp4"]) == ["clips/1.mp4", "clips/3.mp4", "clips/10.mp4"]
    assert sources_in(["**/3*"]) == ["clips/3.mp4"]
    Path("list.txt").write_text("# all of them\nclips/*0.mp4\n\n  clips/1.mp4\ndemo:?people=2\nclips/1.mp4\n")
    assert is_several(["@list.txt"])
    assert sources_in(["@list.txt", "clips/3.mp4"]) == ["clips/10.mp4", "clips/1.mp4", "demo:?people=2", "clips/3.mp4"]


def test_a_name_with_brackets_is_a_name(clips, tmp_path):
    odd = clips[0].rename(tmp_path / "take [1].mp4")
    assert not is_several([str(odd)])


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["*.xyz"], "No video or picture is named like *.xyz"),
        (["@none.txt"], "The list none.txt cannot be read (No such file or directory)"),
        (["@empty.txt"], "The list empty.txt names nothing"),
        (["@nested.txt"], "The list nested.txt names another list, @empty.txt"),
        (["@binary.txt"], "The list binary.txt cannot be read (it is no text in UTF-8)"),
    ],
)
def test_names_that_stand_for_nothing(swahr, names, said, capsys):
    Path("empty.txt").write_text("\n# nothing\n")
    Path("nested.txt").write_text("@empty.txt\n")
    Path("binary.txt").write_bytes(b"\xff\xfe\x00")
    assert swahr("process", *names) == 2
    assert said in capsys.readouterr().err
    with pytest.raises(SwahrError):
        sources_in(names)


def test_a_source_that_fails_does_not_stop_the_others(swahr, clips, tmp_path, capsys):
    assert swahr("process", "clips", "-o", "out", "--json") == 2
    said = capsys.readouterr()
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == sorted(
        [f"{number}.swahr{suffix}" for number in (1, 3, 10) for suffix in (".mp4", ".jsonl")] + ["swahr-manifest.jsonl"]
    )
    assert said.err.startswith("[2/4] clips/2.mp4: clips/2.mp4 cannot be read as a video")
    assert said.out.splitlines()[-1] == "4 sources: 3 done, 1 failed."
    assert said.out.startswith("[1/4] clips/1.mp4: Found ")


def test_what_is_done_is_not_done_again_and_what_failed_is(swahr, clips, tools, tmp_path, capsys):
    assert swahr("process", "clips", "-o", "out") == 2
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.mp4")}
    tools.write_video(clips[1], tools.VideoSpec(frames=5, size=(64, 48)))
    capsys.readouterr()
    assert swahr("process", "clips", "-o", "out") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "[1/4] clips/1.mp4: Done already." and said[-1] == "4 sources: 1 done, 3 done before."
    assert {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in before} == before
    assert len(tools.video_stamps(tmp_path / "out" / "2.swahr.mp4")) == 5


def test_what_has_changed_or_was_removed_is_done_again(swahr, clips, tools, tmp_path, capsys):
    clips[1].unlink()
    assert swahr("process", "clips", "-o", "out") == 0
    tools.write_video(clips[0], tools.VideoSpec(frames=9, size=(64, 48)))
    (tmp_path / "out" / "3.swahr.mp4").unlink()
    capsys.readouterr()
    assert swahr("process", "clips", "-o", "out") == 2  # the changed one's output is there, and stays
    said = capsys.readouterr()
    assert "out/1.swahr.mp4 exists already; add --overwrite" in said.err
    assert said.out.splitlines()[-1] == "3 sources: 1 done, 1 done before, 1 failed."
    assert swahr("process", "clips", "-o", "out", "--overwrite") == 0
    assert len(tools.video_stamps(tmp_path / "out" / "1.swahr.mp4")) == 9


def test_other_options_are_another_job(swahr, clips, capsys):
    clips[1].unlink()
    assert swahr("process", "clips", "-o", "out") == 0
    capsys.readouterr()
    assert swahr("process", "clips", "-o", "out", "--boxes") == 2
    assert "3 failed" in capsys.readouterr().out


def test_a_manifest_that_was_cut_off_is_gone_on_with(swahr, clips, tmp_path, capsys):
    clips[1].unlink()
    assert swahr("process", "clips", "-o", "out") == 0
    manifest = tmp_path / "out" / "swahr-manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes()[:-20])
    (tmp_path / "out" / "10.swahr.mp4").unlink()
    assert swahr("process", "clips", "-o", "out") == 0
    assert [json.loads(line)["state"] for line in manifest.read_bytes().splitlines()[1:3]] == ["done", "done"]
    assert json.loads(manifest.read_bytes().splitlines()[-1])["source"] == "clips/10.mp4"
    capsys.readouterr()
    assert swahr("process", "clips", "-o", "out") == 0
    assert "3 done before" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", ["something else", '{"format": "other"}', "[1, 2]"])
def test_a_manifest_that_is_none_is_refused(swahr, clips, tmp_path, wrong, capsys):
    Path(tmp_path / "m.jsonl").write_text(wrong + "\n")
    code = swahr("process", "clips", "-o", "out", "--manifest", "m.jsonl")
    said = capsys.readouterr().err
    if wrong == "something else":
        assert code == 2 and "m.jsonl is no manifest" in said
    assert code == 2 and "m.jsonl" in said
    assert Path(tmp_path / "m.jsonl").read_text() == wrong + "\n"


def test_several_sources_want_a_folder_and_bare_formats(swahr, clips, capsys):
    assert swahr("process", "clips/1.mp4", "clips/3.mp4", "-o", "out.mp4") == 2
    assert "out.mp4 is one file, but there are several sources" in capsys.readouterr().err
    assert swahr("process", "clips/1.mp4", "clips/3.mp4", "--json", "x.jsonl") == 2
    assert "--json x.jsonl is one path" in capsys.readouterr().err


def test_sources_of_one_name_are_refused_before_anything_is_done(swahr, clips, tmp_path, capsys):
    (tmp_path / "more").mkdir()
    shutil.copy(clips[0], tmp_path / "more" / "1.mp4")
    assert swahr("process", "clips/1.mp4", "more/1.mp4", "-o", "out") == 2
    assert "would have the same name in out" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["swahr-manifest.jsonl"]


def test_a_network_that_cannot_be_loaded_ends_the_queue_at_once(swahr, clips, tmp_path, capsys, monkeypatch):
    def load(*arguments, **settings):
        raise SwahrError("There is no such model.")

    monkeypatch.setattr("engine.PoseEstimator.load", load)
    assert swahr("process", "clips", "-o", "out") == 2
    said = capsys.readouterr()
    assert said.err == "Error: There is no such model.\n" and said.out == ""


def test_the_network_is_loaded_once(swahr, clips, tools, monkeypatch):
    loaded = []
    load = tools.FakeEstimator.load.__func__
    monkeypatch.setattr(
        "engine.PoseEstimator.load", classmethod(lambda cls, *all, **more: loaded.append(1) or load(cls))
    )
    assert swahr("process", "clips", "-o", "out") == 2
    assert loaded == [1]


def test_pictures_get_a_folder_of_their_own(swahr, clips, tools, tmp_path):
    cv2.imwrite(str(tmp_path / "clips" / "a.png"), tools.picture(0, 64, 48))
    clips[1].unlink()
    assert swahr("process", "clips", "-o", "out", "--csv") == 0
    assert (tmp_path / "out" / "clips.swahr" / "a.png").exists()
    assert (tmp_path / "out" / "clips.swahr.csv").exists()


def test_ctrl_c_ends_the_queue_and_it_goes_on(swahr, clips, tmp_path, capsys, monkeypatch):
    clips[1].unlink()
    from app.processing import run as module

    def stop_in_the_second(self):
        if "3.mp4" in self._options.source:
            raise KeyboardInterrupt

    monkeypatch.setattr(module._Run, "_end_if_stopped", stop_in_the_second)
    assert swahr("process", "clips", "-o", "out") == 130
    assert (tmp_path / "out" / "1.swahr.mp4").exists() and not (tmp_path / "out" / "10.swahr.mp4").exists()
    monkeypatch.undo()
    os.chdir(tmp_path)


def test_a_bug_that_one_source_shows_does_not_stop_the_others(swahr, clips, tools, monkeypatch, capsys):
    clips[1].unlink()

    class Failing(tools.FakeEstimator):
        def __call__(self, image):
            if self.seen == 8:
                self.seen += 1
                raise ZeroDivisionError("0/0")
            return super().__call__(image)

    monkeypatch.setattr("engine.PoseEstimator", Failing)
    assert swahr("process", "clips", "-o", "out") == 2
    said = capsys.readouterr()
    assert "[2/3] clips/3.mp4: This is a bug of swahr (ZeroDivisionError: 0/0)" in said.err
    assert said.out.splitlines()[-1] == "3 sources: 2 done, 1 failed."
    assert swahr("process", "clips", "-o", "out") == 0
