"""Resizing on the GPU is two matrix products; they give what OpenCV gives on the CPU."""

import cv2
import numpy as np
import pytest
import torch

from engine.geometry import Resize
from engine.upload import resize_weights, resized, upload


def photo(width, height):
    """Smooth blobs with noise, as photos have."""
    random = np.random.default_rng(width)
    small = random.integers(0, 256, (9, 16, 3), np.uint8)
    smooth = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).astype(int)
    return (smooth + random.integers(-8, 9, smooth.shape)).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "size, input_size",
    [
        ((640, 360), 384),  # larger
        ((640, 480), 256),  # smaller
        ((1920, 1080), 384),  # less than half: averaged first
        ((1279, 721), 256),  # odd sides
        ((101, 333), 128),  # upright
        ((512, 512), 512),  # as it is
    ],
)
def test_pixels_are_those_of_the_cpu(size, input_size):
    image, resize = photo(*size), Resize.fit(size, input_size)
    expected = resize.image(image).astype(int)
    found = resized(torch.from_numpy(image), *resize_weights(resize)).numpy().astype(int)
    assert found.shape == expected.shape
    difference = np.abs(found - expected)
    # OpenCV rounds places to 1/32 of a pixel and, where it averages first, values as well.
    assert difference.mean() < 0.6
    assert np.percentile(difference, 99.9) <= 4


def test_weights_sum_to_one_inside_and_to_nothing_outside():
    for weights in resize_weights(Resize.fit((1279, 721), 256)):
        sums = weights.sum(1)
        middle = sums[len(sums) // 4 : -len(sums) // 4]
        torch.testing.assert_close(middle, torch.ones_like(middle))
        assert weights.min() >= 0 and sums.max() < 1.0001
    down, across = resize_weights(Resize.fit((640, 360), 384))
    assert across[0].sum() == 0 and down[0].sum() > 0.4  # the rounding up to 64 is black


def test_on_the_cpu_images_are_stacked_as_they_are():
    images = [photo(640, 360), photo(600, 360)]
    resizes = [Resize.fit((640, 360), 384), Resize.fit((600, 360), 384)]
    resizes[1] = Resize((600, 360), resizes[0].size)
    pixels = upload(images, resizes, torch.device("cpu"))
    assert pixels.dtype == torch.uint8
    for image, resize, row in zip(images, resizes, pixels, strict=True):
        np.testing.assert_array_equal(row.numpy(), resize.image(image))
