"""What a run has found so far, kept beside its output: a run that was cut off goes on, and finds nothing twice."""

from __future__ import annotations

import json
import os
import struct
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np

from app.processing.locking import lock
from app.sinks.poses import not_written
from app.sources import Frame
from engine.errors import SwahrError
from grouping import People, Skeleton

VERSION = 2
SECONDS_BETWEEN_SYNCS = 5  # what a power cut may cost
_RECORD = struct.Struct("<II")  # length and CRC-32 of what follows
# pts known, pts, a picture's width and height, people, length of its name, sigmas, tags a person (-1: not known)
_FRAME = struct.Struct("<?qIIIH?h")
_HEAD, _FOUND, _COMPLETE = b"H", b"F", b"E"  # what a record is about
_GREATEST_RECORD = 2**28


@dataclass(frozen=True, eq=False)
class Found:
    """What was found in a frame, without ids and unsmoothed, with all that ids follow from, and what poses tell of it.

    pts: its time stamp; None for pictures. name, size: a picture's in a folder, size as width and height.
    """

    people: People
    pts: int | None = None
    name: str | None = None
    size: tuple[int, int] | None = None

    @classmethod
    def of(cls, frame: Frame, people: People) -> Found:
        """What was found in a frame of a source."""
        height, width = frame.image.shape[:2]
        return cls(people, frame.pts, frame.name, None if frame.name is None else (width, height))


def journal_path(output: Path) -> Path:
    """Where the journal of a run lies, by the path of its annotated output."""
    return output.with_name(f"{output.name}.people")


class Journal:
    """The people of a run's frames, in a file that is there only while the run is not complete.

    job: what the run does, as plain JSON; a journal of another job is not gone on with.
    Inside ``with``, nobody else may use the file; it is left as it is unless something is added or `remove` is called.
    left_over: another run was here before. frames: how many frames it holds.
    header: the first line of the poses, from when the run was begun; None before.
    complete: every frame of the source is in it. Whatever a process that dies, a full disk or a power cut leaves
    behind the last whole record is dropped.

    Raises SwahrError where another run uses the file, and, unless `anew`, where it is of another job.
    """

    def __init__(self, path: Path, job: Mapping[str, Any], anew: bool = False) -> None:
        self.path, self._job, self._anew = path, dict(job), anew
        self.left_over = False
        self.frames = 0
        self.header: Mapping[str, Any] | None = None
        self.complete = False
        self._file: BinaryIO | None = None
        self._begin = self._end = 0  # of the frames' records
        self._synced = time.monotonic()

    def __enter__(self) -> Self:
        if not self.path.parent.is_dir():
            raise SwahrError(f"The folder {self.path.parent} does not exist; create it, or write elsewhere.")
        try:
            self._open()
            self._look_through()
        except OSError as error:
            self.close()
            raise SwahrError(f"{self.path} cannot be written ({error.strerror}); write elsewhere.") from None
        except BaseException:
            self.close()
            raise
        return self

    def _open(self) -> None:
        while True:
            self.left_over = self.path.exists()
            self._file = self.path.open("a+b")
            if not lock(self._file):
                raise SwahrError(f"{self.path} is in use by another run; wait for its end, or write elsewhere.")
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(self._file.fileno()), self.path.stat()):
                    return
            self._file.close()  # another run has ended and removed it just before it was locked

    def close(self) -> None:
        """Leave it as it is, for whoever opens it next."""
        if self._file is not None:
            with suppress(OSError):  # of a disk that is full; what is whole is there
                self._file.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._end == 0 and not self._file.closed:
            self.remove()
        self.close()

    def remove(self) -> None:
        """The run is complete, and its outputs have their names."""
        with suppress(OSError):  # where an open file cannot be removed, it is empty
            self._file.truncate(0)
            self.path.unlink()
        self.close()

    def found(self) -> Iterator[Found]:
        """What it holds of each frame, in order."""
        if self.frames:
            skeleton = Skeleton.from_dict(self.header["skeleton"])
            with self.path.open("rb") as file:
                file.seek(self._begin)
                for _ in range(self.frames):
                    yield _unpacked(_next_record(file)[1:], skeleton)

    def forget_from(self, frame: int) -> None:
        """Drop that frame and those after it."""
        if frame >= self.frames:
            return
        with self.path.open("rb") as file:
            file.seek(self._begin)
            for _ in range(frame):
                _next_record(file)
            self._end = file.tell()
        self.frames, self.complete = frame, False

    def add(self, found: Found, header: Mapping[str, Any]) -> None:
        """Add the next frame; SwahrError if it cannot be written. header: used with the first frame only."""
        if self.header is None:
            self.header = json.loads(json.dumps(header))
            self._append(_HEAD + json.dumps({"version": VERSION, "job": self._job, "header": self.header}).encode())
            self._begin = self._end
        self._append(_FOUND + _packed(found))
        self.frames += 1
        if time.monotonic() - self._synced > SECONDS_BETWEEN_SYNCS:
            self._sync()

    def mark_complete(self) -> None:
        """Note that no more frames come."""
        if self.header is not None and not self.complete:
            self._append(_COMPLETE)
            self._sync()
            self.complete = True

    def _append(self, record: bytes) -> None:
        try:
            if self._file.seek(0, os.SEEK_END) != self._end:
                self._file.truncate(self._end)
            self._file.write(_RECORD.pack(len(record), zlib.crc32(record)) + record)
            self._file.flush()
        except OSError as error:
            raise not_written(self.path, error) from None
        self._end += _RECORD.size + len(record)

    def _sync(self) -> None:
        with suppress(OSError):  # a file system that cannot
            os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def _look_through(self) -> None:
        with self.path.open("rb") as file:
            head = _next_record(file)
            if head is None or head[:1] != _HEAD or (self._anew and not self._goes_on(head)):
                return  # nothing in it is of use, and the first frame begins it anew
            if (difference := self._difference(head)) is not None:
                raise SwahrError(
                    f"{self.path} is left over from a run of which {difference}; run it as it was to go on with it, "
                    "or add --overwrite to begin anew."
                )
            self.header = json.loads(head[1:])["header"]
            self._begin = self._end = file.tell()
            while (record := _next_record(file)) is not None:
                self.frames += record[:1] == _FOUND
                self.complete = record[:1] == _COMPLETE
                self._end = file.tell()

    def _goes_on(self, head: bytes) -> bool:
        return self._difference(head) is None

    def _difference(self, head: bytes) -> str | None:
        """In words, the first thing in which a journal's job is another; None if there is none."""
        values = json.loads(head[1:])
        if values["version"] != VERSION:
            return "the journal is another version's"
        before, now = values["job"], json.loads(json.dumps(self._job))
        for name in {**before, **now}:
            if before.get(name) != now.get(name):
                return f"{name} was {_shown(before.get(name))} and is {_shown(now.get(name))}"
        return None


def _shown(value: Any) -> str:
    return "not set" if value is None else str(value)


def _next_record(file: BinaryIO) -> bytes | None:
    """The next whole record; None if there is none."""
    head = file.read(_RECORD.size)
    if len(head) < _RECORD.size:
        return None
    length, checksum = _RECORD.unpack(head)
    if not 0 < length < _GREATEST_RECORD:
        return None
    record = file.read(length)
    return record if len(record) == length and zlib.crc32(record) == checksum else None


def _packed(found: Found) -> bytes:
    people, name = found.people, os.fsencode(found.name or "")
    width, height = found.size or (0, 0)
    num_tags = -1 if people.tags is None else people.tags.shape[1]
    head = _FRAME.pack(
        found.pts is not None,
        found.pts or 0,
        width,
        height,
        len(people),
        len(name),
        people.sigmas is not None,
        num_tags,
    )
    arrays = [people.keypoints, people.scores, people.sigmas, people.tags]
    return head + name + b"".join(array.astype("<f4").tobytes() for array in arrays if array is not None)


def _unpacked(record: bytes, skeleton: Skeleton) -> Found:
    has_pts, pts, width, height, people, length, has_sigmas, num_tags = _FRAME.unpack_from(record)
    name = os.fsdecode(record[_FRAME.size : _FRAME.size + length]) or None
    values = np.frombuffer(record, "<f4", offset=_FRAME.size + length).astype(np.float32)
    each = people * skeleton.num_keypoints
    keypoints, scores, sigmas, tags = np.split(values, np.cumsum([3 * each, people, each if has_sigmas else 0]))
    return Found(
        People(
            keypoints.reshape(people, -1, 3) if people else np.zeros((0, skeleton.num_keypoints, 3), np.float32),
            scores,
            sigmas.reshape(people, skeleton.num_keypoints) if has_sigmas else None,
            skeleton,
            tags=tags.reshape(people, num_tags) if num_tags >= 0 else None,
        ),
        pts if has_pts else None,
        name,
        None if name is None else (width, height),
    )
