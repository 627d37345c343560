"""A moving crowd of synthetic people: a source that needs no file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from engine.errors import SwahrError

from . import Frame, SeekableSource, SourceInfo, VideoFormat, whole_units
from .selection import WHOLE, Selection, nothing_selected

if TYPE_CHECKING:
    from engine.training.synthetic import SyntheticScene


@dataclass(frozen=True)
class DemoOptions:
    """What ``demo:?people=8&seconds=10`` asks for."""

    people: int = 6
    seed: int = 0
    seconds: Fraction = Fraction(10)
    size: tuple[int, int] = (640, 360)
    fps: Fraction = Fraction(30)


class DemoSource(SeekableSource):
    """Synthetic people who walk and gesture, drawn frame by frame; SwahrError for an unknown option."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.options = parse_options(name)
        frames = max(1, int(self.options.seconds * self.options.fps))
        self.info = SourceInfo(
            name=name,
            kind="demo",
            size=self.options.size,
            frames=frames,
            video=VideoFormat(rate=self.options.fps, time_base=1 / self.options.fps),
            duration=frames / self.options.fps,
        )

    def __iter__(self) -> Iterator[Frame]:
        return self.frames(0)

    def frames(self, start: Fraction | float, wanted: Callable[[], bool] = lambda: True) -> Iterator[Frame]:
        """See `SeekableSource.frames`; every frame is drawn by itself, from any on."""
        time_base = self.info.video.time_base
        first = min(whole_units(start, time_base), self.info.frames - 1)
        for index in range(first, self.info.frames):
            yield self._drawn(index, index, duration=1)

    def selected(
        self, selection: Selection = WHOLE, skip: int = 0, wanted: Callable[[], bool] = lambda: True
    ) -> Iterator[Frame]:
        """See `Source.selected`."""
        places = selection.places(self.info.frames, self.info.video.time_base)
        if not places:
            raise nothing_selected(self.info.name, selection, self.info.duration)
        end = min(self.info.frames, places.stop)
        chosen = [(index, place, min(selection.every, end - place)) for index, place in enumerate(places)]
        return (self._drawn(*one) for one in chosen[skip:])

    def _drawn(self, index: int, place: int, duration: int) -> Frame:
        time_base = self.info.video.time_base
        return Frame(self._scene.render(float(place * time_base)).image, index, place, time_base, duration)

    def position(self, frame: Frame) -> Fraction:
        """Its time, which begins with 0."""
        return frame.time

    @cached_property
    def _scene(self) -> SyntheticScene:
        from engine.training.synthetic import SyntheticScene

        width, height = self.options.size
        sizes = height / 6, height * 5 / 6
        return SyntheticScene(width, height, self.options.people, self.options.seed, size_range=sizes)


def parse_options(name: str) -> DemoOptions:
    """The options in ``demo:?people=8&seed=3&seconds=10&size=640x360&fps=30``; each may be left out."""
    values: dict[str, Any] = {}
    for key, text in parse_qsl(name.partition("?")[2], keep_blank_values=True):
        if key not in _READERS:
            raise SwahrError(f"demo: has no option {key!r}; it has {', '.join(_READERS)}.")
        reader, wanted = _READERS[key]
        try:
            values[key] = reader(text)
        except (ValueError, ZeroDivisionError):
            raise SwahrError(f"demo: cannot use {key}={text}; it takes {wanted}.") from None
    return DemoOptions(**values)


def _between(read: Callable[[str], Any], low: int, high: int) -> Callable[[str], Any]:
    def checked(text: str) -> Any:
        value = read(text)
        if not low <= value <= high:
            raise ValueError
        return value

    return checked


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    side = _between(int, 64, 4096)
    return side(width), side(height)


_READERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "people": (_between(int, 0, 50), "a whole number from 0 to 50"),
    "seed": (_between(int, 0, 2**31 - 1), "a whole number from 0 on"),
    "seconds": (_between(Fraction, 0, 3600), "seconds up to 3600, as 2.5"),
    "size": (_size, "width and height from 64 to 4096, as 640x360"),
    "fps": (_between(Fraction, 1, 240), "frames a second from 1 to 240, as 30 or 30000/1001"),
}
