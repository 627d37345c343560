"""A thousand warps, flips and mosaics: a bright spot, its keypoint, its hole in the mask, its heatmap stay together."""

import json
import math

import cv2
import numpy as np
import pytest

from engine.training.augment import Augmentation, Window, place, random_affine
from engine.training.coco import CocoPhotos, LabelledImage
from engine.training.samples import Mixture, TrainingSamples
from engine.training.targets import render_heatmaps
from grouping import COCO17

SIDE, HOLE = 256, 14  # pixels: of the canvas, and around the labelled pixel those that are ignored
RANGES = Augmentation(rotation=45, scale=(0.4, 2.5), translation=0.3)


def random_size(rng):
    return tuple(int(side) for side in rng.integers(90, 700, 2))


def shining_photo(rng, size, spot=2):
    """A dark photo with one labelled pixel, from which light reaches `spot` pixels far, and 29×29 that are ignored."""
    width, height = size
    x, y = (int(rng.integers(HOLE, side - HOLE)) for side in (width, height))
    image = np.zeros((height, width, 3), np.uint8)
    image[y - spot : y + spot + 1, x - spot : x + spot + 1] = 255
    keypoints = np.zeros((1, 17, 3), np.float32)
    keypoint = int(rng.integers(17))
    keypoints[0, keypoint] = x + 0.5, y + 0.5, 2
    left, top, right, bottom = x - HOLE, y - HOLE, x + HOLE + 1, y + HOLE + 1
    hole = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float32)
    return LabelledImage(image, keypoints, [hole]), keypoint


def random_windows(rng):
    """The whole canvas, or two to four parts of it."""
    if rng.random() < 0.4:
        return [Window(0, 0, SIDE, SIDE)]
    x, y = (int(v) for v in rng.uniform(0.3, 0.7, 2) * SIDE)
    if rng.random() < 0.3:
        return [Window(0, 0, x, SIDE), Window(x, 0, SIDE - x, SIDE)]
    rows, columns = ((0, y), (y, SIDE - y)), ((0, x), (x, SIDE - x))
    return [Window(left, top, width, height) for top, height in rows for left, width in columns]


def middle(weights):
    """The centre of gravity x, y of weights [h,w], pixel centres at integers + 0.5."""
    y, x = np.mgrid[: weights.shape[0], : weights.shape[1]] + 0.5
    return np.array([(x * weights).sum(), (y * weights).sum()]) / weights.sum()


def well_inside(point, reach, window):
    x, y = point - (window.x, window.y)
    return reach < x < window.width - reach and reach < y < window.height - reach


@pytest.mark.slow
def test_a_bright_pixel_and_its_keypoint_land_together():
    checked = 0
    worst = dict.fromkeys(("image", 2, 4, "mask 1", "mask 2", "mask 4"), 0.0)
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        for window in random_windows(rng):
            size = random_size(rng)
            matrix, flipped = random_affine(rng, size, window, RANGES)
            zoom = math.sqrt(abs(np.linalg.det(matrix[:, :2])))
            # A spot of a fraction of a canvas pixel says no more about where it is than that pixel.
            photo, keypoint = shining_photo(rng, size, spot=min(HOLE, math.ceil(1 / zoom)))
            people, canvas, holes = place_with_hole(photo, matrix, flipped, window)
            if not len(people) or not well_inside(people[people[..., 2] > 0][0, :2], 1.5 * HOLE * zoom + 2, window):
                continue
            found = np.flatnonzero(people[0, :, 2])
            assert found.tolist() == [COCO17.flip_indices[keypoint] if flipped else keypoint]
            point = people[0, found[0], :2]
            worst["image"] = max(worst["image"], np.abs(middle(canvas[..., 0].astype(float)) - point).max())
            for stride, hole in holes.items():
                if (2 * HOLE + 1) * zoom < 2 * stride:
                    continue  # between the centres of pixels there is room for so small a hole
                off = np.abs(middle(hole.astype(float)) - point / stride).max()  # in pixels of the map
                worst[f"mask {stride}"] = max(worst[f"mask {stride}"], off)
            for stride in (2, 4):
                target = render_heatmaps(people * (1 / stride, 1 / stride, 1), SIDE // stride, SIDE // stride)
                peak = np.unravel_index(target[found[0]].argmax(), target.shape[1:])
                off = np.abs(np.array(peak)[::-1] + 0.5 - point / stride).max()  # in pixels of the map
                worst[stride] = max(worst[stride], off)
                assert target.max() == 1 and np.count_nonzero(target.max((1, 2))) == 1
            checked += 1
    assert checked > 1000
    assert max(worst.values()) <= 0.5 + 1e-4, worst


def place_with_hole(photo, matrix, flipped, window):
    """The people, the canvas, and what the ignored region takes from the masks of the canvas and of its maps."""
    canvas = np.zeros((SIDE, SIDE, 3), np.uint8)
    whole, masks = ([np.zeros((SIDE // stride,) * 2, np.uint8) for stride in (1, 2, 4)] for _ in range(2))
    place(LabelledImage(photo.image, photo.keypoints), matrix, flipped, window, canvas, whole, COCO17)
    people = place(photo, matrix, flipped, window, canvas, masks, COCO17)
    return people, canvas, {SIDE // len(mask): before > mask for before, mask in zip(whole, masks, strict=True)}


@pytest.fixture
def photos(tmp_path):
    """Grey photos with one shining, labelled pixel each and an ignored square beside it, as a data set."""
    labels = {"images": [], "annotations": []}
    rng = np.random.default_rng(0)
    for number in range(12):
        photo, _ = shining_photo(rng, random_size(rng))
        height, width = photo.image.shape[:2]
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.maximum(photo.image, 40))
        labels["images"].append({"id": number, "file_name": f"{number}.png", "width": width, "height": height})
        keypoints = (photo.keypoints[0] - (0.5, 0.5, 0)) * (photo.keypoints[0, :, 2:] > 0)
        person = {"id": 2 * number, "image_id": number, "iscrowd": 0, "keypoints": keypoints.ravel().tolist()}
        crowd = {"id": 2 * number + 1, "image_id": number, "iscrowd": 1}
        crowd["segmentation"] = [photo.ignored[0].ravel().tolist()]
        labels["annotations"] += [person, crowd]
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    return CocoPhotos(tmp_path / "labels.json", tmp_path, COCO17)


@pytest.mark.slow
def test_what_training_is_given_belongs_together(photos):
    ranges = Augmentation(rotation=30, scale=(0.75, 1.5), translation=0.1, photometric=0)
    samples = TrainingSamples(photos, COCO17, Mixture(size=SIDE, mosaic=0, synthetic=0), ranges, 0, 200)
    checked = 0
    for index in range(200):
        sample = samples[index]
        _, _, people = samples.compose(np.random.default_rng((0, index)))
        light = sample["image"][0].numpy().astype(float) - 60  # the photo's 40, and what interpolation adds
        light = np.where(light > 0, light, 0)
        indices, labelled = sample["tags"].numpy()[0].T
        if not labelled.any() or light.sum() == 0:
            continue
        (k,) = np.flatnonzero(labelled)
        spot = middle(light)
        if not (spot.min() > 16 and spot.max() < SIDE - 16):
            continue
        point = people[0, k, :2]
        assert np.abs(spot - point).max() <= 0.5
        for name, stride in (("fine", 2), ("coarse", 4)):
            target = sample[name][k].float().numpy()
            peak = np.array(np.unravel_index(target.argmax(), target.shape))[::-1] + 0.5
            assert np.abs(peak - point / stride).max() <= 0.5
            assert sample[name].float().amax((1, 2)).numpy().nonzero()[0].tolist() == [k]
            mask = sample[f"{name}_mask"].numpy()
            assert mask[int(peak[1]), int(peak[0])] == 0  # the ignored square lies around the spot
            _, regions = cv2.connectedComponents((mask == 0).astype(np.uint8), connectivity=4)
            hole = regions == regions[int(peak[1]), int(peak[0])]
            if not (hole[0].any() or hole[-1].any() or hole[:, 0].any() or hole[:, -1].any()):
                assert np.abs(middle(hole.astype(float)) - point / stride).max() <= 0.5
                checked += 1
        size = sample["coarse"].shape[-1]
        place_of_tag = np.array([indices[k] % size, indices[k] // size % size]) + 0.5
        assert np.abs(place_of_tag - point / 4).max() <= 0.5 and indices[k] // size**2 == k
    assert checked > 150
