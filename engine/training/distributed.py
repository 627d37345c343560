"""Several processes that train one network together, as torchrun starts them: who they are and how they agree."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from engine.errors import SwahrError

# Within a step all are about equally fast, so one that is silent for so long is lost.
_STEP_LIMIT = timedelta(minutes=10)
# The first one evaluates alone. One that ends is noticed at once all the same: its connections close.
_WAITING_LIMIT = timedelta(days=2)


class StoppedElsewhereError(SwahrError):
    """Another process of the run stopped, and says why if it can.

    is_told_here: whether this process is the one that talks.
    """

    def __init__(self, processes: Processes) -> None:
        self.is_told_here = processes.is_first
        super().__init__(
            "Another process of the run stopped, and this one with it; "
            "see what that one said, and start all of them again with --resume."
        )


@dataclass(frozen=True)
class Processes:
    """The processes of one run, each with a copy of the network and its share of every step's pictures.

    rank: this one's number from 0. count: how many there are. local_rank: its number on its own machine.
    waiting: the group in which they wait for each other; None where there is only one.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    waiting: dist.ProcessGroup | None = None

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes files, evaluates and talks."""
        return self.rank == 0

    def device(self, wanted: str = "auto") -> torch.device:
        """Where this process trains: "auto" is CUDA where there is any, a GPU for each process, else the CPU."""
        name = ("cuda" if torch.cuda.is_available() else "cpu") if wanted == "auto" else wanted
        if self.count > 1 and name == "cuda":
            if self.local_rank >= torch.cuda.device_count():
                raise SwahrError(
                    f"torchrun started more processes here than the {torch.cuda.device_count()} GPUs; "
                    f"use --nproc-per-node {torch.cuda.device_count()}."
                )
            name = f"cuda:{self.local_rank}"
            torch.cuda.set_device(name)
        return torch.device(name)

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.count > 1:
            # Not a barrier: that would run on the GPU, under the limit of a step.
            dist.all_reduce(torch.zeros(1), group=self.waiting)

    def all(self, ready: bool) -> bool:
        """Whether every process is ready, each of which asks."""
        if self.count == 1:
            return ready
        waiting = torch.tensor([not ready], dtype=torch.int64)
        dist.all_reduce(waiting, group=self.waiting)
        return not waiting.item()

    def mean(self, values: Tensor) -> Tensor:
        """The mean over the processes of a tensor that each of them has, on their device."""
        if self.count > 1:
            dist.all_reduce(values)
            values /= self.count
        return values

    @contextmanager
    def first_goes_ahead(self) -> Iterator[None]:
        """What stands inside is done by the first process, then by the others.

        So files are parsed once, and what is wrong with them is told once.
        """
        if self.is_first:
            yield
            self.wait()
            return
        self.wait()
        log = logging.getLogger("engine")
        level = log.level
        log.setLevel(logging.ERROR)
        try:
            yield
        finally:
            log.setLevel(level)

    def replicate(self, network: nn.Module) -> nn.Module:
        """`network`, but that its gradients are the means over all processes; the network itself where it is alone."""
        return DistributedDataParallel(network) if self.count > 1 else network


ALONE = Processes()


def refuse_torchrun(command: str) -> None:
    """Raise SwahrError where torchrun started a command that several processes cannot share."""
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise SwahrError(f"torchrun is for training with swahr train; run {command} without it.")


@contextmanager
def joined_processes() -> Iterator[Processes]:
    """The processes that torchrun started, connected; `ALONE` where the program was started without it.

    They are found by torchrun's environment variables (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT), and
    talk by NCCL between GPUs and by Gloo between CPUs. Raises SwahrError where they cannot be connected, and
    StoppedElsewhereError when one of them is lost.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield ALONE
        return
    processes = _connect()
    try:
        yield processes
    except BaseException as error:
        _hang_up(processes)
        if not _is_of_connection(error):
            raise
        raise StoppedElsewhereError(processes) from error
    dist.destroy_process_group()


def _connect() -> Processes:
    try:
        rank, count, local_rank = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=_STEP_LIMIT)
        return Processes(rank, count, local_rank, dist.new_group(backend="gloo", timeout=_WAITING_LIMIT))
    except (KeyError, ValueError, RuntimeError) as error:
        reason = f"{error} is not set" if isinstance(error, KeyError) else str(error).splitlines()[0]
        raise SwahrError(
            f"The processes of the run cannot be connected ({reason}); start them all with torchrun, "
            "on several machines with the same --rdzv-endpoint."
        ) from error


def _hang_up(processes: Processes) -> None:
    """Let go of the others after an error. NCCL would first wait for exchanges that will not be finished any more."""
    dist.destroy_process_group(processes.waiting if dist.get_backend() == "nccl" else None)


def _is_of_connection(error: BaseException) -> bool:
    """Whether it says that another process is gone; Gloo's errors have no type of their own."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo/transport" in str(error))
