"""What this computer is, in words, to stand beside every figure."""

from __future__ import annotations

import os
from pathlib import Path

MEMORY = Path("/proc/self/statm")


def machine() -> str:
    """Processor and usable cores, and the GPU if there is one."""
    import torch

    from engine.devices import processor_name

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{processor_name()}, {cores} cores{gpu}"


def memory_in_use() -> int | None:
    """This process's resident memory in bytes, where the system says so in Linux's way."""
    try:
        return int(MEMORY.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None
