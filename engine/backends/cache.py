"""Where compiled networks are kept between runs."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

VARIABLE = "SWAHR_CACHE"


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


@contextmanager
def filled_at_once(place: Path) -> Iterator[Path]:
    """A temporary folder that becomes `place` when the block has filled it, so that nobody sees half of it.

    What is there is replaced. Where the cache cannot be written the folder is thrown away without a word: a cache that
    cannot be kept costs time and nothing else.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        room = TemporaryDirectory(dir=place.parent, prefix="filling-", ignore_cleanup_errors=True)
    except OSError:
        room = TemporaryDirectory(prefix="swahr-", ignore_cleanup_errors=True)
    with room as folder:
        yield Path(folder)
        with suppress(OSError):
            shutil.rmtree(place, ignore_errors=True)  # what could not be read
            Path(folder).rename(place)


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
