"""What bfloat16 makes of the bundled model's weights is taken back by its biases, on average."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from engine.backends import Task, openvino, rounding
from engine.proof import objection, shown_pixels
from engine.served import ServedNetwork
from engine.training.synthetic import random_frame
from grouping import GroupingOptions

pytestmark = pytest.mark.slow
CPU = torch.device("cpu")
SHAPE = (1, 256, 320)


@pytest.fixture(scope="module")
def rounded(bundled):
    return rounding.rounded(bundled[0])


def task(network, precision):
    return Task(network, SHAPE, CPU, precision, network.fingerprint(), lambda: iter(()))


def convolutions(served):
    return [one for one in served.modules() if isinstance(one, nn.Conv2d) and one.bias is not None]


def logits(served):
    """What the trunk says of keypoints and centres, on pictures that nothing was calibrated with."""
    heads, found = (served.network.trunk.heatmaps, served.network.trunk.centres), []
    hooks = [head.register_forward_hook(lambda module, given, answer: found.append(answer)) for head in heads]
    with torch.inference_mode():
        for seed in range(4):
            frame = random_frame(np.random.default_rng((11, seed)), 320, 256).image
            served(torch.from_numpy(frame[None]))
    for hook in hooks:
        hook.remove()
    return [answer.clamp(-4.5, 4) for answer in found]


def error(served, exact):
    pairs = zip(logits(served), logits(exact), strict=True)
    lit = [(mine - true)[(mine > -4.4) | (true > -4.4)] for mine, true in pairs]
    return torch.cat(lit).square().mean().sqrt().item()


def test_weights_are_numbers_of_bfloat16_and_the_network_itself_is_left_alone(bundled):
    before = copy.deepcopy(bundled[0].state_dict())
    for convolution in convolutions(rounding.rounded(bundled[0])):
        assert torch.equal(convolution.weight, convolution.weight.bfloat16().float())
    after = bundled[0].state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_rounding_them_costs_less_than_without(bundled, rounded):
    plain = copy.deepcopy(bundled[0])
    for convolution in convolutions(plain):
        convolution.weight.data = convolution.weight.data.bfloat16().float()
    assert 0 < error(rounded, bundled[0]) < 0.7 * error(plain, bundled[0])


def test_the_bundled_model_is_kept_for_bfloat16_beside_float32_and_passes_the_proof(bundled, tmp_path, monkeypatch):
    monkeypatch.setenv("SWAHR_CACHE", str(tmp_path))
    served, metadata = bundled
    assert openvino.place(task(served, "bfloat16")) != openvino.place(task(served, "float32"))
    pixels = shown_pixels(SHAPE)
    with torch.inference_mode():
        expected = served(pixels)
    options = GroupingOptions(detection_threshold=metadata.detection_threshold)
    answers = openvino.compile(task(served, "bfloat16"))(pixels)
    assert objection(answers, expected, "bfloat16", options, metadata.skeleton) is None
    assert not torch.equal(answers[0], openvino.compile(task(served, "float32"))(pixels)[0])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_other_networks_are_converted_once_as_they_are(make, precision):
    served = ServedNetwork(make.small(), (0,) * 3, (1,) * 3, alphas=True)
    assert rounding.rounded(served) is served
    assert openvino.place(task(served, precision)) == openvino.place(task(served, "float32"))
