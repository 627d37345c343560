"""How well ids over time fit the truth.

Both figures take frames: pairs of true ids and given ids, one of each for everybody seen in the frame. A true id below
0 is nobody's: something seen that is no person.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from grouping.matching import assign

Frames = Iterable[tuple[Sequence[int], Sequence[int]]]


def id_switches(frames: Frames) -> int:
    """How often a person has another id than when last seen, however long ago (CLEAR MOT, Bernardin 2008)."""
    last: dict[int, int] = {}
    switches = 0
    for true_ids, given_ids in frames:
        for true, given in zip(true_ids, given_ids, strict=True):
            if true >= 0:
                switches += last.get(true, given) != given
                last[true] = given
    return switches


def idf1(frames: Frames) -> float:
    """Share of sightings under the one id that each person is best matched with, 0 to 1 (IDF1, Ristani 2016)."""
    pairs = Counter((true, given) for frame in frames for true, given in zip(*frame, strict=True))
    true_ids = sorted({true for true, _ in pairs if true >= 0})
    given_ids = sorted({given for _, given in pairs})
    if not true_ids:
        return 1.0
    counts = np.array([[pairs[true, given] for given in given_ids] for true in true_ids], float)
    columns = assign(-counts, np.zeros_like(counts))
    right = sum(counts[row, column] for row, column in enumerate(columns) if column >= 0)
    return 2 * right / (counts.sum() + pairs.total())
