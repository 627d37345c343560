"""Time stamps that a container gives, and what to do where it does not."""

from __future__ import annotations

GREATEST_GAP = 2**31  # units; MP4 cannot hold a frame that lasts as long


class TimeStamps:
    """Strictly increasing time stamps from what a container offers.

    A container's presentation stamps are kept as they are. Where they are missing, run backwards, as in AVI files
    with frames out of order, or leave a gap that no video has, the decoding stamp serves, and failing that the
    predecessor's plus ``step``.

    repaired: how many were. gaps: how many of these came after such a gap.
    """

    def __init__(self, step: int) -> None:
        self.step = step
        self.repaired = self.gaps = 0
        self._last: int | None = None
        self._repeated = False

    def next(self, pts: int | None, dts: int | None) -> int:
        """The stamp of the next frame, in the stream's time base."""
        stamp = pts if pts is not None else dts
        if self._last is None:
            stamp = stamp or 0
        elif stamp is None or not self._last < stamp < self._last + GREATEST_GAP:
            self.repaired += 1
            self.gaps += stamp is not None and stamp > self._last
            repeated = stamp is not None and 0 <= self._last - stamp < self.step
            if dts is not None and self._last < dts < self._last + GREATEST_GAP:
                stamp = dts
            elif repeated and not self._repeated:
                stamp = self._last + 1  # the next one is likely right again
            else:
                stamp = self._last + self.step
            self._repeated = repeated
        else:
            self._repeated = False
        self._last = stamp
        return stamp
