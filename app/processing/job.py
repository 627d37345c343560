"""What makes one run the same as another: only then can what the one has done be used by the other."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from app.processing.options import ProcessOptions
from app.sources import SourceInfo
from app.version import installed_version
from engine.models import model_file


def job_of(options: ProcessOptions, info: SourceInfo) -> dict[str, Any]:
    """Everything that decides what a run finds and shows, in the words of its options, as plain JSON."""
    engine, grouping, selection, encoding = options.engine, options.grouping, options.selection, options.encoding
    return {
        "the source": info.name,
        **_state_of(info),
        "the weights' checksum": _checksum(model_file(engine.model)),
        "--preset": engine.preset,
        "--size": engine.size,
        "--flip": engine.flip,
        "--device": engine.device,
        "--backend": engine.backend,
        "--precision": engine.precision,
        "--threshold": grouping.threshold,
        "--tag-threshold": grouping.tag_threshold,
        "--max-people": grouping.max_people,
        "--person-threshold": grouping.person_threshold,
        "--raw": options.raw,
        "--scale-map": options.scale_map,
        "--boxes": options.boxes,
        "--from": str(selection.start),
        "--to": None if selection.end is None else str(selection.end),
        "--every": selection.every,
        "--codec": encoding.codec,
        "--quality": encoding.quality,
        "--video-size": None if encoding.size is None else "x".join(map(str, encoding.size)),
        "the program's version": installed_version(),
    }


def _state_of(info: SourceInfo) -> dict[str, Any]:
    """What tells a file, or the pictures in a folder, from what they were before they were changed."""
    if info.path is None:
        return {}
    if info.kind != "folder":
        state = info.path.stat()
        return {"the source's length": state.st_size, "the source's time of change": state.st_mtime_ns}
    states = hashlib.sha256()
    for name in info.names:
        state = (info.path / name).stat()
        states.update(repr((name, state.st_size, state.st_mtime_ns)).encode("utf-8", "surrogateescape"))
    return {"the pictures' checksum": states.hexdigest()[:16]}


def _checksum(path: Path) -> str | None:
    """Of a file; None where there is none, which whoever loads it will say."""
    try:
        state = path.stat()
        return _checksum_of(path, state.st_size, state.st_mtime_ns)
    except OSError:
        return None


@cache
def _checksum_of(path: Path, size: int, changed: int) -> str:
    """Read once for all sources of a queue, as long as the file is what it was."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
