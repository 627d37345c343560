"""Keypoints shared out over threads: compiled code that holds no GIL needs no processes.

Numba's own parallel loops may be entered by one thread at a time, and which of its threading layers a machine has is
chance; an ordinary pool of threads may be used by any number.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

MOST_THREADS = 8  # the maps' rows come from memory, which more threads read no faster


def share_out(function: Callable[..., object], count: int, *arguments: object) -> None:
    """Call `function(start, step, *arguments)` for start 0 to step - 1, in parallel.

    Each call has every step-th of `count` things to do, from `start` on. An error of any is raised here, after all have
    ended.
    """
    step = max(1, min(_usable_cores(), MOST_THREADS, count))
    others = [_pool().submit(function, start, step, *arguments) for start in range(1, step)]
    try:
        function(0, step, *arguments)
    finally:
        errors = [other.exception() for other in others]
    for error in errors:
        if error:
            raise error


def _usable_cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(MOST_THREADS - 1, thread_name_prefix="grouping")


if hasattr(os, "register_at_fork"):  # a forked child has the pool but none of its threads
    os.register_at_fork(after_in_child=_pool.cache_clear)
