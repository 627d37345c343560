"""Which files a run writes, and what they are called where the user does not say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from app.sinks import Sink
from app.sinks.json_lines import JsonLinesWriter
from app.sinks.pictures import FolderWriter, PictureWriter
from app.sinks.video import VideoWriter
from app.sources import SourceInfo
from engine.errors import SwahrError

BESIDE_OUTPUT = Path()  # stands for a path that follows from the annotated output's


def plan_sinks(
    info: SourceInfo,
    output: Path | None,
    json: Path | None,
    first_line: Callable[[], Mapping[str, Any]],
    overwrite: bool,
) -> list[Sink]:
    """The sinks of a run, not yet open, the annotated output first.

    output: where the user wants it, or a folder to put it in; None: beside the source.
    json: where the poses go; BESIDE_OUTPUT: beside the output; None: nowhere.
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
    if json == BESIDE_OUTPUT:
        json = path.with_name(f"{path.name if info.kind == 'folder' else path.stem}.jsonl")
    if json is not None:
        sinks.append(JsonLinesWriter(json, first_line, overwrite))
    _refuse_collisions(info, [sink.path for sink in sinks])
    return sinks


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
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise SwahrError(f"{outputs[0]} cannot be both the annotated output and the poses; name two files.")
