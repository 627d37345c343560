"""Training pictures: the same for the same seed and number, consistent within, and mixed as asked."""

import json

import cv2
import numpy as np
import pytest
import torch

from engine.errors import SwahrError
from engine.training.augment import Augmentation
from engine.training.coco import CocoPhotos
from engine.training.samples import Mixture, TrainingSamples
from grouping import COCO17


@pytest.fixture
def photos(tmp_path):
    """Two red photos with a person and one blue photo, of another source, without."""
    images, annotations = [], []
    for number, (colour, source) in enumerate((("red", "a"), ("red", "a"), ("blue", "b"))):
        pixels = np.full((90, 120, 3), (200, 20, 20) if colour == "red" else (20, 20, 200), np.uint8)
        cv2.imwrite(str(tmp_path / f"{number}.png"), pixels[..., ::-1])
        images.append({"id": number, "file_name": f"{number}.png", "width": 120, "height": 90, "source": source})
        if colour == "red":
            keypoints = [value for k in range(17) for value in (40 + 2 * k, 30 + 2 * k, 2)]
            annotations.append({"id": number, "image_id": number, "iscrowd": 0, "keypoints": keypoints})
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return CocoPhotos(path, tmp_path, COCO17)


def samples(photos, augmentation=None, seed=0, **mixture):
    mixture = Mixture(size=64, **{"mosaic": 0.0, "synthetic": 0.0, **mixture})
    return TrainingSamples(photos, COCO17, mixture, augmentation or Augmentation(), seed, 100)


def is_red(sample):
    return float(sample["image"][0].float().mean()) > float(sample["image"][2].float().mean())


def test_a_sample_depends_on_seed_and_number_alone(photos):
    one, again = samples(photos, mosaic=0.5, synthetic=0.3), samples(photos, mosaic=0.5, synthetic=0.3)
    again[3], again[8]
    for number in (0, 5, 9):
        for name, value in one[number].items():
            assert torch.equal(value, again[number][name])
    other = samples(photos, seed=1, mosaic=0.5, synthetic=0.3)
    assert any(not torch.equal(one[number]["image"], other[number]["image"]) for number in range(3))


def test_shapes_and_types(photos):
    sample = samples(photos, mosaic=0.5)[0]
    shapes = {name: (tuple(value.shape), value.dtype) for name, value in sample.items()}
    assert shapes == {
        "image": ((3, 64, 64), torch.uint8),
        "coarse": ((17, 16, 16), torch.float16),
        "coarse_mask": ((16, 16), torch.uint8),
        "fine": ((17, 32, 32), torch.float16),
        "fine_mask": ((32, 32), torch.uint8),
        "tags": ((30, 17, 2), torch.int64),
    }


def test_tags_are_read_at_the_peaks_of_the_coarse_target(photos):
    plain = Augmentation(rotation=0, scale=(1, 1), translation=0, flip=0, photometric=0)
    dataset = samples(photos, plain, source_weights={"b": 0.0})
    sample = dataset[0]
    flat = sample["coarse"].flatten()
    index, labelled = sample["tags"][0].T
    assert labelled.bool().all() and (flat[index] == 1).all()
    assert not sample["tags"][1:].any()


def test_source_weights_choose_the_photos(photos):
    only_red = samples(photos, source_weights={"b": 0.0})
    only_blue = samples(photos, source_weights={"a": 0.0})
    assert all(is_red(only_red[number]) for number in range(10))
    assert not any(is_red(only_blue[number]) for number in range(10))


def test_mosaics_show_several_photos_and_cover_the_picture(photos):
    close = Augmentation(rotation=0, scale=(0.3, 0.3), translation=0, photometric=0)
    dataset = samples(photos, close, mosaic=1.0)
    colours = set()
    for number in range(12):
        image = dataset[number]["image"].numpy()
        assert (image.sum(0) > 0).all()  # every window is filled to its borders
        colours.add(len(np.unique(image.reshape(3, -1), axis=1).T))
    assert max(colours) >= 2


def test_synthetic_people_need_no_photos():
    sample = samples(None)[0]
    assert sample["tags"][0, :, 1].any() and sample["fine"].max() == 1 and sample["fine_mask"].all()


def test_synthetic_people_have_the_sizes_asked_for():
    few = samples(None, synthetic_people=(1, 1), synthetic_sizes=(30, 40))
    for number in range(6):
        (keypoints,) = few.compose(np.random.default_rng(number))[2]
        seen = keypoints[keypoints[:, 2] > 0, :2]
        assert np.ptp(seen, axis=0).max() < 60  # a standing height of 40, with raised arms at most half more
    with pytest.raises(SwahrError, match=r"synthetic_sizes is \[40, 30\]"):
        Mixture(synthetic_sizes=(40, 30))


def test_naive_shr_targets_by_hand(tmp_path):
    # Two people on one photo as it is: nose and one ankle 16 and 64 pixels apart, with W_base = 32 and σ₀ = 2.
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((128, 128, 3), np.uint8))
    images = [{"id": 1, "file_name": "a.png", "width": 128, "height": 128}]
    annotations = []
    for number, (left, right, y) in enumerate(((20, 36, 30), (30, 94, 90))):
        keypoints = [0] * 51
        keypoints[:3], keypoints[48:] = (left, y, 2), (right, y + 8, 1)
        annotations.append({"id": number, "image_id": 1, "iscrowd": 0, "keypoints": keypoints})
    (tmp_path / "t.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    photos = CocoPhotos(tmp_path / "t.json", tmp_path, COCO17)
    plain = Augmentation(rotation=0, scale=(1, 1), translation=0, flip=0, photometric=0)
    mixture = Mixture(size=128, mosaic=0.0, synthetic=0.0)
    sample = TrainingSamples(photos, COCO17, mixture, plain, 0, 1, base_width=32.0)[0]
    for name, stride in (("fine", 2), ("coarse", 4)):
        nose = sample[name][0].float().numpy()
        for x, y, sigma in ((20, 30, 2 * 16 / 32), (30, 90, 2 * 64 / 32)):
            x, y = x // stride, y // stride
            assert nose[y, x] == 1
            assert nose[y, x + 2] == pytest.approx(np.exp(-(2**2) / (2 * sigma**2)), abs=1e-3)  # float16
            assert nose[y, x + int(3 * sigma)] > 0 and nose[y, x + int(3 * sigma) + 1] == 0
