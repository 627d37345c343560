"""COCO's run-length masks: plain lists of counts, and the strings that COCO packs them into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def mask_of(rle: Mapping[str, Any], size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    """The mask uint8 [H,W], 1 inside, of a run-length mask {"counts", "size"} that belongs to a picture of `size_wh`.

    `counts` is a list of run lengths down the columns, the first of them outside, or COCO's string of them; `size` is
    height and width. Raises ValueError, whose words go on a sentence that began with the annotation.
    """
    width, height = size_wh
    if list(rle.get("size") or (height, width)) != [height, width]:
        raise ValueError(f"has a mask of size {rle['size']} (height, width) in a picture of {width}x{height} pixels")
    runs = _runs(rle.get("counts"))
    if len(runs) and runs.min() < 0:
        raise ValueError("has a mask with a negative run length")
    if runs.sum() != width * height:
        raise ValueError(f"has a mask of {runs.sum()} pixels in a picture of {width * height}")
    inside = np.arange(len(runs)) % 2
    return np.repeat(inside.astype(np.uint8), runs).reshape(width, height).T


def _runs(counts: Any) -> NDArray[np.int64]:
    if isinstance(counts, str | bytes):
        return np.array(_unpacked(counts.encode() if isinstance(counts, str) else counts), np.int64)
    if not isinstance(counts, list) or not all(isinstance(count, int) for count in counts):
        raise ValueError("has a mask whose counts are neither whole numbers nor COCO's string of them")
    return np.array(counts, np.int64)


def _unpacked(packed: bytes) -> list[int]:
    """Five bits a character, lowest first, from '0' on; from the fourth run on, the difference to the last but one."""
    runs: list[int] = []
    value, shift = 0, 0
    for character in packed:
        bits = character - 48
        if not 0 <= bits < 64:
            raise ValueError(f"has a mask with the character {chr(character)!r}, which COCO's strings do not have")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:  # more follows
            continue
        if bits & 16:  # the highest bit of the last five is the sign
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    if shift:
        raise ValueError("has a mask whose string is cut off")
    return runs
