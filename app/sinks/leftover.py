"""What a run that was cut off has left of a video, until the next run has all that can be kept of it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from .partial import partial_path, previous_path
from .segments import Segments, whole_segments


class LeftOver:
    """The partial file of an earlier run, set aside under another name while its segments are copied into a new one.

    At every moment one of the two files holds all the segments that can be kept, so that the next run can go on
    wherever this one is cut off. length: frames in a segment. codec: FFmpeg's name of the expected codec.
    """

    def __init__(self, path: Path, length: int, codec: str) -> None:
        self._partial, self._previous = partial_path(path), previous_path(path)
        self._length, self._codec = length, codec

    @property
    def path(self) -> Path:
        """Where it is set aside."""
        return self._previous

    def set_aside(self) -> Segments | None:
        """Move the file which holds more, and say what it holds; None, and nothing is left, if that is nothing."""
        partial, previous = (self._whole_segments(path) for path in (self._partial, self._previous))
        if partial is not None and (previous is None or partial.frames > previous.frames):
            self._partial.replace(self._previous)
            return replace(partial, path=self._previous)
        if previous is None:
            self.remove()
        return previous

    def is_copied(self, segments: Segments) -> bool:
        """Whether the new file, as the system has it, holds the segments as well."""
        copy = self._whole_segments(self._partial)
        return copy is not None and copy.frames >= segments.frames

    def remove(self) -> None:
        """It is not needed any more."""
        with suppress(FileNotFoundError):
            self._previous.unlink()

    def put_back(self, segments: Segments) -> bool:
        """After a failure, let the partial file be the one that holds more; whether that is the old one."""
        if self.is_copied(segments):
            self.remove()
            return False
        with suppress(OSError):
            self._previous.replace(self._partial)
            return True
        return False

    def _whole_segments(self, path: Path) -> Segments | None:
        return whole_segments(path, self._length, self._codec)
