"""The lines that libraries written in C print by themselves, caught so that the user reads one sentence."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock

_OF_LIBRARIES = (
    b"Corrupt JPEG data",
    b"Premature end of JPEG",
    b"Inconsistent progression",
    b"Invalid SOS",
    b"Warning: unknown JFIF",
    b"libpng warning",
    b"libpng error",
)
_STANDARD_ERROR = 2
_alone = Lock()


@contextmanager
def quietly() -> Iterator[list[str]]:
    """Keep what the picture decoders print off standard error; the list holds their lines afterwards.

    What anybody else prints meanwhile comes out a moment later.
    """
    lines: list[str] = []
    with _alone, ExitStack() as stack:
        try:
            caught = stack.enter_context(tempfile.TemporaryFile())
            before = os.dup(_STANDARD_ERROR)
        except OSError:  # no room for it, or no standard error
            yield lines
            return
        stack.callback(os.close, before)
        os.dup2(caught.fileno(), _STANDARD_ERROR)
        try:
            yield lines
        finally:
            os.dup2(before, _STANDARD_ERROR)
            caught.seek(0)
            lines += _sorted_out(caught.read())


def _sorted_out(printed: bytes) -> list[str]:
    """The lines of the libraries; the others are printed."""
    lines = printed.splitlines(keepends=True)
    for line in lines:
        if not line.startswith(_OF_LIBRARIES):
            os.write(_STANDARD_ERROR, line)
    return [line.decode(errors="replace").rstrip() for line in lines if line.startswith(_OF_LIBRARIES)]
