"""Which files a run writes, and what they are called where the user does not say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from app.sinks import Sink
from app.sinks.coco import CocoWriter
from app.sinks.csv_rows import CsvWriter
from app.sinks.json_lines import JsonLinesWriter
from app.sinks.openpose import OpenPoseWriter
from app.sinks.pictures import FolderWriter, PictureWriter
from app.sinks.poses import PoseSink
from app.sinks.video import VideoWriter
from app.sources import SourceInfo
from engine.errors import SwahrError

BESIDE_OUTPUT = Path()  # stands for a path that follows from the annotated output's
POSE_SUFFIXES = {"json": ".jsonl", "csv": ".csv", "coco": ".coco.json", "openpose": ".openpose"}  # a folder, the last


def plan_sinks(
    info: SourceInfo,
    output: Path | None,
    poses: Mapping[str, Path],
    first_line: Callable[[], Mapping[str, Any]],
    overwrite: bool,
) -> list[Sink]:
    """The sinks of a run, not yet open, the annotated output first.

    output: where the user wants it, or a folder to put it in; None: beside the source.
    poses: where the poses go, by format (the keys of POSE_SUFFIXES); BESIDE_OUTPUT: beside the output.
    first_line: gives the header of JSON lines.
    Raises SwahrError if a source would be written over, or two outputs would be one file.
    """
    path = _annotated_path(info, output)
    sinks: list[Sink]
    if info.kind == "folder":
        sinks = [FolderWriter(path, info.names, overwrite)]
    elif info.kind == "image":
        sinks = [PictureWriter(path, overwrite)]
    else:
        sinks = [VideoWriter(path, info.video, info.path, overwrite)]
    stem = path.name if info.kind == "folder" else path.stem
    clip = info.kind if info.path is None else info.path.stem
    for pose_format, place in poses.items():
        if place == BESIDE_OUTPUT:
            place = path.with_name(stem + POSE_SUFFIXES[pose_format])
        sinks.append(pose_sink(pose_format, place, clip, info.names, first_line, overwrite))
    _refuse_collisions(info, [sink.path for sink in sinks])
    return sinks


def pose_sink(
    pose_format: str,
    path: Path,
    clip: str,
    names: Sequence[str],
    first_line: Callable[[], Mapping[str, Any]],
    overwrite: bool,
) -> PoseSink:
    """The sink of one format, not yet open.

    clip: what the files of OpenPose's folder begin with. names: the file names in a folder of pictures.
    """
    match pose_format:
        case "json":
            return JsonLinesWriter(path, first_line, overwrite)
        case "csv":
            return CsvWriter(path, overwrite)
        case "coco":
            return CocoWriter(path, names, overwrite)
    return OpenPoseWriter(path, clip, names, overwrite)


def _annotated_path(info: SourceInfo, output: Path | None) -> Path:
    default = _default_path(info)
    if output is None:
        return default
    return output / default.name if output.is_dir() and info.kind != "folder" else output


def _default_path(info: SourceInfo) -> Path:
    """``clip.swahr.mp4`` for ``clip.avi``, in its folder; pictures keep .jpg or become .png."""
    if info.path is None:
        return Path("demo.swahr.mp4")
    if info.kind == "folder":
        folder = info.path if info.path.name not in ("", "..") else info.path.resolve()
        return folder.with_name(f"{folder.name}.swahr")
    if info.kind == "video":
        return info.path.with_name(f"{info.path.stem}.swahr.mp4")
    suffix = info.path.suffix if info.path.suffix.lower() in (".jpg", ".jpeg") else ".png"
    return info.path.with_name(f"{info.path.stem}.swahr{suffix}")


def _refuse_collisions(info: SourceInfo, outputs: list[Path]) -> None:
    if info.path is not None and info.path.resolve() in (path.resolve() for path in outputs):
        raise SwahrError(f"{info.path} would be written over by its own output; write elsewhere.")
    seen: set[Path] = set()
    for path in outputs:
        if path.resolve() in seen:
            raise SwahrError(f"{path} cannot be both of two outputs; name different files.")
        seen.add(path.resolve())
