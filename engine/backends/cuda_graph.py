"""A network recorded once as a CUDA graph: launching it costs one call instead of hundreds."""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch
from torch import Tensor

from engine.backends import Shape

_WARM_UPS = 3  # what is compiled or chosen at the first runs must not be recorded


class RecordedNetwork:
    """Runs a function of pixels uint8 [N, H, W, 3] on CUDA from its recording.

    The recording reads and writes memory of its own, so pixels are copied in and answers out on the caller's stream,
    and threads take turns.
    """

    def __init__(self, function: Callable[[Tensor], tuple[Tensor, Tensor]], shape: Shape, device: torch.device):
        images, height, width = shape
        self._turn = threading.Lock()
        self._pixels = torch.zeros(images, height, width, 3, dtype=torch.uint8, device=device)
        self._graph = torch.cuda.CUDAGraph()
        self._done = torch.cuda.Event()
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.inference_mode(), torch.cuda.stream(stream):
            for _ in range(_WARM_UPS):
                function(self._pixels)
            stream.synchronize()
            # Other threads may go on using the GPU.
            with torch.cuda.graph(self._graph, stream=stream, capture_error_mode="thread_local"):
                self._answers = function(self._pixels)
        torch.cuda.current_stream(device).wait_stream(stream)

    @torch.inference_mode()
    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels uint8 [N, H, W, 3] -> the network's two outputs, float32."""
        with self._turn:
            stream = torch.cuda.current_stream(pixels.device)
            stream.wait_event(self._done)  # another thread's stream may still be reading the answers
            self._pixels.copy_(pixels, non_blocking=True)
            self._graph.replay()
            coarse, fine = (answer.clone() for answer in self._answers)
            self._done.record(stream)
        return coarse, fine
