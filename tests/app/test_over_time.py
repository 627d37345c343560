"""Ids and smoothing over a source's time, whatever its time does."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from app.over_time import OverTime


@pytest.fixture
def person(tools):
    return tools.standing_person(320, 240)


def shaken(person, seed):
    keypoints = person.keypoints.copy()
    keypoints[:, :, :2] += np.random.default_rng(seed).normal(0, 1, keypoints[:, :, :2].shape)
    return replace(person, keypoints=keypoints)


def run(over_time, person, times):
    return [over_time(shaken(person, index), Fraction(time, 30)) for index, time in enumerate(times)]


def spread(people):
    return np.std([one.keypoints[0, :, :2] for one in people], axis=0).mean()


def test_somebody_who_stays_keeps_the_number_and_is_calmed(person):
    smooth, plain = (run(OverTime(smooth), person, range(60)) for smooth in (True, False))
    assert {int(one.ids[0]) for one in (*smooth, *plain)} == {1}
    assert spread(smooth[20:]) < 0.5 * spread(plain[20:])
    np.testing.assert_array_equal(plain[7].keypoints, shaken(person, 7).keypoints)


def test_a_video_that_begins_again_has_the_same_numbers_and_stale_places_are_forgotten(person):
    over_time = OverTime()
    run(over_time, person, range(30))
    again = over_time(shaken(person, 99), Fraction(0))
    assert again.ids.tolist() == [1]
    np.testing.assert_array_equal(again.keypoints, shaken(person, 99).keypoints)


def test_the_same_frame_under_other_settings_shows_what_these_find(person):
    over_time = OverTime()
    run(over_time, person, range(30))
    once_more = over_time(shaken(person, 99), Fraction(29, 30))
    assert once_more.ids.tolist() == [1]
    np.testing.assert_array_equal(once_more.keypoints, shaken(person, 99).keypoints)


def test_tags_go_along_and_may_become_another_networks(person):
    """As when another model or the mirror image is chosen in the window: the same frame comes again with other tags."""
    over_time = OverTime()
    for frame in range(30):
        one = over_time(replace(shaken(person, frame), tags=[[float(frame % 7)]]), Fraction(frame, 30))
        assert one.ids.tolist() == [1] and one.tags.tolist() == [[frame % 7]]
    for time, tags in ((29, [[3.0, -2.0]]), (30, [[3.5, -2.0]]), (31, None), (32, [[0.0]])):
        assert over_time(replace(shaken(person, time), tags=tags), Fraction(time, 30)).ids.tolist() == [1]


def test_pictures_are_left_as_they_are(person):
    assert OverTime()(person, None) is person
