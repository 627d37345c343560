"""Frames from picture files: one, or a folder of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.errors import SwahrError

from . import (
    MOST_PICTURE_PIXELS,
    PICTURE_SECONDS,
    Frame,
    SeekableSource,
    Source,
    SourceInfo,
    check_pixels,
    check_size,
    whole_units,
)
from .files import not_a_file
from .live_names import shown_name
from .picture_headers import HEAD, is_animated, is_whole_png, picture_format, picture_size
from .quiet import quietly
from .selection import WHOLE, Selection, nothing_selected

ANIMATED = "animated; only the first picture is used"
DAMAGED = "damaged; parts may look wrong"
_BESIDE_PIXELS = 64_000_000  # bytes that a file may hold besides its pixels: previews, other pictures, descriptions
_BYTES_OF_PIXEL = 16  # at most, uncompressed: four channels of 32 bits
PICTURE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"))


class PictureSource(Source):
    """The one frame of a picture file, turned upright as its EXIF orientation says."""

    def __init__(self, name: str) -> None:
        super().__init__()
        picture = read_picture(Path(name))
        self._image = picture.image
        height, width = self._image.shape[:2]
        self.info = SourceInfo(shown_name(name), "image", Path(name), (width, height), frames=1)
        self.notes += [f"{self.info.name} is {flaw}." for flaw in picture.flaws]

    def __iter__(self) -> Iterator[Frame]:
        yield Frame(self._image, 0)

    def selected(
        self, selection: Selection = WHOLE, skip: int = 0, wanted: Callable[[], bool] = lambda: True
    ) -> Iterator[Frame]:
        """See `Source.selected`; there is the one picture, or nothing where it is skipped."""
        return iter(()) if skip and selection == WHOLE else super().selected(selection)


class FolderSource(SeekableSource):
    """The pictures of a folder, sorted as people count: 2.jpg before 10.jpg; each lasts PICTURE_SECONDS.

    Pictures that cannot be read are left out and named in ``notes``. Raises SwahrError if the folder holds no
    picture, and at the end if not one of them could be read.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        folder, shown = Path(name), shown_name(name)
        try:
            names = [path.name for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES]
        except OSError as error:
            raise SwahrError(f"The folder {shown} cannot be read ({error.strerror}).") from None
        names = tuple(sorted((name for name in names if not name.startswith(".")), key=natural_order))
        if not names:
            raise SwahrError(
                f"The folder {shown} holds no pictures ({', '.join(sorted(PICTURE_SUFFIXES))}); name another."
            )
        duration = len(names) * PICTURE_SECONDS
        self.info = SourceInfo(shown, "folder", folder, frames=len(names), names=names, duration=duration)
        self._left_out: set[int] = set()  # places among the names
        self._flaws: dict[str, set[int]] = {}  # places by what is to be said of the pictures there

    def __iter__(self) -> Iterator[Frame]:
        return self.selected()

    def selected(
        self, selection: Selection = WHOLE, skip: int = 0, wanted: Callable[[], bool] = lambda: True
    ) -> Iterator[Frame]:
        """See `Source.selected`; unreadable pictures count for the selection, but have no index and are not skipped."""
        places = selection.places(len(self.info.names), PICTURE_SECONDS)
        if not places:
            raise nothing_selected(self.info.name, selection, self.info.duration)
        return self._selected(places, skip, wanted)

    def _selected(self, places: range, skip: int, wanted: Callable[[], bool]) -> Iterator[Frame]:
        for index, frame in enumerate(self._readable(places)):
            if index >= skip:
                yield replace(frame, index=index)
            elif not wanted():
                return
        self._refuse_unreadable(places)
        self._note("Left out, for they could not be read", self._left_out, places)
        for flaw, flawed in self._flaws.items():
            self._note(flaw.capitalize(), flawed, places)

    def _note(self, what: str, noted: set[int], places: range) -> None:
        names = [shown_name(self.info.names[place]) for place in places if place in noted]
        if names:
            named = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
            self.notes.append(f"{what}: {named} ({len(names)} of {len(places)} pictures).")

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
        self._refuse_unreadable(range(last + 1))

    def position(self, frame: Frame) -> Fraction:
        """Where its turn is, the unreadable pictures counted."""
        return self.info.names.index(frame.name) * PICTURE_SECONDS

    def _readable(self, places: range) -> Iterator[Frame]:
        for place in places:
            frame = self._read(place)
            if frame is not None:
                yield frame

    def _refuse_unreadable(self, places: range) -> None:
        if self._left_out.issuperset(places):
            raise SwahrError(f"Not one of the {len(places)} pictures in {self.info.name} can be read.")

    def _read(self, place: int) -> Frame | None:
        name = self.info.names[place]
        try:
            picture = read_picture(self.info.path / name)
        except SwahrError:
            self._left_out.add(place)
            return None
        self._left_out.discard(place)
        for flaw in picture.flaws:
            self._flaws.setdefault(flaw, set()).add(place)
        return Frame(picture.image, place - sum(out < place for out in self._left_out), name=name)


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture. image: RGB uint8 [H, W, 3], upright. flaws: what the user should know, to follow "is"."""

    image: NDArray[np.uint8]
    flaws: tuple[str, ...] = ()


def read_picture(path: Path) -> Picture:
    """Read a picture file; SwahrError if it cannot be read, is no picture, or is too small or too large."""
    shown = shown_name(str(path))
    data = _checked_data(path, shown)
    if picture_format(data[:HEAD]) == "PNG" and not is_whole_png(data):
        raise _undecodable(shown)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # its own lines would stand beside the sentence
    with quietly() as complaints:
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
        except cv2.error:
            image = None
    if image is None:
        raise _undecodable(shown)
    height, width = image.shape[:2]
    check_size(shown, width, height)
    flaws = [ANIMATED] if is_animated(data) else []
    if any("JPEG" in complaint for complaint in complaints):
        flaws.append(DAMAGED)
    return Picture(image, tuple(flaws))


def _checked_data(path: Path, shown: str) -> bytes:
    """What a picture file holds, if its header does not claim more than can be decoded."""
    try:
        status = path.stat()
        if other := not_a_file(status.st_mode):
            raise SwahrError(f"{shown} is {other}, no file.")
        with path.open("rb") as file:
            size = picture_size(file)
            if size is None:
                raise _undecodable(shown)
            check_pixels(shown, *size, MOST_PICTURE_PIXELS)
            if status.st_size > _BESIDE_PIXELS + _BYTES_OF_PIXEL * size[0] * size[1]:
                raise SwahrError(
                    f"{shown} is larger than any picture of {size[0]}×{size[1]} pixels can be; check that it is one."
                )
            file.seek(0)
            return file.read()
    except OSError as error:
        raise SwahrError(f"{shown} cannot be read ({error.strerror}).") from None


def _undecodable(shown: str) -> SwahrError:
    return SwahrError(f"{shown} cannot be decoded as a picture; check that it is one and that it is complete.")


def natural_order(name: str) -> list[tuple[float, str]]:
    """A sorting key by which digits count as numbers, so that 9 comes before 10."""
    parts = re.findall(r"\d+|\D+", name.casefold())
    return [(int(part), "") if part.isdecimal() else (math.inf, part) for part in parts]
