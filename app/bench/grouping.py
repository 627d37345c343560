"""``swahr bench grouping``: from maps to people, beside a plain PyTorch and SciPy implementation."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
from rich.console import Console
from rich.table import Table

import grouping
from app.bench import check_json_path
from app.machine import machine
from engine.errors import SwahrError
from grouping import COCO17, GroupingOptions, peaks_cuda

REFERENCE = Path("tests") / "grouping" / "reference.py"  # in the source tree; an installation does not have it


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one path for one scene: median and 95th percentile; `found` people in the last run."""

    people: int
    size: int
    path: str
    median: float
    p95: float
    found: int


def bench_grouping(
    people: Sequence[int],
    sizes: Sequence[int],
    repeats: int,
    flip: bool = False,
    json_path: Path | None = None,
    seed: int = 0,
) -> None:
    """Time grouping for scenes of so many people on square inputs of these sizes, and print a table.

    flip: two passes, of the image and its mirror image, and so two tags a keypoint, as the paper tests.

    "fused" is what `PoseEstimator` runs, from the network's raw outputs, and "cuda" the same from outputs that lie on a
    GPU, where there is one and CuPy; "maps" is `group` on maps of the input's
    size; "reference" is a plain PyTorch and SciPy implementation from those maps, where the source tree is at hand,
    and "projection" the time it needs to make them. `json_path`: where the figures are written as well.
    """
    check_json_path(json_path)
    for size in sizes:
        if size < 64 or size % 64:
            raise SwahrError(f"--sizes names {size}; the network's input is a multiple of 64.")
    if min(people) < 0:
        raise SwahrError(f"--people names {min(people)}; give numbers from 0 on.")
    reference = _reference()
    timings: list[Timing] = []
    for size in sizes:
        for number in people:
            timings += _time_scene(number, size, repeats, flip, seed, reference)
    _print(timings, flip)
    if reference is None:
        Console().print(
            f"The reference lies in {REFERENCE} of the source tree, which is not here, so no ratio is shown."
        )
    if json_path is not None:
        figures = {
            "machine": machine(),
            "repeats": repeats,
            "flip": flip,
            "timings": [asdict(timing) for timing in timings],
        }
        json_path.write_text(json.dumps(figures, indent=1) + "\n")


def _time_scene(
    people: int, size: int, repeats: int, flip: bool, seed: int, reference: ModuleType | None
) -> list[Timing]:
    import torch

    from engine.aggregate import aggregate

    coarse, fine = crowd_outputs(people, size, seed)
    if flip:
        coarse, fine = (_with_mirrored(maps) for maps in (coarse, fine))
    options = GroupingOptions()
    tensors = torch.from_numpy(coarse), torch.from_numpy(fine)
    paths: dict[str, tuple[Callable[[], object], int]] = {
        "fused": (lambda: grouping.group_outputs(coarse, fine, np.eye(2, 3), options), repeats)
    }
    if torch.cuda.is_available() and importlib.util.find_spec("cupy") is not None:
        on_gpu = tuple(maps.cuda().contiguous(memory_format=torch.channels_last) for maps in tensors)
        paths["cuda"] = (lambda: peaks_cuda.group_outputs_cuda(*on_gpu, np.eye(2, 3), options), repeats)
    heatmaps, tags, _ = aggregate({1.0: tensors}, (size, size), COCO17.flip_indices)
    tags = tags.contiguous()  # the tags of both passes beside each other, as the published code has them
    plain = heatmaps.numpy(), tags.numpy()
    paths["maps"] = (lambda: grouping.group(*plain, options), repeats)
    if reference is not None:
        few = max(3, repeats // 20)
        flips = list(COCO17.flip_indices)
        paths["reference"] = (lambda: reference.group(heatmaps, tags, COCO17.grouping_order)[0], few)
        paths["projection"] = (lambda: reference.projected(*tensors, flips)[0], few)
    timings = []
    for path, (call, times) in paths.items():
        milliseconds, found = _timed(call, times)
        found = 0 if path == "projection" else found
        low, high = np.percentile(milliseconds, (50, 95)).tolist()
        timings.append(Timing(people, size, path, round(low, 3), round(high, 3), found))
    return timings


def _timed(call: Callable[[], object], times: int) -> tuple[list[float], int]:
    call()
    milliseconds, result = [], None
    for _ in range(times):
        start = time.perf_counter()
        result = call()
        milliseconds.append((time.perf_counter() - start) * 1000)
    return milliseconds, len(result)


def crowd_outputs(people: int, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """What a network might say of a crowd: coarse [1, 3K, size/4, size/4] and fine [1, 2K, size/2, size/2].

    One keypoint in five is missing, tags differ by about 1.5 from person to person, background is noise of 0.01.
    """
    random, keypoints = np.random.default_rng((seed, people, size)), COCO17.num_keypoints
    coarse = random.normal(0, 0.01, (1, 3 * keypoints, size // 4, size // 4)).astype(np.float32)
    fine = random.normal(0, 0.01, (1, 2 * keypoints, size // 2, size // 2)).astype(np.float32)
    coarse[:, 2 * keypoints :] *= 5
    for person in range(people):
        centre, extent = random.uniform(0.1 * size, 0.9 * size, 2), random.uniform(0.08, 0.3) * size
        for keypoint in range(keypoints):
            if random.random() < 0.2:
                continue
            x, y = (centre + random.normal(0, extent / 2, 2)).clip(0, size - 1)
            high, tag = random.uniform(0.2, 0.95), 1.5 * person + random.normal(0, 0.1)
            _bump(fine[0, keypoints + keypoint], x / 2, y / 2, high, None)
            _bump(coarse[0, keypoints + keypoint], x / 4, y / 4, high, None)
            _bump(coarse[0, 2 * keypoints + keypoint], x / 4, y / 4, high, tag)
    return coarse, fine


def _with_mirrored(maps: np.ndarray) -> np.ndarray:
    """[1, ., h, w] -> [2, ., h, w]: what the network would say of the mirror image stands behind."""
    parts = maps.reshape(1, -1, COCO17.num_keypoints, *maps.shape[2:])
    mirrored = parts[:, :, list(COCO17.flip_indices), :, ::-1].reshape(maps.shape)
    return np.ascontiguousarray(np.concatenate([maps, mirrored]))


def _bump(map_: np.ndarray, x: float, y: float, high: float, tag: float | None) -> None:
    """Raise a map to a Gaussian of standard deviation 2, or set it to a tag where that Gaussian is."""
    top, left = max(int(y) - 6, 0), max(int(x) - 6, 0)
    region = map_[top : int(y) + 7, left : int(x) + 7]
    rows, columns = np.mgrid[top : top + region.shape[0], left : left + region.shape[1]]
    squared = (columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2
    if tag is None:
        np.maximum(region, high * np.exp(-squared / 8), out=region)
    else:
        region[squared < 36] = tag


def _print(timings: Sequence[Timing], flip: bool) -> None:
    what = "Grouping with the mirror image" if flip else "Grouping"
    table = Table(title=f"{what}, milliseconds, on {machine()}", title_justify="left")
    for name in ("people", "size", "path", "median", "p95", "found", "reference is"):
        table.add_column(name, justify="left" if name == "path" else "right")
    references = {(t.people, t.size): t.median for t in timings if t.path == "reference"}
    projections = {(t.people, t.size): t.median for t in timings if t.path == "projection"}
    for timing in timings:
        scene = (timing.people, timing.size)
        ratio = ""
        if timing.path in ("fused", "maps") and scene in references:
            whole = references[scene] + (projections[scene] if timing.path == "fused" else 0)
            ratio = f"{whole / timing.median:.0f} times slower"
        found = "" if timing.path == "projection" else str(timing.found)
        table.add_row(
            str(timing.people), str(timing.size), timing.path, f"{timing.median:.2f}", f"{timing.p95:.2f}", found, ratio
        )
    Console().print(table)


def _reference() -> ModuleType | None:
    path = Path(grouping.__file__).parents[1] / REFERENCE
    if not path.is_file() or importlib.util.find_spec("scipy") is None:
        return None
    spec = importlib.util.spec_from_file_location("grouping_reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
