"""A bounded queue between two threads that either end can close."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")


class Channel(Generic[T]):
    """Hands items from one thread to another in order, at most ``capacity`` waiting between them.

    Unlike ``queue.Queue`` nobody waits for an end that is gone: the sender closes it when no more comes, and
    the receiver cancels it when no more is wanted, which wakes a sender that waits for room.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: deque[T] = deque()
        self._changed = Condition()
        self._closed = False
        self._cancelled = False

    def put(self, item: T) -> bool:
        """Add an item, waiting for room; False, and nothing added, if the receiver wants no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._cancelled or len(self._items) < self._capacity)
            if not self._cancelled:
                self._items.append(item)
                self._changed.notify_all()
            return not self._cancelled

    def close(self) -> None:
        """The sender has no more; what waits is still received."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def cancel(self) -> None:
        """The receiver wants no more; what waits is thrown away."""
        with self._changed:
            self._cancelled = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """The items as they come, until the channel is closed and empty, or cancelled."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._closed or self._cancelled)
                if not self._items:
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
