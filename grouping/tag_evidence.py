"""What the network's tags say of who is who from frame to frame, as far as they have proven to last.

Tags tell the people of one image apart (associative embedding, section 3.5 of the paper); nothing in their training
makes them stay with a person from one image to the next. Some do, some are noise from frame to frame, and some tell
where somebody is, not who: among people who meet they lie just when they are asked. So tags are believed as far as
they have told right where places tell wrong: when somebody has moved on, and another is now nearer to the place left.

Letters: N people remembered, P people seen, T tags a person, A anchors: sightings kept of each person.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .association import body_sizes

LAGS = np.array((0.0, 0.5, 1.5))  # seconds, from which on it is told apart how long tags last
ANCHORS = np.array((0.0, 0.3, 1.0, 3.0))  # seconds; how old the tags become that are compared with the newest
WORTH = 5.0  # keypoints in the right place that a tag is worth which never fails
LEAST_PART = 0.05  # of a vote by place and motion, which tags leave at least
NOTHING = 0.5  # the share of a tag that says nothing
LEAST_USEFUL = 0.25  # the mean share from which on tags are not believed
PRIOR = 1.0  # seconds of sightings for which it is taken for granted that tags say nothing
LEARNING = 20.0  # seconds of sightings over which the mean share is formed
CLEAR = 2.0  # how many times as much must speak for a pair as for any other with one of the two, to learn from it
MOVED = 0.5  # sizes that somebody must have moved, and
NEARER = 0.7  # the part of that which another may be off the place left, to be learned from


class TagEvidence:
    """Remembers the tags of people with ids, and learns how much they are to be believed.

    A tag's share is d² / (d² + r²), d its distance to the tag remembered and r a rival's: 0 where it names the person,
    ½ where it says nothing, 1 where it names the rival. It is learned from people who were never out of sight nor to be
    mistaken, and from rivals who are now nearer to where they were than they are themselves. The mean is near 0 if tags
    are people's own, ½ if they are noise or all the same, and 1 if they are places'. It is kept for each lag, so that
    tags that drift are believed for as long only as they stay nearer than others. The unit of tags does not matter.
    """

    def __init__(self) -> None:
        self._num_tags = 0
        self.forget()

    def forget(self) -> None:
        """Forget everybody's tags and what they are worth."""
        self._remembered: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
        self._seconds = -np.inf
        self._means, self._learned = np.zeros(len(LAGS)), np.zeros(len(LAGS))
        self._expected = np.full(len(LAGS), NOTHING)

    def votes(
        self, ids: NDArray[np.int64], tags: NDArray[np.floating] | None, seconds: float, by_place: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Votes for each pair, float64 [P, N]: those by place and motion, [P, N], and what tags say to them.

        ids: of the people remembered, [N]; all others are forgotten. tags: of those seen, [P, T]. They choose among
        pairs that place and motion allow, and forbid none.
        """
        self._remembered = {id_: self._remembered[id_] for id_ in ids.tolist() if id_ in self._remembered}
        if tags is not None and tags.shape[1] != self._num_tags:  # of another network
            self._num_tags = tags.shape[1]
            self.forget()
        if tags is None or by_place.size == 0:
            return by_place
        before, times = self._of(ids)
        possible = by_place > 0
        squared = np.where(possible, _squared_distances(tags, before[:, 0, :-2]), np.inf)
        squared[np.isnan(squared)] = np.inf
        rivals = np.minimum(_least_of_others(squared), _least_of_others(squared.T).T)
        said = WORTH * self.trust(seconds - times[:, 0]) * (1 - 2 * _shares(squared, rivals))
        return np.where(possible, np.maximum(by_place + said, LEAST_PART * by_place), by_place)

    def trust(self, ages: NDArray[np.float64]) -> NDArray[np.float64]:
        """How much tags seen ``ages`` seconds ago are worth, from 0, nothing, to 1; float64 as ages."""
        return (1 - np.interp(ages, LAGS, self._expected) / LEAST_USEFUL).clip(0)

    def follow(
        self,
        ids: NDArray[np.int64],
        tags: NDArray[np.floating] | None,
        seconds: float,
        boxes: NDArray[np.floating],
        clear: NDArray[np.bool_],
    ) -> None:
        """Remember the tags [P, T] of people seen, and learn from those whom place and motion made out alone.

        ids: [P], who they turned out to be; boxes: [P, 4]; clear: [P], whether place and motion said so clearly. Comes
        after ``votes`` for the same frame. Nothing is learned from who was not in the frame before.
        """
        last, self._seconds = self._seconds, seconds
        if tags is None or len(tags) == 0:
            return
        boxes = boxes.astype(np.float64)
        now = np.concatenate((tags, (boxes[:, :2] + boxes[:, 2:]) / 2), axis=1).astype(np.float64)
        before, times = self._of(ids)
        ages = seconds - times
        surely = clear & (times[:, 0] == last)
        offsets = before[:, :, None] - now  # [P, A, P, T + 2]: of whom, how long ago, from whom
        apart, distances = ((part**2).sum(axis=3) for part in (offsets[..., :-2], offsets[..., -2:]))
        same = np.arange(len(ids))
        moved = distances[same, :, same][:, :, None]
        telling = (distances < NEARER**2 * moved) & (moved > (MOVED * body_sizes(boxes)[:, None, None]) ** 2)
        telling &= surely[:, None, None]
        person, anchor, _ = np.nonzero(telling)
        shares = _shares(apart[same, :, same][person, anchor], apart[telling])
        self._learn(ages[person, anchor], shares, ages[person, 0])
        due = (ages >= ANCHORS) | ~surely[:, None]
        before = np.where(due[:, :, None], now[:, None], before)
        times = np.where(due, seconds, times)
        self._remembered.update(zip(ids.tolist(), zip(before, times, strict=True), strict=True))

    def _of(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Tags and place (x, y) [N, A, T + 2], NaN where there are none, and when that was [N, A], -inf for never."""
        nothing = np.full((len(ANCHORS), self._num_tags + 2), np.nan), np.full(len(ANCHORS), -np.inf)
        known = [self._remembered.get(id_, nothing) for id_ in ids.tolist()]
        tags, times = (np.array([one[part] for one in known]) for part in (0, 1))
        return tags.reshape(len(ids), *nothing[0].shape), times.reshape(len(ids), len(ANCHORS))

    def _learn(self, ages: NDArray[np.float64], shares: NDArray[np.float64], passed: NDArray[np.float64]) -> None:
        """Take in shares of tags seen ``ages`` ago; each counts for the time ``passed`` since the frame before."""
        lags = np.searchsorted(LAGS, ages, side="right") - 1
        for lag in np.unique(lags):
            here = lags == lag
            total = self._learned[lag] + passed[here].sum()
            if total > 0:
                self._means[lag] += (passed[here] * (shares[here] - self._means[lag])).sum() / total
                self._learned[lag] = min(total, LEARNING)
        expected = NOTHING
        for lag in range(len(LAGS))[::-1]:
            expected = (PRIOR * expected + self._learned[lag] * self._means[lag]) / (PRIOR + self._learned[lag])
            self._expected[lag] = expected


def clearly(votes: NDArray[np.float64], partners: NDArray[np.int64]) -> NDArray[np.bool_]:
    """For whom of the people seen the partner [P] is by far the best, as they are for the partner; bool [P].

    votes: of place and motion, [P, N]; partners: -1 for none.
    """
    if votes.size == 0:
        return np.zeros(len(votes), np.bool_)
    rivals = np.maximum(-_least_of_others(-votes), -_least_of_others(-votes.T).T)
    everybody = np.arange(len(votes))
    return (partners >= 0) & (votes[everybody, partners] >= CLEAR * rivals[everybody, partners])


def _squared_distances(tags: NDArray[np.floating], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of tags [P, T] to others [N, T], float64 [P, N]."""
    return ((tags[:, None].astype(np.float64) - others) ** 2).sum(axis=2)


def _shares(squared: NDArray[np.float64], rivals: NDArray[np.float64]) -> NDArray[np.float64]:
    """d² / (d² + r²), ½ where that is not known, where there is no rival (inf) and where both are 0."""
    total = squared + rivals
    telling = np.isfinite(total) & (total > 0)
    return np.where(telling, squared, 1.0) / np.where(telling, total, 2.0)


def _least_of_others(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least of each row without the value itself, as values [A, B]; inf where there is no other."""
    if values.shape[1] < 2:
        return np.full_like(values, np.inf)
    least = np.partition(values, 1, axis=1)[:, :2]
    return np.where(values == least[:, :1], least[:, 1:], least[:, :1])
