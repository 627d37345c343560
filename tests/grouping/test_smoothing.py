"""Smoothing: calm at rest, close behind in motion, as sure as each keypoint's own sigma; and what starts anew."""

from dataclasses import replace

import numpy as np
import pytest

from app.bench import calm
from app.bench.calm import (
    RATE,
    WRIST,
    NoFilter,
    PlainOneEuro,
    filtered,
    jitter,
    lag,
    moved,
    still_frames,
    waving_frames,
)
from grouping import COCO17, CROWDPOSE14, People, Smoother, SmoothingOptions

HEIGHT_PER_SIZE = 2.5  # an upright person's height over √area


def upright(height: float = 200, sigma: float | None = 4) -> People:
    return calm.upright(height, sigma)


def smoothed(frames: list[People], rate: float = RATE, smoother=None) -> np.ndarray:
    """Positions [T, P, K, 2] of frames at an even rate after smoothing."""
    return filtered(frames, smoother or Smoother(), rate)


def raw(frames: list[People]) -> np.ndarray:
    return filtered(frames, NoFilter())


def calmed(frames: list[People], smoother) -> float:
    """By what share the moves from frame to frame are smaller than without smoothing."""
    return 1 - jitter(frames, smoother) / jitter(frames, NoFilter())


@pytest.mark.parametrize("height", [60, 200, 700])
@pytest.mark.parametrize("sigma", [0.01, 0.03, 0.06])  # of the height
def test_a_still_person_is_calm_and_a_fast_hand_is_not_late(height, sigma):
    """Both at every size. A filter with fixed parameters is later, and by nearly two frames for small people."""
    still, waving = still_frames(height, sigma * height, sigma * height), waving_frames(height, sigma * height)
    assert calmed(still, Smoother()) > 0.6
    assert lag(waving, Smoother()) < min(1, lag(waving, PlainOneEuro()))


def test_without_sigmas_those_of_oks_are_taken():
    noise = np.array(COCO17.oks_sigmas)[:, None] * 200 / HEIGHT_PER_SIZE
    assert calmed(still_frames(200, None, noise), Smoother()) > 0.6
    assert lag(waving_frames(200, None), Smoother()) < 1


@pytest.mark.parametrize("rate", [2, 10, 30, 60])
@pytest.mark.parametrize("speed", [1, 30, 1000])  # pixels a second
@pytest.mark.parametrize("share", [0.2, 1.0])
def test_nothing_trails_by_more_than_its_share_of_sigma(rate, speed, share):
    frames = [moved(upright(sigma=4), (0.6 * speed * i / rate, 0.8 * speed * i / rate)) for i in range(10 * rate)]
    trailing = raw(frames) - smoothed(frames, rate, Smoother(SmoothingOptions(lag=share)))
    assert np.linalg.norm(trailing[5 * rate :], axis=3).max() < share * 4 + 1e-3 * speed


def test_the_less_sure_keypoint_is_the_calmer():
    frames = still_frames(200, 4, 3)
    sigmas = np.full((1, 17), 1.0)
    sigmas[0, WRIST] = 6
    steps = np.diff(smoothed([replace(people, sigmas=sigmas) for people in frames])[30:], axis=0).std(axis=(0, 1, 3))
    assert steps[WRIST] < 0.7 * np.delete(steps, WRIST).min()


def test_a_lower_cutoff_is_calmer():
    frames = still_frames(200, 4, 1)
    calm, restless = (calmed(frames, Smoother(SmoothingOptions(cutoff=cutoff))) for cutoff in (0.5, 4))
    assert calm > restless + 0.1


def test_the_size_of_the_picture_does_not_matter():
    random = np.random.default_rng(3)
    frames = [moved(upright(), 20 * random.normal(size=(1, 17, 2)) + (5 * i, 0)) for i in range(60)]
    threefold = [people.transformed([[3, 0, 0], [0, 3, 0]]) for people in frames]
    np.testing.assert_allclose(smoothed(threefold), 3 * smoothed(frames), rtol=1e-4)


def test_it_lies_between_where_it_was_and_where_it_is_seen():
    random = np.random.default_rng(4)
    smoother, seconds = Smoother(), 0.0
    last = smoother.update(upright(), seconds).keypoints[:, :, :2]
    for _ in range(200):
        seconds += 1 / random.uniform(2, 60)
        people = moved(upright(), random.normal(0, 30, (1, 17, 2)))
        now = smoother.update(people, seconds).keypoints[:, :, :2]
        seen = people.keypoints[:, :, :2]
        assert (now >= np.minimum(last, seen) - 1e-3).all() and (now <= np.maximum(last, seen) + 1e-3).all()
        last = now


def test_after_a_long_pause_it_is_where_it_is_seen():
    smoother = Smoother()
    smoother.update(upright(), 0)
    jumped = moved(upright(), 50)
    np.testing.assert_allclose(smoother.update(jumped, 20).keypoints, jumped.keypoints, atol=0.5)


def test_the_same_frame_again_stays_where_it_is():
    smoother = Smoother()
    smoother.update(upright(), 0)
    once = smoother.update(moved(upright(), 10), 0.1)
    again = smoother.update(moved(upright(), 10), 0.1)
    np.testing.assert_array_equal(again.keypoints, once.keypoints)
    assert np.isfinite(smoother.update(moved(upright(), 10), 0.2).keypoints).all()


def test_a_keypoint_that_comes_back_starts_anew():
    smoother = Smoother()
    smoother.update(upright(), 0)
    hidden = upright()
    hidden.keypoints[0, WRIST] = 0
    smoother.update(hidden, 0.1)
    back = smoother.update(moved(upright(), 10), 0.2).keypoints[0, :, 0]
    assert back[WRIST] == 310
    assert (np.delete(back, WRIST) < 309).all()


def test_what_was_not_found_stays_as_it_is():
    smoother = Smoother()
    hidden = upright()
    hidden.keypoints[0, WRIST] = (7, 8, 0)
    smoother.update(upright(), 0)
    for seconds in (0.1, 0.2):
        assert smoother.update(hidden, seconds).keypoints[0, WRIST].tolist() == [7, 8, 0]


def test_each_id_is_smoothed_on_its_own():
    """Whatever the order, and though others come and go."""
    random = np.random.default_rng(5)
    alone, among = Smoother(), Smoother()
    for i in range(20):
        one = moved(upright(), random.normal(0, 5, (1, 17, 2)))
        others = [replace(moved(upright(), 100 * other), ids=[other]) for other in (2, 3, 4) if random.random() < 0.6]
        crowd = [one, *others]
        order = random.permutation(len(crowd))
        people = People(
            *(np.concatenate([getattr(crowd[j], name) for j in order]) for name in ("keypoints", "scores", "sigmas")),
            ids=[int(crowd[j].ids[0]) for j in order],
        )
        apart, within = alone.update(one, i / RATE), among.update(people, i / RATE)
        np.testing.assert_array_equal(within[within.ids == 1].keypoints, apart.keypoints)


@pytest.mark.parametrize("change", ["id", "earlier", "skeleton", "nobody between"])
def test_what_starts_anew(change):
    smoother = Smoother()
    smoother.update(upright(), 1)
    people, seconds = moved(upright(), 10), 1.1
    if change == "id":
        people = replace(people, ids=[2])
    elif change == "earlier":
        seconds = 0.9
    elif change == "skeleton":
        people = People(people.keypoints[:, :14], [0.8], skeleton=CROWDPOSE14, ids=[1])
    else:
        smoother.update(replace(People.empty(COCO17), ids=np.zeros(0, int)), 1.05)
    np.testing.assert_array_equal(smoother.update(people, seconds).keypoints, people.keypoints)


def test_only_x_and_y_change():
    smoother = Smoother()
    smoother.update(upright(), 0)
    people = moved(upright(), 10)
    before = people.keypoints.copy()
    after = smoother.update(people, 0.1)
    assert (after.keypoints[:, :, 2] == people.keypoints[:, :, 2]).all()
    assert after.scores is people.scores and after.sigmas is people.sigmas and after.ids is people.ids
    assert (people.keypoints == before).all()


def test_people_without_ids_are_refused():
    with pytest.raises(ValueError, match="no ids"):
        Smoother().update(replace(upright(), ids=None), 0)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(seconds):
    with pytest.raises(ValueError, match="a frame has the time"):
        Smoother().update(upright(), seconds)


@pytest.mark.parametrize("name", ["cutoff", "lag"])
def test_options_out_of_range_are_refused(name):
    for value in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"{name} is"):
            SmoothingOptions(**{name: value})
    for value in ("1", True, None):
        with pytest.raises(TypeError, match=f"{name} is"):
            SmoothingOptions(**{name: value})
