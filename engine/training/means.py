"""The figures of a run between two lines of its log."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class Means:
    """Means over the steps since they were last taken."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._sums: dict[str, float] = {}
        self._steps, self._since = 0, time.monotonic()

    def add(self, values: Mapping[str, float]) -> None:
        self._steps += 1
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value

    def taken(self, batch: int) -> dict[str, float]:
        """The means, and how fast steps of so many pictures went; then begins anew."""
        figures = {name: value / self._steps for name, value in self._sums.items()}
        figures["images_per_second"] = self._steps * batch / (time.monotonic() - self._since)
        self._begin()
        return figures

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count the time in which what stands inside is done."""
        began = time.monotonic()
        yield
        self._since += time.monotonic() - began
