"""When a run ends by the clock, and when its weights are due."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.errors import SwahrError

_RESERVE, _PART = 15.0, 0.05  # kept for the end: at most so many seconds, and so much of the whole time


class Clock:
    """The time of a run: it ends within `stop_after` minutes, and saves weights every `weights_every`; None: whenever
    its steps are done, and with the state only. They count from `start`, in the seconds of `now`; None: from now on.

    In time to write everything and to end the processes that make pictures: a step as long as the longest so far and a
    saving twice as long as the longest so far are allowed for, and some seconds.
    """

    def __init__(
        self,
        stop_after: float | None = None,
        weights_every: float | None = None,
        start: float | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        for option, minutes in (("--stop-after", stop_after), ("--weights-every", weights_every)):
            if minutes is not None and not minutes > 0:
                raise SwahrError(f"{option} is {minutes:g} minutes; it must be more than 0.")
        self.stop_after, self.weights_every, self._now = stop_after, weights_every, now
        self._start = self._looked = self._weights_at = now() if start is None else start
        self._steps = 0
        self._longest = {"step": 0.0, "saving": 0.0, "evaluation": 0.0}

    @property
    def ends_run(self) -> bool:
        return self.stop_after is not None

    def step_done(self) -> bool:
        """To be called after each step: whether it was the last for which there was time."""
        now = self._now()
        if self._steps:  # the first waits for workers and compilers
            self._longest["step"] = max(self._longest["step"], now - self._looked)
        self._steps += 1
        self._looked = now
        return self.ends_run and self._left() < self._longest["step"]

    def allows_evaluation(self) -> bool:
        """Whether there is time for an evaluation as long as the longest so far."""
        return not self.ends_run or self._left() > self._longest["evaluation"] + self._longest["step"]

    def weights_due(self) -> bool:
        """Whether weights are to be saved now."""
        return self.weights_every is not None and self._now() - self._weights_at >= 60 * self.weights_every

    @contextmanager
    def during(self, what: str) -> Iterator[None]:
        """Learn how long a "saving" or an "evaluation" takes, and do not count it to a step."""
        began = self._now()
        yield
        took = self._now() - began
        self._longest[what] = max(self._longest[what], took)
        self._looked += took
        if what == "saving":
            self._weights_at = self._now()

    def _left(self) -> float:
        """Seconds until the run must have begun to end."""
        reserve = min(_RESERVE, 60 * _PART * self.stop_after) + 2 * self._longest["saving"]
        return self._start + 60 * self.stop_after - self._now() - reserve
