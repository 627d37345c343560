"""Which files a run writes, and what they are called where the user does not say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.sinks import Sink
from app.sinks.coco import CocoWriter
from app.sinks.containers import suffix_for
from app.sinks.copies import Cut
from app.sinks.csv_rows import CsvWriter
from app.sinks.encoding import Encoding
from app.sinks.json_lines import JsonLinesWriter
from app.sinks.openpose import OpenPoseWriter
from app.sinks.pictures import FolderWriter, PictureWriter
from app.sinks.poses import PoseSink
from app.sinks.video import VideoWriter
from app.sources import SourceInfo, VideoFormat, whole_units
from app.sources.selection import Selection
from engine.errors import SwahrError

if TYPE_CHECKING:
    from app.processing.journal import Journal
    from app.processing.options import ProcessOptions

_EARLIEST = Fraction(-(10**9))  # seconds; no stream begins before
BESIDE_OUTPUT = Path()  # stands for a path that follows from the annotated output's
POSE_SUFFIXES = {"json": ".jsonl", "csv": ".csv", "coco": ".coco.json", "openpose": ".openpose"}  # a folder, the last


def plan_sinks(
    options: ProcessOptions,
    info: SourceInfo,
    path: Path,
    first_line: Callable[[], Mapping[str, Any]],
    journal: Journal | None,
) -> list[Sink]:
    """The sinks of a run, not yet open, the annotated output first.

    path: of the annotated output, see `annotated_path`. first_line: gives the header of JSON lines.
    journal: of the run; what it holds of an earlier one, and what that has left, is gone on with.
    Raises SwahrError if a source would be written over, or two outputs would be one file.
    """
    resume = journal is not None and journal.left_over
    clip = info.kind if info.path is None else info.path.stem
    sinks = [_picture_sink(options, info, path, journal)]
    for pose_format, place in _pose_paths(options, info, path).items():
        sinks.append(pose_sink(pose_format, place, clip, info.names, first_line, options.overwrite, resume))
    _refuse_collisions(info, [sink.path for sink in sinks])
    return sinks


def planned_paths(options: ProcessOptions, info: SourceInfo) -> list[Path]:
    """Where a run writes, the annotated output first."""
    path = annotated_path(info, options)
    return [path, *_pose_paths(options, info, path).values()]


def _pose_paths(options: ProcessOptions, info: SourceInfo, path: Path) -> dict[str, Path]:
    stem = path.name if info.kind == "folder" else path.stem
    return {
        pose_format: path.with_name(stem + POSE_SUFFIXES[pose_format]) if place == BESIDE_OUTPUT else place
        for pose_format, place in options.poses.items()
    }


def _picture_sink(options: ProcessOptions, info: SourceInfo, path: Path, journal: Journal | None) -> Sink:
    resume = journal is not None and journal.left_over
    if info.kind == "image":
        return PictureWriter(path, options.overwrite)
    if info.kind == "folder":
        return FolderWriter(path, info.names, options.overwrite, journal.frames if resume else None)
    return VideoWriter(
        path,
        replace(info.video, rate=info.video.rate / options.selection.every),
        info.path,
        options.overwrite,
        resume=resume,
        keep_at_most=journal.frames if resume else None,
        encoding=options.encoding,
        cut=_cut(info.video, options.selection),
    )


def _cut(video: VideoFormat, selection: Selection) -> Cut | None:
    """Where a part of a video begins and ends in its own time, and what is taken off that, so that it begins at 0."""
    if selection.start == 0 and selection.end is None:
        return None
    end = None if selection.end is None else video.start + selection.end
    if selection.start == 0:
        return Cut(_EARLIEST, end, Fraction(0))
    shift = video.start + whole_units(selection.start, video.time_base) * video.time_base
    return Cut(video.start + selection.start, end, shift)


def pose_sink(
    pose_format: str,
    path: Path,
    clip: str,
    names: Sequence[str],
    first_line: Callable[[], Mapping[str, Any]],
    overwrite: bool,
    resume: bool = False,
) -> PoseSink:
    """The sink of one format, not yet open.

    clip: what the files of OpenPose's folder begin with. names: the file names in a folder of pictures.
    overwrite, resume: see `app.sinks.partial.PartialFile`.
    """
    match pose_format:
        case "json":
            return JsonLinesWriter(path, first_line, overwrite, resume)
        case "csv":
            return CsvWriter(path, overwrite, resume)
        case "coco":
            return CocoWriter(path, names, overwrite, resume)
    return OpenPoseWriter(path, clip, names, overwrite, resume)


def annotated_path(info: SourceInfo, options: ProcessOptions) -> Path:
    """Where the annotated copy goes: where the user wants it, or into the folder named; else beside the source."""
    output = options.output
    if output is not None and (info.kind == "folder" or not output.is_dir()):
        return output
    default = _default_path(info, options.encoding)
    return default if output is None else output / default.name


def _default_path(info: SourceInfo, encoding: Encoding) -> Path:
    """``clip.swahr.mp4`` for ``clip.avi``, in its folder; pictures keep .jpg or become .png.

    A video that MP4 cannot hold with all its sound and subtitles becomes a .mov or .mkv.
    """
    if info.path is None:
        return Path(f"demo.swahr{encoding.details.suffixes[0]}")
    if info.kind == "folder":
        folder = info.path if info.path.name not in ("", "..") else info.path.resolve()
        return folder.with_name(f"{folder.name}.swahr")
    if info.kind == "video":
        return info.path.with_name(f"{info.path.stem}.swahr{suffix_for(info.path, encoding)}")
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
