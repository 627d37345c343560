"""What an estimator accepts, and in which words it refuses the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.errors import SwahrError
from engine.geometry import SIZE_STEP, Resize

LEAST_SIDE = 8
GREATEST_ASPECT = 20
INPUT_SIZES = range(64, 4097)
IMAGES_PER_RUN = 8  # on CUDA; a CPU gains little from more than one, and so answers exactly alike


def check_image(image: NDArray[np.uint8]) -> None:
    """Raise SwahrError unless this is RGB uint8 [H, W, 3] of a size in which people can be seen."""
    wanted = "give RGB as a numpy array uint8 [H, W, 3]"
    if not isinstance(image, np.ndarray):
        raise SwahrError(f"The image is a {type(image).__name__}; {wanted}.")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise SwahrError(f"The image is {image.dtype} {list(image.shape)}; {wanted}.")
    height, width = image.shape[:2]
    if min(height, width) < LEAST_SIDE:
        raise SwahrError(f"The image is {width}x{height} pixels; each side must have at least {LEAST_SIDE}.")
    if max(height, width) > GREATEST_ASPECT * min(height, width):
        raise SwahrError(
            f"The image is {width}x{height} pixels, too long and narrow; crop it to at most {GREATEST_ASPECT}:1."
        )


def checked_size(size: int) -> int:
    """The input size in use for one that is wanted: the next multiple of 64. Raises SwahrError if it is impossible."""
    if not isinstance(size, int) or isinstance(size, bool) or size not in INPUT_SIZES:
        raise SwahrError(f"The input size is {size!r}; give pixels from {INPUT_SIZES[0]} to {INPUT_SIZES[-1]}.")
    return -(-size // SIZE_STEP) * SIZE_STEP


def checked_scales(scales: Sequence[float]) -> tuple[float, ...]:
    """The scales of a multi-scale run. Raises SwahrError for ones that do not go together."""
    scales = tuple(scales)
    if 1.0 not in scales or min(scales) <= 0 or len(set(scales)) < len(scales):
        raise SwahrError(
            f"The scales are {scales}; give different positive numbers, 1 among them, such as 0.5, 1, 1.5."
        )
    for scale in scales:
        Resize.fit((1, 1), INPUT_SIZES[0], scale, min(scales))
    return scales
