"""PyTorch as it is, in the precision the device is quick at."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.backends import Task
from engine.served import ServedNetwork


def missing(device: torch.device) -> str | None:
    """Runs everywhere."""
    return None


def precisions(device: torch.device) -> tuple[str, ...]:
    """Float16 on CUDA, bfloat16 on a CPU with instructions for it, and float32."""
    if device.type == "cuda":
        return "float16", "bfloat16", "float32"
    return ("bfloat16", "float32") if device.type == "cpu" and has_bfloat16() else ("float32",)


def compile(task: Task) -> EagerNetwork:
    """Ready at once, for any shape."""
    return EagerNetwork(task.network, task.device, getattr(torch, task.precision))


def has_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16; without them it is slower than float32."""
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


class EagerNetwork:
    """A network on its device, run under autocast where that is faster."""

    def __init__(self, network: ServedNetwork, device: torch.device, dtype: torch.dtype):
        self._network = network.to(device, memory_format=torch.channels_last)
        self._device_type = device.type
        self._dtype = dtype

    @torch.inference_mode()
    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Uint8 [N, H, W, 3] -> the network's two outputs, float32."""
        lower = self._dtype != torch.float32
        with torch.autocast(self._device_type, dtype=self._dtype, enabled=lower):
            coarse, fine = self._network(pixels)
        if self._device_type == "cpu":  # grouping there reads map by map
            return coarse.contiguous(), fine.contiguous()
        return coarse, fine
