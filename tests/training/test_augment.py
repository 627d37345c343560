"""Pictures, masks and keypoints move together: single bright pixels prove it."""

import numpy as np
import pytest

from engine.training.augment import Augmentation, Window, change_colours, place, random_affine
from engine.training.coco import LabelledImage
from grouping import COCO17

WHOLE = Window(0, 0, 128, 128)


def bright_photo(x, y, width=200, height=160):
    """A black photo with a bright 5×5 spot around pixel (x, y) and a person whose nose is there."""
    image = np.zeros((height, width, 3), np.uint8)
    image[y - 2 : y + 3, x - 2 : x + 3] = 255
    keypoints = np.zeros((1, 17, 3), np.float32)
    keypoints[0, 0] = x + 0.5, y + 0.5, 2
    return LabelledImage(image, keypoints)


def placed(photo, matrix, flipped=False, window=WHOLE, side=128):
    canvas, mask = np.zeros((side, side, 3), np.uint8), np.zeros((side, side), np.uint8)
    keypoints = place(photo, matrix, flipped, window, canvas, [mask], COCO17)
    return canvas, mask, keypoints


def centre_of_light(canvas):
    light = canvas[..., 0].astype(float)
    y, x = np.mgrid[: light.shape[0], : light.shape[1]]
    return ((x + 0.5) * light).sum() / light.sum(), ((y + 0.5) * light).sum() / light.sum()


@pytest.mark.parametrize("seed", range(12))
def test_the_keypoint_stays_on_its_bright_spot(seed):
    rng = np.random.default_rng(seed)
    photo = bright_photo(100, 80)
    ranges = Augmentation(scale=(0.4, 3.0), translation=0.05)  # down to a fifth: through the averaging shrink too
    matrix, flipped = random_affine(rng, (200, 160), WHOLE, ranges)
    canvas, _, keypoints = placed(photo, matrix, flipped)
    assert keypoints.shape == (1, 17, 3)
    assert keypoints[0, 0, :2] == pytest.approx(centre_of_light(canvas), abs=0.35)


def test_identity_copies_the_pixels():
    image = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
    photo = LabelledImage(image, np.zeros((0, 17, 3), np.float32))
    canvas, mask, keypoints = placed(photo, np.eye(2, 3))
    assert np.array_equal(canvas, image) and mask.all() and len(keypoints) == 0


def test_mirroring_exchanges_left_and_right():
    photo = bright_photo(100, 80)
    photo.keypoints[0, 5] = 120.5, 80.5, 1  # left shoulder
    rng = np.random.default_rng(0)
    matrix, flipped = random_affine(rng, (200, 160), WHOLE, Augmentation(rotation=0, flip=1.0, translation=0))
    _, _, keypoints = placed(photo, matrix, flipped)
    assert flipped and keypoints[0, 5, 2] == 0 and keypoints[0, 6, 2] == 1  # now the right shoulder
    assert keypoints[0, 6, 0] < keypoints[0, 0, 0]  # and on the other side of the nose


def test_people_outside_the_window_are_left_out():
    window = Window(64, 0, 64, 64)
    shift = np.array([[1.0, 0, 0], [0, 1, 0]])
    _, mask, keypoints = placed(bright_photo(20, 20), shift, window=window)
    assert len(keypoints) == 0  # (20, 20) lies in the picture, but in somebody else's window
    _, _, keypoints = placed(bright_photo(80, 20), shift, window=window)
    assert keypoints[0, 0].tolist() == [80.5, 20.5, 2]
    assert not mask[:, :64].any() and mask[:64, 64:].all() and not mask[64:].any()


def test_ignored_regions_and_the_outside_are_masked():
    photo = bright_photo(100, 80)
    photo.ignored.append(np.array([(0, 0), (40, 0), (40, 30), (0, 30)], np.float32))
    _, mask, _ = placed(photo, np.array([[0.5, 0, 10], [0, 0.5, 20]]))
    assert mask[25, 15] == 0 and mask[33, 28] == 0  # inside the region, now 20×15 pixels at (10, 20)
    assert mask[40, 15] == 1 and mask[25, 35] == 1
    assert mask[10, 60] == 0 and mask[110, 60] == 0  # above and below the photo


@pytest.mark.parametrize("left", [10, 11])
def test_ignored_boxes_cover_whole_pixels(left):
    photo = bright_photo(100, 80)
    photo.ignored.append(np.array([(left, 4), (30, 4), (30, 20), (left, 20)], np.float32))
    _, mask, _ = placed(photo, np.eye(2, 3))
    columns, rows = np.flatnonzero(mask[10] == 0), np.flatnonzero(mask[:, 15] == 0)
    assert columns[0] == left and columns[-1] == 29 and rows[0] == 4 and rows[-1] == 19


def test_focus_turns_the_view_to_a_person():
    person = np.zeros((1, 17, 3), np.float32)
    person[0, 0], person[0, 16] = (150, 20, 2), (160, 60, 2)
    ranges = Augmentation(rotation=0, translation=0, flip=0, focus=1.0)
    extents = []
    for seed in range(20):
        matrix, _ = random_affine(np.random.default_rng(seed), (200, 160), WHOLE, ranges, person)
        assert matrix @ (155, 40, 1) == pytest.approx((64, 64))
        extents.append(40 * matrix[0, 0])
    assert 0.2 * 128 < min(extents) < 0.4 * 128 and max(extents) <= 40 * 2.5 * 128 / 160 + 1e-6


def test_scale_is_the_part_of_the_short_side_that_fills_the_window():
    rng = np.random.default_rng(0)
    ranges = Augmentation(rotation=0, scale=(0.5, 0.5), translation=0, flip=0)
    matrix, _ = random_affine(rng, (200, 160), WHOLE, ranges)
    assert matrix[:, :2] == pytest.approx(np.eye(2) * 128 / 80)
    assert matrix @ (100, 80, 1) == pytest.approx((64, 64))


def test_colours_change_but_shape_and_type_do_not():
    image = np.random.default_rng(0).integers(0, 255, (32, 48, 3), np.uint8)
    for seed in range(20):
        changed = change_colours(np.random.default_rng(seed), image)
        assert changed.shape == image.shape and changed.dtype == np.uint8
        assert not np.array_equal(changed, image)
