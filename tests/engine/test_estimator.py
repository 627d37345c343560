"""From an image to its people."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from engine import PoseEstimator
from engine.checkpoint import ModelMetadata, save_weights
from engine.errors import SwahrError
from engine.geometry import transform_points
from engine.network import PRESETS, build_network
from grouping import GroupingOptions, group


def picture(size, spots, spread=4.0, blue=0):
    """A black RGB picture of a width and height with a red cone of light (x, y, green) for each nose.

    Places are no round numbers and cones have no flat tops, so that each has one brightest pixel.
    """
    columns, rows = np.arange(size[0]) + 0.5, np.arange(size[1])[:, None] + 0.5
    image = np.zeros((size[1], size[0], 3), np.uint8)
    image[..., 2] = blue
    for x, y, green in spots:
        distance = (columns - x) ** 2 + (rows - y) ** 2
        light = np.maximum(0, 1 - np.sqrt(distance) / (3 * spread))
        image[..., 0] = np.maximum(image[..., 0], (250 * light).astype(np.uint8))
        image[distance < (2 * spread) ** 2, 1] = green
    return image


def noses(people):
    """Sorted (x, y) of the noses."""
    return np.array(sorted(people.keypoints[:, 0, :2].tolist()))


SPOTS = [(70.3, 50.2, 0), (150.7, 80.4, 125), (200.2, 30.8, 250)]
NO_REFINE = GroupingOptions(refine=False)


@pytest.mark.parametrize("size", [(256, 128), (240, 110), (480, 300)])
@pytest.mark.parametrize("settings", [{}, {"flip": True}, {"scales": (0.5, 1.0, 1.5)}, {"size": 192}])
def test_people_come_back_in_source_pixels(make, spots, size, settings):
    settings = {"size": 128, **settings}
    estimator = make.estimator(spots, options=NO_REFINE, **settings)
    people = estimator(picture(size, SPOTS, spread=6))
    found = noses(people)
    assert found.shape == (3, 2)
    tolerance = 1.0 * size[1] / settings["size"]  # a pixel of the input
    np.testing.assert_allclose(found, [spot[:2] for spot in SPOTS], atol=tolerance)
    assert (people.found.sum(axis=1) == 1).all()
    assert people.skeleton.name == "coco17"


def test_a_tall_picture_works_like_a_wide_one(make, spots):
    estimator = make.estimator(spots, size=128, options=NO_REFINE)
    wide = picture((300, 200), [(90.3, 60.4, 0), (250.2, 120.7, 250)], spread=6)
    tall = np.ascontiguousarray(wide.transpose(1, 0, 2))
    np.testing.assert_allclose(noses(estimator(tall)), noses(estimator(wide))[::-1, ::-1][::-1], atol=1e-3)


def test_a_picture_and_its_mirror_image_give_mirrored_people(make, spots):
    image = picture((320, 200), SPOTS, spread=6)
    estimator = make.estimator(spots, size=128, flip=True, options=NO_REFINE)
    plain, mirrored = noses(estimator(image)), noses(estimator(np.ascontiguousarray(image[:, ::-1])))
    assert len(plain) == 3
    turned = np.stack([320 - mirrored[::-1, 0], mirrored[::-1, 1]], axis=1)
    np.testing.assert_allclose(turned, plain, atol=0.05)


def test_flip_makes_any_network_symmetric(make, exact):
    """The maps of a mirrored image are the mirrored maps: left and right exchanged, the two tags too."""
    estimator = make.estimator(make.lively(), flip=True)
    image = np.random.default_rng(0).integers(0, 256, (64, 128, 3), np.uint8)
    _, maps = estimator.detailed(image)
    _, mirrored = estimator.detailed(np.ascontiguousarray(image[:, ::-1]))
    swap = list(estimator.skeleton.flip_indices)
    assert maps.tags.shape == (17, 64, 128, 2)
    assert np.ptp(maps.heatmaps) > 0.1
    np.testing.assert_allclose(mirrored.heatmaps[swap, :, ::-1], maps.heatmaps, atol=1e-4)
    np.testing.assert_allclose(mirrored.alphas[swap, :, ::-1], maps.alphas, atol=1e-4)
    np.testing.assert_allclose(mirrored.tags[swap, :, ::-1, ::-1], maps.tags, atol=1e-4)


def test_detailed_gives_the_maps_its_people_came_from(make, spots):
    estimator = make.estimator(spots, size=128)
    image = picture((300, 200), SPOTS[:2], spread=6, blue=51)
    people, maps = estimator.detailed(image)
    height, width = 128, 192
    assert maps.heatmaps.shape == maps.alphas.shape == (17, height, width)
    assert maps.tags.shape == (17, height, width, 1)
    assert {maps.heatmaps.dtype, maps.tags.dtype, maps.alphas.dtype} == {np.dtype(np.float32)}
    again = group(maps.heatmaps, maps.tags, estimator.options).transformed(maps.to_source)
    np.testing.assert_allclose(again.keypoints, people.keypoints)
    np.testing.assert_array_equal(estimator(image).keypoints, people.keypoints)
    centre = transform_points([width / 2, height / 2], maps.to_source)
    np.testing.assert_allclose(centre, [150, 100])


def some_images():
    rng = np.random.default_rng(4)
    sizes = [(64, 96), (64, 64), (128, 190), (96, 64), (64, 96), (70, 70), (64, 90)]
    return [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]


@pytest.mark.parametrize("settings", [{}, {"flip": True}, {"scales": (0.5, 1.0)}])
def test_a_batch_gives_what_single_images_give(make, settings):
    estimator = make.estimator(make.lively(), **settings)
    together = estimator.batch(some_images())
    for image, people in zip(some_images(), together, strict=True):
        alone = estimator(image)
        assert len(alone) > 0
        np.testing.assert_array_equal(people.keypoints, alone.keypoints)
        np.testing.assert_array_equal(people.scores, alone.scores)
        np.testing.assert_array_equal(people.sigmas, alone.sigmas)


@pytest.mark.parametrize("settings", [{}, {"flip": True}, {"scales": (0.5, 1.0)}])
def test_images_that_share_a_run_keep_to_themselves(make, exact, monkeypatch, settings):
    estimator = make.estimator(make.lively(), **settings)
    # A rounded tag distance may tip over on the last digit, in which a shared run differs.
    estimator.options = GroupingOptions(detection_threshold=0.6, refine=False)
    singly = estimator.batch(some_images())
    monkeypatch.setattr(estimator, "_images_per_run", 3)
    for people, alone in zip(estimator.batch(some_images()), singly, strict=True):
        assert len(alone) > 0
        np.testing.assert_allclose(people.keypoints, alone.keypoints, atol=1e-3)
        np.testing.assert_allclose(people.sigmas, alone.sigmas, rtol=1e-3)


@pytest.mark.parametrize("images_per_run", [1, 8])
def test_a_batch_keeps_its_order(make, spots, monkeypatch, images_per_run):
    estimator = make.estimator(spots, size=64, options=NO_REFINE)
    monkeypatch.setattr(estimator, "_images_per_run", images_per_run)
    places = [10.3 + 5 * index for index in range(19)]
    people = estimator.batch([picture((128, 64 + index % 2), [(x, 30.4, 0)]) for index, x in enumerate(places)])
    np.testing.assert_allclose([noses(one)[0, 0] for one in people], places, atol=1)


def test_an_empty_batch_is_empty(make, spots):
    assert make.estimator(spots).batch([]) == []


@pytest.mark.parametrize("value", [0, 255])
def test_nobody_gives_empty_people(make, value, spots):
    image = np.zeros((64, 64, 3), np.uint8)
    image[..., 1:] = value
    for people in (make.estimator(spots)(image), make.estimator(spots).batch([image])[0]):
        assert people.is_empty
        assert people.keypoints.shape == (0, 17, 3)
        assert people.sigmas.shape == (0, 17)


# -- sigmas ------------------------------------------------------------------------------------------------


class WithAlpha(nn.Module):
    """Another network's answers, with one number as every alpha."""

    def __init__(self, network, alpha):
        super().__init__()
        self.network, self.alpha, self.config = network, alpha, network.config

    def forward(self, images):
        coarse, fine = self.network(images)
        coarse[:, :17] = 1000.0  # those of the 1/4 map are not read
        fine[:, :17] = self.alpha
        return coarse, fine


@pytest.mark.parametrize(
    "alpha, scale", [(0.0, 1.0), (-0.5, 2.0), (1.0, 0.5), (3.5, 0.25), (1e6, 0.25), (-0.9, 4.0), (-7.0, 4.0)]
)
def test_sigmas_are_the_scaled_gaussians_in_source_pixels(make, spots, alpha, scale):
    estimator = make.estimator(WithAlpha(spots, alpha), size=64, options=NO_REFINE)
    people = estimator(picture((192, 128), [(100.3, 60.4, 0)], spread=8))
    assert len(people) == 1
    # 2 pixels of the 1/2 map are 4 of the input, which is half as large as the source.
    assert people.sigmas[0, 0] == pytest.approx(8 * scale**0.5, rel=1e-4)
    assert (people.sigmas[0, 1:] == 0).all()


def test_sigmas_are_read_where_the_keypoint_is(make, spots):
    image = picture((192, 64), [(40.3, 30.4, 0), (150.3, 30.4, 250)])
    image[:, 96:, 2] = 255  # blue is alpha: s = 1/2 on the right, 1 on the left
    people = make.estimator(spots, size=64, options=NO_REFINE)(image)
    left, right = people.sigmas[np.argsort(people.keypoints[:, 0, 0]), 0]
    assert left == pytest.approx(4, rel=1e-3)
    assert right == pytest.approx(4 * 0.5**0.5, rel=1e-3)


def test_without_scale_branch_there_are_no_sigmas(make, spots):
    spots.config = dataclasses.replace(spots.config, scale_branch=False)
    estimator = make.estimator(spots, size=64)
    people, maps = estimator.detailed(picture((128, 64), [(40.3, 30.4, 0)]))
    assert len(people) == 1
    assert people.sigmas is None
    assert maps.alphas is None


# -- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "image, complaint",
    [
        ("photo.jpg", "The image is a str"),
        (torch.zeros(64, 64, 3), "The image is a Tensor"),
        (np.zeros((64, 64, 3)), r"float64 \[64, 64, 3\]"),
        (np.zeros((64, 64), np.uint8), r"uint8 \[64, 64\]"),
        (np.zeros((64, 64, 4), np.uint8), r"uint8 \[64, 64, 4\]"),
        (np.zeros((3, 64, 64), np.uint8), r"uint8 \[3, 64, 64\]"),
        (np.zeros((0, 64, 3), np.uint8), "64x0 pixels"),
        (np.zeros((1, 1, 3), np.uint8), "1x1 pixels"),
        (np.zeros((8, 1000, 3), np.uint8), "1000x8 pixels, too long and narrow"),
    ],
)
def test_what_is_no_image_is_refused(make, spots, image, complaint):
    estimator = make.estimator(spots)
    for call in (estimator, estimator.detailed, lambda one: estimator.batch([one])):
        with pytest.raises(SwahrError, match=complaint):
            call(image)


def test_the_smallest_image_and_one_that_is_not_contiguous_work(make, spots):
    estimator = make.estimator(spots)
    assert estimator(np.zeros((8, 8, 3), np.uint8)).is_empty
    image = picture((128, 64), [(100.3, 30.4, 0)])
    np.testing.assert_allclose(noses(estimator(image[:, ::-1])), [[28, 30]], atol=1)
    image.flags.writeable = False
    np.testing.assert_allclose(noses(estimator(image)), [[100, 30]], atol=1)


@pytest.mark.parametrize("size", [0, -64, 63, 5000, 256.0, "256", True])
def test_an_impossible_size_is_refused(make, spots, size):
    with pytest.raises(SwahrError, match="input size"):
        make.estimator(spots, size=size)


@pytest.mark.parametrize("scales", [(), (0.5,), (0.5, 1.5), (1.0, 1.0), (0.0, 1.0), (0.75, 1.0)])
def test_impossible_scales_are_refused(make, spots, scales):
    with pytest.raises(SwahrError, match="scales"):
        make.estimator(spots, scales=scales)


def test_a_network_that_answers_nonsense_is_reported(make, spots):
    class Broken(WithAlpha):
        def forward(self, images):
            coarse, fine = self.network(images)
            return coarse * float("nan"), fine

    with pytest.raises(SwahrError, match=r"a test's network.*not finite.*cpu"):
        make.estimator(Broken(spots, 0))(np.full((64, 64, 3), 9, np.uint8))


# -- loading -----------------------------------------------------------------------------------------------


@pytest.fixture
def own_file(tmp_path, make, monkeypatch):
    monkeypatch.setitem(PRESETS, "tiny", make.tiny)
    metadata = dataclasses.replace(
        ModelMetadata.of(make.tiny), detection_threshold=0.25, tag_threshold=0.5, input_size=128
    )
    save_weights(tmp_path / "tiny.safetensors", make.lively(), metadata)
    return tmp_path / "tiny.safetensors"


def test_an_own_file_brings_its_settings(own_file):
    estimator = PoseEstimator.load(own_file, device="cpu", backend="eager")
    assert estimator.model == str(own_file)
    assert (estimator.backend, estimator.device, estimator.size) == ("eager", "cpu", 128)
    assert estimator.precision in ("float32", "bfloat16")
    assert estimator.skeleton.name == "coco17"
    assert estimator.options == GroupingOptions(detection_threshold=0.25, tag_threshold=0.5, person_threshold=0.1)
    assert len(estimator.batch([np.zeros((64, 64, 3), np.uint8)])) == 1


def test_settings_given_go_before_those_of_the_file(own_file):
    options = GroupingOptions(max_people=3)
    estimator = PoseEstimator.load(own_file, device="cpu", backend="eager", size=192, flip=True, options=options)
    assert (estimator.size, estimator.flip, estimator.options) == (192, True, options)


def test_a_pth_file_wants_a_preset(tmp_path, make):
    path = tmp_path / "weights.pth"
    torch.save(make.lively().state_dict(), path)
    with pytest.raises(SwahrError, match=r"weights\.pth does not say.*preset"):
        PoseEstimator.load(path)
    estimator = PoseEstimator.load(path, preset=make.tiny, device="cpu", backend="eager")
    assert (estimator.size, estimator.options.detection_threshold) == (64, 0.1)


def test_higher_hrnet_weights_give_people_without_sigmas(tmp_path, make):
    state = {k: v for k, v in make.lively().state_dict().items() if not k.startswith("conv_scale_layers")}
    torch.save(state, tmp_path / "plain.pth")
    estimator = PoseEstimator.load(tmp_path / "plain.pth", preset=make.tiny, device="cpu", backend="eager")
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    people, maps = estimator.detailed(image)
    assert len(people) > 0
    assert people.sigmas is None and maps.alphas is None


@pytest.mark.parametrize("preset", [None, "w32-512"])
@pytest.mark.parametrize("name", ["nowhere.pth", "nowhere.safetensors", "folder/nowhere"])
def test_a_missing_file_is_reported(tmp_path, name, preset):
    with pytest.raises(SwahrError, match=r"There is no weights file .*nowhere"):
        PoseEstimator.load(tmp_path / name, preset=preset)


@pytest.mark.parametrize("device, complaint", [("toaster", "'toaster'"), ("cuda:99", "'cuda:99'"), ("meta", "'meta'")])
def test_a_device_that_is_not_there_is_reported(make, spots, device, complaint):
    metadata = ModelMetadata.of(spots.config)
    with pytest.raises(SwahrError, match=complaint):
        PoseEstimator(spots, metadata, model="spots", device=device)


def test_a_backend_that_does_not_exist_is_reported(make, spots):
    with pytest.raises(SwahrError, match=r"'magic'.*auto.*eager"):
        make.estimator(spots, backend="magic")


@pytest.mark.parametrize("flip", [False, True])
def test_the_published_weights_half_pixel_is_put_right(make, spots, flip):
    image = picture((320, 200), SPOTS, spread=6)
    plain = make.estimator(spots, size=128, flip=flip, options=NO_REFINE)
    shifted = PoseEstimator(
        spots,
        dataclasses.replace(plain.metadata, pixel_offset=0.5),
        model="published",
        device="cpu",
        backend="eager",
        size=128,
        flip=flip,
        options=NO_REFINE,
    )
    moved = noses(shifted(image)) - noses(plain(image))
    source_pixel = 200 / 128  # half an input pixel, in pixels of the source; beside its mirror image x cancels
    np.testing.assert_allclose(moved, [[0 if flip else source_pixel / 2, source_pixel / 2]] * 3, atol=1e-3)


def test_the_size_in_use_is_the_size_that_is_named(make, spots):
    assert make.estimator(spots, size=300).size == 320


def test_a_preset_does_not_hide_what_an_own_file_says(make, tmp_path):
    network = make.lively()
    metadata = ModelMetadata(preset="w32-512", skeleton="coco17", input_size=192, detection_threshold=0.3)
    own = build_network("w32-512")
    save_weights(tmp_path / "own.safetensors", own, metadata)
    estimator = PoseEstimator.load(tmp_path / "own.safetensors", preset="w32-512", device="cpu", backend="eager")
    assert estimator.size == 192 and estimator.options.detection_threshold == 0.3
    assert estimator.metadata.pixel_offset == 0
    torch.save(network.state_dict(), tmp_path / "published.pth")
    published = PoseEstimator.load(tmp_path / "published.pth", preset=make.tiny, device="cpu", backend="eager")
    assert published.metadata.pixel_offset == 0.5
