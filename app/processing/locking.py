"""A file for one process alone, as long as that holds it open; the system lets go of it however the process ends."""

from __future__ import annotations

from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

    def lock(file: BinaryIO) -> bool:
        """Whether nobody else has locked the open file; then it is locked."""
        file.seek(2**31 - 1)  # a byte that nobody reads, for there a lock keeps others from reading
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:

    def lock(file: BinaryIO) -> bool:
        """Whether nobody else has locked the open file; then it is locked."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system that knows no locks
            return True
        return True
