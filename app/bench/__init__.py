"""``swahr bench``: how long things take on this machine, each beside what it is compared with, in one run."""

from __future__ import annotations

from pathlib import Path

from engine.errors import SwahrError


def check_json_path(path: Path | None) -> None:
    """Raise SwahrError if figures could not be written there, before anything is measured."""
    if path is not None and not path.parent.is_dir():
        raise SwahrError(f"The folder {path.parent} does not exist; create it, or name another file.")
