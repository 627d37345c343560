"""The trunk's constants move into biases, and nothing else changes."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from engine.centring import centre_streams
from engine.checkpoint import load_model
from engine.models import model_file
from engine.training.synthetic import random_frame


@pytest.fixture(scope="module")
def images():
    frames = [random_frame(np.random.default_rng(seed), 128, 128).image for seed in range(3)]
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2) / 127.5 - 1


@pytest.fixture(scope="module")
def network():
    return load_model(model_file("default"))[0]


@pytest.fixture(scope="module")
def centred(network, images):
    twin = copy.deepcopy(network)
    centre_streams(twin, images.split(1))
    return twin


def streams(network, images):
    """What flows between the trunk's blocks, [N, C, h, w] each."""
    found = []
    hooks = [
        block.register_forward_hook(lambda module, inputs, output: found.append(output))
        for block in network.trunk.blocks
    ]
    with torch.inference_mode():
        network(images)
    for hook in hooks:
        hook.remove()
    return found


def test_the_answers_stay(network, centred, images):
    with torch.inference_mode():
        for mine, truth in zip(centred(images.flip(3)), network(images.flip(3)), strict=True):
            keypoints = network.config.num_keypoints
            heatmaps = slice(keypoints, 2 * keypoints)
            assert (mine[:, heatmaps] - truth[:, heatmaps]).abs().max() < 1e-3
            assert (mine[:, :keypoints] - truth[:, :keypoints]).abs().max() < 1e-3  # alphas


def test_channels_vary_around_zero(network, centred, images):
    for before, after in zip(streams(network, images), streams(centred, images), strict=True):
        assert after.mean((0, 2, 3)).abs().max() < 1e-3 < before.mean((0, 2, 3)).abs().max()


def test_the_network_given_keeps_its_weights(network, centred):
    for name, tensor in network.state_dict().items():
        if name.endswith("weight"):
            assert torch.equal(tensor, centred.state_dict()[name])
