"""Every backend answers what the network itself answers, and what it compiled is found again."""

from __future__ import annotations

import ast
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from engine import backends
from engine.backends import Choice, Task, cache, choices, eager, openvino, tensorrt
from engine.errors import SwahrError
from engine.served import ServedNetwork

CPU = torch.device("cpu")
SHAPE = (2, 64, 96)
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def pixels():
    return torch.randint(0, 256, (*SHAPE, 3), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def noise():
    random = np.random.default_rng(1)
    while True:
        yield random.integers(0, 256, (70, 90, 3), np.uint8)


def task(network, precision="float32", alphas=True, shape=SHAPE):
    served = ServedNetwork(network, MEAN, STD, alphas)
    return Task(served, shape, CPU, precision, served.fingerprint(), noise)


def expected(network, pixels, alphas=True):
    images = (pixels.permute(0, 3, 1, 2) / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    with torch.no_grad():
        coarse, fine = network.eval()(images)
    return coarse[:, 17:], fine if alphas else fine[:, 17:]


def assert_like(answers, truth, tolerance):
    for answer, reference in zip(answers, truth, strict=True):
        assert answer.dtype == torch.float32 and answer.shape == reference.shape
        assert (answer - reference).abs().max() < tolerance * reference.abs().max()


TOLERANCE = {"float32": 1e-4, "bfloat16": 0.15, "int8": 0.3}


@pytest.mark.parametrize("backend", ["eager", "openvino", pytest.param("inductor", marks=pytest.mark.slow)])
@pytest.mark.parametrize("alphas", [True, False])
def test_a_compiled_network_answers_like_the_network(make, pixels, backend, alphas):
    module = backends.module(backend)
    if reason := module.missing(CPU):
        pytest.skip(f"{backend}: {reason}")
    network = make.small()
    truth = expected(network, pixels, alphas)
    for precision in module.precisions(CPU):
        if precision != "int8":
            compiled = module.compile(task(network, precision, alphas))
            for _ in range(2):  # the first run may be another one than those that follow
                assert_like(compiled(pixels), truth, TOLERANCE[precision])


@pytest.mark.parametrize("images", [1, 2])
def test_openvino_computes_no_maps_that_say_nothing_new(bundled, images):
    served, _ = bundled
    assert served.says_it_twice
    shape = (images, 128, 192)
    pixels = torch.randint(0, 256, (*shape, 3), generator=torch.Generator().manual_seed(2)).to(torch.uint8)
    compiled = openvino.compile(Task(served, shape, CPU, "float32", served.fingerprint(), noise))
    coarse, fine = compiled(pixels)
    with torch.inference_mode():
        expected, _ = served(pixels)
    assert fine.shape == (images, 0, 64, 96)
    torch.testing.assert_close(coarse, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_int8_is_near_the_network(make, pixels):
    if "int8" not in openvino.precisions(CPU):
        pytest.skip("NNCF is not installed")
    network = make.small()
    compiled = openvino.compile(task(network, "int8"))
    assert_like(compiled(pixels), expected(network, pixels), TOLERANCE["int8"])


def test_serving_leaves_the_network_as_it_was(make, pixels):
    network = make.small().train()
    mean, names = network.stem[1].running_mean.clone(), list(network.state_dict())
    served = ServedNetwork(network, MEAN, STD, alphas=False)
    served(pixels)
    served.lowered(torch.bfloat16)(pixels)
    assert torch.equal(network.stem[1].running_mean, mean)
    assert list(network.state_dict()) == names
    assert network.stem[1].weight.dtype == torch.float32
    assert not any("conv_scale_layers" in name for name in served.state_dict())
    assert served.state_dict()["network.stem.1.weight"].data_ptr() == network.stem[1].weight.data_ptr()


def test_the_fingerprint_tells_networks_apart(make):
    def fingerprint(seed=0, mean=MEAN, alphas=True):
        return ServedNetwork(make.small(seed), mean, STD, alphas).fingerprint()

    prints = [fingerprint(), fingerprint(seed=1), fingerprint(mean=(0, 0, 0)), fingerprint(alphas=False)]
    assert len(set(prints)) == 4
    assert fingerprint() == prints[0]


def test_what_was_converted_is_found_again(make, pixels, monkeypatch):
    first = [answer.clone() for answer in openvino.compile(task(make.small()))(pixels)]
    monkeypatch.setattr(openvino, "_convert", lambda task: pytest.fail("it was converted again"))
    for answer, again in zip(openvino.compile(task(make.small()))(pixels), first, strict=True):
        assert torch.equal(answer, again)
    # One conversion serves every shape.
    small = openvino.compile(task(make.small(), shape=(1, 128, 64)))(torch.zeros(1, 128, 64, 3, dtype=torch.uint8))
    assert small[0].shape == (1, 34, 32, 16)


@pytest.mark.parametrize("damage", [b"", b"<net>", b"\0" * 5000])
def test_a_broken_cache_is_made_anew(make, pixels, own_cache, damage):
    network = make.small()
    openvino.compile(task(network))
    (file,) = (own_cache / "openvino").rglob("*.xml")
    file.write_bytes(damage)
    assert_like(openvino.compile(task(network))(pixels), expected(network, pixels), 1e-4)
    assert file.read_bytes() != damage
    file.with_suffix(".bin").write_bytes(b"few")
    assert_like(openvino.compile(task(network))(pixels), expected(network, pixels), 1e-4)


def test_a_cache_that_cannot_be_written_costs_only_time(make, pixels, monkeypatch, tmp_path):
    said = []
    monkeypatch.setattr(cache._log, "warning", lambda words, *values: said.append(words % values))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "file" / "below"))
    network = make.small()
    assert_like(openvino.compile(task(network))(pixels), expected(network, pixels), 1e-4)
    assert cache.sizes() == {}
    assert len(said) == 1 and "cannot be kept" in said[0]


def test_threads_do_not_share_answers(make, pixels):
    compiled = openvino.compile(task(make.small()))
    both_run = threading.Barrier(2)

    def run(pixels):
        answers = compiled(pixels)
        both_run.wait(60)
        return answers

    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(run, [pixels, 255 - pixels])
    assert not torch.equal(one[0], other[0])
    assert_like(one, expected(make.small(), pixels), 1e-4)
    assert_like(other, expected(make.small(), 255 - pixels), 1e-4)


@pytest.mark.slow
def test_inductor_compiles_for_any_number_of_shapes(make):
    inductor = backends.module("inductor")
    if reason := inductor.missing(CPU):
        pytest.skip(reason)
    network = make.small()
    for step in range(1, 11):
        shape = (1, 64, 64 * step)
        pixels = torch.full((*shape, 3), 7 * step, dtype=torch.uint8)
        assert_like(inductor.compile(task(network, shape=shape))(pixels), expected(network, pixels), 1e-4)


INTERRUPTED = """
import os, signal, threading, time, torch
from engine import PoseEstimator
for size in (64, 128):
    PoseEstimator.load("default", device="cpu", backend="openvino", size=size).prepare(64, 64)
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.slow
def test_ctrl_c_is_still_answered_after_networks_were_dropped():
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


# -- what is chosen ----------------------------------------------------------------------------------------


@pytest.fixture
def able(monkeypatch):
    """Backends that can run: a name and its precisions on any device."""

    def make_able(**precisions):
        for name in backends.BACKENDS:
            module = backends.module(name)
            reason = None if name in precisions else "it is not installed"
            monkeypatch.setattr(module, "missing", lambda device, reason=reason: reason)
            own = precisions.get(name, ())
            monkeypatch.setattr(module, "precisions", lambda device, own=own: own)

    return make_able


@pytest.mark.parametrize(
    "device, backend, precision, expected",
    [
        ("cpu", "auto", "auto", ["openvino bfloat16", "openvino float32", "eager bfloat16", "eager float32"]),
        ("cpu", "auto", "int8", ["openvino int8", "openvino bfloat16", "eager float32"]),
        ("cpu", "auto", "float32", ["openvino float32", "eager float32"]),
        ("cpu", "eager", "auto", ["eager bfloat16", "eager float32"]),
        ("cpu", "inductor", "auto", ["inductor float16", "openvino bfloat16", "openvino float32", "eager bfloat16"]),
        ("cuda", "auto", "auto", ["tensorrt float16", "inductor float16", "eager bfloat16", "eager float32"]),
        ("cuda", "inductor", "auto", ["inductor float16", "tensorrt float16", "eager bfloat16", "eager float32"]),
        ("mps", "auto", "auto", ["eager bfloat16", "eager float32"]),
    ],
)
def test_the_order_in_which_backends_are_tried(able, device, backend, precision, expected):
    able(
        openvino=("bfloat16", "float32", "int8"),
        eager=("bfloat16", "float32"),
        inductor=("float16",),
        tensorrt=("float16",),
    )
    found, unable = choices(backend, precision, torch.device(device))
    wanted = [Choice(*one.split()) for one in expected]
    assert found[: len(wanted)] == wanted and found[-1] == Choice("eager", "float32")
    assert not unable


def test_what_cannot_run_is_named(able):
    able(eager=("float32",))
    found, unable = choices("tensorrt", "auto", CPU)
    assert found == [Choice("eager", "float32")]
    assert "tensorrt cannot run here: it is not installed." in unable
    found, unable = choices("auto", "int8", CPU)
    assert found == [Choice("eager", "float32")]
    assert any("int8" in sentence for sentence in unable)
    found, unable = choices("eager", "int8", CPU)
    assert found == [Choice("eager", "float32")] and unable == ["eager does not compute in int8 on cpu."]
    able(eager=("float32",), inductor=("float16",), openvino=("bfloat16",))
    found, unable = choices("inductor", "bfloat16", CPU)
    assert [str(choice) for choice in found[:2]] == ["inductor in float16", "openvino in bfloat16"]
    assert unable == ["inductor does not compute in bfloat16 on cpu."]


def test_reasons_why_something_cannot_run(monkeypatch):
    cuda, mps = torch.device("cuda"), torch.device("mps")
    assert "not on cuda" in openvino.missing(cuda)
    assert "not on cpu" in tensorrt.missing(CPU)
    assert "not used on mps" in backends.module("inductor").missing(mps)
    for name, package in (("openvino", "openvino"), ("tensorrt", "torch-tensorrt"), ("inductor", "triton")):
        monkeypatch.setattr(backends.module(name), "find_spec", lambda wanted: None)
        reason = backends.module(name).missing(CPU if name == "openvino" else cuda)
        assert reason == f"the package {package} is not installed"
    monkeypatch.setattr(backends.module("inductor").shutil, "which", lambda name: None)
    assert "C++ compiler" in backends.module("inductor").missing(CPU)


@pytest.mark.parametrize("name", ["backend", "precision"])
def test_a_name_that_does_not_exist_is_refused(name):
    with pytest.raises(SwahrError, match=rf"no {name} 'magic'; choose auto"):
        choices(**{"backend": "auto", "precision": "auto", name: "magic"}, device=CPU)


@pytest.mark.parametrize(
    "flags, precisions",
    [
        ({"avx512_bf16": True}, ("bfloat16", "float32")),
        ({"amx_bf16": True}, ("bfloat16", "float32")),
        ({}, ("float32",)),
    ],
)
def test_precision_on_a_cpu_follows_its_instructions(monkeypatch, flags, precisions):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags)
    assert eager.precisions(CPU) == precisions
    assert eager.precisions(torch.device("cuda"))[0] == "float16"
    assert eager.precisions(torch.device("mps")) == ("float32",)


# -- TensorRT, which runs nowhere here ---------------------------------------------------------------------


def parameters(path: Path, function: str) -> set[str]:
    """The names of a function's parameters, read from its source."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name == function:
            return {argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)}
    raise AssertionError(f"{path} has no function {function}")


def test_torch_tensorrt_is_called_as_it_wants_to_be():
    found = find_spec("torch_tensorrt")
    if found is None:
        pytest.skip("torch-tensorrt is not installed, so its source cannot be compared with")
    package = Path(found.origin).parent
    example = torch.zeros(1)
    build = parameters(package / "dynamo" / "_compiler.py", "compile")
    assert {"exported_program", *tensorrt.build_settings(example, CPU)} <= build
    save = parameters(package / "_compile.py", "save")
    assert {"module", "file_path", *tensorrt.SAVE_SETTINGS} <= save


def test_the_network_exports(make):
    """The first step toward TensorRT needs none of its libraries."""
    served = ServedNetwork(make.small(), MEAN, STD, alphas=True)
    images = torch.randn(1, 3, 64, 64)
    program = torch.export.export(tensorrt._Answers(served).eval(), (images,))
    with torch.no_grad():
        assert_like(program.module()(images), served.answers(images), 1e-5)


def test_nothing_is_told_over_the_network():
    """OpenVINO's converter would tell its maker what is converted."""
    script = """
import engine.backends.openvino
from openvino.tools.ovc import convert_impl, main, telemetry_utils, utils
for module in (convert_impl, main, telemetry_utils, utils):
    module = __import__("sys").modules[module.__module__] if callable(module) else module
    assert module.tm.__name__ == "openvino.tools.ovc.telemetry_stub", module.tm
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
