"""What there is to follow: the crowds of ``demo:``, as they are, as they would be seen badly, and as a model sees them.

Letters: A true people in a frame, P people seen there, K keypoints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.bench.identity import FrameIds, similarities
from engine.training.synthetic import SyntheticFrame, SyntheticScene
from grouping import COCO17, People, Tracker

RATE = 30  # frames a second
PEOPLE = 6
VISIBLE = 2  # a keypoint's visibility


@dataclass(frozen=True, eq=False)
class Sighting:
    """Who was seen in a frame. true: int64 [A], who is there; similarity: [A, P] of each of them to each one seen."""

    seconds: float
    people: People
    true: NDArray[np.int64]
    similarity: NDArray[np.float64]


@dataclass(frozen=True)
class Trouble:
    """How badly a crowd is seen: the shares of frames and of keypoints that are missing, and how far off keypoints are.

    noise: standard deviation of a mean keypoint, in standing heights; each has its part by OKS's sigmas.
    """

    frames: float = 0.0
    keypoints: float = 0.0
    noise: float = 0.0


def crowd(seed: int, frames: int, narrowing: int = 1) -> Iterable[SyntheticFrame]:
    """The crowd of ``demo:?seed=…``, drawn `narrowing` times smaller, with the truth in the pixels of full size."""
    heights = 60 / narrowing, 300 / narrowing
    scene = SyntheticScene(640 // narrowing, 360 // narrowing, PEOPLE, seed, heights)
    for index in range(frames):
        frame = scene.render(index / RATE)
        yield replace(
            frame,
            keypoints=frame.keypoints * np.array((narrowing, narrowing, 1), np.float32),
            areas=frame.areas * narrowing**2,
            heights=frame.heights * narrowing,
        )


def without_picture(frame: SyntheticFrame) -> SyntheticFrame:
    """The truth alone, which takes little memory."""
    return replace(frame, image=frame.image[:0])


def seen_truly(truth: Sequence[SyntheticFrame], trouble: Trouble = Trouble(), seed: int = 0) -> list[Sighting]:
    """Each frame's visible keypoints, as far as `trouble` leaves them; who shows none is not seen."""
    random = np.random.default_rng(seed)
    oks_sigmas, sightings = np.array(COCO17.oks_sigmas), []
    for index, frame in enumerate(truth):
        if random.random() < trouble.frames:
            continue
        spread = trouble.noise * frame.heights[:, None] * oks_sigmas / oks_sigmas.mean()
        places = frame.keypoints[:, :, :2] + spread[:, :, None] * random.normal(size=(*spread.shape, 2))
        there = frame.keypoints[:, :, 2] == VISIBLE
        there &= random.random(there.shape) >= trouble.keypoints
        keypoints = np.concatenate((places, there[:, :, None]), axis=2)[there.any(axis=1)]
        people = People(keypoints, np.ones(len(keypoints)))
        sightings.append(Sighting(index / RATE, people, frame.ids[there.any(axis=1)], np.eye(len(people))))
    return sightings


def seen_by(find: Callable[[NDArray[np.uint8]], People], frame: SyntheticFrame, index: int) -> Sighting:
    """Whom `find` finds in a frame's picture; true is everybody of whom a keypoint is visible."""
    people = find(frame.image)
    visible = (frame.keypoints[:, :, 2] == VISIBLE).any(axis=1)
    similarity = similarities(frame.keypoints[visible], frame.areas[visible], people)
    return Sighting(index / RATE, people, frame.ids[visible], similarity)


def followed(sightings: Iterable[Sighting], with_tags: bool = True) -> list[FrameIds]:
    """The ids that a new Tracker gives, with the tags' help or without."""
    tracker, frames = Tracker(), []
    for one in sightings:
        people = one.people if with_tags else replace(one.people, tags=None)
        frames.append(FrameIds(one.true, tracker.update(people, one.seconds).ids, one.similarity))
    return frames


def person_seconds(truth: Sequence[SyntheticFrame]) -> float:
    """For how long all people together were to be seen."""
    return sum(len(frame.ids) for frame in truth) / RATE
