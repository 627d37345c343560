"""The journal of a run: what is in it comes back exactly, whatever becomes of its end."""

from __future__ import annotations

import multiprocessing
import random
from pathlib import Path

import numpy as np
import pytest

from app.processing.journal import Found, Journal
from engine.errors import SwahrError
from grouping import COCO17, People

HEADER = {"format": "swahr-poses", "skeleton": COCO17.to_dict()}
JOB = {"the source": "in.mp4", "--size": 384, "--raw": False}


def some_found(number: int, sigmas: bool = True) -> list[Found]:
    """Frames with 0 to 4 people, some with names, some with tags."""
    random_numbers = np.random.default_rng(7)
    found = []
    for index in range(number):
        people = index % 5
        keypoints = random_numbers.normal(size=(people, 17, 3)).astype(np.float32)
        scores = random_numbers.random(people, dtype=np.float32)
        with_sigmas = sigmas and people > 0
        spread = random_numbers.random((people, 17), dtype=np.float32) if with_sigmas else None
        named = {"name": f"bild-ü-{index}.jpg", "size": (640, 480 + index)} if index % 2 else {"pts": index * 1001 - 5}
        tags = random_numbers.normal(size=(people, index % 3)) if index % 3 else None
        found.append(Found(People(keypoints, scores, spread, COCO17, tags=tags), **named))
    return found


def assert_same(one: Found, other: Found) -> None:
    assert (one.pts, one.name, one.size) == (other.pts, other.name, other.size)
    assert one.people.keypoints.tobytes() == other.people.keypoints.tobytes()
    assert one.people.scores.tobytes() == other.people.scores.tobytes()
    assert (one.people.sigmas is None) == (other.people.sigmas is None)
    assert one.people.sigmas is None or one.people.sigmas.tobytes() == other.people.sigmas.tobytes()
    assert (one.people.tags is None) == (other.people.tags is None)
    if one.people.tags is not None:
        np.testing.assert_array_equal(one.people.tags, other.people.tags)
    assert one.people.skeleton == other.people.skeleton


def written(path: Path, found: list[Found], complete: bool = False) -> bytes:
    with Journal(path, JOB) as journal:
        assert not journal.left_over
        for one in found:
            journal.add(one, HEADER)
        if complete:
            journal.mark_complete()
    return path.read_bytes()


@pytest.mark.parametrize("sigmas", [True, False])
def test_what_was_found_comes_back_exactly(tmp_path, sigmas):
    found = some_found(23, sigmas)
    written(tmp_path / "j", found, complete=True)
    with Journal(tmp_path / "j", JOB) as journal:
        assert (journal.left_over, journal.frames, journal.complete, journal.header) == (True, 23, True, HEADER)
        for one, other in zip(journal.found(), found, strict=True):
            assert_same(one, other)


def test_a_cut_or_spoiled_end_is_dropped_and_written_over(tmp_path):
    found = some_found(12)
    whole = written(tmp_path / "whole", found)
    choose = random.Random(3)
    for number in range(150):
        path = tmp_path / f"{number}"
        data = bytearray(whole[: choose.randrange(1, len(whole))])
        if number % 3 == 0:  # a power cut may leave zeros or anything else
            data += bytes(choose.randrange(1, 200)) if number % 2 else choose.randbytes(choose.randrange(1, 200))
        path.write_bytes(data)
        with Journal(path, JOB) as journal:
            kept = journal.frames
            for one, other in zip(journal.found(), found, strict=False):
                assert_same(one, other)
            for one in found[kept:]:
                journal.add(one, HEADER)
        assert path.read_bytes() == whole


def test_spoiled_bytes_in_the_middle_end_it_there(tmp_path):
    found = some_found(12)
    whole = written(tmp_path / "j", found)
    data = bytearray(whole)
    data[len(data) // 2] ^= 0x40
    (tmp_path / "j").write_bytes(data)
    with Journal(tmp_path / "j", JOB) as journal:
        assert 0 < journal.frames < 12


def test_frames_can_be_forgotten(tmp_path):
    found = some_found(12)
    whole = written(tmp_path / "j", found, complete=True)
    with Journal(tmp_path / "j", JOB) as journal:
        journal.forget_from(8)
        assert (journal.frames, journal.complete) == (8, False)
        assert len(list(journal.found())) == 8
        for one in found[8:]:
            journal.add(one, HEADER)
        journal.mark_complete()
    assert (tmp_path / "j").read_bytes() == whole


def test_another_job_is_refused_and_named(tmp_path):
    written(tmp_path / "j", some_found(3))
    for job, said in (
        (JOB | {"--size": 512}, "--size was 384 and is 512"),
        ({key: value for key, value in JOB.items() if key != "--size"}, "--size was 384 and is not set"),
        (JOB | {"--flip": True}, "--flip was not set and is True"),
    ):
        with pytest.raises(SwahrError, match=said), Journal(tmp_path / "j", job):
            pass
        assert (tmp_path / "j").exists()


def test_anew_another_job_begins_from_nothing_and_the_same_one_goes_on(tmp_path):
    found = some_found(5)
    whole = written(tmp_path / "j", found)
    with Journal(tmp_path / "j", JOB, anew=True) as journal:
        assert journal.frames == 5
    assert (tmp_path / "j").read_bytes() == whole
    with Journal(tmp_path / "j", JOB | {"--size": 512}, anew=True) as journal:
        assert (journal.left_over, journal.frames, journal.header) == (True, 0, None)
        journal.add(found[0], HEADER)
    with Journal(tmp_path / "j", JOB | {"--size": 512}) as journal:
        assert journal.frames == 1


def test_an_empty_one_leaves_no_file(tmp_path):
    with Journal(tmp_path / "j", JOB):
        assert (tmp_path / "j").exists()
    assert not (tmp_path / "j").exists()


def test_a_removed_one_leaves_no_file(tmp_path):
    with Journal(tmp_path / "j", JOB) as journal:
        journal.add(some_found(1)[0], HEADER)
        journal.remove()
    assert not (tmp_path / "j").exists()


def _hold(path: Path, held, released) -> None:
    with Journal(path, JOB):
        held.set()
        released.wait(20)


def test_two_processes_cannot_use_it_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    held, released = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path / "j", held, released))
    other.start()
    try:
        assert held.wait(20)
        with pytest.raises(SwahrError, match="in use by another run"), Journal(tmp_path / "j", JOB):
            pass
    finally:
        released.set()
        other.join(20)
    with Journal(tmp_path / "j", JOB) as journal:
        assert journal.frames == 0


def test_a_missing_folder_is_one_sentence(tmp_path):
    with pytest.raises(SwahrError, match="does not exist; create it"), Journal(tmp_path / "no" / "j", JOB):
        pass
