"""TensorRT through torch-tensorrt 2.13: exported, built for one shape, kept as a serialised program.

Written against the published package's source; nobody has run it where this was developed, for want of TensorRT's
libraries. What it builds is used only after `engine.proof` has found its answers right.
"""

from __future__ import annotations

import contextlib
import io
import threading
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from engine.backends import Task, compiler
from engine.backends.cache import cache_folder, entry, keep
from engine.devices import device_name
from engine.served import ServedNetwork

_FILE = "network.pt2"
SAVE_SETTINGS = {"output_format": "exported_program", "retrace": False}  # what `torch_tensorrt.save` is called with


def missing(device: torch.device) -> str | None:
    """It needs CUDA, torch-tensorrt and TensorRT's libraries."""
    if device.type != "cuda":
        return f"it is used on CUDA, not on {device}"
    absent = [name for name in ("torch_tensorrt", "tensorrt") if find_spec(name) is None]
    return f"the package {absent[0].replace('_', '-')} is not installed" if absent else None


def precisions(device: torch.device) -> tuple[str, ...]:
    """Float16; the networks were tried in nothing else."""
    return ("float16",)


def compile(task: Task) -> TensorRtNetwork:
    """Load a built program from the cache, or build it, which takes minutes."""
    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it cannot import, and then raises
        import torch_tensorrt

        if not torch_tensorrt.ENABLED_FEATURES.torch_tensorrt_runtime:
            import torch_tensorrt.dynamo.runtime._TRTEngine  # what a saved program consists of
    file = place(task) / _FILE
    if file.is_file():
        with contextlib.suppress(Exception):  # what cannot be read is built anew
            return TensorRtNetwork(task.network, torch.export.load(file).module())
    images, height, width = task.shape
    example = torch.zeros(images, 3, height, width, dtype=torch.float16, device=task.device)
    network = task.network.lowered(torch.float16).to(task.device)
    program = torch.export.export(_Answers(network).eval(), (example,))
    built = torch_tensorrt.dynamo.compile(program, **build_settings(example, task.device))
    keep(place(task), lambda folder: torch_tensorrt.save(built, str(folder / _FILE), **SAVE_SETTINGS))
    return TensorRtNetwork(task.network, built)


def place(task: Task) -> Path:
    """Where the program built for a task's network and shape is kept."""
    return entry("tensorrt", task.fingerprint, task.shape, compiler("tensorrt"), device_name(task.device))


def build_settings(example: Tensor, device: torch.device) -> dict[str, object]:
    """What `torch_tensorrt.dynamo.compile` is called with."""
    timing: Path = cache_folder() / "tensorrt" / "timing.bin"
    return {
        "arg_inputs": [example],
        "device": device,
        "min_block_size": 1,
        "truncate_double": True,
        "immutable_weights": True,
        "timing_cache_path": str(timing),
    }


class TensorRtNetwork:
    """The normalisation in PyTorch, the rest in TensorRT, whose program has one memory: threads take turns."""

    def __init__(self, network: ServedNetwork, program: nn.Module):
        self._network, self._program = network, program
        self._turn, self._done = threading.Lock(), torch.cuda.Event()

    @torch.inference_mode()
    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Uint8 [N, H, W, 3] -> the network's two outputs, float32."""
        images = self._network.images(pixels).half()
        with self._turn:
            stream = torch.cuda.current_stream(pixels.device)
            stream.wait_event(self._done)
            coarse, fine = self._program(images)
            self._done.record(stream)
        return coarse, fine


class _Answers(nn.Module):
    """`ServedNetwork.answers` as a module, which is what can be exported."""

    def __init__(self, network: ServedNetwork):
        super().__init__()
        self.served = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.served.answers(images)
