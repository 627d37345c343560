"""The command ``convert``: poses from one format to another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from app.outputs import POSE_SUFFIXES, pose_sink
from app.records import Poses, read_poses
from app.sinks.coco import image_ids
from app.sinks.json_lines import bare_header
from app.sinks.poses import PosedFrame
from app.summary import counted
from engine.errors import SwahrError

_FORMATS = {".jsonl": "json", ".csv": "csv", ".json": "coco", ".openpose": "openpose", "": "openpose"}
_NAMES = {"json": "JSON lines", "csv": "CSV", "coco": "COCO results", "openpose": "OpenPose files"}

# What a file of poses may hold, in words, and whether a frame has it.
_PARTS: dict[str, Callable[[PosedFrame], bool]] = {
    "time stamps": lambda frame: frame.pts is not None,
    "times": lambda frame: frame.time is not None,
    "file names": lambda frame: frame.name is not None,
    "picture sizes": lambda frame: frame.size is not None,
    "frames without people": lambda frame: frame.people.is_empty,
    "ids": lambda frame: frame.people.ids is not None,
    "person scores": lambda frame: not frame.people.is_empty,
    "keypoint scores": lambda frame: bool((frame.people.found & (frame.people.keypoints[:, :, 2] != 1)).any()),
    "sigmas": lambda frame: frame.people.sigmas is not None,
}
_HEADER = "the header"
_HELD = {
    "json": {_HEADER, *_PARTS},
    "csv": _PARTS.keys() - {"time stamps", "picture sizes"},
    "coco": {"person scores"},
    "openpose": {"file names", "frames without people", "ids", "keypoint scores"},
}


def convert(path: Path, output: Path, overwrite: bool = False) -> str:
    """Write poses in the format that the output's suffix names, and say in a sentence what that cannot hold.

    output: ends in .jsonl, .csv, or .json for COCO's results; a folder, or a path without suffix or with .openpose,
    becomes OpenPose's files. Raises SwahrError if the poses cannot be read, or the output cannot be written or is there
    already.
    """
    pose_format = format_of(output)
    poses = read_poses(path)
    if path.resolve() == output.resolve():
        raise SwahrError(f"{path} would be written over by what it becomes; write elsewhere.")
    names = [frame.name for frame in poses.frames if frame.name is not None]
    header = poses.header or bare_header(poses.skeleton)
    clip = path.stem.removesuffix(".coco").removesuffix(".swahr")
    with pose_sink(pose_format, output, clip, names, lambda: header, overwrite) as sink:
        for frame in poses.frames:
            sink.add(frame)
    return " ".join([_summary(path, poses, output, pose_format, names), *poses.notes])


def format_of(output: Path) -> str:
    """The format that a path stands for, a key of POSE_SUFFIXES; SwahrError if it stands for none."""
    pose_format = "openpose" if output.is_dir() else _FORMATS.get(output.suffix.lower())
    if pose_format is None:
        endings = ", ".join(POSE_SUFFIXES.values())
        raise SwahrError(f"{output} ends like no format of poses; let it end in {endings}, or name a folder.")
    return pose_format


def _summary(path: Path, poses: Poses, output: Path, pose_format: str, names: list[str]) -> str:
    people = sum(len(frame.people) for frame in poses.frames)
    said = (
        f"Converted {counted(len(poses.frames), 'frame', 'frames')} with {counted(people, 'person', 'people')} "
        f"from {path} to {output}"
    )
    lost = _lost(poses, pose_format, names)
    if not lost:
        return f"{said}."
    listed = lost[0] if len(lost) == 1 else f"{', '.join(lost[:-1])} and {lost[-1]}"
    return f"{said}; {_NAMES[pose_format]} cannot hold {listed}, which were left out."


def _lost(poses: Poses, pose_format: str, names: list[str]) -> list[str]:
    """What the poses have, in their own format, that another does not hold."""
    missing = _HELD[poses.format] - _HELD[pose_format]
    if pose_format == "coco" and image_ids(names):
        missing -= {"file names"}  # the ids tell them
    tells = (poses.header or {}).keys() - bare_header(poses.skeleton).keys()
    lost = [_HEADER] if _HEADER in missing and tells else []
    return lost + [
        part for part, has in _PARTS.items() if part in missing and any(has(frame) for frame in poses.frames)
    ]
