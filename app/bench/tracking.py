"""``swahr bench tracking``: how well people keep their ids, and how calm and how late smoothed keypoints are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from app.bench import calm, check_json_path
from app.bench.crowds import (
    PEOPLE,
    Sighting,
    Trouble,
    crowd,
    followed,
    person_seconds,
    seen_by,
    seen_truly,
    without_picture,
)
from app.bench.identity import FrameIds, best_idf1, id_switches, idf1
from app.engine_settings import EngineSettings
from app.machine import machine
from engine.errors import SwahrError
from engine.training.synthetic import SyntheticFrame
from grouping import Smoother

TROUBLE = Trouble(frames=1 / 3, keypoints=0.2, noise=0.05)
DRAWS = 3  # times that each crowd is seen with trouble, each with other luck
HEIGHTS = (60, 200, 700)  # pixels, of the people who are smoothed
SIGMA = 0.03  # heights: how far off their keypoints may be, and are
FILTERS = {"none": calm.NoFilter, "One-Euro, fixed": calm.PlainOneEuro, "ours": Smoother}


@dataclass(frozen=True)
class IdFigures:
    """How well the ids of some keypoints fit the truth, over all crowds.

    switches: a hundred person-seconds. idf1, best_idf1: 0 to 1, the latter with the same keypoints and perfect ids.
    """

    keypoints: str
    tags: bool
    switches: float
    idf1: float
    best_idf1: float


@dataclass(frozen=True)
class SmoothingFigures:
    """A filter on a person of a height in pixels.

    jitter: pixels a frame, standing still; calmed: how much less that is than without a filter, in percent; lag: frames
    that a fast hand is late.
    """

    filter: str
    height: int
    jitter: float
    calmed: float
    lag: float


def bench_tracking(
    engine: EngineSettings, seeds: Sequence[int], frames: int, json_path: Path | None = None
) -> tuple[list[IdFigures], list[SmoothingFigures]]:
    """Follow the crowds of ``demo:`` with these seeds, for so many frames each, and print the figures.

    They are followed by their true keypoints, by these seen badly, and by the model's own with the tags' help and
    without. Smoothing stands beside none and beside a One-Euro filter as published.
    """
    check_json_path(json_path)
    if min(seeds) < 0:
        raise SwahrError(f"--seeds names {min(seeds)}; give numbers from 0 on.")
    estimator = engine.load()
    estimator.prepare(640, 360)
    truths: list[list[SyntheticFrame]] = []
    found: list[list[Sighting]] = []
    for seed in seeds:
        truths.append([])
        found.append([])
        drawn = track(crowd(seed, frames), f"crowd {seed}", frames, console=Console(stderr=True), transient=True)
        for index, frame in enumerate(drawn):
            found[-1].append(seen_by(estimator, frame, index))
            truths[-1].append(without_picture(frame))
    seconds = sum(person_seconds(truth) for truth in truths)
    badly = [seen_truly(truth, TROUBLE, draw) for truth in truths for draw in range(DRAWS)]
    ids = [
        _id_figures("true", False, [followed(seen_truly(truth)) for truth in truths], seconds),
        _id_figures("true, seen badly", False, [followed(seen) for seen in badly], DRAWS * seconds),
        *(
            _id_figures("the model's", tags, [followed(seen, tags) for seen in found], seconds)
            for tags in (False, True)
        ),
    ]
    smoothing = smoothing_figures()
    run = {
        "machine": machine(),
        "model": estimator.model,
        "backend": estimator.backend,
        "precision": estimator.precision,
        "seeds": list(seeds),
        "frames": frames,
    }
    _print(run, seconds, ids, smoothing)
    if json_path is not None:
        figures = {**run, "ids": [asdict(one) for one in ids], "smoothing": [asdict(one) for one in smoothing]}
        json_path.write_text(json.dumps(figures, indent=1) + "\n")
    return ids, smoothing


def _id_figures(keypoints: str, tags: bool, crowds: list[list[FrameIds]], seconds: float) -> IdFigures:
    switches = 100 * sum(id_switches(frames) for frames in crowds) / seconds if seconds else 0.0
    shares = [float(np.mean([measure(frames) for frames in crowds])) for measure in (idf1, best_idf1)]
    return IdFigures(keypoints, tags, switches, *shares)


def smoothing_figures() -> list[SmoothingFigures]:
    """Each filter on people of several sizes whose keypoints are as far off as their sigmas say."""
    figures = []
    for height in HEIGHTS:
        still = calm.still_frames(height, SIGMA * height, SIGMA * height)
        waving = calm.waving_frames(height, SIGMA * height)
        restless = calm.jitter(still, calm.NoFilter())
        for name, kind in FILTERS.items():
            jitter = calm.jitter(still, kind())
            late = round(calm.lag(waving, kind()), 6) + 0.0  # no -0
            figures.append(SmoothingFigures(name, height, jitter, 100 * (1 - jitter / restless), late))
    return figures


def _print(
    run: dict[str, Any], seconds: float, ids: Sequence[IdFigures], smoothing: Sequence[SmoothingFigures]
) -> None:
    console = Console()
    crowds = f"{len(run['seeds'])} crowds of {PEOPLE}, {run['frames']} frames each, {seconds:.0f} person-seconds"
    by = f"{run['model']}, {run['backend']} {run['precision']}, on {run['machine']}"
    table = Table(title=f"Ids in {crowds}; {by}", title_justify="left")
    table.add_column("keypoints")
    for name in ("tags' help", "switches in 100 person-seconds", "IDF1", "IDF1 at best"):
        table.add_column(name, justify="right")
    for one in ids:
        table.add_row(
            one.keypoints,
            "yes" if one.tags else "no",
            f"{one.switches:.1f}",
            f"{one.idf1:.3f}",
            f"{one.best_idf1:.3f}",
        )
    console.print(table)
    console.print(
        f"Seen badly: {TROUBLE.frames:.0%} of the frames and {TROUBLE.keypoints:.0%} of the keypoints are missing, the "
        f"rest is off by {TROUBLE.noise:.0%} of a height. At best: the same people found, with one id each throughout."
    )
    table = Table(
        title=f"Smoothing, keypoints off by {SIGMA:.0%} of the height, 30 frames a second", title_justify="left"
    )
    for name in ("height", "filter", "jitter, still", "less by", "fast hand late by"):
        table.add_column(name, justify="left" if name == "filter" else "right")
    for one in smoothing:
        table.add_row(
            str(one.height),
            one.filter,
            f"{one.jitter:.2f} pixels",
            f"{one.calmed:.0f} %",
            f"{one.lag:.2f} frames",
        )
    console.print(table)
