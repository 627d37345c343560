"""What is held against a compiled network's answers."""

from __future__ import annotations

import pytest
import torch

from app.bench.grouping import crowd_outputs
from engine.proof import TOLERANCES, objection, shown_pixels
from grouping import COCO17, GroupingOptions


@pytest.fixture(scope="module")
def truth():
    coarse, fine = crowd_outputs(5, 256)
    return torch.from_numpy(coarse[:, 17:]), torch.from_numpy(fine)


def said(truth, change, precision="bfloat16"):
    answers = tuple(maps.clone() for maps in truth)
    change(*answers)
    return objection(answers, truth, precision, GroupingOptions(), COCO17)


@pytest.mark.parametrize("precision", TOLERANCES)
def test_the_same_answers_are_right(truth, precision):
    assert said(truth, lambda coarse, fine: None, precision) is None


def test_maps_that_say_nothing_new_may_be_left_out_and_others_may_not(truth):
    coarse = truth[0]
    said_twice = coarse, torch.nn.functional.interpolate(coarse[:, :17], scale_factor=2, mode="bilinear")
    answers = coarse, coarse.new_empty(1, 0, *said_twice[1].shape[2:])
    assert objection(answers, said_twice, "float32", GroupingOptions(), COCO17) is None
    wrong = coarse.roll(4, -1), answers[1]
    assert "heatmaps are off" in objection(wrong, said_twice, "float32", GroupingOptions(), COCO17)
    half = coarse, said_twice[1][:, :5]
    assert "instead of" in objection(half, said_twice, "float32", GroupingOptions(), COCO17)


def test_the_noise_of_half_precision_is_allowed_and_more_is_not(truth):
    noise = torch.randn(truth[1].shape, generator=torch.Generator().manual_seed(0))

    def add(share):
        return lambda coarse, fine: fine.add_(share * noise)

    assert said(truth, add(0.004)) is None
    assert "heatmaps are off by 0.2" in said(truth, add(0.2))
    assert "heatmaps are off" in said(truth, add(0.02), "float32")


def test_tags_that_tear_people_apart_are_found(truth):
    def tear(coarse, fine):
        coarse[:, 17 : 17 + 9] += 40

    complaint = said(truth, tear)
    assert "invents" in complaint and "people on the test picture" in complaint


def test_tags_that_join_people_are_found(truth):
    def join(coarse, fine):
        coarse[:, 17:] *= 0.001

    assert "misses" in said(truth, join) or "invents" in said(truth, join)


def test_a_shift_is_found(truth):
    def shift(coarse, fine):
        for maps in (coarse, fine):
            maps.copy_(maps.roll(2, -1))

    assert "heatmaps are off" in said(truth, shift, "int8")


def test_the_picture_shows_people_at_any_shape():
    for shape in ((1, 64, 64), (2, 384, 704), (1, 704, 384)):
        pixels = shown_pixels(shape)
        assert pixels.shape == (*shape, 3) and pixels.dtype == torch.uint8
        assert pixels.float().std() > 20
