"""Frames turned upright, as a container's display matrix says."""

from __future__ import annotations

import struct

import av
import numpy as np
from numpy.typing import NDArray

Matrix = tuple[int, int, int, int]  # row vectors: x' = a x + c y, y' = b x + d y

_BY_QUARTER_TURNS: tuple[Matrix, ...] = ((1, 0, 0, 1), (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0))  # anticlockwise


class Orientation:
    """Turns the frames of one video upright.

    The matrix is read again only where a frame's rotation differs from that of the frame before.
    """

    def __init__(self) -> None:
        self._rotation: int | None = None
        self._matrix: Matrix = _BY_QUARTER_TURNS[0]

    def upright(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """The frame as RGB uint8 [H, W, 3], turned and mirrored; ValueError or av.FFmpegError if it has no pixels."""
        image = frame.to_ndarray(format="rgb24")
        rotation = _rotation(frame)
        if rotation != self._rotation:
            self._rotation, self._matrix = rotation, _matrix(frame, rotation)
        a, b, c, d = self._matrix
        if abs(a) + abs(d) < abs(b) + abs(c):
            image, a, d = image.transpose(1, 0, 2), c, b
        image = image[:, ::-1] if a < 0 else image
        image = image[::-1] if d < 0 else image
        return np.ascontiguousarray(image)


def _rotation(frame: av.VideoFrame) -> int:
    try:
        return frame.rotation
    except ValueError:  # of a matrix without sense
        return 0


def _matrix(frame: av.VideoFrame, rotation: int) -> Matrix:
    # PyAV ties a frame to the list of what comes with it, so that neither is freed before Python tidies up, nor the
    # decoder with its threads: better a tiny copy than the frame.
    tiny = frame.reformat(16, 16, "gray")
    try:
        data = tiny.side_data.get("DISPLAYMATRIX")
    except ValueError:  # something comes with the frame that PyAV does not know
        return _BY_QUARTER_TURNS[round(rotation / 90) % 4]
    if data is None:
        return _BY_QUARTER_TURNS[0]
    a, b, _, c, d = struct.unpack("=9i", bytes(data))[:5]
    return a, b, c, d
