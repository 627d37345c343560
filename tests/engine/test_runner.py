"""A backend is used when its answers are right, and given up for the next one when it fails."""

from __future__ import annotations

import logging
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from engine import backends, runner
from engine.backends import Choice, cache, eager
from engine.errors import SwahrError
from engine.runner import NetworkRunner
from grouping import COCO17, GroupingOptions

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))


@pytest.fixture
def backend(monkeypatch):
    """Puts a backend of the test's own in OpenVINO's place, in front of PyTorch in float32.

    change: what it does to PyTorch's answers. compiled: the shapes it was asked for.
    """
    real = backends.module

    def install(change=lambda coarse, fine: (coarse, fine), build=lambda: None, name="openvino"):
        compiled = []

        def compile(task):
            compiled.append((task.shape, task.network.alphas))
            build()
            inner = eager.compile(task)
            return lambda pixels: change(*inner(pixels))

        fake = SimpleNamespace(missing=lambda device: None, precisions=lambda device: ("float32",), compile=compile)
        plain = SimpleNamespace(missing=eager.missing, precisions=lambda device: ("float32",), compile=eager.compile)
        monkeypatch.setattr(backends, "module", lambda wanted: {name: fake, "eager": plain}.get(wanted) or real(wanted))
        monkeypatch.setattr(backends, "compiler", lambda wanted: "a test's 1.0")
        return compiled

    return install


def make_runner(network, **settings):
    settings = {"backend": "openvino", "precision": "auto", **settings}
    options = GroupingOptions(detection_threshold=0.3)
    return NetworkRunner(network, (0, 0, 0), (1, 1, 1), CPU, options, COCO17, calibration=iter, **settings)


def pixels(images=1, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (images, 64, 64, 3), np.uint8))


def truth(network, shown, alphas=True):
    with torch.no_grad():
        coarse, fine = network(shown.permute(0, 3, 1, 2) / 255)
    return coarse[:, 17:], fine if alphas else fine[:, 17:]


def assert_right(network, answers, shown, alphas=True):
    for answer, expected in zip(answers, truth(network, shown, alphas), strict=True):
        torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-4)


PLAIN = Choice("eager", "float32")


def test_a_backend_that_is_right_is_used(make, backend):
    compiled = backend()
    network = make.small().eval()
    run = make_runner(network)
    assert_right(network, run(pixels(), alphas=True), pixels())
    assert_right(network, run(pixels(), alphas=False), pixels(), alphas=False)
    assert run.choice == Choice("openvino", "float32") and run.messages == []
    run(pixels(), alphas=True)
    assert compiled == [((1, 64, 64), True), ((1, 64, 64), False)]


def test_a_proof_is_remembered(make, backend, monkeypatch):
    backend()
    make_runner(make.small())(pixels(), alphas=True)
    monkeypatch.setattr(runner.proof, "shown_pixels", lambda shape: pytest.fail("proven twice"))
    make_runner(make.small())(pixels(), alphas=True)
    with pytest.raises(pytest.fail.Exception):  # other weights want a proof of their own
        make_runner(make.small(seed=1))(pixels(), alphas=True)


@pytest.mark.parametrize(
    "change, complaint",
    [
        (lambda coarse, fine: (coarse, fine + 0.1), "heatmaps are off by 0.1"),
        (lambda coarse, fine: (coarse.roll(3, -1), fine), "heatmaps are off"),
        (lambda coarse, fine: (coarse * float("nan"), fine), "not finite"),
        (lambda coarse, fine: (coarse[:, 1:], fine), "its maps have shapes"),
        (lambda coarse, fine: 1 / 0, "ZeroDivisionError: "),
    ],
)
def test_a_backend_that_is_wrong_is_refused(make, backend, caplog, change, complaint):
    backend(change)
    network = make.small().eval()
    run = make_runner(network)
    with caplog.at_level(logging.WARNING):
        assert_right(network, run(pixels(), alphas=True), pixels())
    assert run.choice == PLAIN
    (message,) = run.messages
    assert message.startswith("openvino in float32 is not used (") and complaint in message
    assert message.endswith("; eager in float32 takes over.")
    assert [record.getMessage() for record in caplog.records] == [message]


@pytest.mark.parametrize("error", [RuntimeError("no driver\nTraceback"), ImportError("libnvinfer.so.10"), OSError()])
def test_a_compiler_that_raises_gives_way(make, backend, error):
    def build():
        raise error

    backend(build=build)
    network = make.small().eval()
    run = make_runner(network)
    assert_right(network, run(pixels(), alphas=True), pixels())
    (message,) = run.messages
    assert type(error).__name__ in message and "Traceback" not in message and run.choice == PLAIN


def test_a_backend_that_fails_later_gives_way_then(make, backend):
    works = [True] * 3

    def change(coarse, fine):
        if not works:
            raise RuntimeError("CUDA error: device lost")
        works.pop()
        return coarse, fine

    backend(change)
    network = make.small().eval()
    run = make_runner(network)
    for seed in range(4):
        assert_right(network, run(pixels(seed=seed), alphas=True), pixels(seed=seed))
    assert run.choice == PLAIN and len(run.messages) == 1 and "device lost" in run.messages[0]


def test_out_of_memory_takes_fewer_images_and_then_the_next_backend(make, backend):
    room = [2]

    def change(coarse, fine):
        if len(coarse) > room[0]:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")
        return coarse, fine

    backend(change)
    network = make.small().eval()
    run = make_runner(network)
    assert_right(network, run(pixels(8), alphas=True), pixels(8))
    assert run.choice.backend == "openvino"
    assert run.messages == [
        "8 images at once are too many for the memory of cpu; trying 4.",
        "4 images at once are too many for the memory of cpu; trying 2.",
    ]
    assert_right(network, run(pixels(3), alphas=True), pixels(3))
    assert len(run.messages) == 2
    room[0] = 0
    assert_right(network, run(pixels(8), alphas=True), pixels(8))
    assert run.choice == PLAIN and "OutOfMemoryError" in run.messages[-1]


def test_when_nothing_is_left_one_sentence_says_so(make, backend, monkeypatch):
    backend()
    network = make.small()
    network.forward = lambda images: 1 / 0
    with pytest.raises(SwahrError, match=r"cannot run on cpu: ZeroDivisionError.*choose a smaller --size"):
        make_runner(network)(pixels(), alphas=True)


def test_what_was_asked_for_and_cannot_run_is_told(make):
    run = make_runner(make.small(), backend="tensorrt", precision="float32")
    assert run.messages[0] == "tensorrt cannot run here: it is used on CUDA, not on cpu."
    assert make_runner(make.small(), backend="auto").messages == []


def test_compilers_with_fixed_shapes_see_few_of_them(make, backend):
    compiled = backend(name="inductor")
    network = make.small().eval()
    run = make_runner(network, backend="inductor")
    for images in (1, 3, 4, 5):
        assert_right(network, run(pixels(images), alphas=False), pixels(images), alphas=False)
    assert [shape[0] for shape, _ in compiled] == [1, 4, 8]


def test_the_other_engine_is_made_ready_while_the_first_goes_on(make, backend):
    begun, go_on = threading.Event(), threading.Event()

    def build():
        if len(compiled) == 2:
            begun.set()
            assert go_on.wait(60)

    compiled = backend(build=build)
    network = make.small().eval()
    run = make_runner(network)
    run(pixels(), alphas=False)
    worker = threading.Thread(target=run.prepare, args=((1, 64, 64), True))
    worker.start()
    assert begun.wait(60)
    for seed in range(3):  # nothing waits for the compiler
        assert_right(network, run(pixels(seed=seed), alphas=False), pixels(seed=seed), alphas=False)
    go_on.set()
    worker.join(60)
    assert_right(network, run(pixels(), alphas=True), pixels())
    assert len(compiled) == 2
