"""Whatever is wrong with a file of poses becomes one sentence, and numbers become people only if they are right."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from engine.errors import SwahrError
from grouping import People, Skeleton

DAMAGES = (AttributeError, IndexError, KeyError, OverflowError, RecursionError, TypeError, ValueError)


@contextmanager
def reading(where: str) -> Iterator[None]:
    """Raise SwahrError that says where, if what is read inside is damaged."""
    try:
        yield
    except DAMAGES as error:
        raise damaged(where, error) from None


def damaged(where: str, error: Exception) -> SwahrError:
    """The sentence about what is wrong there."""
    reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error).rstrip(".").replace(". ", ", ")
    return SwahrError(f"{where} is damaged ({reason}); mend it, or write the poses again.")


def loaded(text: bytes) -> Any:
    """JSON in UTF-8; ValueError for NaN and infinities, which are none."""
    return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def finite(time: float | str) -> float:
    """A time in seconds; ValueError if it is none."""
    if not math.isfinite(seconds := float(time)):
        raise ValueError(f"the time is {time}")
    return seconds


def people_from(
    values: ArrayLike, scores: Sequence[float], ids: Sequence[int | None], sigmas: ArrayLike, skeleton: Skeleton
) -> People:
    """People from values [P, K, 3] and sigmas [P, K], NaN where they are not known.

    Sigmas are None if none is known, ids if one is not.
    """
    sigmas = np.asarray(sigmas, np.float64)
    with np.errstate(over="ignore"):  # a number too great becomes infinite, which is refused
        return People(
            keypoints=values,
            scores=scores,
            sigmas=None if np.isnan(sigmas).all() else sigmas,
            skeleton=skeleton,
            ids=None if None in ids else ids,
        )
