"""A frame on its way into the network: resized where it is quickest, on the CPU or, uploaded as it is, on the GPU."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.geometry import Resize

_KEPT = 16  # resizes whose weights stay on the GPU


def upload(images: Sequence[NDArray[np.uint8]], resizes: Sequence[Resize], device: torch.device) -> Tensor:
    """RGB uint8 images [h, w, 3], each with its resize to one common input size -> pixels uint8 [N, H, W, 3] there."""
    pairs = zip(images, resizes, strict=True)
    if device.type == "cuda":
        return torch.stack([_on_gpu(image, resize, device) for image, resize in pairs])
    return torch.from_numpy(np.stack([resize.image(image) for image, resize in pairs])).to(device)


def _on_gpu(image: NDArray[np.uint8], resize: Resize, device: torch.device) -> Tensor:
    pinned = torch.from_numpy(np.ascontiguousarray(image)).pin_memory()  # PyTorch keeps such memory until it is read
    weights = _weights_on(resize, device)
    for one in weights:  # made on the stream of whoever came first, and dropped when newer ones need the room
        one.record_stream(torch.cuda.current_stream(device))
    return resized(pinned.to(device, non_blocking=True), *weights)


@lru_cache(maxsize=_KEPT)
def _weights_on(resize: Resize, device: torch.device) -> tuple[Tensor, Tensor]:
    down, across = resize_weights(resize)
    return down.to(device), across.to(device)


def resize_weights(resize: Resize) -> tuple[Tensor, Tensor]:
    """The resize as two matrices, float32 [H, h] and [W, w]: it neither turns nor shears, so rows and columns part.

    Each is what `geometry.warp` does to a line of pixels: shrinking by averaging where that is needed, then linear
    interpolation, zero where the source ends.
    """
    (width, height), (new_width, new_height) = resize.source_size, resize.size
    zoom = abs(np.linalg.det(resize.matrix[:, :2])) ** 0.5
    down = _line_weights(height, new_height, resize.matrix[1, 1], resize.matrix[1, 2], zoom)
    across = _line_weights(width, new_width, resize.matrix[0, 0], resize.matrix[0, 2], zoom)
    return torch.from_numpy(down), torch.from_numpy(across)


def _line_weights(length: int, new_length: int, ratio: float, offset: float, zoom: float) -> NDArray[np.float32]:
    """How much of each of `length` pixels is in each of `new_length`, [new_length, length]."""
    averaging = None
    if zoom < 0.5:
        halved = max(1, round(2 * zoom * length))
        # OpenCV says itself what it does to each pixel.
        averaging = cv2.resize(np.eye(length, dtype=np.float32), (length, halved), interpolation=cv2.INTER_AREA)
        ratio, length = ratio * length / halved, halved
    places = (np.arange(new_length) + 0.5 - offset) / ratio - 0.5
    left = np.floor(places).astype(int)
    weights = np.zeros((new_length, length), np.float32)
    for side, share in ((left, left + 1 - places), (left + 1, places - left)):
        inside = np.flatnonzero((side >= 0) & (side < length))
        weights[inside, side[inside]] += share[inside]
    return weights if averaging is None else weights @ averaging


def resized(image: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """An image uint8 [h, w, 3] under `resize_weights`, uint8 [H, W, 3]."""
    height, width, channels = image.shape
    rows = down @ image.float().view(height, width * channels)  # [H, w * 3]
    columns = across @ rows.view(len(down), width, channels)  # [H, W, 3]
    return columns.round_().clamp_(0, 255).to(torch.uint8)
