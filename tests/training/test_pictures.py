"""Pictures by their headers: the size is that of the pixels, whatever the format."""

import cv2
import numpy as np
import pytest

from engine.errors import SwahrError
from engine.training.pictures import read_rgb, stored_size

NOISE = np.random.default_rng(0).integers(0, 255, (47, 83, 3), np.uint8)
FORMATS = {
    "plain.jpg": [],
    "progressive.jpg": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
    "restarts.jpg": [cv2.IMWRITE_JPEG_RST_INTERVAL, 4],
    "plain.png": [],
    "plain.bmp": [],
    "plain.webp": [],
}
# Orientation 6: to be shown turned. Labels are about the pixels as they are stored.
TURNED = bytes.fromhex("ffe1002245786966000049492a0008000000010012010300010000000600000000000000")


@pytest.mark.parametrize("name", FORMATS)
def test_the_header_says_the_size(tmp_path, name):
    path = tmp_path / name
    cv2.imwrite(str(path), NOISE, FORMATS[name])
    assert stored_size(path) == (83, 47) and read_rgb(path).shape == (47, 83, 3)


def test_a_turned_photo_counts_as_it_is_stored(tmp_path):
    path = tmp_path / "turned.jpg"
    cv2.imwrite(str(path), NOISE)
    content = path.read_bytes()
    path.write_bytes(content[:2] + TURNED + content[2:])
    assert cv2.imread(str(path)).shape == (83, 47, 3)  # OpenCV would turn it
    assert stored_size(path) == (83, 47) and read_rgb(path).shape == (47, 83, 3)


def test_pixels_are_red_green_blue(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((4, 4, 3), (255, 0, 10), np.uint8))
    assert read_rgb(tmp_path / "a.png")[0, 0].tolist() == [10, 0, 255]


@pytest.mark.parametrize("name", ["plain.jpg", "progressive.jpg", "plain.png"])
@pytest.mark.parametrize("part", [0.2, 0.9, 0.999])
def test_a_file_that_is_cut_off_is_named(tmp_path, name, part):
    path = tmp_path / name
    cv2.imwrite(str(path), NOISE, FORMATS[name])
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    for look in (stored_size, read_rgb):
        with pytest.raises(SwahrError, match=rf"{name} is cut off"):
            look(path)


def test_what_a_camera_writes_behind_a_photo_does_no_harm(tmp_path):
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), NOISE)
    path.write_bytes(path.read_bytes() + bytes(100))
    assert stored_size(path) == (83, 47) and read_rgb(path).shape == (47, 83, 3)


def test_a_folder_is_no_picture(tmp_path):
    for look in (stored_size, read_rgb):
        with pytest.raises(SwahrError, match="cannot be read"):
            look(tmp_path)
        with pytest.raises(SwahrError, match="is missing"):
            look(tmp_path / "gone.jpg")
