"""What a path names: a folder, a picture or a video, by what is in it; and what is none of them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from engine.errors import SwahrError

from . import Source
from .live_names import shown_name
from .picture_headers import HEAD, picture_format


def open_path(name: str) -> Source:
    """The folder, picture or video of this name; SwahrError if there is none, or nothing that can be read twice."""
    if not name:
        raise SwahrError("The name of the source is empty; name a video, a picture or a folder of pictures.")
    status = _status(name)
    if stat.S_ISDIR(status.st_mode):
        from .pictures import FolderSource

        return FolderSource(name)
    if other := not_a_file(status.st_mode):
        raise SwahrError(f"{shown_name(name)} is {other}, no file; save what comes from it, and name that.")
    if status.st_size == 0:
        raise SwahrError(f"{shown_name(name)} is empty (0 bytes); copy or download it again.")
    head = _head(name)
    if picture_format(head) is not None:
        from .pictures import PictureSource

        return PictureSource(name)
    if head.startswith(b"#EXTM3U"):
        raise SwahrError(
            f"{shown_name(name)} is a list of pieces and no video; name one piece, or join them into a file."
        )
    from .video import VideoSource

    return VideoSource(name)


def not_a_file(mode: int) -> str | None:
    """What something is that must not be opened, for it may never answer or never end; None for a file or folder."""
    if stat.S_ISFIFO(mode):
        return "a named pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return "a device"
    return None


def _status(name: str) -> os.stat_result:
    try:
        return Path(name).stat()
    except PermissionError:
        raise SwahrError(f"{shown_name(name)} cannot be looked at (permission denied); ask for access.") from None
    except (OSError, ValueError):  # also too long a name, or a link to itself
        raise SwahrError(f"There is no file or folder named {shown_name(name)}; check the path.") from None


def _head(name: str) -> bytes:
    try:
        with Path(name).open("rb") as file:
            return file.read(HEAD)
    except OSError as error:
        raise SwahrError(f"{shown_name(name)} cannot be read ({_reason(error)}).") from None


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).rstrip(".").lower()
