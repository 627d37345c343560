"""What Numba keeps of compiled functions between runs, and when it is worth nothing any more."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent


def forget_outdated(folder: Path, sources: Path = HERE) -> int:
    """Delete what was compiled before the newest of the package's sources; returns how many functions that were.

    Numba looks at a function's own file only, but machine code holds the functions that it calls as well. folder:
    where Numba keeps this package's functions; it need not exist.
    """
    newest = max(source.stat().st_mtime_ns for source in sources.glob("*.py"))
    forgotten = 0
    for index in folder.glob("*.nbi"):
        try:
            if index.stat().st_mtime_ns < newest:
                index.unlink()
                forgotten += 1
        except OSError:  # another process was quicker; Numba keeps nothing where it may not write
            continue
    return forgotten
