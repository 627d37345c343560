"""The result type: validation, selection, boxes, other coordinates."""

from dataclasses import replace

import numpy as np
import pytest

from grouping import COCO17, CROWDPOSE14, People


@pytest.fixture
def people() -> People:
    random = np.random.default_rng(0)
    keypoints = random.uniform(1, 100, (3, 17, 3))
    keypoints[0, 4] = 0  # not found
    return People(
        keypoints,
        [0.9, 0.5, 0.7],
        random.uniform(1, 3, (3, 17)),
        COCO17,
        ids=[7, 8, 9],
        tags=random.normal(size=(3, 2)),
    )


def test_arrays_get_the_documented_types(people):
    assert people.keypoints.dtype == people.scores.dtype == people.sigmas.dtype == people.tags.dtype == np.float32
    assert people.ids.dtype == np.int64


def test_nobody():
    nobody = People.empty(CROWDPOSE14)
    assert nobody.is_empty
    assert len(nobody) == 0
    assert nobody.keypoints.shape == (0, 14, 3)
    assert nobody.boxes.shape == (0, 4)
    assert nobody.transformed([[2, 0, 1], [0, 2, 1]]).is_empty
    assert nobody[[]].is_empty
    assert nobody.values_at(np.ones((14, 5, 5))).shape == (0, 14)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoints": np.zeros((3, 14, 3))}, r"keypoints has shape \[3, 14, 3\], expected \[any, 17, 3\]"),
        ({"keypoints": np.zeros((17, 3))}, r"keypoints has shape \[17, 3\], expected \[any, 17, 3\]"),
        ({"scores": np.zeros(2)}, r"scores has shape \[2\], expected \[3\]"),
        ({"sigmas": np.zeros((3, 14))}, r"sigmas has shape \[3, 14\], expected \[3, 17\]"),
        ({"ids": np.zeros((3, 1), int)}, r"ids has shape \[3, 1\], expected \[3\]"),
        ({"tags": np.zeros(3)}, r"tags has shape \[3\], expected \[3, any\]"),
        ({"tags": np.full((3, 1), np.inf)}, "tags holds a value that is not a finite number"),
        ({"scores": [0, np.nan, 0]}, "scores holds a value that is not a finite number"),
    ],
)
def test_what_does_not_fit_is_refused(people, change, message):
    with pytest.raises(ValueError, match=message):
        replace(people, **change)


def test_a_skeletons_name_is_no_skeleton(people):
    with pytest.raises(TypeError, match=r"grouping\.Skeleton"):
        replace(people, skeleton="coco17")


@pytest.mark.parametrize(
    ("index", "rows"),
    [
        (1, [1]),
        (-1, [2]),
        (np.int64(0), [0]),
        (slice(1, None), [1, 2]),
        ([2, 0], [2, 0]),
        (np.array([True, False, True]), [0, 2]),
        ([], []),
    ],
)
def test_selection_takes_every_array_along(people, index, rows):
    chosen = people[index]
    assert isinstance(chosen, People)
    np.testing.assert_array_equal(chosen.keypoints, people.keypoints[rows])
    np.testing.assert_array_equal(chosen.scores, people.scores[rows])
    np.testing.assert_array_equal(chosen.sigmas, people.sigmas[rows])
    np.testing.assert_array_equal(chosen.ids, people.ids[rows])
    np.testing.assert_array_equal(chosen.tags, people.tags[rows])


def test_a_mask_of_another_length_and_an_index_beyond_the_end_are_refused(people):
    with pytest.raises(IndexError):
        people[np.array([True, False])]
    with pytest.raises(IndexError, match="person 3 of 3"):
        people[3]


def test_iteration_gives_one_person_after_the_other(people):
    assert [person.ids.tolist() for person in people] == [[7], [8], [9]]


def test_boxes_leave_out_what_was_not_found():
    keypoints = np.zeros((2, 17, 3))
    keypoints[0, 3], keypoints[0, 9] = (10, 40, 0.5), (30, 20, 0.5)
    keypoints[0, 5] = 1000, 1000, 0
    boxes = People(keypoints, [1, 0]).boxes
    assert boxes.dtype == np.float32
    assert boxes.tolist() == [[10, 20, 30, 40], [0, 0, 0, 0]]


def test_transformed_moves_what_was_found_and_scales_sigmas(people):
    moved = people.transformed([[0, -2, 10], [3, 0, 20]])  # a quarter turn, 2 and 3 times as large
    found = people.found
    np.testing.assert_allclose(moved.keypoints[found][:, 0], 10 - 2 * people.keypoints[found][:, 1], rtol=1e-5)
    np.testing.assert_allclose(moved.keypoints[found][:, 1], 20 + 3 * people.keypoints[found][:, 0], rtol=1e-5)
    np.testing.assert_allclose(moved.sigmas, people.sigmas * np.sqrt(6), rtol=1e-5)
    assert moved.keypoints[0, 4].tolist() == [0, 0, 0]
    np.testing.assert_array_equal(moved.keypoints[:, :, 2], people.keypoints[:, :, 2])
    np.testing.assert_array_equal(moved.ids, people.ids)
    np.testing.assert_array_equal(moved.tags, people.tags)
    assert moved.sigmas.dtype == moved.keypoints.dtype == np.float32


def test_transformed_there_and_back_is_where_it_was(people):
    there = np.array([[1.5, 0.2, -3], [-0.4, 0.8, 12]])
    back = np.linalg.inv(np.vstack((there, [0, 0, 1])))[:2]
    same = people.transformed(there).transformed(back)
    np.testing.assert_allclose(same.keypoints, people.keypoints, atol=1e-3)
    np.testing.assert_allclose(same.sigmas, people.sigmas, rtol=1e-5)


def test_transformed_refuses_other_shapes(people):
    with pytest.raises(ValueError, match=r"shape \[3, 3\], expected \[2, 3\]"):
        people.transformed(np.eye(3))


def test_values_at_reads_each_keypoints_own_pixel():
    maps = np.arange(17 * 4 * 5, dtype=np.float32).reshape(17, 4, 5)
    keypoints = np.zeros((1, 17, 3))
    keypoints[0, 2] = 3.75, 1.25, 0.9
    keypoints[0, 6] = 5.2, -0.3, 0.9  # a little outside: the border's pixel
    values = People(keypoints, [1]).values_at(maps)
    assert values[0, 2] == maps[2, 1, 3]
    assert values[0, 6] == maps[6, 0, 4]
    assert np.count_nonzero(values) == 2
    with pytest.raises(ValueError, match=r"expected \[17, h, w\]"):
        People(keypoints, [1]).values_at(maps[:14])


def test_keypoints_next_to_nothing_are_not_credible_and_do_not_widen_the_box():
    keypoints = np.zeros((2, 17, 3), np.float32)
    keypoints[0, 0], keypoints[0, 1], keypoints[0, 2] = (10, 20, 0.8), (30, 50, 0.1), (900, 900, 0.01)
    people = People(keypoints, np.array([0.3, 0.0], np.float32))
    assert people.credible[0].tolist() == [True, True] + [False] * 15
    assert not people.credible[1].any()
    assert people.boxes.tolist() == [[10, 20, 30, 50], [0, 0, 0, 0]]
    assert People.empty(COCO17).credible.shape == (0, 17)


def test_people_become_supervisions_keypoints():
    supervision = pytest.importorskip("supervision", reason="supervision is not installed")
    keypoints = np.random.default_rng(0).uniform(10, 90, (3, 17, 3)).astype(np.float32)
    keypoints[:, :, 2] /= 100
    keypoints[1, 4] = 33, 44, 0
    people = People(keypoints, np.array([0.9, 0.5, 0.4]), np.full((3, 17), 2.5), ids=np.array([4, 7, 9]))
    converted = people.to_supervision()
    assert isinstance(converted, supervision.KeyPoints) and len(converted) == 3
    np.testing.assert_array_equal(converted.xy[people.found], people.keypoints[people.found][:, :2])
    assert converted.xy[1, 4].tolist() == [0, 0] and not converted.visible[1, 4] and converted.visible.sum() == 50
    np.testing.assert_array_equal(converted.keypoint_confidence, people.keypoints[:, :, 2])
    np.testing.assert_array_equal(converted.detection_confidence, people.scores)
    np.testing.assert_array_equal(converted.data["tracker_id"], people.ids)
    np.testing.assert_array_equal(converted.data["sigma"], people.sigmas)
    scene = np.zeros((100, 100, 3), np.uint8)
    edges = [(limb[0] + 1, limb[1] + 1) for limb in people.skeleton.limbs]
    assert supervision.EdgeAnnotator(edges=edges).annotate(scene, converted).any()


def test_nobody_becomes_no_keypoints_of_supervision():
    pytest.importorskip("supervision", reason="supervision is not installed")
    assert len(People.empty(COCO17).to_supervision()) == 0
