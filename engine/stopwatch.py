"""How long the stages of an answer took, thread by thread."""

from __future__ import annotations

import threading
import time

import torch


class Stopwatch(threading.local):
    """Each thread has its own laps.

    seconds: stage -> how long it took since `start`; a stage that was lapped twice counts twice.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = 0.0

    def start(self) -> None:
        """Forget the laps and begin."""
        self.seconds = {}
        self._last = time.perf_counter()

    def lap(self, stage: str, device: torch.device | None = None) -> None:
        """Count what has passed since the last lap for a stage, after waiting for what a GPU has to do."""
        if device is not None and device.type == "cuda":
            torch.cuda.synchronize(device)
        elif device is not None and device.type == "mps":
            torch.mps.synchronize()
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now
