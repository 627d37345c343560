"""PyTorch's own compiler; on CUDA its result is recorded as a CUDA graph."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from importlib.util import find_spec

import torch
import torch._dynamo
import torch._inductor.config
from torch import Tensor

from engine.backends import CompiledNetwork, Task
from engine.backends.cache import cache_folder
from engine.backends.cuda_graph import RecordedNetwork
from engine.backends.eager import has_bfloat16

_SHAPES = 1000  # that the same network may be compiled for
_COMPILERS = ("g++", "clang++", "c++", "cl")


def missing(device: torch.device) -> str | None:
    """On CUDA it needs Triton, on a CPU a C++ compiler."""
    if device.type == "cuda":
        return None if find_spec("triton") else "the package triton is not installed"
    if device.type == "cpu":
        return None if any(map(shutil.which, _COMPILERS)) else f"there is no C++ compiler ({', '.join(_COMPILERS)})"
    return f"it is not used on {device}"


def precisions(device: torch.device) -> tuple[str, ...]:
    """Float16 first on CUDA, bfloat16 on a CPU with instructions for it."""
    if device.type == "cuda":
        return "float16", "bfloat16", "float32"
    return ("bfloat16", "float32") if has_bfloat16() else ("float32",)


def compile(task: Task) -> CompiledNetwork:
    """Compile for one shape; the compiler keeps its own cache on disk, so the next time is much shorter."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_folder() / "inductor"))
    network = task.network.lowered(getattr(torch, task.precision)).to(task.device, memory_format=torch.channels_last)
    # Without compilers' own doubts about how many shapes there may be, and with batch normalisations folded away; both
    # settings count when the first inputs come.
    compiled = torch.compile(network, fullgraph=True, dynamic=False)
    with torch._dynamo.config.patch(recompile_limit=_SHAPES), torch._inductor.config.patch(freezing=True):
        if task.device.type == "cuda":
            return RecordedNetwork(compiled, task.shape, task.device)
        return _first_run(compiled, task)


def _first_run(compiled: Callable[[Tensor], tuple[Tensor, Tensor]], task: Task) -> CompiledNetwork:
    """The compiled network on a CPU, after one run, so that what cannot be compiled is told now."""

    @torch.inference_mode()
    def run(pixels: Tensor) -> tuple[Tensor, Tensor]:
        coarse, fine = compiled(pixels)
        return coarse.contiguous(), fine.contiguous()

    images, height, width = task.shape
    run(torch.zeros(images, height, width, 3, dtype=torch.uint8))
    return run
