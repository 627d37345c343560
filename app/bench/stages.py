"""``swahr bench [SOURCE]``: what each stage from a frame to its people takes, with every backend that runs here."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from app.bench import check_json_path
from app.engine_settings import EngineSettings
from app.machine import machine
from app.overlay import draw_people
from app.sources import open_source
from app.sources.live_names import shown_name
from engine.errors import SwahrError

if TYPE_CHECKING:
    from engine import PoseEstimator
    from engine.backends import Choice

STAGES = ("resize", "network", "grouping", "draw")
WHOLE = "end to end"  # resize, network and grouping: an RGB frame in, people out
ROUNDS = 4  # the backends take turns so often, as a machine's speed changes while it measures
WARM_UP_FRAMES = 3


@dataclass(frozen=True)
class BenchOptions:
    """What to measure.

    source: whose frames. engine: backend and precision "auto" stand for all that this device usually runs; the model
    "untrained" for a preset without weights. int8: int8 as well.
    frames: how many of each backend. sigmas: with the scale branch. batch: images a run.
    """

    source: str = "demo:"
    engine: EngineSettings = EngineSettings()
    int8: bool = False
    frames: int = 60
    sigmas: bool = False
    batch: int = 1


@dataclass(frozen=True)
class StageTiming:
    """Milliseconds a frame of one stage with one backend: median and 95th percentile.

    ratio: the median by that of the same stage with eager in float32; None if that was not measured.
    """

    backend: str
    precision: str
    stage: str
    median: float
    p95: float
    ratio: float | None = None


def bench_stages(options: BenchOptions, json_path: Path | None = None) -> None:
    """Measure and print a table; `json_path`: where the figures are written as well."""
    check_json_path(json_path)
    console = Console()
    frames, decode = _decoded(options.source, options.frames)
    height, width = frames[0].shape[:2]
    with console.status("making the backends ready"):
        estimators, refused = _estimators(options, (width, height))
    samples: dict[Choice, dict[str, list[float]]] = {choice: {} for choice in estimators}
    share = math.ceil(len(frames) / ROUNDS / options.batch) * options.batch
    frames += frames[: -len(frames) % options.batch]
    with console.status("measuring"):
        for start in range(0, len(frames), share):
            for choice, estimator in estimators.items():
                _measure(estimator, frames[start : start + share], options.batch, samples[choice])
    for choice, estimator in list(estimators.items()):
        if (estimator.backend, estimator.precision) != (choice.backend, choice.precision):  # it failed meanwhile
            refused += estimator.messages[:1]
            del estimators[choice], samples[choice]
    timings = _timings(samples)
    found = {
        choice: np.mean([len(estimator(frame)) for frame in frames[:10]]) for choice, estimator in estimators.items()
    }
    any_estimator = next(iter(estimators.values()))
    _print(console, options, any_estimator, (width, height), timings, found, decode, refused)
    if json_path is not None:
        figures: dict[str, Any] = {
            "machine": machine(),
            "device": any_estimator.device,
            "source": shown_name(options.source),
            "frame_size": [width, height],
            "frames": len(frames),
            "model": any_estimator.model,
            "input_size": any_estimator.size,
            "batch": options.batch,
            "sigmas": options.sigmas,
            "decode": asdict(decode),
            "timings": [asdict(timing) for timing in timings],
            "refused": refused,
        }
        json_path.write_text(json.dumps(figures, indent=1) + "\n")


def _decoded(source: str, number: int) -> tuple[list[NDArray[np.uint8]], StageTiming]:
    """Frames of one size, the first again where there are too few, and what decoding one took."""
    frames: list[NDArray[np.uint8]] = []
    milliseconds = []
    with open_source(source) as opened:
        before = time.perf_counter()
        for frame in islice(opened, number):
            milliseconds.append((time.perf_counter() - before) * 1000)
            if frame.image.shape == (frames or [frame.image])[0].shape:
                frames.append(frame.image)
            before = time.perf_counter()
    if not frames:
        raise SwahrError(f"{shown_name(source)} has no frames to measure with; name another source.")
    median, p95 = _quantiles(milliseconds)
    return [frames[index % len(frames)] for index in range(number)], StageTiming("", "", "decode", median, p95)


def _estimators(options: BenchOptions, size: tuple[int, int]) -> tuple[dict[Choice, PoseEstimator], list[str]]:
    """An estimator for each backend and precision that runs here, and why the others do not."""
    from engine import backends
    from engine.backends import Choice
    from engine.devices import choose_device

    wanted = options.engine
    device = choose_device(wanted.device)
    backends.choices(wanted.backend, wanted.precision, device)  # refuses names that do not exist
    names = backends.usual(device) if wanted.backend == "auto" else (wanted.backend, "eager")
    estimators: dict[Choice, PoseEstimator] = {}
    refused = []
    for name in dict.fromkeys(names):
        if reason := backends.module(name).missing(device):
            refused.append(f"{name} cannot run here: {reason}.")
            continue
        for precision in backends.module(name).precisions(device):
            choice = Choice(name, precision)
            reference = choice == Choice("eager", "float32")
            named = precision == wanted.precision or (wanted.precision == "auto" and precision != "int8")
            if not (reference or named or (precision == "int8" and options.int8)):
                continue
            estimator = _open(options, choice)
            estimator.prepare(*size)
            estimator.batch([np.zeros((size[1], size[0], 3), np.uint8)] * options.batch)
            if (estimator.backend, estimator.precision) == (name, precision):
                estimators[choice] = estimator
            else:
                refused += estimator.messages[:1]
    return estimators, refused


def _open(options: BenchOptions, choice: Choice) -> PoseEstimator:
    from engine import PoseEstimator
    from engine.checkpoint import ModelMetadata

    engine = replace(options.engine, backend=choice.backend, precision=choice.precision)
    if engine.model != "untrained":
        return engine.load(sigmas=options.sigmas)
    network = untrained(engine.preset or "default")
    settings = {**vars(engine), "model": f"untrained {network.config.name}"}
    del settings["preset"]
    return PoseEstimator(network, ModelMetadata.of(network.config), sigmas=options.sigmas, **settings)


def untrained(preset: str) -> Any:
    """A preset's network with random weights, for time only.

    Its values have the size that a trained one's have; those of a fresh one are so tiny that a CPU is slow with them.
    """
    import torch
    from torch import nn

    from engine.network import build_network

    torch.manual_seed(0)
    network = build_network(preset)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 0.3)
    for head in network.final_layers:
        nn.init.normal_(head.weight, std=1e-3)
    return network


def _measure(
    estimator: PoseEstimator, frames: Sequence[NDArray[np.uint8]], batch: int, samples: dict[str, list[float]]
) -> None:
    """Add milliseconds a frame to `samples`, stage by stage."""
    for _ in range(WARM_UP_FRAMES):
        estimator.batch(frames[:batch])
    estimator.measuring = True
    for start in range(0, len(frames) - batch + 1, batch):
        some = frames[start : start + batch]
        began = time.perf_counter()
        people = estimator.batch(some)
        ended = time.perf_counter()
        pictures = [frame.copy() for frame in some]
        drawing = time.perf_counter()
        for picture, one in zip(pictures, people, strict=True):
            draw_people(picture, one)
        stages = {
            **estimator.stage_seconds,
            "draw": time.perf_counter() - drawing,
            WHOLE: ended - began,
        }
        for stage, seconds in stages.items():
            samples.setdefault(stage, []).append(seconds * 1000 / batch)
    estimator.measuring = False


def _timings(samples: dict[Choice, dict[str, list[float]]]) -> list[StageTiming]:
    medians = {
        (choice.backend, choice.precision, stage): _quantiles(values)
        for choice, stages in samples.items()
        for stage, values in stages.items()
    }

    def ratio(stage: str, median: float) -> float | None:
        reference = medians.get(("eager", "float32", stage))
        return None if reference is None else round(median / reference[0], 3)

    return [StageTiming(*key, median, p95, ratio(key[2], median)) for key, (median, p95) in medians.items()]


def _quantiles(values: Sequence[float]) -> tuple[float, float]:
    median, p95 = np.percentile(values, (50, 95)).round(3).tolist()
    return median, p95


def _print(
    console: Console,
    options: BenchOptions,
    estimator: PoseEstimator,
    size: tuple[int, int],
    timings: Sequence[StageTiming],
    found: dict[Choice, float],
    decode: StageTiming,
    refused: Sequence[str],
) -> None:
    what = f"{estimator.model} at {estimator.size} px on {shown_name(options.source)} ({size[0]}x{size[1]})"
    if options.batch > 1:
        what += f", {options.batch} images a run"
    table = Table(
        title=f"Milliseconds a frame, median (95th percentile): {what}, {machine()}",
        caption=f"Decoding: {decode.median:.1f} ({decode.p95:.1f}). End to end: an RGB frame in, people out. "
        "The ratio is to eager in float32.",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("backend", no_wrap=True)
    for stage in (*STAGES, WHOLE):
        table.add_column(stage, justify="right", no_wrap=True)
    for name in ("network ratio", "ratio", "frames/s", "people"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in _rows(timings, found):
        table.add_row(*row)
    console.print(table)
    for sentence in refused:
        console.print(sentence, markup=False, highlight=False)


def _rows(timings: Sequence[StageTiming], found: dict[Choice, float]) -> Iterator[list[str]]:
    def written(ratio: float | None) -> str:
        return "" if ratio is None else f"{ratio:.2f}"

    for choice, people in found.items():
        own = {one.stage: one for one in timings if (one.backend, one.precision) == (choice.backend, choice.precision)}
        cell: Callable[[str], str] = lambda stage, own=own: f"{own[stage].median:.1f} ({own[stage].p95:.1f})"  # noqa: E731
        yield [
            f"{choice.backend} {choice.precision}",
            *(cell(stage) for stage in (*STAGES, WHOLE)),
            written(own["network"].ratio),
            written(own[WHOLE].ratio),
            f"{1000 / own[WHOLE].median:.1f}",
            f"{people:.1f}",
        ]
