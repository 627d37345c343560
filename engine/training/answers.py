"""What an estimator answers to many pictures, with the next ones read while the network runs."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from engine.estimator import PoseEstimator
from grouping import People

Image = NDArray[np.uint8]

_READERS = min(8, os.cpu_count() or 1)
_WAITING = 2  # chunks that are being read while the network runs
_CHUNK = 4  # times the images that share a run of the network, so that those of one size find each other


def answers(estimator: PoseEstimator, read: Callable[[int], Image | None], count: int) -> Iterator[People | None]:
    """The people of pictures 0 to `count` - 1, in this order; None for a picture that `read` gives up as None.

    They are the same people as one by one. A bounded number of pictures is held at a time. What `read` or the
    estimator raises is raised here, and nothing goes on behind it.
    """
    # A GPU has two callers: while one groups people on the CPU, the other's network runs. A CPU is busy with one.
    chunk, runs = (_CHUNK * estimator.images_per_run, 2) if estimator.images_per_run > 1 else (1, 1)
    with ThreadPoolExecutor(_READERS, "read") as readers, ThreadPoolExecutor(runs, "infer") as runners:
        pending: deque[Future[list[People | None]]] = deque()
        try:
            for start in range(0, count, chunk):
                pictures = [readers.submit(read, index) for index in range(start, min(start + chunk, count))]
                pending.append(runners.submit(_people, estimator, pictures))
                if len(pending) > _WAITING:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:
            readers.shutdown(wait=False, cancel_futures=True)
            runners.shutdown(wait=False, cancel_futures=True)


def _people(estimator: PoseEstimator, pictures: list[Future[Image | None]]) -> list[People | None]:
    images = [picture.result() for picture in pictures]
    found = iter(estimator.batch([image for image in images if image is not None]))
    return [None if image is None else next(found) for image in images]
