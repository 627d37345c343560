"""What a network can run on."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from engine.errors import SwahrError


def choose_device(device: str) -> torch.device:
    """The device that "auto" or a name stands for. Raises SwahrError for one that is not here."""
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", torch.cuda.current_device())
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise SwahrError(f"There is no device {device!r}; choose auto, cpu, cuda or mps.") from error
    at_hand = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (chosen.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not at_hand.get(chosen.type, False):
        raise SwahrError(f"The device {device!r} is not at hand on this computer; choose auto or cpu.")
    # Compilers want to know which one.
    return torch.device("cuda", torch.cuda.current_device()) if device == "cuda" else chosen


def devices_at_hand() -> list[str]:
    """The names that `choose_device` takes on this computer, "auto" first."""
    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return ["auto", "cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])]


def device_name(device: torch.device) -> str:
    """What the device is called by its maker."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return processor_name()


def processor_name() -> str:
    """What the processor is called by its maker."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
