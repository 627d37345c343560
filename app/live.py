"""The live pipeline: the newest frame wins, and nothing queues.

One thread captures, one infers, and whoever shows takes the newest result when it is ready to. Where a stage is busy,
the older of two waiting things is dropped and counted; so what is shown is never older than one inference and a frame.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from threading import Condition, Lock, Thread
from typing import Generic, Literal, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

State = Literal["stopped", "running", "faulted"]
_RATE_SECONDS = 2.0  # over how long a rate is measured
_SMOOTHING = 0.1  # the newest duration's share of what is told


class Slot(Generic[Item]):
    """Room for one item between two threads; a newer one takes the place of one that nobody has taken."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque(maxlen=1)
        self._changed = Condition()
        self._closed = False

    def put(self, item: Item) -> Item | None:
        """Leave an item; the older one that was dropped for it, or None."""
        with self._changed:
            dropped = self._items[0] if self._items else None
            self._items.append(item)
            self._changed.notify()
            return dropped

    def put_if_empty(self, item: Item) -> None:
        """Leave an item, unless one waits or no more are to come."""
        with self._changed:
            if not self._items and not self._closed:
                self._items.append(item)
                self._changed.notify()

    def take(self) -> Item | None:
        """Wait for an item; None once the slot is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed)
            return self._items.popleft() if self._items else None

    def take_now(self) -> Item | None:
        """The item, or None if there is none."""
        with self._changed:
            return self._items.popleft() if self._items else None

    def close(self, throw_away: bool = False) -> None:
        """No more items come; what waits may still be taken, unless it is to be thrown away."""
        with self._changed:
            self._closed = True
            if throw_away:
                self._items.clear()
            self._changed.notify_all()


@dataclass(frozen=True, eq=False)
class Shot(Generic[Item, Result]):
    """What was captured and what was inferred from it.

    captured: when, on the pipeline's clock, in seconds. refreshed: whether it was inferred once more, by `refresh`.
    """

    item: Item
    result: Result
    captured: float
    refreshed: bool = False


@dataclass(frozen=True, eq=False)
class _Captured(Generic[Item]):
    item: Item
    moment: float
    refreshed: bool = False


@dataclass(frozen=True)
class LiveStats:
    """A snapshot of how a live pipeline does.

    captured, inferred, shown: how many so far. dropped: frames that were captured and not inferred, or inferred and
    not shown. captured_rate, shown_rate: a second, lately. latency: seconds from capture to the last showing, or None.
    inference: seconds of one inference, lately; 0 before the first. What `refresh` brings counts in this one only.
    """

    captured: int = 0
    inferred: int = 0
    shown: int = 0
    dropped: int = 0
    captured_rate: float = 0.0
    shown_rate: float = 0.0
    latency: float | None = None
    inference: float = 0.0


@dataclass
class _Rate:
    moments: deque[float] = field(default_factory=deque)

    def add(self, now: float) -> None:
        self.moments.append(now)
        self.value(now)

    def value(self, now: float) -> float:
        while self.moments and self.moments[0] < now - _RATE_SECONDS:
            self.moments.popleft()
        if len(self.moments) < 2:
            return 0.0
        return (len(self.moments) - 1) / (self.moments[-1] - self.moments[0] or _RATE_SECONDS)


class LivePipeline(Generic[Item, Result]):
    """Captures from `source` and infers from its newest item, each on a thread of its own, until stopped.

    infer: called on the inferring thread; may be replaced at any time, and the next item goes to the new one.
    on_result: called on the inferring thread when `take` has something; it should only wake whoever shows.
    on_end: called once, on the thread that ended last, with None when the source has come to its end or the pipeline
        was stopped, or else with the error that a stage raised.
    close: called by `stop`, and after an error; ends what the source waits for. It may be called twice.
    state: "running", then "stopped" or "faulted".
    """

    def __init__(
        self,
        source: Iterable[Item],
        infer: Callable[[Item], Result],
        on_result: Callable[[], None] = lambda: None,
        on_end: Callable[[BaseException | None], None] = lambda error: None,
        close: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.infer = infer
        self.state: State = "stopped"
        self._source = source
        self._on_result, self._on_end, self._close, self._clock = on_result, on_end, close, clock
        self._frames: Slot[_Captured[Item]] = Slot()
        self._newest: _Captured[Item] | None = None
        self._shots: Slot[Shot[Item, Result]] = Slot()
        self._stopping = False
        self._error: BaseException | None = None
        self._lock = Lock()
        self._stats = LiveStats()
        self._captured_rate, self._shown_rate = _Rate(), _Rate()
        self._running = 2
        self._threads = [
            Thread(target=self._guarded, args=(stage,), name=name, daemon=True)
            for name, stage in (("capture", self._capture), ("infer", self._infer))
        ]

    def start(self) -> None:
        """Begin. A pipeline runs once."""
        self.state = "running"
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float | None = None) -> bool:
        """End, and wait for both threads; whether they have ended within so many seconds.

        `close` is called, so that a capture that waits for a frame ends.
        """
        self._stopping = True
        self._frames.close(throw_away=True)
        self._close()
        deadline = None if timeout is None else time.monotonic() + timeout
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def inferring(self) -> bool:
        """Whether `infer` may still be called, or be at work."""
        return self._threads[1].is_alive()

    def take(self) -> Shot[Item, Result] | None:
        """The newest result that was not taken yet, to be shown now, or None."""
        shot = self._shots.take_now()
        if shot is not None and not shot.refreshed:
            now = self._clock()
            with self._lock:
                self._shown_rate.add(now)
                self._count(shown=1, latency=now - shot.captured)
        return shot

    def refresh(self) -> None:
        """Infer what was captured last once more, for settings that changed, unless something newer waits anyway.

        From any thread; several calls before it is inferred are one. Before the first capture it does nothing.
        """
        with self._lock:  # so that nothing newer is captured in between
            if self._newest is not None:
                self._frames.put_if_empty(replace(self._newest, refreshed=True))

    @property
    def stats(self) -> LiveStats:
        """How it does at the moment."""
        now = self._clock()
        with self._lock:
            return self._with(captured_rate=self._captured_rate.value(now), shown_rate=self._shown_rate.value(now))

    def _capture(self) -> None:
        for item in self._source:
            if self._stopping:
                return
            captured = _Captured(item, self._clock())
            with self._lock:
                self._newest = captured
                dropped = self._frames.put(captured)
                self._captured_rate.add(captured.moment)
                self._count(captured=1, dropped=_counts(dropped))

    def _infer(self) -> None:
        while (captured := self._frames.take()) is not None and not self._stopping:
            start = self._clock()
            result = self.infer(captured.item)
            seconds = self._clock() - start
            dropped = self._shots.put(Shot(captured.item, result, captured.moment, captured.refreshed))
            with self._lock:
                last = self._stats.inference
                smooth = last + _SMOOTHING * (seconds - last) if self._stats.inferred else seconds
                self._count(inferred=not captured.refreshed, dropped=_counts(dropped), inference=smooth)
            self._on_result()

    def _guarded(self, stage: Callable[[], None]) -> None:
        try:
            stage()
        except BaseException as error:  # told by on_end
            with self._lock:
                if self._error is None and not self._stopping:
                    self._error = error
        finally:
            # After the capture the last frame is still inferred; after an error nothing is.
            self._frames.close(throw_away=self._error is not None or stage == self._infer)
            self._stopping = self._stopping or self._error is not None or stage == self._infer
            if self._error is not None:
                with suppress(Exception):  # what comes of it does not matter more than the error
                    self._close()  # a capture that waits is to end as well
            with self._lock:
                self._running -= 1
                last = self._running == 0
                self._newest = None
            if last:
                self.state = "stopped" if self._error is None else "faulted"
                self._on_end(self._error)

    def _count(self, captured: int = 0, inferred: int = 0, shown: int = 0, dropped: int = 0, **latest: float) -> None:
        stats = self._stats
        self._stats = self._with(
            captured=stats.captured + captured,
            inferred=stats.inferred + inferred,
            shown=stats.shown + shown,
            dropped=stats.dropped + dropped,
            **latest,
        )

    def _with(self, **changes: float) -> LiveStats:
        return LiveStats(**{**vars(self._stats), **changes})


def _counts(dropped: _Captured | Shot | None) -> bool:
    return dropped is not None and not dropped.refreshed
