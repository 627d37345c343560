"""The one way in which a video file is opened: what it claims, names or points to can do no harm."""

from __future__ import annotations

from pathlib import Path

import av

from engine.errors import SwahrError

from . import MOST_VIDEO_PIXELS
from .live_names import shown_name

LIMITS = {"max_pixels": str(MOST_VIDEO_PIXELS)}  # of a decoder: for frames larger than their container says
# Lists of other files and addresses, some without an end; what is taken for pictures or text by its name alone.
_REFUSED = {"concat", "dash", "hls", "imf", "rtp", "rtsp", "sdp", "webm_dash_manifest", "image2"} | {
    *("adf", "bin", "idf", "tty", "xbin"),
}
_FORMATS = ",".join(sorted(av.formats_available - _REFUSED))


def open_container(path: str | Path) -> av.container.InputContainer:
    """A video or sound file, for reading; av.FFmpegError or OSError if it is none, or is a list of others.

    Titles that are no UTF-8 are read as far as they go, and names like ``12:30.mp4`` are taken as names of files.
    """
    return av.open(
        f"file:{path}",
        options=LIMITS,
        container_options={"protocol_whitelist": "file", "format_whitelist": _FORMATS},
        metadata_errors="replace",
    )


def unreadable(name: str, error: Exception) -> SwahrError:
    """What the user is told of a file that cannot be opened. error: FFmpeg's."""
    reason = "invalid data found when processing input"
    if not isinstance(error, av.error.ArgumentError):  # which a list is refused with
        reason = (getattr(error, "strerror", None) or str(error)).rstrip(".").lower()
    return SwahrError(
        f"{shown_name(name)} cannot be read as a video or picture ({reason}); "
        "check that it is one and that it is complete."
    )
