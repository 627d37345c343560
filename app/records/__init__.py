"""Poses read back from the files that a run writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.sinks.poses import PosedFrame
from engine.errors import SwahrError
from grouping import Skeleton


@dataclass(frozen=True, eq=False)
class Poses:
    """What a file of poses holds.

    format: "json", "csv", "coco" or "openpose". skeleton: that of all people, COCO17 where there are none to tell.
    frames: in the file's order. header: the first line of JSON lines, else None.
    notes: sentences the user should read.
    """

    format: str
    skeleton: Skeleton
    frames: list[PosedFrame]
    header: Mapping[str, Any] | None = None
    notes: list[str] = field(default_factory=list)


def read_poses(path: Path) -> Poses:
    """The poses in JSON lines, CSV, COCO's keypoint results or an OpenPose folder; the content tells which.

    JSON lines and CSV give back what was written: people, ids, scores, sigmas, times, frames without people; CSV
    without header, time stamps (``pts``) and pictures' sizes. COCO's results hold no frames without people, no times,
    ids and sigmas; a keypoint's score becomes 1, or its third number where that is less. OpenPose's files hold no times
    and sigmas; a person's score becomes the mean of the keypoints', and a picture's name lacks its suffix.

    Raises SwahrError naming file and line (or result) where something is missing or damaged. Where the last of JSON
    lines was cut off, the frames before it are given, with a note.
    """
    from .coco import read_coco
    from .csv_rows import read_csv
    from .json_lines import read_json_lines
    from .openpose import read_openpose

    try:
        if path.is_dir():
            return read_openpose(path)
        with path.open("rb") as file:
            begin = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
        for sign, read in ((b"{", read_json_lines), (b"[", read_coco), (b"frame,", read_csv)):
            if begin.startswith(sign):
                return read(path)
    except FileNotFoundError:
        raise SwahrError(f"There is no file or folder named {path}; check the path.") from None
    except OSError as error:
        raise SwahrError(f"{path} cannot be read ({error.strerror}).") from None
    raise SwahrError(f"{path} holds no poses; name JSON lines, CSV or COCO results, or a folder of OpenPose files.")
