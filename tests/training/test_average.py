"""Averaged weights follow the formula and forget where they began."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from engine.training.average import rising_average


def test_the_average_follows_its_formula():
    network = nn.Linear(1, 1, bias=False)
    average = AveragedModel(network, multi_avg_fn=rising_average(0.9))
    expected = None
    for number, value in enumerate((1.0, 5.0, -3.0, 2.0)):
        network.weight.data.fill_(value)
        average.update_parameters(network)
        kept = min(0.9, (1 + number) / (10 + number))
        expected = value if expected is None else kept * expected + (1 - kept) * value
    assert average.module.weight.item() == pytest.approx(expected)


def test_late_updates_keep_the_decay():
    averaged, current = [torch.tensor([1.0])], [torch.tensor([0.0])]
    rising_average(0.99)(averaged, current, 100_000)
    assert averaged[0].item() == pytest.approx(0.99)


def test_batch_counters_are_copied():
    averaged, current = [torch.tensor(3)], [torch.tensor(8)]
    rising_average(0.9)(averaged, current, 5)
    assert averaged[0].item() == 8
