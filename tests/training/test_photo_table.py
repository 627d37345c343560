"""Annotations as arrays on the disk: the same as read directly, read once, and shared by all processes."""

import json
import multiprocessing
import pickle

import numpy as np
import pytest

from engine.training import photo_table
from engine.training.annotations import read_annotations
from engine.training.coco import CocoPhotos
from engine.training.photo_table import PhotoTable, build_table, open_table
from grouping import COCO17, CROWDPOSE14


def labels(seed, images=40):
    """Random annotations: nobody to five people an image, some crowds, sources, names with folders and umlauts."""
    rng = np.random.default_rng(seed)
    data = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]}
    for number in rng.permutation(images).tolist():
        name = f"tägliches/{number:012d}.jpg" if number % 3 else f"{number}.png"
        image = {"id": 3 * number + 1, "file_name": name, "width": 200, "height": 150}
        data["images"].append(image | ({"source": f"s{number % 4}"} if number % 2 else {}))
        for _ in range(rng.integers(0, 6)):
            keypoints = np.zeros((17, 3))
            if rng.random() < 0.7:
                keypoints[:] = np.column_stack(
                    (rng.uniform(0, 199, (17, 1)), rng.uniform(0, 149, (17, 1)), np.ones(17))
                )
                keypoints[rng.random(17) < 0.3] = 0
            entry = {"id": len(data["annotations"]) + 1, "image_id": image["id"], "category_id": 1, "iscrowd": 0}
            segmentation = [rng.uniform(0, 149, 2 * rng.integers(3, 9)).tolist() for _ in range(rng.integers(1, 3))]
            entry |= {"keypoints": keypoints.ravel().tolist(), "bbox": [10, 10, 50, 60], "area": 900.0}
            data["annotations"].append(entry | {"segmentation": segmentation})
    return data


@pytest.fixture
def written(tmp_path, monkeypatch):
    monkeypatch.setenv("SWAHR_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(labels(0)))
    return path


def equal(one, other):
    assert all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True) for name in PhotoTable.ARRAYS[:3]
    )
    for name in PhotoTable.ARRAYS:
        assert getattr(one, name).dtype == getattr(other, name).dtype and len(getattr(one, name)) == len(
            getattr(other, name)
        )
    for index in range(len(one)):
        assert one.file_name(index) == other.file_name(index)
        assert np.array_equal(one.people(index), other.people(index))
        assert all(np.array_equal(a, b) for a, b in zip(one.rings(index), other.rings(index), strict=True))
    return one.source_names == other.source_names and one.findings == other.findings


def test_mapped_arrays_equal_what_is_read_directly(written):
    direct = build_table(read_annotations(written), COCO17)
    mapped = open_table(written, COCO17)
    assert mapped.place is not None and mapped.place.is_dir() and direct.place is None
    assert equal(mapped, direct) and len(mapped) == 40 and len(mapped.keypoints) > 20 and len(mapped.corners_end) > 20


def test_photos_are_those_of_the_file_in_its_order(written, tmp_path):
    data = labels(0)
    (tmp_path / "tägliches").mkdir()
    for image in data["images"]:
        (tmp_path / image["file_name"]).touch()
    photos = CocoPhotos(written, tmp_path, COCO17)
    assert photos.ids == [image["id"] for image in data["images"]]
    for image, record in zip(data["images"], photos, strict=True):
        own = [np.reshape(a["keypoints"], (17, 3)) for a in data["annotations"] if a["image_id"] == image["id"]]
        people = [keypoints for keypoints in own if keypoints.any()]
        assert record.path == tmp_path / image["file_name"] and record.source == image.get("source", "")
        assert len(record.keypoints) == len(people) and record.size_wh == (200, 150) and np.isnan(record.crowd_index)
        for stored, keypoints in zip(record.keypoints, people, strict=True):
            labelled = keypoints[:, 2] > 0
            assert stored[labelled, :2] == pytest.approx(keypoints[labelled, :2] + 0.5, abs=1e-4)
            assert not stored[~labelled].any()
    weights = photos.weights({"s1": 0.25})
    assert weights.tolist() == [0.25 if record.source == "s1" else 1 for record in photos]
    empty = [i for i, record in enumerate(photos) if not len(record.keypoints) and not record.ignored]
    assert photos.without_people().tolist() == empty and empty


def test_a_file_is_parsed_once_and_again_when_it_changes(written, monkeypatch):
    parsed = []

    def counted(path):
        parsed.append(path)
        return read_annotations(path)

    monkeypatch.setattr(photo_table, "read_annotations", counted)
    first, second = open_table(written, COCO17), open_table(written, COCO17)
    assert len(parsed) == 1 and equal(first, second)
    copied = written.with_name("copy.json")
    copied.write_bytes(written.read_bytes())
    open_table(copied, COCO17)
    assert len(parsed) == 1  # the content counts, not the name
    open_table(written, CROWDPOSE14)
    assert len(parsed) == 2
    written.write_text(json.dumps(labels(1)))
    assert not np.array_equal(open_table(written, COCO17).keypoints, first.keypoints) and len(parsed) == 3


@pytest.mark.parametrize("damage", ["keypoints.npy", "about.json"])
def test_a_damaged_cache_is_made_anew(written, damage):
    table = open_table(written, COCO17)
    people = np.array(table.keypoints)
    path = table.place / damage
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    again = open_table(written, COCO17)
    assert again.place == table.place and np.array_equal(again.keypoints, people)


def test_without_a_writable_cache_the_table_stays_in_memory(written, monkeypatch, tmp_path, caplog):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SWAHR_CACHE", str(tmp_path / "file"))
    table = open_table(written, COCO17)
    assert table.place is None and len(table) == 40 and "read anew next time" in caplog.text
    assert equal(pickle.loads(pickle.dumps(table)), table)


def test_photos_are_sent_to_other_processes_as_paths(written, tmp_path):
    table = open_table(written, COCO17)
    sent = pickle.dumps(table)
    assert len(sent) < 1000 and equal(pickle.loads(sent), table)


def _people_of(table, queue):
    queue.put([len(table), float(table.keypoints.sum()), isinstance(table.keypoints.base, np.memmap)])


@pytest.mark.slow
def test_a_spawned_worker_maps_the_same_arrays(written):
    table = open_table(written, COCO17)
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    worker = context.Process(target=_people_of, args=(table, queue))
    worker.start()
    assert queue.get(timeout=60) == [40, float(table.keypoints.sum()), True]
    worker.join()


def test_a_file_without_anything_is_a_table_without_anything(tmp_path, monkeypatch):
    monkeypatch.setenv("SWAHR_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "empty.json"
    path.write_text('{"images": [], "annotations": []}')
    for _ in range(2):
        table = open_table(path, COCO17)
        assert len(table) == 0 and table.keypoints.shape == (0, 17, 3) and table.place is not None
