"""Ways to run a network. Each is one module with these functions:

    missing(device) -> why it cannot run networks on that device here, in words, or None
    precisions(device) -> what it can compute in there, the one to take first
    compile(task) -> a CompiledNetwork, from its cache where there is one
    place(task) -> the folder of that cache, where it has one for each network

All of them may raise whatever their compilers raise; `engine.runner` catches it and takes the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.errors import SwahrError
from engine.served import ServedNetwork

BACKENDS = ("tensorrt", "inductor", "openvino", "eager")
PRECISIONS = ("float32", "bfloat16", "float16", "int8")
_PREFERRED = {"cuda": ("tensorrt", "inductor", "eager"), "cpu": ("openvino", "eager"), "mps": ("eager",)}

Shape = tuple[int, int, int]  # images, height, width of the input
Frames = Iterable[NDArray[np.uint8]]


class CompiledNetwork(Protocol):
    """A network ready to run inputs of one shape.

    Called with pixels uint8 [N, H, W, 3] on its device, it returns what `ServedNetwork` returns; where that says it
    twice, the second may be [N, 0, H/2, W/2]. A thread's next call may write over what its last call returned.
    """

    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True, eq=False)
class Task:
    """What is to be compiled.

    fingerprint: of the network, see `ServedNetwork.fingerprint`. calibration: gives RGB images [h, w, 3] of any size,
    for what has to see the values that flow through the network.
    """

    network: ServedNetwork
    shape: Shape
    device: torch.device
    precision: str
    fingerprint: str
    calibration: Callable[[], Frames]


@dataclass(frozen=True)
class Choice:
    """A backend and what it computes in."""

    backend: str
    precision: str

    def __str__(self) -> str:
        return f"{self.backend} in {self.precision}"


def module(backend: str) -> Any:
    """The module of a backend."""
    return import_module(f"engine.backends.{backend}")


def kept(backend: str, task: Task) -> list[Path]:
    """The folders in which a backend keeps what it made of a task's network."""
    place = getattr(module(backend), "place", None)
    return [place(task)] if place else []


def compiler(backend: str) -> str:
    """What a backend compiles with and its version, such as "openvino 2026.4.1"; raises if it is not installed."""
    package = {"openvino": "openvino", "tensorrt": "torch-tensorrt"}.get(backend, "torch")
    return f"{package} {version(package)}"


def usual(device: torch.device) -> tuple[str, ...]:
    """The backends that `auto` tries on a device, in that order."""
    return _PREFERRED.get(device.type, ("eager",))


def _hint(backend: str, precision: str) -> str:
    return "; that wants the extra `int8`" if (backend, precision) == ("openvino", "int8") else ""


def choices(backend: str, precision: str, device: torch.device) -> tuple[list[Choice], list[str]]:
    """What to try in turn for what the user asked for, and sentences on what cannot run here.

    backend, precision: a name or "auto". A backend that is asked for comes first; the others that `auto` would take
    stand behind it. A precision that it lacks is replaced by what it takes by itself. Last comes PyTorch in float32,
    which needs nothing. Raises SwahrError for a name that does not exist.
    """
    if backend != "auto" and backend not in BACKENDS:
        raise SwahrError(f"There is no backend {backend!r}; choose auto or one of {', '.join(BACKENDS)}.")
    if precision != "auto" and precision not in PRECISIONS:
        raise SwahrError(f"There is no precision {precision!r}; choose auto or one of {', '.join(PRECISIONS)}.")
    preferred = usual(device)
    if backend == "eager":
        preferred = ()  # whoever asks for PyTorch itself wants nothing compiled
    names = list(preferred) if backend == "auto" else [backend, *(name for name in preferred if name != backend)]
    wanted: list[Choice] = []
    unable: list[str] = []
    for name in names:
        if reason := module(name).missing(device):
            unable.append(f"{name} cannot run here: {reason}.")
            continue
        able = module(name).precisions(device)
        own = [one for one in able if one != "int8"]  # costs accuracy, so it is taken only where it is asked for
        if precision == "auto":
            wanted += [Choice(name, one) for one in own]
        elif precision in able:
            wanted.append(Choice(name, precision))
            wanted += [Choice(name, one) for one in own[:1] if precision == "int8"]
        elif name == backend:
            unable.append(f"{name} does not compute in {precision} on {device}{_hint(name, precision)}.")
            wanted += [Choice(name, one) for one in own[:1]]
    if not wanted:
        unable.append(f"Nothing here computes in {precision} on {device}{_hint(names[0], precision)}.")
        wanted = choices(backend, "auto", device)[0]
    return list(dict.fromkeys([*wanted, Choice("eager", "float32")])), unable
