"""Which network is to run, and on what: the same choice for every command that finds people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine import PoseEstimator


@dataclass(frozen=True)
class EngineSettings:
    """See ``PoseEstimator.load``, whose arguments these are."""

    model: str = "default"
    preset: str | None = None
    size: int | None = None
    flip: bool = False
    device: str = "auto"
    backend: str = "auto"
    precision: str = "auto"

    def load(self, **more: Any) -> PoseEstimator:
        """The estimator; `more`: further arguments. Raises SwahrError for what cannot be had."""
        from engine import PoseEstimator

        return PoseEstimator.load(**vars(self), **more)
