"""PyTorch as it is, in the precision the device is quick at."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class EagerNetwork:
    """A network in evaluation mode on its device, run under autocast where that is faster."""

    def __init__(self, network: nn.Module, device: torch.device):
        self._network = network.eval().to(device, memory_format=torch.channels_last)
        self._device_type = device.type
        self._dtype = quick_dtype(device)
        self.precision = str(self._dtype).removeprefix("torch.")

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Float32 [N, 3, H, W] -> the network's two outputs, float32."""
        images = images.contiguous(memory_format=torch.channels_last)
        lower = self._dtype != torch.float32
        with torch.autocast(self._device_type, dtype=self._dtype, enabled=lower):
            coarse, fine = self._network(images)
        if self._device_type == "cpu":  # grouping there reads map by map, and turning few bytes is quicker than many
            coarse, fine = coarse.contiguous(), fine.contiguous()
        return coarse.float(), fine.float()


def compile(network: nn.Module, shape: tuple[int, int, int, int], device: torch.device) -> EagerNetwork:
    """Ready at once, for any shape."""
    return EagerNetwork(network, device)


def quick_dtype(device: torch.device) -> torch.dtype:
    """Float16 on CUDA, bfloat16 on a CPU with instructions for it, float32 elsewhere."""
    if device.type == "cuda":
        return torch.float16
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        if able.get("avx512_bf16") or able.get("amx_bf16"):
            return torch.bfloat16
    return torch.float32
