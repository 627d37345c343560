"""Run-length masks and regions: COCO's own tools must see the same pixels."""

import cv2
import numpy as np
import pytest
from pycocotools import mask as official

from engine.training.filling import fill
from engine.training.regions import rings_around, rings_of
from engine.training.rle import mask_of

# pycocotools' own, with NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def blobs(seed, width=90, height=70):
    """A mask with several regions, some with holes, some a single pixel or a line, some at the border."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint8)
    for _ in range(rng.integers(1, 6)):
        centre = tuple(int(v) for v in rng.uniform(0, (width, height)))
        cv2.circle(mask, centre, int(rng.integers(4, 22)), 1, -1)
    for _ in range(rng.integers(0, 5)):
        centre = tuple(int(v) for v in rng.uniform(0, (width, height)))
        cv2.circle(mask, centre, int(rng.integers(1, 7)), 0, -1)
    mask[rng.integers(height), rng.integers(width)] = 1
    mask[rng.integers(height), 3:9] = 1
    return mask


def packed(mask):
    return official.encode(np.asfortranarray(mask))


def unpacked(mask):
    flat = mask.flatten(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flat)))).tolist()
    return {"counts": np.diff([0, *edges, flat.size]).tolist(), "size": list(mask.shape)}


@pytest.mark.parametrize("seed", range(40))
def test_both_kinds_of_run_lengths_give_the_pixels_that_coco_sees(seed):
    mask = blobs(seed)
    for rle in (packed(mask), unpacked(mask), {**packed(mask), "counts": packed(mask)["counts"].decode()}):
        assert np.array_equal(mask_of(rle, (90, 70)), mask)
    assert np.array_equal(official.decode(official.frPyObjects(unpacked(mask), 70, 90)), mask)


@pytest.mark.parametrize("seed", range(10))
def test_noise_with_thousands_of_runs_survives(seed):
    mask = (np.random.default_rng(seed).random((130, 170)) < 0.5).astype(np.uint8)
    assert np.array_equal(mask_of(packed(mask), (170, 130)), mask)


@pytest.mark.parametrize("full", [0, 1])
def test_an_empty_and_a_full_mask(full):
    mask = np.full((7, 5), full, np.uint8)
    assert np.array_equal(mask_of(packed(mask), (5, 7)), mask)


@pytest.mark.parametrize("seed", range(40))
def test_filling_the_rings_gives_the_mask_again(seed):
    mask = blobs(seed)
    filled = np.zeros_like(mask)
    for ring in rings_around(mask):
        assert len(ring) >= 3
        fill(filled, ring, 1)
    assert np.array_equal(filled, mask)


def test_a_region_with_a_hole_leaves_the_hole_out():
    mask = np.zeros((60, 80), np.uint8)
    mask[10:50, 10:70] = 1
    mask[25:35, 30:50] = 0
    (ring,) = rings_around(mask)
    filled = np.zeros_like(mask)
    fill(filled, ring, 1)
    assert np.array_equal(filled, mask)


def test_a_person_is_covered_by_polygons_else_by_run_lengths_else_by_the_box():
    polygon = [1, 2, 30, 2, 30, 40]
    assert [ring.tolist() for ring in rings_of({"segmentation": [polygon], "bbox": [0, 0, 9, 9]}, (90, 70))] == [
        [[1, 2], [30, 2], [30, 40]]
    ]
    assert len(rings_of({"segmentation": unpacked(blobs(3))}, (90, 70))) >= 1
    for nothing in ({}, {"segmentation": []}, {"segmentation": None}):
        assert rings_of({**nothing, "bbox": [5, 6, 10, 20]}, (90, 70))[0].tolist() == [
            [5, 6],
            [15, 6],
            [15, 26],
            [5, 26],
        ]


@pytest.mark.parametrize(
    ("rle", "said"),
    [
        ({"counts": [10, 5], "size": [7, 5]}, "a mask of 15 pixels in a picture of 35"),
        ({"counts": [35], "size": [5, 7]}, "a mask of size [5, 7] (height, width) in a picture of 5x7 pixels"),
        ({"counts": [40, -5], "size": [7, 5]}, "a negative run length"),
        ({"counts": [3.5, 31.5], "size": [7, 5]}, "neither whole numbers nor COCO's string"),
        ({"counts": [[1], [2, 3]], "size": [7, 5]}, "neither whole numbers nor COCO's string"),
        ({"counts": None, "size": [7, 5]}, "neither whole numbers nor COCO's string"),
        ({"counts": "~~", "size": [7, 5]}, "the character '~'"),
        ({"counts": "3P", "size": [7, 5]}, "cut off"),
    ],
)
def test_what_is_wrong_with_a_mask_is_said(rle, said):
    with pytest.raises(ValueError, match=r"^has a mask ") as error:
        mask_of(rle, (5, 7))
    assert said in str(error.value)
