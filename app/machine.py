"""What this computer is, in words, to stand beside every figure."""

from __future__ import annotations

import os


def machine() -> str:
    """Processor and usable cores, and the GPU if there is one."""
    import torch

    from engine.devices import processor_name

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{processor_name()}, {cores} cores{gpu}"
