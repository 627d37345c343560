"""Keypoints shared among threads: compiled code that holds no GIL needs no processes.

Numba's own parallel loops may be entered by one thread at a time, and which of its threading layers a machine has is
chance; an ordinary pool of threads may be used by any number.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

MOST_THREADS = 8  # the maps' rows come from memory, which more threads read no faster


def share(function: Callable[..., object], count: int, *arguments: object) -> None:
    """Call `function(taken, *arguments)` on as many threads as `count` things to do can keep busy.

    Each call does the thing `take(taken)` until there are no more: a thread takes a while to wake up, in which the
    others go on. An error of any is raised here, after all have ended.
    """
    taken = np.zeros(1, np.int64)
    threads = max(1, min(_usable_cores(), MOST_THREADS, count))
    others = [_pool().submit(function, taken, *arguments) for _ in range(1, threads)]
    try:
        function(taken, *arguments)
    finally:
        errors = [other.exception() for other in others]
    for error in errors:
        if error:
            raise error


@intrinsic
def take(typing_context, taken):
    """How often this was called with the same int64 array [1] before, whatever other threads do at the same time."""

    def add_one(context, builder, signature, arguments):
        counter = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.atomic_rmw("add", counter, cgutils.intp_t(1), "monotonic")

    return types.int64(taken), add_one


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
