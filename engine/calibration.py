"""Pictures that show what values flow through a network."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import cv2
import numpy as np
from numpy.typing import NDArray


def synthetic_frames() -> Iterator[NDArray[np.uint8]]:
    """Endless pictures to calibrate with when there are no others: crowds of many sizes, RGB, 1280x720."""
    from engine.training.synthetic import random_frame

    for number in count():
        yield random_frame(np.random.default_rng((30_000, number)), 1280, 720).image


def fitted(frame: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """A frame at the input's size; proportions matter less to the ranges of values than that all is seen."""
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
