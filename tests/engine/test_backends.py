"""Every backend answers what the network itself answers."""

from __future__ import annotations

import pytest
import torch

from engine import backends
from engine.backends import eager

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def images():
    return torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("backend", ["auto", *backends.BACKENDS])
@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-4), (torch.bfloat16, 0.15)])
def test_a_compiled_network_answers_like_the_network(make, monkeypatch, images, backend, dtype, tolerance):
    monkeypatch.setattr(eager, "quick_dtype", lambda device: dtype)
    network = make.lively()
    with torch.no_grad():
        expected = network(images)
    compiled = backends.compile(network, tuple(images.shape), CPU, backend)
    assert compiled.precision == str(dtype).removeprefix("torch.")
    for output, reference in zip(compiled(images), expected, strict=True):
        assert output.dtype == torch.float32
        assert (output - reference).abs().max() < tolerance * reference.abs().max()


def test_a_compiled_network_is_in_evaluation_mode(make, images):
    network = make.lively().train()
    before = network.bn1.running_mean.clone()
    compiled = backends.compile(network, tuple(images.shape), CPU)
    compiled(images)
    assert torch.equal(network.bn1.running_mean, before)


def test_precision_follows_the_device():
    assert eager.quick_dtype(torch.device("cuda")) == torch.float16
    assert eager.quick_dtype(torch.device("mps")) == torch.float32


@pytest.mark.parametrize(
    "flags, dtype", [({"avx512_bf16": True}, "bfloat16"), ({"amx_bf16": True}, "bfloat16"), ({}, "float32")]
)
def test_precision_on_a_cpu_follows_its_instructions(monkeypatch, flags, dtype):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags)
    assert eager.quick_dtype(CPU) == getattr(torch, dtype)
