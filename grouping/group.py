"""Heatmaps and tags become people.

Letters: K keypoints, h w map pixels, M candidates a keypoint (at most), T tags a keypoint, P people.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from .matching import match_candidates
from .options import GroupingOptions
from .peaks import find_peaks
from .people import People
from .refine import fill_missing_keypoints, place_keypoints
from .skeleton import COCO17, Skeleton
from .tiles import tile_maxima

_DEFAULTS = GroupingOptions()


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

    Returns the people in map pixels, in the order in which they were started, without sigmas: the scale
    branch is the caller's to read, with ``People.values_at``. A person's score is the mean of its K keypoint
    scores before refinement. If there are more than options.max_people, those with the best scores stay.
    Nobody found gives an empty ``People``.

    Raises ValueError if the shapes do not fit the skeleton and each other, or a value is NaN or infinite.
    """
    heatmaps, tags = _checked(heatmaps, tags, skeleton)
    if heatmaps.size == 0:
        return People.empty(skeleton)
    maxima = tile_maxima(heatmaps)
    limit = min(options.max_people, heatmaps[0].size)
    counts, pixels, values = find_peaks(heatmaps, maxima, options.detection_threshold, options.nms_kernel, limit)
    candidate_tags = tags[np.arange(len(tags))[:, None], pixels[..., 1], pixels[..., 0]]  # [K, M, T]
    order = np.array(skeleton.grouping_order, np.int64)
    people = match_candidates(counts, values, candidate_tags, order, options.tag_threshold, options.max_people)
    keypoints = place_keypoints(heatmaps, people, pixels, values, options.adjust)
    scores = keypoints[:, :, 2].mean(axis=1)
    if len(people) > options.max_people:
        kept = np.sort(np.argsort(-scores, kind="stable")[: options.max_people])
        people, keypoints, scores = people[kept], keypoints[kept], scores[kept]
    if options.refine:
        fill_missing_keypoints(heatmaps, tags, maxima, people, candidate_tags, keypoints)
    return People(keypoints, scores, skeleton=skeleton)


def warm_up() -> None:
    """Compile grouping ahead of the first image: some seconds once on a machine, much less afterwards."""
    heatmaps = np.ones((COCO17.num_keypoints, 1, 1), np.float32)
    group(heatmaps, heatmaps[..., None])


def _checked(
    heatmaps: ArrayLike, tags: ArrayLike, skeleton: Skeleton
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    # Numba would compile anew, for seconds, for arrays that are read-only or not contiguous.
    layout = ("C_CONTIGUOUS", "WRITEABLE", "ALIGNED")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite and is reported below
        heatmaps = np.require(heatmaps, np.float32, layout)
        tags = np.require(tags, np.float32, layout)
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
    for name, maps in (("heatmaps", heatmaps), ("tags", tags)):
        if not _all_finite(maps.reshape(-1).view(np.uint32)):
            place = np.argwhere(~np.isfinite(maps))[0]
            raise ValueError(
                f"{name} hold {maps[tuple(place)]} at keypoint {place[0]}, x {place[2]}, y {place[1]}; "
                "every value must be a finite number"
            )
    return heatmaps, tags


@njit(cache=True, nogil=True)
def _all_finite(bits: NDArray[np.uint32]) -> bool:
    """Whether all of these float32 bit patterns are finite numbers.

    Their exponent is then below the highest one. Whole numbers can be compared many at a time, which makes
    this several times faster than numpy's isfinite.
    """
    highest = np.uint32(0)
    for value in bits:
        highest = max(highest, np.uint32(value & np.uint32(0x7FFFFFFF)))
    return highest < np.uint32(0x7F800000)
