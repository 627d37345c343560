"""People from frame to frame: who is who, and where each keypoint is without its jitter."""

from __future__ import annotations

from fractions import Fraction

from grouping import People, Smoother, Tracker


class OverTime:
    """Gives the people of one source ids, and smooths their keypoints. smooth: may be replaced at any time.

    A time before the last one, where a video is sought or begins again, forgets everybody, and ids begin at 1 again.
    The same time once more, the same frame under other settings, keeps the ids and starts the smoothing anew.
    """

    def __init__(self, smooth: bool = True) -> None:
        self.smooth = smooth
        self._tracker, self._smoother = Tracker(), Smoother()
        self._last: Fraction | None = None

    def __call__(self, people: People, time: Fraction | None) -> People:
        """The same people with ids; pictures, which have no time, are left as they are."""
        if time is None:
            return people
        if self._last is not None and time < self._last:
            self._tracker = Tracker()
        if self._last is None or time <= self._last or not self.smooth:
            self._smoother = Smoother()
        self._last = time
        people = self._tracker.update(people, float(time))
        return self._smoother.update(people, float(time)) if self.smooth else people
