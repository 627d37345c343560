"""Tags help to tell who is who where they have proven to last, and change nothing where they have not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.bench.identity import FrameIds, id_switches
from grouping import People, Tracker
from grouping.tag_evidence import TagEvidence

RATE = 30
SEEDS = range(2)
COLUMN = np.stack((np.zeros(17), np.linspace(0, 180, 17)), axis=1)  # a body of which one person's is like another's

Frames = list[tuple[np.ndarray, People]]


def meetings(seed: int, seconds: float = 120, turning: float = 0.5) -> Frames:
    """True ids and people, who look the same, frame by frame: two walk up to one another, and turn or go on.

    Every other time one of them walks nearer to the camera, for all to see; else, where they are near, neither can be
    seen. A fifth of the keypoints is always missing.
    """
    random = np.random.default_rng(seed)
    sides, places, meeting = np.array((-1, 1)), [], 0
    while len(places) < seconds * RATE:
        steps = int(random.uniform(2.5, 4) * RATE)
        way = np.cos(np.pi * np.arange(steps) / steps)  # from 1 over 0, where they meet, to -1
        turns = random.random() < turning
        lower = 130 if meeting % 2 else 0
        places += [(sides * 200 * (abs(part) if turns else part), lower * (1 - part**2)) for part in way]
        sides = sides if turns else -sides
        meeting += 1
    frames = []
    for across, lower in places:
        hidden = lower < 60 and abs(across[0]) < random.uniform(35, 60)
        keypoints = np.zeros((2, 17, 3))
        keypoints[:, :, :2] = COLUMN + random.normal(0, 3, (2, 17, 2))
        keypoints[:, :, 0] += 400 + across[:, None]
        keypoints[1, :, 1] += lower
        keypoints[:, :, 2] = 0.9 * (random.random((2, 17)) < 0.8)
        seen = np.array([not hidden, not hidden])
        frames.append((np.flatnonzero(seen), People(keypoints, [0.8, 0.8])[seen]))
    return frames


def their_own(random, ids, places):
    return np.array((0, 1.5))[ids]


def nearly_their_own(random, ids, places):
    return np.array((0, 1.5))[ids] + random.normal(0, 0.3, len(ids))


def noise(random, ids, places):
    return random.normal(0, 2, len(ids))


def all_the_same(random, ids, places):
    return np.ones(len(ids))


def places_own(random, ids, places):
    """As the bundled model's: a ramp over the picture."""
    return places / 24


def by_order(random, ids, places):
    """Who is farther left has the lower one."""
    return 1.5 * np.argsort(np.argsort(places))


def tagged(frames: Frames, kind, seed: int, num_tags: int = 1) -> Frames:
    random = np.random.default_rng((seed, 1))
    return [
        (
            ids,
            replace(
                people,
                tags=np.stack(
                    [kind(random, ids, people.keypoints[:, :, 0].mean(axis=1)) for _ in range(num_tags)], axis=1
                ),
            ),
        )
        for ids, people in frames
    ]


def switches(frames: Frames) -> int:
    tracker = Tracker()
    return id_switches(
        [FrameIds.paired(ids, tracker.update(people, i / RATE).ids) for i, (ids, people) in enumerate(frames)]
    )


def given(frames: Frames) -> list[list[int]]:
    tracker = Tracker()
    return [tracker.update(people, i / RATE).ids.tolist() for i, (_, people) in enumerate(frames)]


@pytest.fixture(scope="module")
def scenes() -> dict[int, tuple[Frames, int]]:
    """By seed, two people who meet for two minutes, and how often they are mistaken without tags."""
    return {seed: (frames, switches(frames)) for seed in SEEDS for frames in [meetings(seed)]}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "num_tags"), [(their_own, 1), (nearly_their_own, 2)])
def test_people_who_meet_out_of_sight_are_mistaken_less_with_tags_that_last(scenes, kind, num_tags):
    """At least by half, though the tags are not believed until they have proven right."""
    without = sum(before for _, before in scenes.values())
    helped = {seed: switches(tagged(frames, kind, seed, num_tags)) for seed, (frames, _) in scenes.items()}
    assert without >= 20
    assert sum(helped.values()) <= without / 2
    assert all(helped[seed] < before for seed, (_, before) in scenes.items())


@pytest.mark.slow
@pytest.mark.parametrize("kind", [noise, all_the_same, places_own, by_order])
def test_tags_that_are_nobodys_own_make_nothing_worse(scenes, kind):
    for seed, (frames, without) in scenes.items():
        assert switches(tagged(frames, kind, seed)) <= without


@pytest.mark.parametrize("kind", [noise, places_own, by_order])
def test_people_who_only_go_past_one_another_are_not_mistaken_for_such_tags(kind):
    """Where motion alone is right: tags of places would have it that they turn."""
    frames = meetings(7, turning=0)
    assert switches(tagged(frames, kind, 7)) <= switches(frames) <= 2


def test_tags_of_a_crowd_of_strangers_change_nothing():
    """Of people far apart who never come near one another's place, nothing is learned and nothing asked."""
    random = np.random.default_rng(0)
    frames = []
    for _ in range(300):
        keypoints = np.zeros((4, 17, 3))
        keypoints[:, :, :2] = COLUMN + random.normal(0, 3, (4, 17, 2))
        keypoints[:, :, 0] += 300 * np.arange(4)[:, None]
        keypoints[:, :, 2] = 0.9
        frames.append((np.arange(4), People(keypoints, np.full(4, 0.8))))
    plain = given(frames)
    for kind in (noise, all_the_same):
        assert given(tagged(frames, kind, 0)) == plain


def test_without_tags_nothing_is_different_from_tags_that_say_nothing(scenes):
    frames, _ = scenes[0]
    assert given(frames) == given(tagged(frames, all_the_same, 0))


def test_tags_that_come_and_go_and_change_their_number_lose_nobody(scenes):
    """As when the mirror image, another network or a file of poses takes over while people are followed."""
    frames, _ = scenes[0]
    kinds = [tagged(frames, noise, 0, num_tags) for num_tags in (1, 2)]
    mixed = [(frames if i // 20 % 3 == 2 else kinds[i // 20 % 3])[i] for i in range(len(frames))]
    assert given(mixed) == given(frames)


def learned(shift: float, step: float) -> TagEvidence:
    """From two who walk one behind the other, each to where the other was; tags drift by `shift` a second."""
    evidence, ids = TagEvidence(), np.array((1, 2))
    for frame in range(300):
        seconds = frame * step
        left = np.array((0.0, 60.0)) + 40 * seconds
        boxes = np.stack((left, np.zeros(2), left + 40, np.full(2, 180.0)), axis=1)
        tags = np.array(((0.0,), (1.0,))) + shift * seconds
        evidence.votes(ids, tags, seconds, np.eye(2))
        evidence.follow(ids, tags, seconds, boxes, np.array((True, True)))
    return evidence


@pytest.mark.parametrize("step", [1 / 30, 1 / 5])
def test_steady_tags_are_believed_and_drifting_ones_the_less_the_older_they_are(step):
    ages = np.array((0.3, 1.5))
    steady, drifting = learned(0, step).trust(ages), learned(0.1, step).trust(ages)
    assert (steady > 0.6).all()
    assert (drifting < steady).all() and drifting[1] < drifting[0] - 0.2


def test_an_unknown_source_is_not_believed_and_what_was_learned_can_be_forgotten():
    assert (TagEvidence().trust(np.array((0.0, 1.0, 10.0))) == 0).all()
    evidence = learned(0, 1 / 30)
    evidence.forget()
    assert (evidence.trust(np.array((0.0, 1.0))) == 0).all()


def test_the_unit_of_tags_does_not_matter(scenes):
    frames, _ = scenes[1]
    small = tagged(frames, nearly_their_own, 1)
    large = [(ids, replace(people, tags=people.tags * 1024)) for ids, people in small]
    assert given(small) == given(large)


def test_the_same_frame_again_teaches_nothing():
    """A paused picture is inferred again and again, under other settings."""
    evidence, ids = learned(0, 1 / 30), np.array((1, 2))
    before = evidence.trust(np.array((0.2, 1.0)))
    boxes = np.array(((0.0, 0, 40, 180), (60, 0, 100, 180)))
    for _ in range(50):
        evidence.follow(ids, np.array(((1.0,), (0.0,))), 299 / 30, boxes, np.array((True, True)))
    np.testing.assert_array_equal(evidence.trust(np.array((0.2, 1.0))), before)
