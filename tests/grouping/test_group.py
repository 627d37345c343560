"""group() against cases worked out by hand, and what it refuses."""

import numpy as np
import pytest

from grouping import GroupingOptions, Skeleton, group


def line(num_keypoints: int) -> Skeleton:
    names = tuple(f"point{index}" for index in range(num_keypoints))
    return Skeleton("line", names, limbs=(), oks_sigmas=(0.1,) * num_keypoints)


def values(people) -> list[list[float]]:
    """The heatmap values of the people's keypoints, by which the tests know which peak went where."""
    return np.round(people.keypoints[:, :, 2].astype(float), 4).tolist()


detected = GroupingOptions(refine=False)


def test_two_people_by_hand(maps):
    drawn = maps(2).put(0, 5, 6, 0.9, tag=0).put(0, 20, 6, 0.8, tag=3)
    drawn.put(1, 21, 15, 0.7, tag=3.2).put(1, 6, 15, 0.6, tag=-0.2)
    drawn.heatmaps[0, 6, 6] = 0.05  # right of the first peak is higher, above it too
    drawn.heatmaps[0, 5, 5] = 0.05
    people = group(drawn.heatmaps, drawn.tags, GroupingOptions(), line(2))
    expected = [[[5.75, 6.25, 0.9], [6.25, 15.25, 0.6]], [[20.25, 6.25, 0.8], [21.25, 15.25, 0.7]]]
    np.testing.assert_allclose(people.keypoints, expected, atol=1e-6)
    np.testing.assert_allclose(people.scores, [0.75, 0.75], atol=1e-6)
    assert people.sigmas is None
    np.testing.assert_allclose(people.tags, [[-0.1], [3.1]], atol=1e-6)


def test_without_adjust_coordinates_are_pixel_indices(maps):
    drawn = maps(1).put(0, 5, 6, 0.9, tag=0)
    people = group(drawn.heatmaps, drawn.tags, GroupingOptions(adjust=False, refine=False), line(1))
    assert people.keypoints[0, 0, :2].tolist() == [5, 6]


def test_at_the_border_the_pixel_stands_for_its_missing_neighbour(maps):
    drawn = maps(1).put(0, 31, 0, 0.9, tag=0).put(0, 0, 23, 0.8, tag=5)
    people = group(drawn.heatmaps, drawn.tags, detected, line(1))
    # The peak is higher than its one neighbour, so it moves outward: right and up, left and down.
    assert people.keypoints[:, 0, :2].tolist() == [[31.75, 0.25], [0.25, 23.75]]


def test_the_threshold_is_strict(maps):
    drawn = maps(1).put(0, 5, 6, 0.5, tag=0).put(0, 20, 6, np.nextafter(np.float32(0.5), 1), tag=9)
    people = group(drawn.heatmaps, drawn.tags, GroupingOptions(detection_threshold=0.5), line(1))
    assert people.keypoints[:, 0, 0].tolist() == [20.25]


@pytest.mark.parametrize(("distance", "people"), [(0.75, 1), (1.0, 2), (1.25, 2)])
def test_a_candidate_joins_only_under_the_tag_threshold(maps, distance, people):
    drawn = maps(2).put(0, 5, 6, 0.9, tag=0).put(1, 5, 12, 0.8, tag=distance)
    assert len(group(drawn.heatmaps, drawn.tags, detected, line(2))) == people


def test_with_two_tags_the_distance_is_euclidean(maps):
    drawn = maps(2, num_tags=2).put(0, 5, 6, 0.9, tag=0).put(1, 5, 12, 0.8, tag=0)
    drawn.tags[1, 12, 5] = 0.6, 0.79  # 0.992 apart; by either tag alone it would be much less
    assert len(group(drawn.heatmaps, drawn.tags, detected, line(2))) == 1
    drawn.tags[1, 12, 5] = 0.6, 0.81  # 1.008
    assert len(group(drawn.heatmaps, drawn.tags, detected, line(2))) == 2


def test_in_equal_rounded_distance_the_higher_value_wins(maps):
    # Both candidates round to distance 0, so the higher joins although the lower one is nearer.
    drawn = maps(2).put(0, 5, 6, 0.9, tag=0).put(1, 5, 12, 0.3, tag=0.1).put(1, 20, 12, 0.8, tag=0.4)
    assert values(group(drawn.heatmaps, drawn.tags, detected, line(2))) == [[0.9, 0.8], [0, 0.3]]


def test_halves_round_to_even(maps):
    # Half a tag away rounds to 0, not to 1: the higher value still wins.
    drawn = maps(2).put(0, 5, 6, 0.9, tag=0).put(1, 5, 12, 0.3, tag=0).put(1, 20, 12, 0.8, tag=0.5)
    assert values(group(drawn.heatmaps, drawn.tags, detected, line(2))) == [[0.9, 0.8], [0, 0.3]]
    drawn.tags[1, 12, 20] = np.nextafter(np.float32(0.5), 1)
    assert values(group(drawn.heatmaps, drawn.tags, detected, line(2))) == [[0.9, 0.3], [0, 0.8]]


def test_the_total_cost_decides_not_the_nearest_pair(maps):
    # Tags 0 and 3. 2.5 is (2, 0) away, rounded, and 4.6 is (5, 2): 2 + 2 is cheaper than 0 + 5.
    # So 2.5 goes to 0 and 4.6 to 3, both are too far, and both start new people.
    drawn = maps(2).put(0, 5, 6, 0.9, tag=0).put(0, 20, 6, 0.8, tag=3)
    drawn.put(1, 5, 12, 0.7, tag=2.5).put(1, 20, 12, 0.6, tag=4.6)
    people = group(drawn.heatmaps, drawn.tags, detected, line(2))
    assert values(people) == [[0.9, 0], [0.8, 0], [0, 0.7], [0, 0.6]]


def test_of_equally_cheap_assignments_the_near_stay_together(maps):
    # All round to 0; the nearer pairs are 0 with 0.1 and 0.4 with 0.3.
    drawn = maps(2).put(0, 5, 6, 0.9, tag=0).put(0, 20, 6, 0.8, tag=0.4)
    drawn.put(1, 5, 12, 0.7, tag=0.3).put(1, 20, 12, 0.6, tag=0.1)
    assert values(group(drawn.heatmaps, drawn.tags, detected, line(2))) == [[0.9, 0.6], [0.8, 0.7]]


def test_of_equally_cheap_assignments_a_stranger_pushes_nobody_away(maps):
    # 5 with 5 and 10 with 0 costs as much as 5 with 0 and 10 with 5, where nothing would match.
    drawn = maps(2).put(0, 5, 6, 0.9, tag=0).put(0, 20, 6, 0.8, tag=5)
    drawn.put(1, 5, 12, 0.7, tag=5).put(1, 20, 12, 0.6, tag=10)
    people = group(drawn.heatmaps, drawn.tags, detected, line(2))
    assert values(people) == [[0.9, 0], [0.8, 0.7], [0, 0.6]]


def test_the_mean_tag_follows_the_members(maps):
    # 0, then 0.8 joins (mean 0.4), then 1.3 is within 1 of the mean but not of the first tag.
    drawn = maps(3).put(0, 5, 6, 0.9, tag=0).put(1, 5, 12, 0.8, tag=0.8).put(2, 5, 18, 0.7, tag=1.3)
    assert values(group(drawn.heatmaps, drawn.tags, detected, line(3))) == [[0.9, 0.8, 0.7]]


def test_people_with_the_very_same_tag_stay_two(maps):
    drawn = maps(2).put(0, 5, 6, 0.9, tag=1).put(0, 20, 6, 0.8, tag=1)
    drawn.put(1, 5, 12, 0.7, tag=1).put(1, 20, 12, 0.6, tag=1)
    people = group(drawn.heatmaps, drawn.tags, detected, line(2))
    assert len(people) == 2
    assert sorted(row[1] for row in values(people)) == [0.6, 0.7]


def test_keypoints_are_grouped_in_the_skeletons_order(maps):
    names, sigmas = ("a", "b", "c"), (0.1,) * 3
    backwards = Skeleton("backwards", names, limbs=(), oks_sigmas=sigmas, grouping_order=(2, 1, 0))
    drawn = maps(3).put(0, 5, 6, 0.9, tag=0).put(1, 5, 12, 0.8, tag=0.8).put(2, 5, 18, 0.7, tag=1.7)
    # Forwards 1.7 is 1.3 from the mean of 0 and 0.8; backwards 0 is 1.25 from the mean of 1.7 and 0.8.
    assert values(group(drawn.heatmaps, drawn.tags, detected, line(3))) == [[0.9, 0.8, 0], [0, 0, 0.7]]
    assert values(group(drawn.heatmaps, drawn.tags, detected, backwards)) == [[0, 0.8, 0.7], [0.9, 0, 0]]


def test_refinement_weighs_heat_against_rounded_tag_distance(maps):
    drawn = maps(2).put(0, 5, 6, 0.9, tag=0)
    drawn.put(1, 10, 10, 0.09, tag=1.4).put(1, 20, 10, 0.05, tag=0.4)  # below the detection threshold
    people = group(drawn.heatmaps, drawn.tags, GroupingOptions(), line(2))
    np.testing.assert_allclose(people.keypoints[0, 1], [20.25, 10.25, 0.05], atol=1e-6)
    assert people.scores[0] == pytest.approx(0.45)  # as before refinement


def test_refinement_can_share_a_peak_and_takes_only_heat_above_zero(maps):
    drawn = maps(2).put(0, 5, 6, 0.9, tag=0).put(0, 20, 6, 0.8, tag=0.2).put(1, 6, 12, 0.7, tag=0.1)
    people = group(drawn.heatmaps, drawn.tags, GroupingOptions(), line(2))
    assert values(people) == [[0.9, 0.7], [0.8, 0.7]]
    drawn.heatmaps[1] = -0.1
    drawn.heatmaps[1, 3, 3] = 0
    people = group(drawn.heatmaps, drawn.tags, GroupingOptions(), line(2))
    assert not people.keypoints[:, 1].any()


def test_refinement_takes_the_first_pixel_in_reading_order(maps):
    # Equal everywhere; the tiles at the top right come before those at the lower left.
    drawn = maps(2, height=40, width=40).put(0, 5, 6, 0.9, tag=0)
    drawn.put(1, 2, 30, 0.05, tag=0).put(1, 35, 17, 0.05, tag=0).put(1, 36, 17, 0.05, tag=0)
    people = group(drawn.heatmaps, drawn.tags, GroupingOptions(), line(2))
    assert people.keypoints[0, 1, :2].tolist() == [35.75, 17.25]


def test_no_more_than_max_people_the_best_ones(maps):
    drawn = maps(1)
    for index, value in enumerate((0.5, 0.9, 0.3, 0.7)):
        drawn.put(0, 3 + 7 * index, 6, value, tag=5 * index)
    people = group(drawn.heatmaps, drawn.tags, GroupingOptions(max_people=2), line(1))
    assert values(people) == [[0.9], [0.7]]


def test_people_beyond_max_people_give_way_to_better_ones(maps):
    # Two keypoints with two strangers each make four people of one keypoint; the better two stay.
    drawn = maps(2).put(0, 5, 6, 0.3, tag=0).put(0, 20, 6, 0.2, tag=10)
    drawn.put(1, 5, 12, 0.9, tag=20).put(1, 20, 12, 0.25, tag=30)
    people = group(drawn.heatmaps, drawn.tags, GroupingOptions(max_people=2, refine=False), line(2))
    assert values(people) == [[0.3, 0], [0, 0.9]]


@pytest.mark.parametrize(("threshold", "left"), [(0.0, 3), (0.25, 3), (0.251, 2), (0.5, 1), (0.76, 0)])
def test_people_who_score_less_than_their_threshold_are_left_out(maps, threshold, left):
    drawn = maps(2)
    for place, (first, second) in enumerate([(0.5, 0.0), (0.75, 0.75), (0.5, 0.25)]):
        drawn.put(0, 5 + 10 * place, 6, first, tag=5 * place).put(1, 5 + 10 * place, 12, second, tag=5 * place)
    people = group(drawn.heatmaps, drawn.tags, GroupingOptions(person_threshold=threshold), line(2))
    assert people.scores.tolist() == [score for score in (0.75, 0.25, 0.375) if score >= threshold]
    assert len(people) == left


@pytest.mark.parametrize("shape", [(17, 20, 30), (17, 0, 30), (17, 20, 0), (17, 1, 1)])
def test_empty_maps_give_empty_people(shape):
    people = group(np.zeros(shape, np.float32), np.zeros((*shape, 1), np.float32))
    assert people.is_empty
    assert people.keypoints.shape == (0, 17, 3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["heatmaps", "tags"])
def test_values_that_are_no_numbers_are_refused_with_their_place(name, value):
    arrays = {"heatmaps": np.zeros((17, 8, 9), np.float32), "tags": np.zeros((17, 8, 9, 2), np.float32)}
    arrays[name][3, 5, 7] = value
    with pytest.raises(ValueError, match=rf"{name} hold {value} at keypoint 3, x 7, y 5"):
        group(**arrays)


def test_numbers_too_large_for_single_precision_are_refused():
    with pytest.raises(ValueError, match="heatmaps hold inf"):
        group(np.full((17, 2, 2), 1e300), np.zeros((17, 2, 2, 1)))


def test_the_largest_tags_still_group(maps):
    largest = np.finfo(np.float32).max
    drawn = maps(2).put(0, 5, 6, 0.9, tag=largest).put(0, 20, 6, 0.8, tag=-largest)
    drawn.put(1, 5, 12, 0.7, tag=-largest).put(1, 20, 12, 0.6, tag=largest)
    assert values(group(drawn.heatmaps, drawn.tags, detected, line(2))) == [[0.9, 0.6], [0.8, 0.7]]


@pytest.mark.parametrize(
    ("heatmaps", "tags", "message"),
    [
        ((16, 8, 9), (16, 8, 9, 1), r"heatmaps have shape \[16, 8, 9\], expected \[17, h, w\]"),
        ((8, 9), (8, 9, 1), r"heatmaps have shape \[8, 9\], expected \[17, h, w\]"),
        ((17, 8, 9), (17, 8, 9), r"tags have shape \[17, 8, 9\], expected \[17, 8, 9, T\]"),
        ((17, 8, 9), (17, 4, 9, 1), r"tags have shape \[17, 4, 9, 1\], expected \[17, 8, 9, T\]"),
        ((17, 8, 9), (17, 8, 9, 0), "T of at least 1"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(heatmaps, tags, message):
    with pytest.raises(ValueError, match=message):
        group(np.zeros(heatmaps), np.zeros(tags))
