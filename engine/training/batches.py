"""Which pictures each process sees in each step, and the worker processes that make them."""

from __future__ import annotations

import multiprocessing
import re
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor
from torch.utils.data import DataLoader

from engine.errors import SwahrError
from engine.training.distributed import Processes
from engine.training.recipe import Schedule
from engine.training.samples import TrainingSamples

_NEWS_OF_DEATH = 2.0  # seconds within which a process is told that a child of it has died


def check_shares(schedule: Schedule, processes: Processes) -> None:
    """Raise SwahrError if a step's pictures are not as many for each process and pass."""
    shares = processes.count * schedule.accumulate
    if schedule.batch % shares:
        nearest = max(1, round(schedule.batch / shares)) * shares
        processes_in_passes = " in ".join(
            f"{number} {name}{'es' * (number > 1)}"
            for number, name in ((processes.count, "process"), (schedule.accumulate, "pass"))
        )
        raise SwahrError(
            f"schedule.batch is {schedule.batch}, all pictures of a step, which {processes_in_passes} cannot share out "
            f"evenly; choose a multiple of {shares}, such as {nearest}."
        )


def share_of_step(step: int, schedule: Schedule, processes: Processes) -> list[int]:
    """The samples that this process sees in a step, one pass after the other.

    Step s shows the samples s·batch to (s + 1)·batch − 1, whoever shares them out: each pass takes the next of them,
    and each process its part of the pass.
    """
    in_pass = schedule.batch // schedule.accumulate
    own = in_pass // processes.count
    starts = range(step * schedule.batch, (step + 1) * schedule.batch, in_pass)
    return [start + processes.rank * own + number for start in starts for number in range(own)]


def note_on_processes(before: int, processes: Processes, step: int, schedule: Schedule) -> str | None:
    """What to say of a run that goes on in another number of processes than `before`, else None."""
    count, batch = processes.count, schedule.batch
    if before == count:
        return None
    note = f"The run goes on at step {step} in {count} process{'es' * (count > 1)} instead of {before}, "
    note += f"with the same {batch} pictures in each step"
    if not schedule.sync_batch_norm:
        passes = schedule.accumulate
        note += f", but batch normalisation sees {batch // passes // count} of them at a time"
    return f"{note}."


@dataclass(frozen=True)
class _Shares:
    """`share_of_step` of one step after the other: a run has too many for a list."""

    schedule: Schedule
    first: int
    last: int
    processes: Processes

    def __iter__(self) -> Iterator[list[int]]:
        return (share_of_step(step, self.schedule, self.processes) for step in range(self.first, self.last))

    def __len__(self) -> int:
        return self.last - self.first


def batches(
    samples: TrainingSamples, schedule: Schedule, first: int, last: int, processes: Processes
) -> Iterator[dict[str, Tensor]]:
    """This process's share of each step from `first` up to `last`, as one batch.

    Raises SwahrError in one sentence for a picture that cannot be read.
    """
    # Forked workers share the annotations; systems that cannot fork load in this process.
    workers = schedule.workers if "fork" in multiprocessing.get_all_start_methods() else 0
    loader = DataLoader(
        samples,
        batch_sampler=_Shares(schedule, first, last, processes),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        multiprocessing_context="fork" if workers else None,
    )
    try:
        yield from loader
    except SwahrError as error:
        # A worker's error arrives with its whole traceback in the message; its own sentence is the last part.
        raise SwahrError(str(error).rstrip().rpartition("SwahrError: ")[2]) from None
    except (OSError, EOFError):
        time.sleep(_NEWS_OF_DEATH)  # a dying worker's connections break first; when PyTorch is told, it raises here
        raise


@contextmanager
def worker_deaths_in_words(way_on: Callable[[], str]) -> Iterator[None]:
    """Say in one sentence that a worker process was killed; PyTorch raises that wherever the main process just is.

    way_on: says how to go on, as the end of the sentence.
    """
    try:
        yield
    except RuntimeError as error:
        found = re.search(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\) (.*)", str(error))
        if not found:
            raise
        _end_workers(error)
        how = found[2].partition(". ")[0].rstrip(". ").replace("is killed", "was killed")
        raise SwahrError(
            f"A process that makes training pictures (pid {found[1]}) {how}, most often because memory ran out; "
            f"lower schedule.workers or free memory, and {way_on()}."
        ) from error


def _end_workers(error: RuntimeError) -> None:
    """End the other workers now: until they are forgotten, PyTorch raises the same error whenever one of them ends."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    traceback.clear_frames(error.__traceback__)  # what keeps them is held by the frames only
    signal.signal(signal.SIGCHLD, before)
