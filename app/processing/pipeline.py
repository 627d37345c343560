"""The recorded pipeline: every frame, in order, a thread for each stage, or several to infer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Thread
from typing import TypeVar

from app.channel import Channel

Item = TypeVar("Item")
Result = TypeVar("Result")

QUEUE_LENGTH = 4  # frames that wait before each stage: enough to even out hiccups, little memory at 4K
_WAKE_UP_SECONDS = 0.2  # how soon Ctrl-C is noticed where the system does not interrupt a waiting thread


def run_recorded(
    source: Iterable[Item],
    infer: Callable[[Item], Result],
    write: Callable[[Result], None],
    queue_length: int = QUEUE_LENGTH,
    stopped: Event | None = None,
    workers: int = 1,
) -> None:
    """Pass every item of ``source`` through ``infer`` and on to ``write``; return when all is written.

    Reading and writing run in a thread each, inferring in as many as ``workers`` says; the order stays. At most
    ``queue_length`` items wait before inferring, and as many before writing. When one raises, what lies behind it in
    the pipeline is still finished, what lies before it stops, and its error is raised here, once. Ctrl-C stops reading,
    finishes what is being inferred, writes what is inferred, and raises KeyboardInterrupt; so does ``stopped`` when
    another thread sets it.
    """
    _Pipeline(source, infer, write, queue_length, stopped, workers).run()


class _Pipeline:
    def __init__(
        self,
        source: Iterable[Item],
        infer: Callable[[Item], Result],
        write: Callable[[Result], None],
        queue_length: int,
        stopped: Event | None,
        workers: int,
    ) -> None:
        self._source, self._infer, self._write = source, infer, write
        self._stopped = stopped
        self._frames: Channel[Item] = Channel(queue_length)
        self._results: Channel[Result] = Channel(queue_length)
        self._workers = workers
        self._errors: list[BaseException] = []
        stages = {"decode": self._decode_all, "infer": self._infer_all, "write": self._write_all}
        self._threads = [
            Thread(target=self._guarded, args=(stage,), name=name, daemon=True) for name, stage in stages.items()
        ]

    def run(self) -> None:
        # The first Ctrl-C stops reading, the second the writing of what is inferred already; further ones change
        # nothing. Nobody leaves before every thread has ended: they hold the files that the caller closes next.
        stops = [self._frames.cancel, self._results.cancel]
        interrupted, waiting = False, list(self._threads)
        while waiting:
            try:
                self._start_all()
                self._join(waiting)
            except KeyboardInterrupt:
                interrupted = True
                if stops:
                    stops.pop(0)()
        if self._errors:
            raise self._errors[0]
        if interrupted:
            raise KeyboardInterrupt

    def _start_all(self) -> None:
        for thread in self._threads:
            if thread.ident is None:
                thread.start()

    def _join(self, waiting: list[Thread]) -> None:
        while waiting:
            if self._stopped is not None and self._stopped.is_set():
                self._stopped = None  # it counts as one Ctrl-C, not as one after another
                raise KeyboardInterrupt
            waiting[0].join(_WAKE_UP_SECONDS)
            if not waiting[0].is_alive():
                waiting.pop(0)

    def _guarded(self, stage: Callable[[], None]) -> None:
        try:
            stage()
        except BaseException as error:  # raised again in run(), in the thread that asked
            self._errors.append(error)

    def _decode_all(self) -> None:
        try:
            for frame in self._source:
                if not self._frames.put(frame):
                    return
        finally:
            self._frames.close()

    def _infer_all(self) -> None:
        try:
            for result in self._inferred():
                if not self._results.put(result):
                    return
        finally:
            self._frames.cancel()
            self._results.close()

    def _inferred(self) -> Iterator[Result]:
        if self._workers == 1:
            yield from map(self._infer, self._frames)
            return
        running: deque[Future[Result]] = deque()
        with ThreadPoolExecutor(self._workers, "infer") as pool:
            try:
                for frame in self._frames:
                    running.append(pool.submit(self._infer, frame))
                    if len(running) == self._workers:
                        yield running.popleft().result()
                while running:
                    yield running.popleft().result()
            finally:
                for future in running:
                    future.cancel()

    def _write_all(self) -> None:
        try:
            for result in self._results:
                self._write(result)
        finally:
            self._results.cancel()
