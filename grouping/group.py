"""Heatmaps and tags become people.

Letters: K keypoints, h w map pixels, M candidates a keypoint (at most), T tags a keypoint, P people, F passes (1, or 2:
the image and its mirror image).
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from .halves import average, average_passes, side_by_side
from .interpolation import value_at
from .matching import match_candidates
from .options import GroupingOptions
from .peaks import find_peaks
from .people import People
from .refine import fill_missing_keypoints, mean_tags, place_keypoints
from .sigmas import read_alphas, sigmas_of
from .skeleton import COCO17, Skeleton
from .tiles import tile_counts, tile_ranges
from .workers import share, take

_DEFAULTS = GroupingOptions()
_LAYOUT = ("C_CONTIGUOUS", "WRITEABLE", "ALIGNED")  # Numba would compile anew, for seconds, for others


def group(
    heatmaps: ArrayLike,
    tags: ArrayLike,
    options: GroupingOptions = _DEFAULTS,
    skeleton: Skeleton = COCO17,
) -> People:
    """Find the people in one image's heatmaps and tags by associative embedding (section 3.5 of the paper).

    heatmaps: [K, h, w], how sure the network is of each keypoint at each pixel. tags: [K, h, w, T], alike
    within a person; T = 1, or 2 with the flipped image's. Contiguous, writable float32 arrays are read where
    they are, others are copied.

    Returns the people in map pixels, in the order in which they were started, with tags and without sigmas: the scale
    branch is the caller's to read, with ``People.values_at``. A person's score is the mean of its K keypoint
    scores before refinement. If there are more than options.max_people, those with the best scores stay, and of
    them those above options.person_threshold.
    Nobody found gives an empty ``People``.

    Raises ValueError if the shapes do not fit the skeleton and each other, or a value is NaN or infinite.
    """
    heatmaps, tags = _float32(heatmaps), _float32(tags)
    _check_shapes(heatmaps, tags, skeleton)
    if heatmaps.size == 0:
        return People.empty(skeleton)
    nothing = np.empty((0, 0, 0, 0), np.float32)
    scene = _Scene.of(heatmaps, 0, tags, 0, options)
    scene.scan(nothing, nothing, _flip_indices(skeleton))
    if not scene.finite.all():
        _name_what_is_not_finite(("keypoint", "y", "x"), heatmaps=heatmaps, tags=tags)
    return _people(scene, options, skeleton)


def group_outputs(
    coarse: ArrayLike,
    fine: ArrayLike,
    to_source: ArrayLike,
    options: GroupingOptions = _DEFAULTS,
    skeleton: Skeleton = COCO17,
) -> People:
    """The people in one image, straight from what the network said of it: `group` without its full-size maps.

    coarse: [F, (K alphas |) K heatmaps | K tags, h/4, w/4] and fine: [F, (K alphas |) K heatmaps, h/2, w/2], for a
    network input of h x w; with F = 2 the second is of the mirror image. Both heatmaps are averaged at 1/2 and
    projected to the input (section 4.1, testing), only where somebody may be. A `fine` without maps, [F, 0, h/2, w/2],
    says that it would be `coarse` once more. to_source: [2, 3], from the input's pixels to those of the people that are
    returned. They have sigmas if `fine` has alphas; those of `coarse` are not read.

    Equals, up to rounding, `group` on the projected maps. Raises ValueError if the shapes do not fit the skeleton and
    each other, or a value is NaN or infinite.
    """
    coarse, fine = _float32(coarse), _float32(fine)
    keypoints = skeleton.num_keypoints
    passes, height, width = _check_outputs(coarse, fine, keypoints)
    flips = _flip_indices(skeleton)
    tags = np.empty((keypoints, height // 2, width // 2, passes), np.float32)
    doublings = 1 if fine.shape[1] else 2
    heatmaps = np.empty((keypoints, 2 * height >> doublings, 2 * width >> doublings), np.float32)
    scene = _Scene.of(heatmaps, doublings, tags, 2, options)
    scene.scan(coarse, fine, flips)
    if not scene.finite.all():
        _name_what_is_not_finite(("image", "map", "y", "x"), coarse=coarse, fine=fine)
    people = _people(scene, options, skeleton)
    if fine.shape[1] > keypoints:
        alphas = read_alphas(fine, flips, people.keypoints)
        people = replace(people, sigmas=sigmas_of(alphas, people.found))
    return people.transformed(to_source)


@lru_cache(maxsize=1)
def start_warm_up() -> Future[None]:
    """Begin to compile grouping on a thread of its own, if that has not begun yet; done when it is done."""
    worker = ThreadPoolExecutor(1, thread_name_prefix="compile grouping")
    done = worker.submit(warm_up)
    worker.shutdown(wait=False)
    return done


def warm_up() -> None:
    """Compile grouping ahead of the first image: some seconds once on a machine, much less afterwards."""
    keypoints = COCO17.num_keypoints
    heatmaps = np.ones((keypoints, 1, 1), np.float32)
    heatmaps[-1] = 0  # which is then looked for once more, by code of its own
    group(heatmaps, heatmaps[..., None])
    coarse, fine = np.ones((1, 3 * keypoints, 1, 1)), np.ones((1, 2 * keypoints, 2, 2))
    coarse[:, 2 * keypoints - 1] = fine[:, -1] = 0
    for maps in (fine, fine[:, :0]):
        group_outputs(coarse, maps, np.eye(2, 3))


def compiled_folder() -> Path:
    """Where Numba keeps grouping, compiled, between runs."""
    return Path(_scan.stats.cache_path)


@dataclass(eq=False)
class _Scene:
    """One image's maps and what scanning them found, keypoint by keypoint, into arrays that threads share."""

    heatmaps: NDArray[np.float32]  # [K, h, w] as stored
    doublings: int
    tags: NDArray[np.float32]  # [K, h, w, T] as stored
    tag_doublings: int
    threshold: float
    kernel: int
    maxima: NDArray[np.float32]  # [K, tile rows, tile columns]
    lowest: NDArray[np.float32]  # [K, T, tile rows, tile columns], as is highest
    highest: NDArray[np.float32]
    counts: NDArray[np.int64]  # [K]
    pixels: NDArray[np.int32]  # [K, M, 2]
    values: NDArray[np.float32]  # [K, M]
    candidate_tags: NDArray[np.float32]  # [K, M, T]
    finite: NDArray[np.bool_]  # [2 K], of the heatmaps, then of the tags

    @classmethod
    def of(
        cls,
        heatmaps: NDArray[np.float32],
        doublings: int,
        tags: NDArray[np.float32],
        tag_doublings: int,
        options: GroupingOptions,
    ) -> _Scene:
        keypoints, height, width = heatmaps.shape
        num_tags = tags.shape[3]
        rows, columns = tile_counts(height << doublings, width << doublings)
        limit = min(options.max_people, (height << doublings) * (width << doublings))
        return cls(
            heatmaps,
            doublings,
            tags,
            tag_doublings,
            float(options.detection_threshold),
            int(options.nms_kernel),
            np.empty((keypoints, rows, columns), np.float32),
            np.empty((keypoints, num_tags, rows, columns), np.float32),
            np.empty((keypoints, num_tags, rows, columns), np.float32),
            np.zeros(keypoints, np.int64),
            np.zeros((keypoints, limit, 2), np.int32),
            np.zeros((keypoints, limit), np.float32),
            np.zeros((keypoints, limit, num_tags), np.float32),
            np.zeros(2 * keypoints, np.bool_),
        )

    def scan(self, coarse: NDArray[np.float32], fine: NDArray[np.float32], flip_indices: NDArray[np.int64]) -> None:
        """Find the candidates; where `coarse` is not empty, the maps are first made from it and `fine`."""
        share(
            _scan, 2 * len(self.heatmaps), coarse, fine, flip_indices, self.heatmaps, self.doublings, self.tags,
            self.tag_doublings, self.threshold, self.kernel, self.maxima, self.lowest, self.highest, self.counts,
            self.pixels, self.values, self.finite,
        )  # fmt: skip
        _read_tags(self.tags, self.tag_doublings, self.counts, self.pixels, self.candidate_tags)


@njit(cache=True, nogil=True)
def _scan(
    taken, coarse, fine, flip_indices, heatmaps, doublings, tags, tag_doublings, threshold, kernel, maxima,
    lowest, highest, counts, pixels, values, finite,
):  # fmt: skip
    """Everything that is done map by map before matching, while a map is in the cache: K heatmaps, then K of tags."""
    keypoints = len(heatmaps)
    minima = np.empty_like(maxima[:1])
    while True:
        index = take(taken)
        if index >= 2 * keypoints:
            return
        keypoint = index % keypoints
        if index >= keypoints:
            if coarse.size:
                side_by_side(coarse, keypoints, keypoint, flip_indices[keypoint], tags[keypoint])
            finite[index] = tile_ranges(tags[keypoint], tag_doublings, lowest[keypoint], highest[keypoint])
            continue
        if fine.size:
            average(coarse, fine, keypoints, keypoint, flip_indices[keypoint], heatmaps[keypoint])
        elif coarse.size:
            average_passes(coarse, keypoints, keypoint, flip_indices[keypoint], heatmaps[keypoint])
        one_map = heatmaps[keypoint].reshape((*heatmaps.shape[1:], 1))
        finite[index] = tile_ranges(one_map, doublings, minima, maxima[keypoint : keypoint + 1])
        if finite[index]:
            counts[keypoint] = find_peaks(
                heatmaps[keypoint], doublings, maxima[keypoint], threshold, kernel, pixels[keypoint], values[keypoint]
            )


@njit(cache=True, nogil=True)
def _read_tags(
    tags: NDArray[np.float32],
    doublings: int,
    counts: NDArray[np.int64],
    pixels: NDArray[np.int32],
    candidate_tags: NDArray[np.float32],
) -> None:
    """Read the tags [K, h, w, T] of `counts` candidates at pixels [K, M, 2] into candidate_tags [K, M, T]."""
    for keypoint in range(len(counts)):
        for candidate in range(counts[keypoint]):
            x, y = pixels[keypoint, candidate]
            for index in range(tags.shape[3]):
                candidate_tags[keypoint, candidate, index] = value_at(tags[keypoint, :, :, index], x, y, doublings)


def _people(scene: _Scene, options: GroupingOptions, skeleton: Skeleton) -> People:
    order = np.array(skeleton.grouping_order, np.int64)
    people = match_candidates(
        scene.counts, scene.values, scene.candidate_tags, order, options.tag_threshold, options.max_people
    )
    keypoints = place_keypoints(scene.heatmaps, scene.doublings, people, scene.pixels, scene.values, options.adjust)
    scores = keypoints[:, :, 2].mean(axis=1, dtype=np.float64)  # exact, so that those who stay are the same everywhere
    kept = np.sort(np.argsort(-scores, kind="stable")[: options.max_people])
    kept = kept[scores[kept] >= options.person_threshold]
    if len(kept) < len(people):
        people, keypoints, scores = people[kept], keypoints[kept], scores[kept]
    means = mean_tags(people, scene.candidate_tags)
    missing = (people < 0).sum(axis=0)
    if options.refine and missing.any():
        # Those that most people miss first, so that the threads get alike.
        order = np.argsort(-missing, kind="stable")[: np.count_nonzero(missing)]
        share(
            fill_missing_keypoints, len(order), order, scene.heatmaps, scene.doublings, scene.maxima, scene.tags,
            scene.tag_doublings, scene.lowest, scene.highest, people, means, keypoints,
        )  # fmt: skip
    return People(keypoints, scores, skeleton=skeleton, tags=means)


def _flip_indices(skeleton: Skeleton) -> NDArray[np.int64]:
    return np.array(skeleton.flip_indices, np.int64)


def _float32(values: ArrayLike) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is reported later
        return np.require(values, np.float32, _LAYOUT)


def _check_shapes(heatmaps: NDArray[np.float32], tags: NDArray[np.float32], skeleton: Skeleton) -> None:
    if heatmaps.ndim != 3 or len(heatmaps) != skeleton.num_keypoints:
        raise ValueError(
            f"heatmaps have shape {list(heatmaps.shape)}, expected [{skeleton.num_keypoints}, h, w] "
            f"for the skeleton {skeleton.name}"
        )
    keypoints, height, width = heatmaps.shape
    if tags.ndim != 4 or tags.shape[:3] != heatmaps.shape or tags.shape[3] == 0:
        raise ValueError(
            f"tags have shape {list(tags.shape)}, expected [{keypoints}, {height}, {width}, T] "
            "with T of at least 1, to go with the heatmaps"
        )


def _check_outputs(coarse: NDArray, fine: NDArray, keypoints: int) -> tuple[int, int, int]:
    """Passes, height and width of `fine`."""
    one, two, three = keypoints, 2 * keypoints, 3 * keypoints
    if fine.ndim != 4 or fine.shape[0] not in (1, 2) or fine.shape[1] not in (0, one, two) or 0 in fine.shape[2:]:
        raise ValueError(f"fine has shape {list(fine.shape)}, expected [1 or 2, 0, {one} or {two}, h/2, w/2]")
    passes, _, height, width = fine.shape
    fits = [(passes, maps, height // 2, width // 2) for maps in (two, three)]
    if coarse.shape not in fits or height % 2 or width % 2:
        raise ValueError(
            f"coarse has shape {list(coarse.shape)} beside fine {list(fine.shape)}, expected half as high and wide, "
            f"with {two} or {three} maps"
        )
    return passes, height, width


def _name_what_is_not_finite(axes: tuple[str, ...], **arrays: NDArray) -> None:
    for name, maps in arrays.items():
        if not np.isfinite(maps).all():
            place = np.argwhere(~np.isfinite(maps))[0].tolist()
            words = ", ".join(f"{axis} {index}" for axis, index in sorted(zip(axes, place, strict=False)))
            raise ValueError(f"{name} hold {maps[tuple(place)]} at {words}; every value must be a finite number")
    raise ValueError("the heatmaps are too large to be averaged; every value must be a finite number")
