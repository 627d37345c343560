"""Where the time of a training step goes."""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from engine.training.recipe import Recipe
from engine.training.trainer import Trainer


@dataclass(frozen=True)
class StepProfile:
    """Medians over `steps` steps.

    seconds: of each part of a step on one batch: forward, losses, backward, Adam, average. data_seconds: of making the
    `batch` pictures of a step in one process.
    """

    steps: int
    batch: int
    seconds: dict[str, float]
    data_seconds: float

    @property
    def workers_needed(self) -> int:
        """How many processes make pictures as fast as the network takes them, on cores of their own."""
        return math.ceil(self.data_seconds / sum(self.seconds.values()))


def profile(recipe: Recipe, steps: int = 8, device: str = "auto") -> StepProfile:
    """Train `steps` steps, after two that warm up, and forget what was learned. Raises SwahrError as training does."""
    trainer = Trainer(recipe, Path("never-written"), device)
    trainer.measuring = True
    schedule = trainer.recipe.schedule
    if schedule.threads:
        torch.set_num_threads(schedule.threads)
    parts: dict[str, list[float]] = {}
    data = []
    for step in range(steps + 2):
        started = time.perf_counter()
        first = step * schedule.batch
        pictures = [trainer.samples[number] for number in range(first, first + schedule.batch)]
        made = time.perf_counter() - started
        trainer.update({name: torch.stack([one[name] for one in pictures]) for name in pictures[0]})
        if step >= 2:
            data.append(made)
            for part, seconds in trainer.stopwatch.seconds.items():
                parts.setdefault(part, []).append(seconds)
    return StepProfile(
        steps, schedule.batch, {part: statistics.median(each) for part, each in parts.items()}, statistics.median(data)
    )
