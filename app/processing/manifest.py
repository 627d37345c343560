"""What became of each source of a queue, in a file that lets the queue go on where it was cut off."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.sinks.poses import not_written
from engine.errors import SwahrError

_HEADER = b'{"format": "swahr-manifest", "version": 1}'
FILE_NAME = "swahr-manifest.jsonl"
DONE, FAILED = "done", "failed"


class Manifest:
    """JSON lines: a header, then one line for each source that is done or has failed; of several the last one counts.

    Raises SwahrError if the file is something else, or cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last: dict[str, Mapping[str, Any]] = {}
        if not path.parent.is_dir():
            raise SwahrError(f"The folder {path.parent} does not exist; create it, or name another manifest.")
        try:
            self._read()
        except FileNotFoundError:
            self._append(_HEADER)
        except OSError as error:
            raise SwahrError(f"The manifest {path} cannot be read ({error.strerror}); name another.") from None

    def _read(self) -> None:
        first, *lines = self.path.read_bytes().splitlines() or [b""]
        if _HEADER.startswith(first) and not lines:
            self.path.unlink()  # it was begun, and not even its first line was written
            raise FileNotFoundError
        if first != _HEADER:
            raise SwahrError(f"{self.path} is no manifest of a queue; name another with --manifest.")
        for line in lines:
            with suppress(ValueError, KeyError, TypeError):  # a line that was cut off
                record = json.loads(line)
                self._last[record["source"]] = record

    def is_done(self, source: str, job: Mapping[str, Any], outputs: Sequence[Path]) -> bool:
        """Whether a source was processed by this very job, and what it gave is still there."""
        record = self._last.get(source)
        if record is None or record["state"] != DONE or record["job"] != _key(job):
            return False
        return set(record["outputs"]) == {str(path) for path in outputs} and all(path.exists() for path in outputs)

    def add(self, source: str, state: str, job: Mapping[str, Any], outputs: Sequence[Path], message: str) -> None:
        """Note what became of a source: DONE or FAILED, and the sentences the user has read about it."""
        record = {
            "source": source,
            "state": state,
            "job": _key(job),
            "outputs": [str(path) for path in outputs],
            "message": message,
        }
        self._append(json.dumps(record).encode())
        self._last[source] = record

    def _append(self, line: bytes) -> None:
        try:
            with self.path.open("ab+") as file:
                end = file.tell()
                if end:
                    file.seek(end - 1)
                    if file.read(1) != b"\n":  # the line before was cut off
                        file.write(b"\n")
                file.write(line + b"\n")
                file.flush()
                with suppress(OSError):  # a file system that cannot
                    os.fsync(file.fileno())
        except OSError as error:
            raise not_written(self.path, error) from None


def _key(job: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(job, sort_keys=True).encode()).hexdigest()[:16]
