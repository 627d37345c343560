"""Frames from picture files: one, or a folder of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.errors import SwahrError

from . import PICTURE_SECONDS, Frame, SeekableSource, Source, SourceInfo, check_size, whole_units

PICTURE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"))


class PictureSource(Source):
    """The one frame of a picture file, turned upright as its EXIF orientation says."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._image = read_picture(Path(name))
        height, width = self._image.shape[:2]
        self.info = SourceInfo(name, "image", Path(name), (width, height), frames=1)

    def __iter__(self) -> Iterator[Frame]:
        yield Frame(self._image, 0)


class FolderSource(SeekableSource):
    """The pictures of a folder, sorted as people count: 2.jpg before 10.jpg; each lasts PICTURE_SECONDS.

    Pictures that cannot be read are left out and named in ``notes``. Raises SwahrError if the folder holds no
    picture, and at the end if not one of them could be read.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        folder = Path(name)
        names = [path.name for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES]
        names = tuple(sorted((name for name in names if not name.startswith(".")), key=natural_order))
        if not names:
            raise SwahrError(
                f"The folder {name} holds no pictures ({', '.join(sorted(PICTURE_SUFFIXES))}); name another."
            )
        duration = len(names) * PICTURE_SECONDS
        self.info = SourceInfo(name, "folder", folder, frames=len(names), names=names, duration=duration)
        self._left_out: set[int] = set()  # places among the names

    def __iter__(self) -> Iterator[Frame]:
        yield from self._readable(range(len(self.info.names)))
        if self._left_out:
            left_out = [self.info.names[place] for place in sorted(self._left_out)]
            named = ", ".join(left_out[:5]) + (" …" if len(left_out) > 5 else "")
            self.notes.append(
                f"Left out, for they could not be read: {named} ({len(left_out)} of {len(self.info.names)} pictures)."
            )

    def frames(self, start: Fraction | float, wanted: Callable[[], bool] = lambda: True) -> Iterator[Frame]:
        """See `SeekableSource.frames`; the index counts the pictures before, but those that were found unreadable."""
        last = len(self.info.names) - 1
        place = min(whole_units(start, PICTURE_SECONDS), last)
        while (frame := self._read(place)) is None and place > 0:
            if not wanted():
                return
            place -= 1
        if frame is not None:
            yield frame
        yield from self._readable(range(place + 1, last + 1))

    def position(self, frame: Frame) -> Fraction:
        """Where its turn is, the unreadable pictures counted."""
        return self.info.names.index(frame.name) * PICTURE_SECONDS

    def _readable(self, places: range) -> Iterator[Frame]:
        for place in places:
            frame = self._read(place)
            if frame is not None:
                yield frame
        if len(self._left_out) == len(self.info.names):
            raise SwahrError(f"Not one of the {len(self._left_out)} pictures in {self.info.name} can be read.")

    def _read(self, place: int) -> Frame | None:
        name = self.info.names[place]
        try:
            image = read_picture(self.info.path / name)
        except SwahrError:
            self._left_out.add(place)
            return None
        self._left_out.discard(place)
        return Frame(image, place - sum(out < place for out in self._left_out), name=name)


def read_picture(path: Path) -> NDArray[np.uint8]:
    """A picture file as RGB uint8 [H, W, 3], upright; SwahrError if it cannot be read or is too small."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SwahrError(f"{path} cannot be read ({error.strerror}).") from None
    image = None
    # libpng would print a line of its own about a PNG that lacks its end.
    if data and not (data.startswith(b"\x89PNG") and b"IEND" not in data):
        cv2.utils.logging.setLogLevel(
            cv2.utils.logging.LOG_LEVEL_SILENT
        )  # its own warnings would stand beside the one sentence
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
        except cv2.error:
            image = None
    if image is None:
        raise SwahrError(f"{path} cannot be decoded as a picture; check that it is one and that it is complete.")
    height, width = image.shape[:2]
    check_size(str(path), width, height)
    return image


def natural_order(name: str) -> list[tuple[float, str]]:
    """A sorting key by which digits count as numbers, so that 9 comes before 10."""
    parts = re.findall(r"\d+|\D+", name.casefold())
    return [(int(part), "") if part.isdecimal() else (math.inf, part) for part in parts]
