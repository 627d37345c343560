"""Who was found twice: grouping may put a second, weaker skeleton on somebody.

Letters: P people, K keypoints.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .association import LEAST_SIZE, body_sizes
from .people import People

WEAKER = 0.7  # the part of the surer one's score that a double has at most
SAME = 0.7  # object keypoint similarity from which on two skeletons are taken for one person's


def find_doubles(people: People) -> NDArray[np.bool_]:
    """Which people lie where somebody clearly surer lies, bool [P].

    That is decided by COCO's object keypoint similarity of the two, for the area of the smaller one; keypoints that
    only one of them has count as wholly unlike, so that somebody of whom little is seen is nobody's double.
    """
    credible, positions = people.credible, people.keypoints[:, :, :2].astype(np.float64)
    sizes = body_sizes(people.boxes.astype(np.float64)).clip(LEAST_SIZE)
    reach = 2 * np.array(people.skeleton.oks_sigmas) * np.minimum(sizes[:, None], sizes)[:, :, None]  # [P, P, K]
    squared = ((positions[:, None] - positions) ** 2).sum(axis=3)
    similar = np.exp(squared / (-2 * reach**2)) * (credible[:, None] & credible)
    either = (credible[:, None] | credible).sum(axis=2)
    same = similar.sum(axis=2) >= SAME * np.maximum(either, 1)
    return (same & (people.scores[:, None] < WEAKER * people.scores)).any(axis=1)
