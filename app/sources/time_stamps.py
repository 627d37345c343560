"""Time stamps that a container gives, and what to do where it does not."""

from __future__ import annotations


class TimeStamps:
    """Strictly increasing time stamps from what a container offers.

    A container's presentation stamps are kept as they are. Where they are missing or run backwards, as in
    AVI files with frames out of order, the decoding stamp serves, and failing that the predecessor's plus
    ``step``.
    """

    def __init__(self, step: int) -> None:
        self.step = step
        self.repaired = 0
        self._last: int | None = None

    def next(self, pts: int | None, dts: int | None) -> int:
        """The stamp of the next frame, in the stream's time base."""
        stamp = pts if pts is not None else dts
        if self._last is None:
            stamp = stamp or 0
        elif stamp is None or stamp <= self._last:
            self.repaired += 1
            if dts is not None and dts > self._last:
                stamp = dts
            elif stamp is not None and self._last - stamp < self.step:
                stamp = self._last + 1  # a repeated stamp: the next one is likely right again
            else:
                stamp = self._last + self.step
        self._last = stamp
        return stamp
