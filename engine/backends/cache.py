"""Where compiled networks are kept between runs."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

VARIABLE = "SWAHR_CACHE"

_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """The folder of everything compiled: $SWAHR_CACHE, or a folder where the system keeps caches."""
    if VARIABLE in os.environ:
        return Path(os.environ[VARIABLE])
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "swahr-live"


def entry(backend: str, *parts: object) -> Path:
    """The place, which may be empty, of one thing compiled; it is another one if any part is another."""
    return cache_folder() / backend / hashlib.sha256(repr(parts).encode()).hexdigest()[:24]


def keep(place: Path, save: Callable[[Path], object]) -> None:
    """Let `save` fill a temporary folder, which then becomes `place`, so that nobody sees half of it.

    What is there is replaced. Where that fails, a warning says why and nothing is kept: it costs time and nothing else.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=place.parent, prefix="filling-", ignore_cleanup_errors=True) as folder:
            save(Path(folder))
            shutil.rmtree(place, ignore_errors=True)  # what could not be read
            Path(folder).rename(place)
    except Exception as error:  # of a compiler's own, or of the disk
        _log.warning("What was compiled cannot be kept in %s (%s), so it is made anew next time.", place, error)


def sizes() -> dict[str, int]:
    """Backend -> bytes that its caches take."""
    folder = cache_folder()
    if not folder.is_dir():
        return {}
    return {
        backend.name: sum(file.stat().st_size for file in backend.rglob("*") if file.is_file())
        for backend in sorted(folder.iterdir())
        if backend.is_dir()
    }
