"""How fast training pictures are made, whatever the network then does with them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.training.batches import batches
from engine.training.distributed import ALONE, refuse_torchrun
from engine.training.recipe import load_recipe
from engine.training.setup import with_samples

_ENDLESS = 10**9  # steps


@dataclass(frozen=True)
class DataRate:
    """So many pictures were made in so many seconds by so many workers; 0: by the training process itself."""

    pictures: int
    seconds: float
    workers: int

    @property
    def per_second(self) -> float:
        return self.pictures / self.seconds

    def in_words(self) -> str:
        """As a sentence."""
        makers = max(1, self.workers)
        who = f"{self.workers} worker{'s' * (self.workers > 1)}" if self.workers else "the training process itself"
        each = f", {self.per_second / makers:.1f} each" if makers > 1 else ""
        return (
            f"Data: {who} made {self.pictures} pictures in {self.seconds:.1f} s, {self.per_second:.1f} a second{each} "
            "(schedule.workers sets their number)."
        )


def data_rate(recipe: Path, overrides: Sequence[str] = (), seconds: float = 10.0) -> DataRate:
    """Let the recipe's workers make batches for so long, as if they trained a network that takes no time.

    Counted from when each worker has delivered a batch. Raises SwahrError as training does.
    """
    refuse_torchrun("swahr train --profile-data")
    settings = load_recipe(recipe, list(overrides))
    settings, samples = with_samples(settings, settings.model.config().skeleton)
    schedule, pictures, began = settings.schedule, 0, None
    for number, _ in enumerate(batches(samples, schedule, 0, _ENDLESS, ALONE), 1):
        now = time.perf_counter()
        if began is None:
            began = now if number >= schedule.workers else None
            continue
        pictures += schedule.batch
        if now - began >= seconds:
            break
    return DataRate(pictures, now - began, schedule.workers)
