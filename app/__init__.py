"""SWAHR Live, the application: sources, sinks, the window and the command ``swahr``; in Python, `process`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.processing.iteration import process

__all__ = ["process"]


def __getattr__(name: str) -> Any:
    if name != "process":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from app.processing.iteration import process  # and with it all that is slow to import

    return process
