"""Averaged weights that are useful from the first steps on."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def rising_average(decay: float) -> Callable[[list[Tensor], list[Tensor], Tensor | int], None]:
    """How `AveragedModel` moves its tensors: an exponential average whose memory grows to `decay`.

    At update n the old average keeps min(decay, (1 + n) / (10 + n)), so that the random weights of the start are
    forgotten within some ten steps and not within 1 / (1 − decay). Whole numbers (batch counters) are copied.
    """

    @torch.no_grad()
    def update(averaged: list[Tensor], current: list[Tensor], number: Tensor | int) -> None:
        kept = min(decay, (1 + int(number)) / (10 + int(number)))
        if averaged[0].is_floating_point():
            torch._foreach_lerp_(averaged, current, 1 - kept)
        else:
            torch._foreach_copy_(averaged, current)

    return update
