"""Reading photos: their pixels, or only their size, and what is said of a file that is damaged."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.errors import SwahrError

JPEG, PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
_HEADER = 1 << 16  # bytes; a JPEG with a larger preview in its header is decoded instead
_TAIL = 4096  # bytes in which the end mark must come; some cameras write a few behind it


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Read a picture as RGB uint8 [H,W,3], its pixels as stored: labels do not know of an orientation tag.

    Raises SwahrError naming a file that is missing, cut off or no picture.
    """
    return decode_rgb(_content(path), path)


def decode_rgb(content: bytes, path: Path) -> NDArray[np.uint8]:
    """The pixels of a picture file's content, as `read_rgb` gives them. path: where it is, for messages."""
    if _is_cut_off(content[:8], content[-_TAIL:]):
        raise SwahrError(f"{path} is cut off: its end is missing; fetch the picture again.")
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content else None
    if pixels is None:
        raise SwahrError(f"{path} cannot be decoded as a picture; fetch it again or remove its entry.")
    return pixels


def stored_size(path: Path) -> tuple[int, int]:
    """Width and height of a picture in pixels, from the header of a JPEG or PNG, else by decoding it.

    Raises SwahrError as `read_rgb` does, but not for damage in the middle of a JPEG or PNG.
    """
    try:
        with Path(path).open("rb") as file:
            head = file.read(_HEADER)
            file.seek(max(0, file.seek(0, 2) - _TAIL))
            tail = file.read()
    except OSError:
        _content(path)  # says what is wrong
        raise
    if _is_cut_off(head[:8], tail):
        raise SwahrError(f"{path} is cut off: its end is missing; fetch the picture again.")
    size = _png_size(head) if head.startswith(PNG) else _jpeg_size(head)
    if size is None:
        height, width = read_rgb(path).shape[:2]
        return width, height
    return size


def _content(path: Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise SwahrError(f"{path} is missing, but the annotations name it; put it back or remove its entry.") from None
    except OSError as error:
        raise SwahrError(f"{path} cannot be read ({error.strerror}); check the file and its permissions.") from None


def _is_cut_off(start: bytes, tail: bytes) -> bool:
    if start.startswith(JPEG):
        return b"\xff\xd9" not in tail
    return start.startswith(PNG) and b"IEND" not in tail


def _png_size(head: bytes) -> tuple[int, int] | None:
    if head[12:16] != b"IHDR":
        return None
    return int.from_bytes(head[16:20]), int.from_bytes(head[20:24])


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    """From the frame header, which is found by going from marker to marker."""
    if not head.startswith(JPEG):
        return None
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if marker == 0xFF:  # padding
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(head[at + 7 : at + 9]), int.from_bytes(head[at + 5 : at + 7])
        else:
            at += 2 + int.from_bytes(head[at + 2 : at + 4])
    return None
