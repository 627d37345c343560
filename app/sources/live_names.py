"""What cameras and network streams are called, and how that may be shown: without the passwords in it."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from engine.errors import SwahrError

PROTOCOLS = ("rtsp", "rtsps", "http", "https", "rtmp", "udp")
_SECRET = re.compile(
    r"(pass|pwd|pw|token|key|secret|auth|sig|hmac|cred|user|usr|login|session|jwt|pin)[^=]*=|\b[upk]=", re.IGNORECASE
)


@dataclass(frozen=True)
class Camera:
    """What ``camera:1?size=1280x720&fps=30`` asks for; None: as the camera likes."""

    index: int
    size: tuple[int, int] | None = None
    fps: float | None = None


def is_live(name: str) -> bool:
    """Whether a name is a camera's or a network stream's."""
    return is_camera(name) or name.lower().startswith(tuple(f"{protocol}://" for protocol in PROTOCOLS))


def cameras(folder: Path = Path("/sys/class/video4linux")) -> list[tuple[int, str]]:
    """Index and name of the cameras at hand, as Linux lists them; elsewhere none are known."""
    found = []
    for node in folder.glob("video*"):
        with suppress(OSError, ValueError):
            # A camera's further nodes (metadata, other formats) have an index from 1 on.
            if int((node / "index").read_text()) == 0:
                name = (node / "name").read_text(errors="replace").strip()
                found.append((int(node.name.removeprefix("video")), name))
    return sorted(found)


def parse_camera(name: str) -> Camera:
    """The camera that a name asks for; SwahrError says what is wrong with it."""
    number, _, options = name[len("camera:") :].partition("?")
    if not re.fullmatch("[0-9]{1,3}", number):
        raise SwahrError("camera: takes the camera's number and options, as camera:0 or camera:1?size=1280x720&fps=30.")
    values: dict[str, Any] = {}
    for key, text in parse_qsl(options, keep_blank_values=True):
        if key == "size" and (sides := re.fullmatch("([0-9]{2,4})x([0-9]{2,4})", text.lower())):
            values[key] = int(sides[1]), int(sides[2])
        elif key == "fps" and re.fullmatch(r"[0-9]{1,3}(\.[0-9]+)?", text) and 1 <= float(text) <= 240:
            values[key] = float(text)
        elif key in ("size", "fps"):
            wanted = {"size": "width and height, as 1280x720", "fps": "frames a second from 1 to 240, as 30"}[key]
            raise SwahrError(f"camera: cannot use {key}={text}; it takes {wanted}.")
        else:
            raise SwahrError(f"camera: has no option {key!r}; it has size and fps.")
    return Camera(int(number), **values)


def shown_name(name: str) -> str:
    """The name of a source as it may be shown: an address without user, password, and values that look secret.

    Line breaks and whatever else is no character that can be printed, as in a file name that is no UTF-8, become "�".
    """
    name = "".join(character if character.isprintable() else "�" for character in name)
    protocol, separator, rest = name.partition("://")
    if not separator:
        return name
    authority, path, query = re.fullmatch(r"([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#.*)?", rest, re.DOTALL).groups()
    if "@" in rest[len(authority) :]:
        return f"{protocol}://***"  # perhaps the end of a password with a / ? or # in it
    host = authority.rpartition("@")[2]
    path = re.sub("[^/&]+", lambda part: _masked(part[0]), path)
    query = "" if query is None else "?" + re.sub("[^&]+", lambda part: _masked(part[0], bare=True), query)
    return f"{protocol}://{host}{path}{query}"


def _masked(part: str, bare: bool = False) -> str:
    """``key=value`` without the value where it looks like a secret; bare: so does what has no key."""
    key, equals, _ = part.partition("=")
    if not _SECRET.search(unquote(part)) and (equals or not bare):
        return part
    return f"{key}=***" if equals else "***"


def is_camera(name: str) -> bool:
    """Whether a name is a camera's."""
    return name.lower().startswith("camera:")


def stream_address(name: str) -> str:
    """The address for FFmpeg, which wants the protocol in small letters; SwahrError if nothing is named there."""
    protocol, _, rest = name.strip().partition("://")
    protocol = protocol.lower()
    if protocol not in PROTOCOLS:
        raise SwahrError(f"{shown_name(name)} is no address of a stream; it begins with one of {', '.join(PROTOCOLS)}.")
    if not re.split("[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]:
        raise SwahrError(f"{protocol}:// names no host; write the whole address, as {protocol}://host/path.")
    return f"{protocol}://{rest}"
