"""``swahr bench process``: a recorded video through all stages, beside each stage alone."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import av
from rich.console import Console
from rich.table import Table

from app.bench import check_json_path
from app.engine_settings import EngineSettings
from app.machine import machine, memory_in_use
from app.over_time import OverTime
from app.overlay import OverlayStyle
from app.processing.options import ProcessOptions
from app.processing.run import process
from app.processing.stages import Finder, Inferred, Known, Writer, batches
from app.sinks.json_lines import JsonLinesWriter, header
from app.sinks.video import VideoWriter
from app.sources import Frame, open_source
from app.summary import Tally
from grouping import People

WARM_UP = 4  # runs of the network before it is measured
KEPT = 64  # frames at once in memory, for what is measured on them
ALONE = 1000  # frames that each stage alone is measured with, about
PARTS = 10  # of the whole run; after each the stages alone have their turn, as a machine's speed changes meanwhile
SETTLED = 500  # frames after which memory is looked at, and of which a part is at least half
STILL = 1.0  # seconds without people found in which all queues are full


@dataclass(frozen=True)
class StageRate:
    """Frames a second of one stage alone, or of all of them together."""

    stage: str
    rate: float


@dataclass(frozen=True)
class Memory:
    """Resident megabytes while all stages run, after the first frames: at first, at last, and between which limits."""

    first: float
    last: float
    lowest: float
    highest: float


def bench_process(engine: EngineSettings, frames: int, json_path: Path | None = None) -> list[StageRate]:
    """Time reading, finding and writing, each alone, and `process`, on a video of the synthetic crowd; print a table.

    The video has 640×360 pixels and so many frames. What is asked of `process`: with nothing lost between the stages it
    is as fast as the slowest of them, as far as they do not share cores; and its memory stays where it is. It is
    stopped now and then to measure the stages alone, which counts for none of its time.
    """
    check_json_path(json_path)
    with TemporaryDirectory(prefix="swahr-bench-") as folder, ThreadPoolExecutor(1) as thread:
        clip = Path(folder) / "crowd.mp4"
        _make_clip(clip, frames)
        estimator = engine.load()
        estimator.prepare(640, 360)
        part = max(frames // PARTS, SETTLED // 2)
        alone = _Alone(estimator, clip, min(frames, ALONE) // (1 + -(-frames // part)), thread)
        alone.measure()
        whole, memory = _whole(estimator, clip, Path(folder), frames, part, alone)
        alone.measure()
    rates = [*alone.rates(), StageRate("process", whole)]
    _print(rates, frames, memory)
    if json_path is not None:
        figures = {
            "machine": machine(),
            "frames": frames,
            "rates": {one.stage: one.rate for one in rates},
            "memory_megabytes": None if memory is None else asdict(memory),
        }
        json_path.write_text(json.dumps(figures, indent=1) + "\n")
    return rates


class _Alone:
    """Each stage while no other runs, as often as it is measured, always on the same thread."""

    def __init__(self, estimator: Any, clip: Path, frames: int, thread: Executor) -> None:
        self._estimator, self._clip, self._frames, self._thread = estimator, clip, frames, thread
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)  # a frame

    def measure(self) -> None:
        self._thread.submit(self._measure).result()

    def _measure(self) -> None:
        with TemporaryDirectory(prefix="swahr-bench-") as folder:
            for stage, rate in (
                ("read", _read(self._clip, self._frames)),
                ("find", _find(self._estimator, self._clip, self._frames)),
                ("write", _write(self._estimator, self._clip, Path(folder), self._frames)),
            ):
                self._seconds[stage].append(1 / rate)

    def rates(self) -> list[StageRate]:
        return [StageRate(stage, 1 / fmean(seconds)) for stage, seconds in self._seconds.items()]


class _Watched:
    """An estimator, and when it last found people."""

    def __init__(self, estimator: Any) -> None:
        self._estimator = estimator
        self.found_at = time.perf_counter()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._estimator, name)

    def batch(self, images: Sequence[Any]) -> list[People]:
        people = self._estimator.batch(images)
        self.found_at = time.perf_counter()
        return people


def _make_clip(path: Path, frames: int) -> None:
    """Some seconds of the crowd, forward and backward until there are so many frames."""
    with open_source("demo:?seconds=2") as source, av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "veryfast", "crf": "20"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        images = [frame.image for frame in source]
        there_and_back = images + images[-2:0:-1]
        for index in range(frames):
            picture = av.VideoFrame.from_ndarray(there_and_back[index % len(there_and_back)])
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def _rate(frames: int, work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return frames / (time.perf_counter() - began)


def _read(clip: Path, frames: int) -> float:
    def work() -> None:
        with open_source(str(clip)) as source:
            for _ in zip(range(frames), source, strict=False):
                pass

    return _rate(frames, work)


def _some_frames(clip: Path, number: int) -> list[Frame]:
    with open_source(str(clip)) as source:
        return [frame for frame, _ in zip(source, range(min(KEPT, number)), strict=False)]


def _find(estimator: Any, clip: Path, frames: int) -> float:
    some = [Known(frame) for frame in _some_frames(clip, frames)]
    find = Finder(estimator, scale_map=False)
    groups = list(batches(some, estimator.images_per_run))
    for index in range(WARM_UP):
        find(groups[index % len(groups)])

    def work() -> None:
        done = 0
        while done < frames:
            for group in groups:
                find(group)
                done += len(group)

    return _rate(-(-frames // len(some)) * len(some), work)


def _write(estimator: Any, clip: Path, folder: Path, frames: int) -> float:
    """Ids, smoothing, drawing, encoding, poses: with the people of the first frames, over and over."""
    found = [(frame, estimator(frame.image)) for frame in _some_frames(clip, frames)]
    with open_source(str(clip)) as source:
        info = source.info

    def inferred() -> Iterable[list[Inferred]]:
        for index in range(frames):
            frame, people = found[index % len(found)]
            pts = found[0][0].pts + index * (found[1][0].pts - found[0][0].pts)
            yield [Inferred(Frame(frame.image, index, pts, frame.time_base, frame.duration), people, new=True)]

    def first_line() -> dict[str, Any]:
        return header(info, estimator, smoothed=True)

    with ExitStack() as stack:
        sinks = [
            stack.enter_context(VideoWriter(folder / "alone.mp4", info.video, clip)),
            stack.enter_context(JsonLinesWriter(folder / "alone.jsonl", first_line)),
        ]
        write = Writer(sinks, None, first_line, OverTime(), OverlayStyle(), Tally(), frames, None)
        return _rate(frames, lambda: [write(one) for one in inferred()])


def _whole(
    estimator: Any, clip: Path, folder: Path, frames: int, part: int, alone: _Alone
) -> tuple[float, Memory | None]:
    """Frames a second of all stages together, stopped after each part to measure each alone, and their memory."""
    options = ProcessOptions(str(clip), folder / "out.mp4", folder / "out.jsonl", quiet=True)
    watched = _Watched(estimator)
    seen: list[float] = []
    stopped = 0.0

    def progress(written: int, expected: int | None, rate: float) -> None:
        nonlocal stopped
        if written >= SETTLED and written % 50 == 0 and (memory := memory_in_use()) is not None:
            seen.append(memory / 2**20)
        if written % part == 0 and written < frames:
            # Writing waits here. Finding goes on until nothing more has room, and that is work like any other.
            while time.perf_counter() - watched.found_at < STILL:
                time.sleep(STILL / 20)
            alone.measure()
            stopped += time.perf_counter() - watched.found_at

    began = time.perf_counter()
    process(options, progress, load=lambda options, sigmas: watched)
    rate = frames / (time.perf_counter() - began - stopped)
    return rate, Memory(seen[0], seen[-1], min(seen), max(seen)) if seen else None


def _print(rates: list[StageRate], frames: int, memory: Memory | None) -> None:
    *alone, whole = rates
    slowest = min(alone, key=lambda one: one.rate)
    table = Table(title=f"{frames} frames of 640×360, {machine()}")
    table.add_column("")
    table.add_column("of the slowest stage's speed", justify="right")
    for one in rates:
        table.add_row(one.stage if one is not whole else "all together", f"{one.rate / slowest.rate:.2f}")
    console = Console()
    console.print(table)
    console.print(f"The slowest stage alone is '{slowest.stage}'. Cores are shared: each stage alone has all of them.")
    if memory is not None:
        console.print(
            f"Memory: {memory.first:.0f} MB after {SETTLED} frames, {memory.last:.0f} MB at the end, "
            f"between {memory.lowest:.0f} and {memory.highest:.0f} MB meanwhile."
        )
