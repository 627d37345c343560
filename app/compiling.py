"""``swahr compile``: what is otherwise compiled when it is first used, compiled now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

import grouping
from app.engine_settings import EngineSettings
from app.sources import open_source
from engine.backends.cache import cache_folder, sizes

if TYPE_CHECKING:
    from engine import PoseEstimator

USUAL_SIZES = ((640, 360), (640, 480))  # the shapes of nearly all cameras and videos, 16:9 and 4:3
_CALIBRATION_STEP = 5  # neighbouring frames show the same


def compile_ahead(source: str | None, engine: EngineSettings) -> str:
    """Compile grouping and the network, with and without the scale branch, and say what is ready.

    source: whose frame size and, for int8, whose frames; None for the usual sizes and synthetic people.
    """
    console = Console(stderr=True)
    frame_sizes = USUAL_SIZES if source is None else (_frame_size(source),)
    start = time.perf_counter()
    with console.status("compiling grouping"):
        grouping.warm_up()
    estimator = engine.load(calibration=_frames_of(source) if source else None)
    if engine.precision == "int8":  # other frames may give other ranges, so what is kept is made anew
        estimator.discard_compiled()
    in_use = None
    while in_use != (estimator.backend, estimator.precision):  # again where a later shape made another engine take over
        in_use = estimator.backend, estimator.precision
        for width, height in frame_sizes:
            for sigmas in (False, True):
                branch = "with" if sigmas else "without"
                with console.status(f"compiling for {width}x{height} {branch} the scale branch"):
                    estimator.prepare(width, height, sigmas)
    return _said(estimator, frame_sizes, time.perf_counter() - start)


def _frame_size(source: str) -> tuple[int, int]:
    with open_source(source) as opened:
        if opened.info.size is not None:
            return opened.info.size
        height, width = next(iter(opened)).image.shape[:2]
        return width, height


def _frames_of(source: str) -> Callable[[], Iterator[NDArray[np.uint8]]]:
    def frames() -> Iterator[NDArray[np.uint8]]:
        with open_source(source) as opened:
            step = _CALIBRATION_STEP if opened.info.kind in ("video", "demo") else 1
            for number, frame in enumerate(opened):
                if number % step == 0:
                    yield frame.image

    return frames


def _said(estimator: PoseEstimator, frame_sizes: tuple[tuple[int, int], ...], seconds: float) -> str:
    shapes = " and ".join(f"{width}x{height}" for width, height in frame_sizes)
    kept = sum(sizes().values()) / 2**20
    return (
        f"Ready in {seconds:.0f} s: {estimator.model} at {estimator.size} px for pictures of {shapes}, "
        f"{estimator.backend} on {estimator.device} in {estimator.precision}. "
        f"The caches in {cache_folder()} hold {kept:.0f} MiB."
    )
