"""The network and everything between an image and its people: `from engine import PoseEstimator`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.aggregate import Maps
    from engine.estimator import PoseEstimator

__all__ = ["Maps", "PoseEstimator"]

_HOME = {"Maps": "engine.aggregate", "PoseEstimator": "engine.estimator"}


def __getattr__(name: str) -> Any:
    # torch takes a second to import; a command that only prints its help should not wait for it.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
