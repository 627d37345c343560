"""What is drawn lies where the people are, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.overlay import OverlayStyle, colour, draw_people, line_width, person_hues
from grouping import COCO17, People

GREY = 90


def drawn(people: People, style: OverlayStyle | None = None, size: tuple[int, int] = (200, 240)) -> np.ndarray:
    image = np.full((*size, 3), GREY, np.uint8)
    draw_people(image, people, style)
    return image


def changed(image: np.ndarray) -> np.ndarray:
    return (image != GREY).any(axis=2)


def distance_to_limbs(people: People, size: tuple[int, int]) -> np.ndarray:
    """For each pixel the distance of its centre to the nearest limb of the first person."""
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    points = np.stack([columns, rows], axis=-1)
    distance = np.full(size, np.inf)
    for first, second in people.skeleton.limbs:
        start, end = people.keypoints[0, [first, second], :2].astype(float)
        along = ((points - start) @ (end - start)) / max(1e-9, ((end - start) ** 2).sum())
        nearest = start + along.clip(0, 1)[..., None] * (end - start)
        distance = np.minimum(distance, np.linalg.norm(points - nearest, axis=-1))
    return distance


def test_limbs_are_covered_and_other_pixels_left_alone(tools):
    people = tools.standing_person(240, 200)
    marks = changed(drawn(people))
    distance = distance_to_limbs(people, (200, 240))
    width = line_width(200, 240, 160)
    assert marks[distance < 0.5].all()
    assert not marks[distance > width + 4].any()


def test_drawing_is_anti_aliased(tools):
    people = tools.standing_person(240, 200)
    keypoints = people.keypoints.copy()
    keypoints[0, :, 0] += 0.3 * keypoints[0, :, 1]  # no limb along the pixel grid
    assert len(np.unique(drawn(replace(people, keypoints=keypoints)).reshape(-1, 3), axis=0)) > 40


def test_position_counts_pixel_centres_from_one_half():
    keypoints = np.zeros((1, 17, 3), np.float32)
    keypoints[0, 0] = 100.5, 60.5, 0.9
    people = People(keypoints=keypoints, scores=np.ones(1, np.float32), skeleton=COCO17)
    rows, columns = np.nonzero(changed(drawn(people)))
    assert columns.mean() == pytest.approx(100, abs=0.1)
    assert rows.mean() == pytest.approx(60, abs=0.1)


def test_nobody_changes_nothing():
    assert not changed(drawn(People.empty(COCO17))).any()


def test_keypoints_that_were_not_found_are_not_drawn(tools):
    people = tools.standing_person(240, 200)
    keypoints = people.keypoints.copy()
    keypoints[0, 5:] = 7, 7, 0  # a coordinate that means nothing
    marks = changed(drawn(replace(people, keypoints=keypoints)))
    assert marks.any()
    assert not marks[:15, :15].any()


def test_people_beyond_the_edge_are_cut_off(tools):
    people = tools.standing_person(240, 200)
    for shift in (-150, 150, 100_000):
        moved = people.keypoints.copy()
        moved[0, :, :2] += shift
        drawn(replace(people, keypoints=moved), OverlayStyle(boxes=True))


def test_low_scores_are_faint(tools):
    people = tools.standing_person(240, 200)
    strong = np.abs(drawn(people).astype(int) - GREY).sum()
    unsure = people.keypoints.copy()
    unsure[:, :, 2] = 0.1
    faint = np.abs(drawn(replace(people, keypoints=unsure)).astype(int) - GREY).sum()
    assert 0.25 * strong < faint < 0.55 * strong


def test_left_and_right_differ_clearly_in_every_hue():
    for hue in np.linspace(0, 1, 12, endpoint=False):
        left, right = np.array(colour(hue, "left")), np.array(colour(hue, "right"))
        assert np.abs(left - right).sum() > 100


def test_limbs_have_the_colour_of_their_side(tools):
    people = tools.standing_person(960, 800)
    image = drawn(people, size=(800, 960))
    keypoints = people.keypoints[0]
    for side, (first, second) in {"left": (11, 13), "right": (12, 14)}.items():
        x, y = keypoints[[first, second], :2].mean(axis=0)
        hue = person_hues(people)[0]
        assert np.abs(image[int(y), int(x)].astype(int) - colour(hue, side)).max() < 40


def test_hue_follows_the_id_else_the_place(tools):
    one = tools.standing_person(240, 200)
    left, right = one.keypoints[0].copy(), one.keypoints[0].copy()
    left[:, 0] -= 60
    right[:, 0] += 60

    def crowd(*keypoints, ids=None):
        scores = np.ones(len(keypoints), np.float32)
        return People(keypoints=np.stack(keypoints), scores=scores, skeleton=COCO17, ids=ids)

    assert person_hues(crowd(left, right)) == person_hues(crowd(right, left))[::-1]
    first, second = person_hues(crowd(left, right, ids=np.array([4, 9])))
    assert person_hues(crowd(right, left, ids=np.array([4, 9]))) == [first, second]
    assert first != second


def test_lines_grow_with_the_image_and_shrink_on_small_people():
    assert line_width(360, 640, 300) < line_width(2160, 3840, 2000)
    assert line_width(2160, 3840, 40) < line_width(2160, 3840, 2000)
    assert line_width(64, 64, 10) == 1


def test_boxes_are_drawn_on_demand(tools):
    people = tools.standing_person(240, 200)
    left, top, right, bottom = people.boxes[0].round().astype(int)
    plain, boxed = drawn(people), drawn(people, OverlayStyle(boxes=True))
    between_the_ankles = np.s_[bottom - 1 : bottom + 2, (left + right) // 2]
    assert not changed(plain)[between_the_ankles].any()
    assert changed(boxed)[between_the_ankles].any()
    assert changed(boxed)[: top - 3, left:right].any()  # the score above the box
