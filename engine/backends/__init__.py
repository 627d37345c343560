"""Ways to run a network. Each backend is one module with one function, `compile`."""

from __future__ import annotations

from types import ModuleType
from typing import Protocol

import torch
from torch import Tensor, nn

from engine.backends import eager
from engine.errors import SwahrError

BACKENDS: dict[str, ModuleType] = {"eager": eager}


class CompiledNetwork(Protocol):
    """A network ready to run.

    precision: the type it computes in, such as "float32" or "bfloat16".
    Called with float32 [N, 3, H, W] on its device, it returns the network's two tensors as float32.
    """

    precision: str

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]: ...


def choose_backend(backend: str) -> str:
    """The backend that "auto" or a name stands for. Raises SwahrError naming the ones there are."""
    if backend == "auto":
        return "eager"
    if backend not in BACKENDS:
        raise SwahrError(f"There is no backend {backend!r}; choose auto or one of {', '.join(BACKENDS)}.")
    return backend


def compile(
    network: nn.Module, shape: tuple[int, int, int, int], device: torch.device, backend: str = "auto"
) -> CompiledNetwork:
    """Prepare a network for inputs of one shape (N, 3, H, W) on a device, to which it moves."""
    return BACKENDS[choose_backend(backend)].compile(network, shape, device)
