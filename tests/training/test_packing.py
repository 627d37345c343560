"""Packed photos are those that were packed: the same people, regions and order, in files under their limit."""

import json
import pickle
import runpy
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from app.cli import main
from engine.errors import SwahrError
from engine.training.augment import Augmentation, Window, random_affine
from engine.training.coco import CocoPhotos
from engine.training.packed import PackedPhotos, is_pack
from engine.training.packing import PackOptions, pack, reduced_size
from engine.training.samples import Mixture, TrainingSamples
from grouping import COCO17, CROWDPOSE14

write_photos = runpy.run_path(str(Path(__file__).with_name("packs.py")))["write_photos"]


@pytest.fixture
def photos(tmp_path):
    return CocoPhotos(write_photos(tmp_path / "photos"), None, COCO17)


def packed(photos, folder, **options):
    pack([photos], folder, PackOptions(**options))
    return PackedPhotos(folder, photos.skeleton)


def test_photos_that_stay_as_large_keep_their_pixels_and_labels(photos, tmp_path):
    again = packed(photos, tmp_path / "pack")
    assert len(again) == len(photos) == 3
    for index in range(3):
        one, other = photos.load(index), again.load(index)
        assert np.array_equal(one.image, other.image)
        assert np.array_equal(one.keypoints, other.keypoints)
        assert len(one.ignored) == len(other.ignored)
        for ring, same in zip(one.ignored, other.ignored, strict=True):
            np.testing.assert_allclose(ring, same, atol=1e-3)
        assert photos[index].source == again[index].source and photos[index].size_wh == again[index].size_wh
    assert photos.without_people().tolist() == again.without_people().tolist() == [1]
    assert photos.weights({"odd": 3}).tolist() == again.weights({"odd": 3}).tolist() == [3, 1, 3]


def test_reduced_photos_keep_their_labels_in_their_place(photos, tmp_path):
    again = packed(photos, tmp_path / "pack", side=75)
    assert [again[index].size_wh for index in range(3)] == [(100, 75), (75, 108), (100, 75)]
    for index in range(3):
        one, other = photos.load(index), again.load(index)
        factors = np.array(again[index].size_wh) / photos[index].size_wh
        np.testing.assert_allclose(one.keypoints[..., :2] * factors, other.keypoints[..., :2], atol=2e-3)
        assert np.array_equal(one.keypoints[..., 2], other.keypoints[..., 2])
        for ring, same in zip(one.ignored, other.ignored, strict=True):
            np.testing.assert_allclose(ring * factors, same, atol=2e-3)
        smaller = cv2.resize(one.image, again[index].size_wh, interpolation=cv2.INTER_AREA)
        assert np.abs(smaller.astype(int) - other.image).mean() < 4  # of JPEG


def test_boxes_and_areas_are_reduced_with_the_photo(photos, tmp_path):
    folder = tmp_path / "pack"
    packed(photos, folder, side=150)
    with tarfile.open(folder / "photos-000.tar") as tar:
        labels = json.load(tar.extractfile("photos-000.json"))
    before = {one["id"]: one for one in json.loads(photos.annotations.read_text())["annotations"]}
    person = next(one for one in labels["annotations"] if one["image_id"] == 3 and not one["iscrowd"])
    assert [image["width"] for image in labels["images"]] == [160, 90, 200]
    assert person["area"] == pytest.approx(before[3]["area"] / 4) and person["num_keypoints"] == 16
    assert person["bbox"] == pytest.approx([value / 2 for value in before[3]["bbox"]], abs=1e-3)
    assert labels["images"][2]["original"] == "3.jpg"


def test_training_sees_the_same_pictures_in_the_same_order(photos, tmp_path):
    mixture = Mixture(size=64, mosaic=0.5, synthetic=0.1)
    augmentation = Augmentation(scale=(0.75, 1.5), photometric=0.0)
    side = augmentation.side_without_enlarging(64)
    again = packed(photos, tmp_path / "pack", side=side)
    one, other = (TrainingSamples(each, COCO17, mixture, augmentation, 3, 40) for each in (photos, again))
    for index in range(40):
        before, after = one[index], other[index]
        difference = (before["image"].float() - after["image"].float()).abs().mean()
        assert difference < 6, index
        assert (before["fine_mask"] != after["fine_mask"]).float().mean() < 0.02
        # Half a pixel of the picture moves a keypoint by at most one pixel of the maps.
        assert (before["tags"][..., 1] == after["tags"][..., 1]).float().mean() > 0.99


@pytest.mark.parametrize(("focus", "side"), [(0.0, 342), (0.3, 640)])
def test_the_side_for_a_recipe_is_the_one_from_which_nothing_is_enlarged(focus, side):
    ranges = Augmentation(scale=(0.75, 1.5), focus=focus)
    assert ranges.side_without_enlarging(256) == side
    people = np.array([[(100.0, 100, 2), (130, 120, 2)]])
    zooms = []
    for seed in range(300):
        matrix, _ = random_affine(np.random.default_rng(seed), (900, side), Window(0, 0, 256, 256), ranges, people)
        zooms.append(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    assert 0.9 < max(zooms) <= 1


@pytest.mark.parametrize(
    ("size", "side", "reduced"),
    [
        ((640, 480), 0, (640, 480)),
        ((640, 480), 480, (640, 480)),
        ((640, 480), 240, (320, 240)),
        ((31, 2000), 20, (20, 1290)),
    ],
)
def test_no_photo_is_enlarged(size, side, reduced):
    assert reduced_size(size, side) == reduced


def test_every_shard_stays_under_the_limit_and_is_an_archive_of_pictures_and_labels(tmp_path):
    photos = CocoPhotos(write_photos(tmp_path / "photos", [(120, 90)] * 40), None, COCO17)
    limit = 60_000
    again = packed(photos, tmp_path / "pack", shard_bytes=limit)
    files = sorted((tmp_path / "pack").glob("*.tar"))
    lengths = [path.stat().st_size for path in files]
    assert len(files) > 2 and max(lengths) < limit and min(lengths[:-1]) > 0.7 * limit
    assert [shard.bytes for shard in again.manifest.shards] == lengths
    for path in files:  # as anybody would
        with tarfile.open(path) as tar:
            tar.extractall(tmp_path / "unpacked", filter="data")
        own = CocoPhotos(tmp_path / "unpacked" / f"{path.stem}.json", tmp_path / "unpacked", COCO17)
        assert len(own) and not own.findings.counts
    assert len(list((tmp_path / "unpacked").glob("*.jpg"))) == 40
    with pytest.raises(SwahrError, match=r"alone makes a shard of .* MiB.*raise --shard-mib"):
        pack([photos], tmp_path / "small", PackOptions(shard_bytes=10_000))


def test_the_same_photos_give_the_same_bytes(photos, tmp_path):
    for name in ("one", "two"):
        packed(photos, tmp_path / name, side=64)
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_pictures_that_are_no_jpeg_become_one(tmp_path):
    photos = CocoPhotos(write_photos(tmp_path / "photos", suffix="png"), None, COCO17)
    again = packed(photos, tmp_path / "pack", quality=100)
    assert np.abs(photos.read(0).astype(int) - again.read(0)).max() <= 4


def test_a_photo_that_reducing_would_make_longer_stays_as_it_is(tmp_path):
    path = write_photos(tmp_path / "photos", [(160, 120)])
    picture = cv2.imread(str(path.parent / "1.jpg"))
    cv2.imwrite(str(path.parent / "1.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 5])
    photos = CocoPhotos(path, None, COCO17)
    again = packed(photos, tmp_path / "pack", side=110, quality=100)
    assert np.array_equal(photos.read(0), again.read(0))
    assert np.array_equal(photos.load(0).keypoints, again.load(0).keypoints)


def test_several_files_are_packed_one_after_the_other(tmp_path):
    both = [CocoPhotos(write_photos(tmp_path / name, seed=seed), None, COCO17) for seed, name in enumerate("ab")]
    pack(both, tmp_path / "pack", PackOptions())
    again = PackedPhotos(tmp_path / "pack", COCO17)
    assert again.ids == [1, 2, 3, 4, 5, 6] and again.manifest.people == 4 and again.manifest.ignored == 8
    assert np.array_equal(again.load(5).keypoints, both[1].load(2).keypoints)
    assert again.manifest.sources == {"even": 2, "odd": 4}


def test_processes_may_read_the_same_pack_and_be_sent_it(photos, tmp_path):
    again = packed(photos, tmp_path / "pack")
    loader = torch.utils.data.DataLoader(
        TrainingSamples(again, COCO17, Mixture(size=64, synthetic=0.0), Augmentation(), 0, 12),
        num_workers=2,
        multiprocessing_context="fork",
    )
    alone = TrainingSamples(again, COCO17, Mixture(size=64, synthetic=0.0), Augmentation(), 0, 12)
    for index, sample in enumerate(loader):
        assert torch.equal(sample["image"][0], alone[index]["image"])
    sent = pickle.dumps(again)
    assert len(sent) < 10_000 and np.array_equal(pickle.loads(sent).read(1), again.read(1))


def test_a_pack_that_was_interrupted_is_none_and_can_be_repeated(photos, tmp_path, monkeypatch):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    packed(photos, whole)

    def full(path, write):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("engine.training.packing.write_whole", full)
        packed(photos, cut)
    assert not is_pack(cut) and (cut / "photos-000.tar").exists()
    (cut / "photos-001.tar").write_bytes(b"of another try")
    packed(photos, cut)
    assert sorted(path.name for path in cut.iterdir()) == ["manifest.json", "photos-000.tar"]
    assert (cut / "manifest.json").read_bytes() == (whole / "manifest.json").read_bytes()


def test_a_folder_of_something_else_is_left_alone(photos, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "photos-000.tar").write_bytes(b"mine")
    with pytest.raises(SwahrError, match="holds other files"):
        packed(photos, tmp_path / "other")
    assert (tmp_path / "other" / "photos-000.tar").read_bytes() == b"mine"
    packed(photos, tmp_path / "pack")
    with pytest.raises(SwahrError, match="holds packed photos; add --overwrite"):
        packed(photos, tmp_path / "pack")
    pack([photos], tmp_path / "pack", PackOptions(side=64), overwrite=True)
    assert PackedPhotos(tmp_path / "pack", COCO17).manifest.side == 64


def test_what_is_broken_stops_packing_or_is_named_and_counted(tmp_path, capsys):
    path = write_photos(tmp_path / "photos", [(120, 90)] * 4)
    whole = (path.parent / "1.jpg").read_bytes()
    (path.parent / "1.jpg").write_bytes(whole[: len(whole) // 2])
    (path.parent / "2.jpg").unlink()
    assert main(["data", "pack", str(path), "-o", str(tmp_path / "pack")]) == 2
    assert "2.jpg is missing" in capsys.readouterr().err
    assert main(["data", "pack", str(path), "-o", str(tmp_path / "pack"), "--skip-broken"]) == 0
    said = capsys.readouterr().out
    assert "Packed 2 photos" in said and "Left out: 2 faults (missing pictures: 1, damaged pictures: 1)" in said
    assert "1.jpg is cut off" in said
    photos = PackedPhotos(tmp_path / "pack", COCO17)
    assert photos.left_out() == {"left_out": 2}
    (note,) = photos.notes()
    assert "when it was packed, 2 faults were left out (missing pictures: 1, damaged pictures: 1)" in note


def test_a_photo_that_only_decoding_finds_damaged_is_left_out(tmp_path):
    path = write_photos(tmp_path / "photos")
    photos = CocoPhotos(path, None, COCO17, skip_broken=True)
    (path.parent / "1.jpg").write_bytes(b"broken since")
    manifest = pack([photos], tmp_path / "pack", PackOptions())
    assert manifest.photos == 2 and manifest.left_out["counts"] == {"damaged pictures": 1}
    assert PackedPhotos(tmp_path / "pack", COCO17).load(1).keypoints.shape == (1, 17, 3)


def test_a_shard_that_is_missing_cut_off_or_changed_is_named(photos, tmp_path, capsys):
    folder = tmp_path / "pack"
    packed(photos, folder)
    shard = folder / "photos-000.tar"
    content = shard.read_bytes()
    shard.write_bytes(content[:-1])
    with pytest.raises(SwahrError, match=r"photos-000\.tar has \d+ bytes, but was packed as \d+; copy it again"):
        PackedPhotos(folder, COCO17)
    changed = bytearray(content)
    changed[2000] ^= 255
    shard.write_bytes(changed)
    assert main(["data", "check", str(folder)]) == 2
    assert "photos-000.tar is not what was packed" in capsys.readouterr().out
    shard.unlink()
    with pytest.raises(SwahrError, match=r"photos-000\.tar is missing .*one of 1 shards"):
        PackedPhotos(folder, COCO17)
    (folder / "manifest.json").write_text('{"format": 1}')
    with pytest.raises(SwahrError, match="no manifest of packed photos, or is damaged"):
        PackedPhotos(folder, COCO17)


def test_a_changed_shard_is_found_when_a_pack_is_first_opened(photos, tmp_path):
    pack([photos], tmp_path / "pack", PackOptions(side=77))  # which no other test has in the cache
    shard = tmp_path / "pack" / "photos-000.tar"
    content = bytearray(shard.read_bytes())
    content[2000] ^= 255
    shard.write_bytes(content)
    with pytest.raises(SwahrError, match="is not what was packed"):
        PackedPhotos(tmp_path / "pack", COCO17)


def test_a_pack_of_another_skeleton_is_refused(photos, tmp_path):
    packed(photos, tmp_path / "pack")
    with pytest.raises(SwahrError, match="category 1 has 17 keypoints, but the skeleton crowdpose14 has 14"):
        PackedPhotos(tmp_path / "pack", CROWDPOSE14)


def test_the_commands_pack_check_and_show(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = write_photos(tmp_path / "photos", [(1200, 900), (300, 200)])
    settings = ["--set", f"data.train={path}", "--set", f"data.images={path.parent}"]
    assert main(["data", "pack", "default", "-o", "pack", *settings]) == 0
    said = capsys.readouterr().out
    assert (
        "Packed 2 photos, larger ones reduced to a short side of 640 pixels, with 1 labelled people and 2 regions"
        in said
    )
    assert "--set data.train=pack" in said
    assert main(["data", "check", "pack"]) == 0
    assert "2 images, 1 of them with 1 labelled people." in capsys.readouterr().out
    assert main(["data", "show", "pack", "-o", "shown", "--number", "1"]) == 0
    assert (tmp_path / "shown" / "sample-000.png").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["synthetic"], "synthetic people need no packing"),
        (["default", "labels.json"], "one recipe or annotation files, not both"),
        (["labels.json", "--set", "data.train=x"], "--set changes a recipe"),
        (["default", "--images", "photos"], "A recipe names its pictures"),
        (["gone.json"], "no annotation file gone.json"),
    ],
)
def test_what_is_wrong_with_a_request_is_one_sentence(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["data", "pack", *arguments, "-o", "pack"]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
