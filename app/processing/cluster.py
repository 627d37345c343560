"""A queue shared out over a Ray cluster: short sources as a whole, of long ones the finding of people part by part.

Every node must see sources and outputs under the same paths. What is done is noted in the same manifest as without a
cluster, and a source that was cut off goes on from the same journal.
"""

from __future__ import annotations

import logging
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.errors import in_words
from app.outputs import annotated_path, planned_paths
from app.processing.job import job_of
from app.processing.journal import Found, Journal, journal_path
from app.processing.manifest import DONE, FAILED, Manifest
from app.processing.options import ProcessOptions
from app.processing.queue import SKIPPED, Outcome, options_for, refuse_shared_outputs
from app.processing.run import StoppedError
from app.processing.worker import Worker
from app.sources import open_source
from app.sources.selection import expected_frames
from engine.errors import SwahrError
from engine.inputs import IMAGES_PER_RUN

CORES_OF_A_WORKER = 4  # of a machine without GPU; the network gains little from more
FRAMES_OF_A_PART = 225 * IMAGES_PER_RUN  # a minute of video
SECONDS_TO_ANSWER = 5  # of a cluster's address
TRIES = 3  # of a task whose worker died
_LOST = "The workers died {} times over it; look into Ray's logs, or process it without --ray."


@dataclass(eq=False)
class _Task:
    """What a worker does for a source: find people in a part of it (first frame and number), or all the rest."""

    source: _Source
    part: tuple[int, int | None] | None = None
    tries: int = 0


@dataclass(eq=False)
class _Source:
    """A source of the queue. parts: what was found and is not in the journal yet, by the first frame of the part."""

    place: int
    options: ProcessOptions
    job: dict[str, Any] = field(default_factory=dict)
    outputs: list[Path] = field(default_factory=list)
    journal: Journal | None = None
    parts: dict[int, tuple[list[Found], Any]] = field(default_factory=dict)
    waiting: int = 0
    over: bool = False


def process_on_cluster(
    options: ProcessOptions,
    sources: Sequence[str],
    manifest: Manifest,
    told: Callable[[int, Outcome], None],
    address: str = "",
    cores: int = CORES_OF_A_WORKER,
) -> list[Outcome]:
    """Process each source as `app.processing.queue.process_all` does, on all workers of a cluster.

    address: of the cluster; "" for one that Ray finds, else for this machine alone.
    cores: how many each worker gets; one with a GPU gets one GPU.
    Raises StoppedError after Ctrl-C, SwahrError where there is no Ray or no cluster.
    """
    refuse_shared_outputs(options, sources)
    with _cluster(address) as ray, ExitStack() as journals:
        queue = _Queue(ray, options, sources, manifest, told, journals)
        try:
            return queue.run(cores)
        except KeyboardInterrupt:
            raise StoppedError("Stopped; the same command goes on from here.") from None


class _Queue:
    def __init__(
        self,
        ray: Any,
        options: ProcessOptions,
        sources: Sequence[str],
        manifest: Manifest,
        told: Callable[[int, Outcome], None],
        journals: ExitStack,
    ) -> None:
        self._ray, self._manifest, self._told, self._journals = ray, manifest, told, journals
        self._sources = [_Source(place, options_for(options, name)) for place, name in enumerate(sources)]
        self._tasks: deque[_Task] = deque()
        self._outcomes: dict[int, Outcome] = {}

    def run(self, cores: int) -> list[Outcome]:
        for source in self._sources:
            self._plan(source)
        if self._tasks:
            workers = _Workers(self._ray, cores)
            try:
                self._work([workers.make() for _ in range(min(workers.room, len(self._tasks)))], workers.make)
            finally:
                workers.end()
        return [self._outcomes[source.place] for source in self._sources]

    def _plan(self, source: _Source) -> None:
        """The tasks of a source; none if it is done already, or cannot be opened."""
        options = source.options
        try:
            with open_source(options.source, endless=False) as opened:
                info = opened.info
                source.job, source.outputs = job_of(options, info), planned_paths(options, info)
            if self._manifest.is_done(options.source, source.job, source.outputs):
                self._end(source, SKIPPED, "Done already.")
                return
            frames = expected_frames(info, options.selection) or 0
            if info.video is None or frames < 2 * FRAMES_OF_A_PART or options.scale_map:
                self._tasks.append(_Task(source))
                return
            path = journal_path(annotated_path(info, options))
            source.journal = self._journals.enter_context(Journal(path, source.job, options.overwrite))
        except SwahrError as error:
            self._end(source, FAILED, in_words(error))
            return
        if source.journal.complete:
            source.journal.close()
            self._tasks.append(_Task(source))
            return
        first = source.journal.frames - source.journal.frames % IMAGES_PER_RUN
        source.journal.forget_from(first)
        begins = list(range(first, frames, FRAMES_OF_A_PART))[:-1] or [first]
        ends = [*begins[1:], None]  # the last part is as long as it happens to be
        source.waiting = len(begins)
        for begin, end in zip(begins, ends, strict=False):
            self._tasks.append(_Task(source, (begin, None if end is None else end - begin)))

    def _work(self, idle: list[Any], make: Callable[[], Any]) -> None:
        busy: dict[Any, tuple[Any, _Task]] = {}
        while self._tasks or busy:
            while idle and self._tasks:
                task = self._tasks.popleft()
                if not task.source.over:
                    worker = idle.pop()
                    busy[_begun(worker, task)] = worker, task
            if not busy:
                return
            (ready, *_), _ = self._ray.wait(list(busy), num_returns=1)
            worker, task = busy.pop(ready)
            try:
                answer = self._ray.get(ready)
            except self._ray.exceptions.RayTaskError as error:  # a bug
                idle.append(worker)
                self._end(task.source, FAILED, in_words(error.cause))
                continue
            except self._ray.exceptions.RayError:  # the worker has died, or its node
                idle.append(make())
                self._again(task)
                continue
            idle.append(worker)
            self._take(task, answer)

    def _again(self, task: _Task) -> None:
        task.tries += 1
        if task.tries < TRIES:
            self._tasks.appendleft(task)
        else:
            self._end(task.source, FAILED, _LOST.format(TRIES))

    def _take(self, task: _Task, answer: Any) -> None:
        source = task.source
        if source.over:
            return
        if isinstance(answer, SwahrError):
            self._end(source, FAILED, in_words(answer))
        elif task.part is None:
            self._end(source, DONE, answer)
        else:
            source.parts[task.part[0]] = answer
            source.waiting -= 1
            try:
                self._keep(source)
            except SwahrError as error:
                self._end(source, FAILED, in_words(error))

    def _keep(self, source: _Source) -> None:
        """Write what was found to the journal as far as it has no gap; when it is complete, the rest can be done."""
        journal = source.journal
        while journal.frames in source.parts:
            found, header = source.parts.pop(journal.frames)
            for one in found:
                journal.add(one, header)
            if not found:
                break
        if not source.waiting:
            journal.mark_complete()
            journal.close()
            self._tasks.appendleft(_Task(source))

    def _end(self, source: _Source, state: str, message: str) -> None:
        source.over = True
        if source.journal is not None:
            source.journal.close()
        outcome = Outcome(source.options.source, state, message)
        if state != SKIPPED:
            self._manifest.add(outcome.source, state, source.job, source.outputs, message)
        self._outcomes[source.place] = outcome
        self._told(source.place, outcome)


def _begun(worker: Any, task: _Task) -> Any:
    options = task.source.options
    return worker.process.remote(options) if task.part is None else worker.find.remote(options, *task.part)


class _Workers:
    """The workers of a cluster: one a GPU, or one for so many cores. room: how many there can be, at least 1."""

    def __init__(self, ray: Any, cores: int) -> None:
        self._ray = ray
        resources = ray.cluster_resources()
        cpus, gpus = int(resources.get("CPU", 1)), int(resources.get("GPU", 0))
        cores = 1 if gpus else min(cores, max(1, cpus))
        self.room = max(1, gpus or cpus // cores)
        self._arguments = str(Path.cwd()), None if gpus else cores
        self._kind = ray.remote(num_cpus=cores, num_gpus=int(gpus > 0))(Worker)
        self._made: list[Any] = []

    def make(self) -> Any:
        """One more, in place of one that has died."""
        self._made.append(self._kind.remote(*self._arguments))
        return self._made[-1]

    def end(self) -> None:
        """Let others have what they used."""
        for worker in self._made:
            self._ray.kill(worker)


def _refuse_silent(address: str) -> None:
    """Raise SwahrError where nobody answers at HOST:PORT, for which Ray itself waits for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (colon and port.isdecimal()):
        return
    try:
        socket.create_connection((host, int(port)), SECONDS_TO_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, error) from None


def _no_cluster(address: str, error: Exception) -> SwahrError:
    # Of many kinds, and what it says is for those who run the cluster.
    reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    where = f"at {address} " if address else ""
    return SwahrError(f"There is no Ray cluster {where}to be had ({reason}); check the address.")


@contextmanager
def _cluster(address: str) -> Iterator[Any]:
    try:
        import ray
    except ImportError:
        raise SwahrError("--ray needs Ray; install it with pip install 'swahr-live[cluster]'.") from None
    begun = not ray.is_initialized()
    if begun:
        _refuse_silent(address)
        try:
            ray.init(address or None, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False)
        except Exception as error:
            raise _no_cluster(address, error) from None
    try:
        yield ray
    finally:
        if begun:
            ray.shutdown()
