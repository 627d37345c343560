"""How large the encoded pictures are, and how wide their pixels."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from app.sources import VideoFormat

from .containers import is_matroska
from .encoding import Encoding

SIDES = {"yuv420p": (2, 2), "yuv422p10le": (2, 1), "bgr0": (1, 1)}  # what width and height have to be multiples of
_SQUARE = Fraction(1)
_ROUNDING = Fraction(1, 100)  # by so much a size may change the shape of the picture without being meant to
_LARGEST_TERM = 1000  # of the fractions that come out; H.264 has no room for those of large numbers


@dataclass(frozen=True)
class Shape:
    """Of encoded pictures. size: width and height in pixels. pixel_aspect: a pixel's width by its height."""

    size: tuple[int, int]
    pixel_aspect: Fraction


def shape_of(picture: tuple[int, int], video: VideoFormat, encoding: Encoding, suffix: str) -> tuple[Shape, str | None]:
    """The shape in which pictures are encoded, and a sentence on why it is another; None if it is not.

    picture: their width and height. suffix: of the file.
    """
    codec = encoding.details
    width, height = picture
    square_only = is_matroska(suffix) and not codec.tells_pixel_aspect
    if encoding.size is not None:
        aspect = _aspect_after(video.pixel_aspect, picture, encoding.size)
        if square_only and aspect != _SQUARE:
            look = "wider" if aspect < 1 else "narrower"
            return Shape(encoding.size, _SQUARE), (
                f"The picture looks {look} than the source's, for with {codec.title} {suffix} can only hold square "
                "pixels; choose another size or codec."
            )
        return Shape(encoding.size, aspect), None
    across, down = SIDES[codec.pixels]
    even = width + -width % across, height + -height % down
    if square_only and video.pixel_aspect != _SQUARE:
        wide = max(across, round(width * video.pixel_aspect / across) * across)
        return Shape((wide, even[1]), _SQUARE), _told(picture, (wide, even[1])) + (
            f"for with {codec.title} {suffix} can only hold square pixels."
        )
    if even != picture:
        return Shape(even, video.pixel_aspect), _told(picture, even) + (
            f"for {codec.title} needs even sides; the last column or row is repeated."
        )
    return Shape(picture, video.pixel_aspect), None


def _aspect_after(aspect: Fraction, before: tuple[int, int], after: tuple[int, int]) -> Fraction:
    """A pixel's, such that the picture as a whole keeps its shape; what comes of rounding to whole pixels is left."""
    change = Fraction(before[0] * after[1], before[1] * after[0])
    return aspect if abs(change - 1) < _ROUNDING else (aspect * change).limit_denominator(_LARGEST_TERM)


def _told(before: tuple[int, int], after: tuple[int, int]) -> str:
    return f"The video is {after[0]}×{after[1]} pixels instead of {before[0]}×{before[1]}, "
