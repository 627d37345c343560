"""Something that takes long, done on a thread of its own while everything else goes on."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from typing import Any

_LOOK_SECONDS = 0.05  # how often whoever waits looks whether it still has to


class Job:
    """Runs `call` from `start` on. doing: what it does, in words. on_end: called on its thread when it is done.

    done, result, error: what came of it.
    """

    def __init__(self, doing: str, call: Callable[[], Any], on_end: Callable[[Job], None]) -> None:
        self.doing = doing
        self.result: Any = None
        self.error: Exception | None = None
        self._call, self._on_end = call, on_end
        self._ended = Event()
        self._thread = Thread(target=self._run, name=doing.rstrip(" …").lower(), daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self._call()
        except Exception as error:  # raised, or told, by whoever wanted it
            self.error = error
        self._ended.set()
        self._on_end(self)

    @property
    def done(self) -> bool:
        return self._ended.is_set()

    def wait(self, given_up: Callable[[], bool]) -> None:
        """Until it is done, or nobody wants it any more; it need not have been started yet."""
        while not self._ended.wait(_LOOK_SECONDS) and not given_up():
            pass
