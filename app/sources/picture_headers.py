"""How large a picture is, and of what format, from the first bytes of its file: before anything is decoded."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

HEAD = 32  # bytes that are enough to tell a picture
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # sizes in bytes of what describes a BMP
_MOST_SEGMENTS = 10_000  # of a JPEG, before the one that holds its size
_MOST_TAGS = 10_000  # of a TIFF
_WIDTH_TAG, _HEIGHT_TAG = 256, 257


def picture_format(head: bytes) -> str | None:
    """ "JPEG", "PNG", "WebP", "TIFF" or "BMP" by a file's first bytes; None if it is no such picture."""
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WebP"
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    return None


def picture_size(file: BinaryIO) -> tuple[int, int] | None:
    """Width and height in pixels, as the header says; None if it does not say, or is no picture's."""
    file.seek(0)
    head = file.read(HEAD)
    try:
        match picture_format(head):
            case "JPEG":
                return _jpeg_size(file)
            case "PNG":
                return struct.unpack_from(">II", head, 16)
            case "WebP":
                return _webp_size(head)
            case "TIFF":
                return _tiff_size(file, "<" if head.startswith(b"I") else ">", big=b"+" in head[2:4])
            case "BMP":
                narrow = head[14:18] == b"\x0c\0\0\0"
                width, height = struct.unpack_from("<HH" if narrow else "<ii", head, 18)
                return width, abs(height)  # a negative height: the rows begin at the top
    except struct.error:
        pass
    return None


def is_whole_png(data: bytes) -> bool:
    """Whether every piece of a PNG fits into the file, the pixels' sums are right, and the last piece is there.

    The decoder takes memory for whatever length a piece claims.
    """
    view, place = memoryview(data), 8
    while place + 12 <= len(view):
        (length,) = struct.unpack_from(">I", view, place)
        kind, end = bytes(view[place + 4 : place + 8]), place + 8 + length
        if end + 4 > len(view):
            return False
        if kind[:1].isupper() and zlib.crc32(view[place + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            return False
        if kind == b"IEND":
            return True
        place = end + 4
    return False


def is_animated(data: bytes) -> bool:
    """Whether a PNG or WebP file holds more pictures than the one that is decoded."""
    if picture_format(data) == "PNG":
        return 0 <= data.find(b"acTL") < data.find(b"IDAT")
    return picture_format(data) == "WebP" and data[12:16] == b"VP8X" and len(data) > 20 and bool(data[20] & 2)


def _jpeg_size(file: BinaryIO) -> tuple[int, int] | None:
    file.seek(2)
    for _ in range(_MOST_SEGMENTS):
        marker = file.read(1)
        while marker and marker != b"\xff":
            marker = file.read(1)  # what is no marker is passed over, as decoders do
        while marker == b"\xff":
            marker = file.read(1)
        if not marker or marker in b"\xd9\xda":
            return None
        if marker == b"\x01" or b"\xd0" <= marker <= b"\xd7":
            continue
        length, _, height, width = struct.unpack(">HBHH", file.read(7))
        if b"\xc0" <= marker <= b"\xcf" and marker not in b"\xc4\xc8\xcc":
            return width, height
        file.seek(length - 7, 1)
    return None


def _webp_size(head: bytes) -> tuple[int, int] | None:
    kind = head[12:16]
    if kind == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if kind == b"VP8L":
        (packed,) = struct.unpack_from("<I", head, 21)
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _tiff_size(file: BinaryIO, order: str, big: bool) -> tuple[int, int] | None:
    """Of the first of its pictures, the one that is decoded."""
    place, count, tag_size = ("Q", "Q", 20) if big else ("I", "H", 12)
    file.seek(8 if big else 4)
    (first,) = struct.unpack(order + place, file.read(struct.calcsize(place)))
    file.seek(min(first, 2**62))
    (tags,) = struct.unpack(order + count, file.read(struct.calcsize(count)))
    sides = {}
    for _ in range(min(tags, _MOST_TAGS)):
        entry = file.read(tag_size)
        tag, kind = struct.unpack_from(order + "HH", entry)
        if tag in (_WIDTH_TAG, _HEIGHT_TAG):
            number = {3: "H", 4: "I", 16: "Q"}.get(kind, "I")
            (sides[tag],) = struct.unpack_from(order + number, entry, 12 if big else 8)
    return (sides[_WIDTH_TAG], sides[_HEIGHT_TAG]) if len(sides) == 2 else None
