"""Who is who: through occlusions, crossings, dropped frames, seeks; and what must not take somebody's id."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from app.bench.crowds import Trouble, crowd, followed, person_seconds, seen_truly, without_picture
from app.bench.identity import id_switches, idf1
from grouping import COCO17, CROWDPOSE14, People, Tracker, TrackingOptions

NARROWING = 4  # drawn smaller a crowd is drawn quickly; how finely it is known what covers what is all that changes

# Somebody who stands and faces the camera, of height 1 and about x = 0; y is 0 at the eyes.
STANDING = np.array(
    (
        *((0, 0.02), (0.02, 0), (-0.02, 0), (0.045, 0.01), (-0.045, 0.01)),
        *((0.11, 0.14), (-0.11, 0.14), (0.14, 0.3), (-0.14, 0.3), (0.15, 0.44), (-0.15, 0.44)),
        *((0.08, 0.44), (-0.08, 0.44), (0.085, 0.66), (-0.085, 0.66), (0.085, 0.88), (-0.085, 0.88)),
    )
)
ALL = range(17)


def person(x: float, y: float = 100, height: float = 200, seen=ALL, score: float = 0.8) -> People:
    keypoints = np.zeros((1, 17, 3))
    keypoints[0, :, :2] = STANDING * height + (x, y)
    keypoints[0, list(seen), 2] = 0.9
    return People(keypoints, [score])


def together(*people: People) -> People:
    return People(np.concatenate([p.keypoints for p in people]), np.concatenate([p.scores for p in people]))


def ids(people: People) -> list[int]:
    return people.ids.tolist()


def test_people_come_back_as_they_were_with_ids_from_1_on():
    people = replace(together(person(100), person(300)), sigmas=np.ones((2, 17)))
    before = people.keypoints.copy()
    tracked = Tracker().update(people, 12.5)
    assert ids(tracked) == [1, 2]
    assert people.ids is None
    assert (tracked.keypoints == before).all() and (people.keypoints == before).all()
    assert tracked.sigmas is people.sigmas


def test_the_order_of_people_does_not_matter():
    tracker = Tracker()
    people = together(person(100), person(300), person(500))
    tracker.update(people, 0)
    assert ids(tracker.update(people[[2, 0, 1]], 0.1)) == [3, 1, 2]


def test_an_id_is_not_given_again():
    tracker = Tracker()
    tracker.update(together(person(100), person(300)), 0)
    tracker.reset()
    assert ids(tracker.update(person(100), 0.1)) == [3]
    assert ids(tracker.update(together(person(100), person(600)), 0.2)) == [3, 4]


@pytest.mark.parametrize(
    ("seconds", "same"), [(10.04, True), (10, True), (9.99, False), (10.9, True), (11.1, False), (0, False)]
)
def test_time_that_jumps_forgets_everybody(seconds, same):
    tracker = Tracker(TrackingOptions(memory=1))
    tracker.update(person(100), 10)
    assert ids(tracker.update(person(100), seconds)) == [1 if same else 2]


def test_another_skeleton_forgets_everybody():
    tracker = Tracker()
    tracker.update(person(100), 0)
    head_to_knee = People(np.ones((1, 14, 3)) * (100, 150, 0.9), [0.8], skeleton=CROWDPOSE14)
    assert ids(tracker.update(head_to_knee, 0.1)) == [2]
    assert ids(tracker.update(person(100), 0.2)) == [3]


def test_nobody_and_people_without_keypoints():
    tracker = Tracker()
    assert ids(tracker.update(People.empty(COCO17), 0)) == []
    nothing_found = person(100, seen=())
    for seconds in (0.1, 0.2):
        tracked = tracker.update(together(nothing_found, person(300), nothing_found), seconds)
        assert len(set(ids(tracked))) == 3
        assert ids(tracked)[1] == 2


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -float("inf")])
def test_a_time_that_is_none_is_refused(seconds):
    with pytest.raises(ValueError, match="a frame has the time"):
        Tracker().update(person(100), seconds)


def test_times_may_be_fractions():
    tracker = Tracker()
    for frame in range(3):
        assert ids(tracker.update(person(100 + 5 * frame), Fraction(frame * 1001, 30000))) == [1]


@pytest.mark.parametrize("memory", [0, -1, float("nan"), float("inf")])
def test_a_memory_out_of_range_is_refused(memory):
    with pytest.raises(ValueError, match="memory is"):
        TrackingOptions(memory)


@pytest.mark.parametrize("memory", ["3", True, None])
def test_a_memory_of_another_type_is_refused(memory):
    with pytest.raises(TypeError, match="memory is"):
        TrackingOptions(memory)


@pytest.mark.parametrize("speed", [0, 150, -300])  # pixels a second; three quarters of the height, and a run
@pytest.mark.parametrize("away", [0.2, 0.45, 0.7])
@pytest.mark.parametrize("rate", [10, 30])
def test_who_vanishes_for_a_moment_keeps_the_id(speed, away, rate):
    tracker = Tracker()
    other = person(900)
    for frame in range(3 * rate):
        seconds = frame / rate
        hidden = 1 < seconds < 1 + away
        people = other if hidden else together(other, person(450 + speed * seconds))
        assert ids(tracker.update(people, seconds)) == [1, 2][: len(people)]


def test_who_comes_back_elsewhere_is_somebody_new():
    tracker = Tracker()
    for frame in range(30):
        tracker.update(person(100), frame / 30)
    assert ids(tracker.update(person(700), 1.3)) == [2]


def test_who_is_away_for_longer_than_the_memory_is_somebody_new():
    for away, expected in ((1.9, 1), (2.1, 2)):
        tracker = Tracker(TrackingOptions(memory=2))
        tracker.update(person(100), 0)
        for seconds in np.arange(0.1, away, 0.1):
            tracker.update(People.empty(COCO17), seconds)
        assert ids(tracker.update(person(100), away)) == [expected]


@pytest.mark.parametrize("seed", range(20))
def test_an_uneven_rate_loses_nobody(seed):
    """Three walk to and fro, at up to a height a second, and frames come 2 to 60 a second."""
    random = np.random.default_rng(seed)
    tracker, seconds = Tracker(), 0.0
    while seconds < 10:
        way = 130 * (1 - np.cos(2 * np.pi * seconds / 4))
        people = together(person(100 + way), person(900 - way, y=330), person(500, y=-200 + way))
        assert ids(tracker.update(people, seconds)) == [1, 2, 3]
        seconds += 1 / random.uniform(2, 60) if random.random() < 0.3 else 1 / 30


@pytest.mark.parametrize("rate", [5, 12, 30, 60])
def test_two_who_pass_one_another_keep_their_ids(rate):
    """The one behind, a little smaller, cannot be seen for some frames."""
    tracker = Tracker()
    for frame in range(4 * rate):
        seconds = frame / rate
        front, back = 100 + 150 * seconds, 700 - 150 * seconds
        people = [person(front)]
        if abs(front - back) > 60:
            people.append(person(back, y=95, height=180))
        assert ids(tracker.update(together(*people), seconds)) == [1, 2][: len(people)]


def test_a_fragment_takes_no_id_from_somebody_whole():
    """Two keypoints exactly where they are expected, beside somebody whole who has moved a little."""
    tracker = Tracker()
    for frame in range(10):
        tracker.update(person(100), frame / 30)
    fragment = person(100, seen=(5, 6), score=1)
    assert ids(tracker.update(together(fragment, person(112)), 10 / 30)) == [2, 1]


def test_somebody_of_whom_little_is_left_keeps_the_id():
    tracker = Tracker()
    tracker.update(together(person(100), person(300)), 0)
    for frame, seen in enumerate([range(9), (5, 7, 9), (9,), (9, 10), (0, 1), ALL], start=1):
        assert ids(tracker.update(together(person(300), person(100, seen=seen)), frame / 15)) == [2, 1]


def test_who_cannot_be_anybody_has_no_say():
    """Of two people one has gone and a stranger come; the other, away for a second, shows a hand."""
    tracker = Tracker()
    tracker.update(together(person(100), person(400)), 0)
    for frame in range(1, 30):
        tracker.update(person(400), frame / 30)
    assert ids(tracker.update(together(person(100, seen=(9,)), person(900)), 1)) == [1, 3]


def test_a_hand_is_followed_though_it_does_not_tell_how_large_its_owner_is():
    tracker = Tracker()
    for frame in range(30):
        people = together(person(100), person(300), person(500 + 10 * frame, seen=(9,)))
        assert ids(tracker.update(people, frame / 30)) == [1, 2, 3]


def test_who_starts_to_run_between_two_late_frames_is_followed():
    tracker = Tracker()
    for frame in range(6):
        tracker.update(person(100), frame / 2)
    assert ids(tracker.update(person(210), 3)) == [1]


def test_what_is_not_credible_does_not_count():
    tracker = Tracker()
    tracker.update(together(person(100), person(300)), 0)
    guessed = person(300)
    guessed.keypoints[0, 5:, :2] = person(100).keypoints[0, 5:, :2]
    guessed.keypoints[0, 5:, 2] = 0.01
    assert ids(tracker.update(guessed, 1 / 30)) == [2]


def test_who_is_found_twice_keeps_the_id_where_the_score_is_high():
    """Grouping may find somebody twice in one place; which comes first, and whether, changes from frame to frame."""
    random = np.random.default_rng(0)
    tracker = Tracker()
    for frame in range(60):
        real, again = person(100 + 3 * frame), person(100 + 3 * frame, score=random.uniform(0.05, 0.4))
        if random.random() < 0.5:
            tracked = tracker.update(real, frame / 30)
        elif random.random() < 0.5:
            tracked = tracker.update(together(real, again), frame / 30)
        else:
            tracked = tracker.update(together(again, real), frame / 30)
        assert tracked.ids[tracked.scores == real.scores] == 1


def test_a_double_takes_nobodys_id():
    """Somebody goes behind another, on whom a second skeleton lies then; who comes out again is who went in."""
    tracker = Tracker()
    front = person(400)
    for frame in range(40):
        behind = person(200 + 10 * frame, height=190, score=0.5)
        hidden = 15 <= frame < 26
        people = together(front, person(401, score=0.3) if hidden else behind)
        expected = [1, 3 if hidden else 2]
        assert ids(tracker.update(people, frame / 30)) == expected, frame


def test_a_double_alone_left_of_somebody_is_that_person():
    tracker = Tracker()
    for frame in range(20):
        assert ids(tracker.update(together(person(400), person(401, score=0.3)), frame / 30)) == [1, 2]
    assert ids(tracker.update(person(401, score=0.3), 20 / 30)) == [1]


@pytest.mark.parametrize(("shift", "scale"), [((5000, -3000), 1), ((0, 0), 6)])
def test_where_and_how_large_the_picture_is_does_not_matter(shift, scale):
    random = np.random.default_rng(1)
    one, other = Tracker(), Tracker()
    affine = [[scale, 0, shift[0]], [0, scale, shift[1]]]
    for frame in range(60):
        walking = [person(100 + 90 * i + random.normal(0, 30), height=random.uniform(120, 220)) for i in range(6)]
        people = together(*walking)[random.random(6) < 0.8]
        assert ids(one.update(people, frame / 10)) == ids(other.update(people.transformed(affine), frame / 10))


def true_crowd(seed: int, frames: int) -> list:
    return [without_picture(frame) for frame in crowd(seed, frames, NARROWING)]


def switches_a_hundred_person_seconds(truths: list, trouble: Trouble) -> float:
    """Of all crowds together, each three times: with other frames dropped and other noise."""
    runs = [followed(seen_truly(truth, trouble, seed)) for truth in truths for seed in range(3)]
    return 100 * sum(id_switches(run) for run in runs) / (3 * sum(person_seconds(truth) for truth in truths))


@pytest.fixture(scope="module")
def small_crowd() -> list:
    return true_crowd(0, 300)


@pytest.fixture(scope="module")
def crowds() -> list:
    return [true_crowd(seed, 600) for seed in (1, 2, 3)]


# With the most switches in a hundred person-seconds.
TROUBLES = [(Trouble(), 2), (Trouble(1 / 3), 2), (Trouble(1 / 3, noise=0.05), 2), (Trouble(1 / 3, 0.2, 0.05), 4)]


@pytest.mark.parametrize(("trouble", "most"), TROUBLES)
def test_ids_last_in_a_small_crowd(small_crowd, trouble, most):
    assert switches_a_hundred_person_seconds([small_crowd], trouble) <= most


@pytest.mark.slow
@pytest.mark.parametrize(("trouble", "most"), TROUBLES)
def test_ids_last_in_crowds(crowds, trouble, most):
    """However long somebody was away: who walks out of the picture and comes back with another id counts as well."""
    assert switches_a_hundred_person_seconds(crowds, trouble) <= most
    share = np.mean([idf1(followed(seen_truly(truth, trouble, seed))) for seed, truth in enumerate(crowds)])
    assert share > 0.9


def test_the_same_people_get_the_same_ids(small_crowd):
    first, second = (followed(seen_truly(small_crowd, Trouble(0.3, 0.1, 0.05), 7)) for _ in range(2))
    assert all((one.given == other.given).all() for one, other in zip(first, second, strict=True))
