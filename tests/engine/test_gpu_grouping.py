"""A GPU that fails hands grouping over to the CPU, with one message."""

import logging
from types import SimpleNamespace

import pytest

from engine import gpu_grouping
from engine.gpu_grouping import GpuGrouping
from grouping import COCO17, GroupingOptions
from grouping.peaks_cuda import NotFiniteError


@pytest.fixture
def on_cuda(monkeypatch):
    """Outputs that say that they lie on a CUDA device."""
    monkeypatch.setattr(gpu_grouping, "find_spec", lambda name: object())
    monkeypatch.setattr(
        gpu_grouping.torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=7), raising=False
    )
    return SimpleNamespace(device=SimpleNamespace(type="cuda"))


def failing(monkeypatch, error):
    calls = []

    def group_outputs_cuda(*arguments, stream):
        calls.append(stream)
        raise error

    monkeypatch.setattr(gpu_grouping.peaks_cuda, "group_outputs_cuda", group_outputs_cuda)
    return calls


def arguments(outputs):
    return outputs, outputs, None, GroupingOptions(), COCO17


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA_ERROR_NO_BINARY_FOR_GPU\nmore"),
        ImportError("libnvrtc.so.13"),
        OSError("gone"),
        ValueError("DLPack"),
    ],
)
def test_a_failure_is_told_once_and_the_cpu_takes_over(monkeypatch, on_cuda, caplog, error):
    calls = failing(monkeypatch, error)
    grouping = GpuGrouping()
    with caplog.at_level(logging.WARNING):
        assert grouping(*arguments(on_cuda)) is None
        assert grouping(*arguments(on_cuda)) is None
    assert calls == [7]
    (record,) = caplog.records
    said = record.getMessage()
    assert type(error).__name__ in said and str(error).splitlines()[0] in said and "more" not in said
    assert said.endswith("the CPU groups from here on.")


def test_numbers_that_are_not_finite_are_no_failure_of_the_gpu(monkeypatch, on_cuda):
    failing(monkeypatch, NotFiniteError("not finite"))
    grouping = GpuGrouping()
    with pytest.raises(ValueError, match="not finite"):
        grouping(*arguments(on_cuda))
    assert grouping.usable


def test_without_cupy_or_cuda_nothing_is_tried(monkeypatch, on_cuda):
    calls = failing(monkeypatch, RuntimeError("never"))
    assert GpuGrouping()(*arguments(SimpleNamespace(device=SimpleNamespace(type="cpu")))) is None
    monkeypatch.setattr(gpu_grouping, "find_spec", lambda name: None)
    assert GpuGrouping()(*arguments(on_cuda)) is None
    assert not calls
