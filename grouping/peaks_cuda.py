"""Grouping on the GPU: maps stay there, and of one image only candidates and missing keypoints come to the host.

The kernels are in `kernels.cu`; CuPy compiles them when they are first used and launches them on the caller's stream,
on memory that PyTorch and CuPy share.

Letters: F passes (1, or 2: the image and its mirror image), K keypoints, T tags a keypoint, M candidates a keypoint (at
most), P people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .matching import match_candidates
from .options import GroupingOptions
from .people import People
from .refine import mean_tags
from .sigmas import sigmas_of
from .skeleton import COCO17, Skeleton

SOURCE = Path(__file__).with_name("kernels.cu")
COMPILER_OPTIONS = ("--std=c++17", "--fmad=false")  # the CPU does not fuse multiplication and addition either
KERNELS = ("average", "tag_ranges", "find_peaks", "choose", "fill_missing")
THREADS, TILE, MOST_PEAKS, MOST_REACH = 256, 32, 2048, 8  # as in the source
_DEFAULTS = GroupingOptions()


class NotFiniteError(ValueError):
    """The network's outputs hold NaN or infinity: not the GPU's fault, as other errors here are."""


class Device(Protocol):
    """Where the kernels run; its arrays have a shape and, as `Output` needs them, strides."""

    def empty(self, shape: Sequence[int], dtype: DTypeLike) -> Any: ...

    def zeros(self, shape: Sequence[int], dtype: DTypeLike) -> Any: ...

    def put(self, array: NDArray) -> Any:
        """A host array's copy on the device."""

    def get(self, array: Any) -> NDArray:
        """A device array's copy on the host, once everything launched before is done."""

    def launch(self, kernel: str, grid: tuple[int, int, int], arguments: Sequence[Any]) -> None:
        """Run a kernel with blocks of THREADS threads; arguments are device arrays and numpy scalars."""


def can_group(options: GroupingOptions) -> bool:
    """Whether the kernels have room for these options."""
    return options.nms_kernel // 2 <= MOST_REACH and options.max_people <= MOST_PEAKS


def group_outputs_on(
    device: Device,
    coarse: Any,
    fine: Any,
    to_source: ArrayLike,
    options: GroupingOptions = _DEFAULTS,
    skeleton: Skeleton = COCO17,
) -> People | None:
    """`grouping.group_outputs` for outputs that lie on a device, float32 in any layout.

    Two copies cross to the host: the candidates, and after matching what was found of missing keypoints. Returns None
    where a map has more peaks than the kernels have room for (noise, not people); the CPU then has to do it. Raises
    NotFiniteError if a value is NaN or infinite.
    """
    keypoints, (passes, _, height, width) = skeleton.num_keypoints, fine.shape
    rows, columns = -(-2 * height // TILE), -(-2 * width // TILE)
    limit = min(options.max_people, 4 * height * width)
    flips = device.put(np.array(skeleton.flip_indices, np.int32))
    heatmaps = (*_output(coarse[:, -2 * keypoints : -keypoints]), *_output(fine[:, -keypoints:]))
    tagmaps, alphas = _output(coarse[:, -keypoints:]), _output(fine[:, :keypoints])
    scale_branch = fine.shape[1] > keypoints  # without it the kernels read heatmaps for alphas, and nobody the result
    common = (flips, *np.int32((passes, keypoints)))
    size, tiles = np.int32((height, width)), np.int32((rows, columns))
    halves = device.empty((keypoints, height, width), np.float32)
    lowest, highest = (device.empty((keypoints, rows, columns, passes), np.float32) for _ in range(2))
    maxima = device.empty((keypoints, rows, columns), np.float32)
    keys = device.empty((keypoints, MOST_PEAKS), np.uint64)
    # Whether all was finite, the number of candidates and the words on them come to the host together.
    found = device.zeros((1 + keypoints * (1 + limit * (6 + passes)),), np.float32)
    faults, counts, words = found[:1], found[1 : 1 + keypoints], found[1 + keypoints :]

    device.launch("average", (-(-height * width // THREADS), keypoints, 1), (*heatmaps, *common, *size, halves, faults))
    device.launch("tag_ranges", (keypoints, 1, 1), (*tagmaps, *common, *size, *tiles, lowest, highest, faults))
    threshold, reach = _below(options.detection_threshold), np.int32(options.nms_kernel // 2)
    device.launch(
        "find_peaks", (columns, rows, keypoints), (halves, *size, *tiles, threshold, reach, counts, keys, maxima)
    )
    device.launch(
        "choose", (keypoints, 1, 1), (*tagmaps, *alphas, *common, halves, *size, counts, keys, np.int32(limit), words)
    )
    host = device.get(found)
    if host[:1].view(np.int32)[0]:
        raise NotFiniteError("the network's outputs hold values that are not finite numbers")
    counts = host[1 : 1 + keypoints].view(np.int32).astype(np.int64)
    if (counts > MOST_PEAKS).any():
        return None
    counts = counts.clip(max=limit)
    candidates = host[1 + keypoints :].reshape(keypoints, limit, 6 + passes)

    tags = np.ascontiguousarray(candidates[..., 6:])
    order = np.array(skeleton.grouping_order, np.int64)
    values = np.ascontiguousarray(candidates[..., 2])
    people = match_candidates(counts, values, tags, order, options.tag_threshold, options.max_people)
    detected = people >= 0
    described = np.where(detected[..., None], candidates[np.arange(keypoints), people], 0)  # [P, K, 6 + T]
    scores = described[..., 2].mean(axis=1)
    if len(people) > options.max_people:
        kept = np.sort(np.argsort(-scores, kind="stable")[: options.max_people])
        people, detected, described, scores = people[kept], detected[kept], described[kept], scores[kept]
    wanted = np.ascontiguousarray(np.argwhere(~detected), np.int32)
    if options.refine and len(wanted):
        means = mean_tags(people, tags)
        filled = device.empty((len(wanted), 6 + passes), np.float32)
        device.launch(
            "fill_missing",
            (len(wanted), 1, 1),
            (
                *tagmaps, *alphas, *common, halves, *size, *tiles, maxima, lowest, highest, device.put(wanted),
                device.put(means), filled,
            ),
        )  # fmt: skip
        described[wanted[:, 0], wanted[:, 1]] = device.get(filled)
    return _as_people(described, detected, scores, options, skeleton, scale_branch).transformed(to_source)


def _as_people(
    described: NDArray[np.float32],
    detected: NDArray[np.bool_],
    scores: NDArray[np.float32],
    options: GroupingOptions,
    skeleton: Skeleton,
    scale_branch: bool,
) -> People:
    present = described[..., 2] > 0
    shift = np.where(described[..., 3:5] > 0, np.float32(0.75), np.float32(0.25))
    moved = (detected & options.adjust) | ~detected
    places = described[..., :2] + np.where(moved[..., None], shift, 0)
    keypoints = np.where(present[..., None], np.concatenate((places, described[..., 2:3]), axis=2), 0)
    people = People(keypoints.astype(np.float32), scores.astype(np.float32), skeleton=skeleton)
    return replace(people, sigmas=sigmas_of(described[..., 5], people.found)) if scale_branch else people


def _below(threshold: float) -> np.float32:
    """A float32 to compare with in single precision, to the same end as with `threshold` in double."""
    rounded = np.float32(threshold)
    return rounded if rounded <= threshold else np.nextafter(rounded, np.float32(-np.inf))


def _output(maps: Any) -> tuple[Any, ...]:
    """Maps [F, K, h, w] as the kernels take them: their memory, then their strides in values."""
    return maps, *np.int32([stride // 4 for stride in maps.strides])


class CupyDevice:
    """CUDA through CuPy, on one of its devices and on an existing stream."""

    def __init__(self, stream: int = 0) -> None:
        import cupy

        self._cupy = cupy
        self._stream = cupy.cuda.ExternalStream(stream) if stream else cupy.cuda.Stream.null

    def empty(self, shape: Sequence[int], dtype: DTypeLike) -> Any:
        with self._stream:
            return self._cupy.empty(shape, dtype)

    def zeros(self, shape: Sequence[int], dtype: DTypeLike) -> Any:
        with self._stream:
            return self._cupy.zeros(shape, dtype)

    def put(self, array: NDArray) -> Any:
        with self._stream:
            return self._cupy.asarray(array)

    def get(self, array: Any) -> NDArray:
        return self._cupy.asnumpy(array, stream=self._stream)

    def launch(self, kernel: str, grid: tuple[int, int, int], arguments: Sequence[Any]) -> None:
        with self._stream:
            _module(self._cupy.cuda.Device().id).get_function(kernel)(grid, (THREADS, 1, 1), tuple(arguments))


@lru_cache
def _module(device: int) -> Any:
    import cupy

    return cupy.RawModule(code=SOURCE.read_text(), options=COMPILER_OPTIONS)


def group_outputs_cuda(
    coarse: Any,
    fine: Any,
    to_source: ArrayLike,
    options: GroupingOptions = _DEFAULTS,
    skeleton: Skeleton = COCO17,
    stream: int = 0,
) -> People | None:
    """`group_outputs_on` for tensors on a CUDA device that speak DLPack, such as PyTorch's; nothing is copied.

    stream: the address of the CUDA stream that they are computed on (`torch.cuda.current_stream().cuda_stream`).
    Raises ImportError where CuPy is not installed.
    """
    import cupy

    shared = [cupy.from_dlpack(maps) for maps in (coarse, fine)]
    with shared[0].device:
        return group_outputs_on(CupyDevice(stream), *shared, to_source, options, skeleton)
