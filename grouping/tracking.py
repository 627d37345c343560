"""Who is who from frame to frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, isfinite
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from .association import Bodies, associate, votes_by_place
from .doubles import find_doubles
from .people import People
from .skeleton import Skeleton
from .tag_evidence import TagEvidence, clearly

COASTING = 1.0  # seconds: how long people are expected to keep their velocity
VELOCITY_SECONDS = 0.25  # over which velocities are averaged
PRESENCE_SECONDS = 0.6  # over which scores are averaged
STILLNESS = 4  # keypoints: how many must have moved otherwise than expected to be believed by half


@dataclass(frozen=True)
class TrackingOptions:
    """How people are told apart over time.

    memory: seconds for which somebody out of sight is remembered; above 0.

    Raises ValueError for a value out of range, TypeError for one of the wrong type.
    """

    memory: float = 3.0

    def __post_init__(self) -> None:
        if isinstance(self.memory, bool) or not isinstance(self.memory, Real):
            raise TypeError(f"memory is {self.memory!r}; it must be a number")
        if not 0 < self.memory < inf:
            raise ValueError(f"memory is {self.memory}; it must be positive and finite")


_DEFAULTS = TrackingOptions()


class Tracker:
    """Gives people ids, the same to the same person from frame to frame, at whatever rate the frames come.

    Each person remembered moves on in a straight line; those seen are matched with where they are then expected
    (``votes_by_place``). Where several could be meant, the network's tags have a say too, as far as they have proven to
    last (``TagEvidence``). Whoever matches nobody is new and gets the next id at once.
    """

    def __init__(self, options: TrackingOptions = _DEFAULTS) -> None:
        self.options = options
        self._last_id = 0
        self._skeleton: Skeleton | None = None
        self._tags = TagEvidence()
        self.reset()

    def reset(self) -> None:
        """Forget everybody, and what tags are worth; ids go on counting."""
        self._seconds = -inf
        self._tags.forget()
        self._tracks = _no_tracks(0 if self._skeleton is None else self._skeleton.num_keypoints)

    def update(self, people: People, seconds: float) -> People:
        """The same people in the same order, with ids: int64, from 1 on, never given to another.

        seconds: the frame's time. Everybody is forgotten if it is earlier than the frame before, or later by more than
        the options' memory, or if the skeleton is another. Raises ValueError if it is not finite.
        """
        seconds = float(seconds)
        if not isfinite(seconds):
            raise ValueError(f"a frame has the time {seconds}; it must be a finite number of seconds")
        if people.skeleton != self._skeleton or not 0 <= seconds - self._seconds <= self.options.memory:
            self._skeleton = people.skeleton
            self.reset()
        self._seconds = seconds
        self._tracks = self._tracks[self._unseen_for() <= self.options.memory]
        expected, seen = self._expected(), _seen(people)
        by_place = votes_by_place(expected, seen, people.skeleton.oks_sigmas)
        votes = self._tags.votes(self._tracks["id"], people.tags, seconds, by_place)
        partners = associate(votes, expected, seen)
        is_new = partners < 0
        ids = np.empty(len(people), np.int64)
        ids[~is_new] = self._tracks["id"][partners[~is_new]]
        ids[is_new] = self._last_id + 1 + np.arange(is_new.sum())
        self._last_id += int(is_new.sum())
        self._tags.follow(ids, people.tags, seconds, people.boxes, clearly(by_place, partners))
        self._follow(partners[~is_new], expected, seen, ~is_new)
        self._begin(ids, seen, is_new & seen.known.any(axis=1))
        return replace(people, ids=ids)

    def _unseen_for(self) -> NDArray[np.float64]:
        """Seconds since each person remembered was seen, [N]."""
        return self._seconds - self._tracks["seen_at"].max(axis=1)

    def _expected(self) -> Bodies:
        """Where the people remembered ought to be now."""
        tracks, passed = self._tracks, self._unseen_for()
        shifts = tracks["velocity"] * (COASTING * _share(passed, COASTING))[:, None]
        return Bodies(
            positions=tracks["positions"] + shifts[:, None],
            ages=self._seconds - tracks["seen_at"],
            presence=tracks["presence"] * (1 - _share(passed, PRESENCE_SECONDS)),
            double=tracks["double"],
        )

    def _follow(self, rows: NDArray[np.int64], expected: Bodies, seen: Bodies, found: NDArray[np.bool_]) -> None:
        """Move the people remembered in ``rows`` to where they are: those of the people seen that were ``found``.

        Keypoints that are hidden move along with the rest of the body.
        """
        before, passed = self._tracks[rows], self._unseen_for()[rows]
        positions, visible = seen.positions[found], seen.known[found]
        ahead = expected.positions[rows]
        lately = before["seen_at"] == before["seen_at"].max(axis=1, keepdims=True)
        missed = np.where((visible & lately)[:, :, None], positions - ahead, 0).sum(axis=1)
        missed /= ((visible & lately).sum(axis=1) + STILLNESS)[:, None]

        after = before.copy()
        after["positions"] = np.where(visible[:, :, None], positions, ahead + missed[:, None])
        after["seen_at"] = np.where(visible, self._seconds, before["seen_at"])
        velocity = ahead[:, 0] - before["positions"][:, 0] + missed
        velocity /= np.where(passed > 0, passed, inf)[:, None]
        after["velocity"] += _share(passed, VELOCITY_SECONDS)[:, None] * (velocity - before["velocity"])
        after["presence"] = expected.presence[rows] + _share(passed, PRESENCE_SECONDS) * seen.presence[found]
        after["double"] = seen.double[found]
        self._tracks[rows] = after

    def _begin(self, ids: NDArray[np.int64], seen: Bodies, new: NDArray[np.bool_]) -> None:
        """Remember the people ``new`` of those seen."""
        tracks = np.zeros(new.sum(), self._tracks.dtype)
        tracks["id"] = ids[new]
        tracks["positions"] = seen.positions[new]
        tracks["seen_at"] = np.where(seen.known[new], self._seconds, -inf)
        tracks["presence"] = seen.presence[new]
        tracks["double"] = seen.double[new]
        self._tracks = np.concatenate((self._tracks, tracks))


def _share(passed: NDArray[np.float64], seconds: float) -> NDArray[np.float64]:
    """What a value seen now counts in a mean over about ``seconds``, when the one before was seen ``passed`` ago."""
    return 1 - np.exp(-passed / seconds)


def _no_tracks(keypoints: int) -> NDArray[np.void]:
    """Nobody remembered: a structured array [0].

    positions: pixels, when last seen or carried along. seen_at: seconds, -inf for never. velocity: pixels a second.
    presence: the mean score of late, which falls while nobody is seen. double: whether they last were a double.
    """
    fields = [
        ("id", np.int64),
        ("positions", np.float64, (keypoints, 2)),
        ("seen_at", np.float64, (keypoints,)),
        ("velocity", np.float64, (2,)),
        ("presence", np.float64),
        ("double", np.bool_),
    ]
    return np.zeros(0, fields)


def _seen(people: People) -> Bodies:
    ages = np.where(people.credible, 0, np.inf)
    scores = people.scores.astype(np.float64).clip(0, 1)
    return Bodies(people.keypoints[:, :, :2].astype(np.float64), ages, scores, find_doubles(people))
