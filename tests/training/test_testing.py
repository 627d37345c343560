"""A trained network is tested as its recipe says."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.errors import SwahrError
from engine.heads import split_outputs
from engine.network import build_network
from engine.training import testing
from engine.training.recipe import DataSettings, EvaluationSettings, ModelSettings, Recipe
from engine.training.testing import FineHeatmaps, estimator_of, figures_of


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = build_network(ModelSettings("w32-512", width=2).config()).eval()
    for parameter in network.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    return network


def test_the_fine_heatmaps_alone_are_what_aggregation_finds(network):
    image = np.random.default_rng(0).integers(0, 255, (64, 128, 3), np.uint8)
    settings = EvaluationSettings(size=64, heatmaps="fine")
    _, maps = estimator_of(network, settings, "cpu").detailed(image)
    _, both = estimator_of(network, replace(settings, heatmaps="both"), "cpu").detailed(image)
    with torch.no_grad():
        answered = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        mean, std = (torch.tensor(value)[:, None, None] for value in (network.config.mean, network.config.std))
        fine = split_outputs(network((answered - mean) / std), 17)[1][1]
        expected = torch.nn.functional.interpolate(fine, (64, 128), mode="bilinear", align_corners=False)[0]
    assert expected.std() > 0.01
    np.testing.assert_allclose(maps.heatmaps, expected, atol=1e-3 * float(expected.std()))
    assert not np.allclose(both.heatmaps, expected, atol=0.1 * float(expected.std()))
    np.testing.assert_allclose(maps.tags, both.tags, atol=1e-5)


def test_what_the_network_gives_is_only_rearranged(network):
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        (alphas, coarse, tags), (fine_alphas, fine) = split_outputs(FineHeatmaps(network)(images), 17)
        (own_alphas, _, own_tags), (own_fine_alphas, own_fine) = split_outputs(network(images), 17)
    assert torch.equal(alphas, own_alphas) and torch.equal(tags, own_tags) and torch.equal(fine_alphas, own_fine_alphas)
    assert not coarse.any() and torch.equal(fine, 2 * own_fine)


def test_flip_scales_size_and_threshold_reach_the_estimator(network):
    settings = EvaluationSettings(size=128, flip=True, scales=(0.5, 1.0, 1.5), threshold=0.3)
    estimator = estimator_of(network, settings, "cpu")
    assert (estimator.size, estimator.flip, estimator.scales) == (128, True, (0.5, 1.0, 1.5))
    assert estimator.options.detection_threshold == 0.3 and estimator.precision == "float32"
    usual = estimator_of(network, EvaluationSettings(), "cpu")
    assert (usual.size, usual.flip, usual.scales) == (512, False, (1.0,))
    assert usual.options.detection_threshold == network.config.detection_threshold


def test_scales_without_one_are_refused(network):
    with pytest.raises(SwahrError, match="scale"):
        estimator_of(network, EvaluationSettings(scales=(0.5, 1.5)), "cpu")


def test_photos_are_tested_on_where_there_are_some(network, monkeypatch):
    asked = []
    monkeypatch.setattr(testing, "evaluate", lambda *arguments: asked.append(arguments) or _Figures)
    monkeypatch.setattr(testing, "evaluate_synthetic", lambda *_, **options: asked.append(options) or _Figures)
    recipe = Recipe(data=DataSettings("t.json", "t", "v.json"), test=EvaluationSettings(frames=7))
    assert figures_of(network, recipe, "cpu") == {"AP": 0.5}
    assert [str(path) for path in asked[0][1:3]] == ["v.json", "t"]
    figures_of(network, replace(recipe, data=DataSettings()), "cpu")
    assert asked[1]["frames"] == 7


class _Figures:
    figures = {"AP": 0.5}  # noqa: RUF012
