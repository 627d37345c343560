"""What the user asks of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from app.engine_settings import EngineSettings, GroupingChoice
from app.outputs import POSE_SUFFIXES
from app.sinks.encoding import Encoding
from app.sources.selection import Selection


@dataclass(frozen=True)
class ProcessOptions:
    """What the user asked for.

    output: file or folder of the annotated pictures; None: beside the source.
    json, csv, coco, openpose: where poses are written in that format, the last a folder; ``Path()`` for beside the
    output; None: they are not.
    raw: people as each frame shows them, without ids and smoothing over time. quiet: no progress bar in the terminal.
    selection: which frames. encoding: how the annotated video is written.
    """

    source: str
    output: Path | None = None
    json: Path | None = None
    scale_map: bool = False
    boxes: bool = False
    raw: bool = False
    overwrite: bool = False
    quiet: bool = False
    engine: EngineSettings = EngineSettings()
    grouping: GroupingChoice = field(default_factory=GroupingChoice)
    csv: Path | None = None
    coco: Path | None = None
    openpose: Path | None = None
    selection: Selection = field(default_factory=Selection)
    encoding: Encoding = field(default_factory=Encoding)

    @property
    def poses(self) -> dict[str, Path]:
        """Where poses are written, by format; see `app.outputs.plan_sinks`."""
        places = {pose_format: getattr(self, pose_format) for pose_format in POSE_SUFFIXES}
        return {pose_format: place for pose_format, place in places.items() if place is not None}
