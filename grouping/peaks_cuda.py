"""Grouping on the GPU: maps and candidates stay there, and of one image only the people come to the host, in one copy.

The kernels are in `kernels.cu` and `matching.cu`; CuPy compiles them when they are first used and launches them on the
caller's stream, on memory that PyTorch and CuPy share.

Letters: F passes (1, or 2: the image and its mirror image), K keypoints, T tags a keypoint, M candidates a keypoint (at
most), P people (at most).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .options import GroupingOptions
from .people import People
from .sigmas import sigmas_of
from .skeleton import COCO17, Skeleton

SOURCES = tuple(Path(__file__).with_name(name) for name in ("kernels.cu", "matching.cu"))
COMPILER_OPTIONS = ("--std=c++17", "--fmad=false")  # the CPU does not fuse multiplication and addition either
KERNELS = ("average", "tag_ranges", "find_peaks", "choose", "match", "fill_missing")
THREADS, MATCHING_THREADS, TILE, MOST_PEAKS, MOST_REACH = 256, 32, 32, 2048, 8  # as in the source
_DEFAULTS = GroupingOptions()


class NotFiniteError(ValueError):
    """The network's outputs hold NaN or infinity: not the GPU's fault, as other errors here are."""


def source() -> str:
    """The kernels, as one text."""
    return "".join(path.read_text() for path in SOURCES)


class Device(Protocol):
    """Where the kernels run; its arrays have a shape and, as `Output` needs them, strides."""

    def empty(self, shape: Sequence[int], dtype: DTypeLike) -> Any: ...

    def zeros(self, shape: Sequence[int], dtype: DTypeLike) -> Any: ...

    def constant(self, numbers: tuple[int, ...]) -> Any:
        """An int32 array on the device, which is not written to."""

    def get(self, array: Any) -> NDArray:
        """A device array's copy on the host, once everything launched before is done."""

    def launch(self, kernel: str, grid: tuple[int, int, int], arguments: Sequence[Any]) -> None:
        """Run a kernel with blocks of THREADS threads, or MATCHING_THREADS; arguments are arrays and numpy scalars."""


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
    """`grouping.group_outputs` for outputs that lie on a device, float32 in any layout, `fine` with its maps.

    One copy crosses to the host: the people. Returns None where a map has more peaks than the kernels have room for
    (noise, not people); the CPU then has to do it. Raises NotFiniteError if a value is NaN or infinite.
    """
    keypoints, (passes, _, height, width) = skeleton.num_keypoints, fine.shape
    rows, columns = -(-2 * height // TILE), -(-2 * width // TILE)
    limit = min(options.max_people, 4 * height * width)
    room = min(options.max_people, keypoints * limit)
    flips = device.constant(skeleton.flip_indices)
    heatmaps = (*_output(coarse[:, -2 * keypoints : -keypoints]), *_output(fine[:, -keypoints:]))
    tagmaps, alphas = _output(coarse[:, -keypoints:]), _output(fine[:, :keypoints])
    scale_branch = fine.shape[1] > keypoints  # without it the kernels read heatmaps for alphas, and nobody the result
    common = (flips, *np.int32((passes, keypoints)))
    size, tiles = np.int32((height, width)), np.int32((rows, columns))
    halves = device.empty((keypoints, height, width), np.float32)
    lowest, highest = (device.empty((keypoints, rows, columns, passes), np.float32) for _ in range(2))
    maxima = device.empty((keypoints, rows, columns), np.float32)
    keys = device.empty((keypoints, MOST_PEAKS), np.uint64)
    words = device.empty((keypoints, limit, 6 + passes), np.float32)
    # All that comes to the host lies together.
    found = device.zeros((2 + keypoints + room * (keypoints * (7 + passes) + passes),), np.float32)
    faults, num_people, counts, chosen, means, described = _parts(found, keypoints, room, passes)

    device.launch("average", (-(-height * width // THREADS), keypoints, 1), (*heatmaps, *common, *size, halves, faults))
    device.launch("tag_ranges", (keypoints, 1, 1), (*tagmaps, *common, *size, *tiles, lowest, highest, faults))
    threshold, reach = _below(options.detection_threshold), np.int32(options.nms_kernel // 2)
    device.launch(
        "find_peaks", (columns, rows, keypoints), (halves, *size, *tiles, threshold, reach, counts, keys, maxima)
    )
    device.launch(
        "choose", (keypoints, 1, 1), (*tagmaps, *alphas, *common, halves, *size, counts, keys, np.int32(limit), words)
    )
    reals, numbers = scratch_for_matching(keypoints, limit, options.max_people, passes)
    device.launch(
        "match",
        (1, 1, 1),
        (
            faults, counts, words, device.constant(skeleton.grouping_order), *np.int32((keypoints, passes, limit)),
            np.int32(options.max_people), *np.float64((options.tag_threshold, options.person_threshold)),
            device.empty((reals,), np.float64), device.empty((numbers,), np.int32), num_people, chosen, means,
            described,
        ),
    )  # fmt: skip
    if options.refine:
        device.launch(
            "fill_missing",
            (room * keypoints, 1, 1),
            (
                *tagmaps, *alphas, *common, halves, *size, *tiles, maxima, lowest, highest, num_people, chosen, means,
                described,
            ),
        )  # fmt: skip

    faults, num_people, counts, chosen, means, described = _parts(device.get(found), keypoints, room, passes)
    if faults.view(np.int32)[0]:
        raise NotFiniteError("the network's outputs hold values that are not finite numbers")
    if (counts.view(np.int32) > MOST_PEAKS).any():
        return None
    present = slice(num_people.view(np.int32)[0])
    detected = chosen.view(np.int32).reshape(room, keypoints)[present] >= 0
    described = described.reshape(room, keypoints, 6 + passes)[present]
    means = means.reshape(room, passes)[present].copy()
    return _as_people(described, detected, means, options, skeleton, scale_branch).transformed(to_source)


def _parts(found: Any, keypoints: int, room: int, tags: int) -> list[Any]:
    """What `found` is made of, each flat, all but the last two of whole numbers' bits.

    faults [1], num_people [1], counts [K], chosen [P, K], means [P, T], described [P, K, 6 + T].
    """
    lengths = (1, 1, keypoints, room * keypoints, room * tags, room * keypoints * (6 + tags))
    ends = np.cumsum(lengths).tolist()
    return [found[end - length : end] for length, end in zip(lengths, ends, strict=True)]


def scratch_for_matching(keypoints: int, limit: int, max_people: int, tags: int) -> tuple[int, int]:
    """How many doubles and how many whole numbers the kernel `match` needs to work with."""
    people = keypoints * limit  # if nothing matches
    return 6 * max_people + people * (tags + 1) + limit * max_people, 4 * max_people + people * (1 + keypoints)


def _as_people(
    described: NDArray[np.float32],
    detected: NDArray[np.bool_],
    tags: NDArray[np.float32],
    options: GroupingOptions,
    skeleton: Skeleton,
    scale_branch: bool,
) -> People:
    scores = np.where(detected, described[..., 2], 0).mean(axis=1, dtype=np.float64)
    present = described[..., 2] > 0
    shift = np.where(described[..., 3:5] > 0, np.float32(0.75), np.float32(0.25))
    moved = (detected & options.adjust) | ~detected
    places = described[..., :2] + np.where(moved[..., None], shift, 0)
    keypoints = np.where(present[..., None], np.concatenate((places, described[..., 2:3]), axis=2), 0)
    people = People(keypoints.astype(np.float32), scores.astype(np.float32), skeleton=skeleton, tags=tags)
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

    def constant(self, numbers: tuple[int, ...]) -> Any:
        return _constant(self._cupy.cuda.Device().id, numbers)

    def get(self, array: Any) -> NDArray:
        return self._cupy.asnumpy(array, stream=self._stream)

    def launch(self, kernel: str, grid: tuple[int, int, int], arguments: Sequence[Any]) -> None:
        with self._stream:
            threads = MATCHING_THREADS if kernel == "match" else THREADS
            _module(self._cupy.cuda.Device().id).get_function(kernel)(grid, (threads, 1, 1), tuple(arguments))


@lru_cache
def _module(device: int) -> Any:
    import cupy

    return cupy.RawModule(code=source(), options=COMPILER_OPTIONS)


@lru_cache
def _constant(device: int, numbers: tuple[int, ...]) -> Any:
    """Copied once; whatever stream reads it later."""
    import cupy

    array = cupy.asarray(np.array(numbers, np.int32))
    cupy.cuda.get_current_stream().synchronize()
    return array


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
