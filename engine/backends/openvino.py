"""OpenVINO on a CPU: converted from PyTorch directly, kept as OpenVINO's own files, tuned for latency.

A conversion serves every input shape; what depends on the shape is compiled in a fraction of a second when it is
loaded. int8 is a conversion of its own (`engine.backends.quantisation`), and so is bfloat16 where that makes it more
exact (`engine.backends.rounding`).
"""

from __future__ import annotations

import sys
import threading
import warnings
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engine.backends import Shape, Task, quantisation, rounding, strips
from engine.backends.cache import entry, keep
from engine.backends.eager import has_bfloat16
from engine.served import ServedNetwork

if TYPE_CHECKING:
    import openvino

# Neither OpenVINO nor NNCF is to tell its maker, over the network, what is converted: they do without this module.
sys.modules["openvino_telemetry"] = None

_FILE = "network.xml"
_core_lock = threading.Lock()
_only_core: openvino.Core | None = None


def missing(device: torch.device) -> str | None:
    """OpenVINO is used on the CPU alone."""
    if device.type != "cpu":
        return f"it is used on the CPU, not on {device}"
    return None if find_spec("openvino") else "the package openvino is not installed"


def precisions(device: torch.device) -> tuple[str, ...]:
    """Bfloat16 where the processor has instructions for it, float32, and int8 where NNCF is installed."""
    able = ("bfloat16", "float32") if has_bfloat16() else ("float32",)
    return (*able, "int8") if find_spec("nncf") else able


def compile(task: Task) -> OpenVinoNetwork:
    """Load a network from the cache, after converting it if it is not there."""
    import openvino

    file, model = place(task) / _FILE, None
    if file.is_file():
        with suppress(RuntimeError):  # what OpenVINO cannot read is made anew
            model = _core().read_model(file)
    if model is None:
        model = _convert(task)
        keep(place(task), lambda folder: openvino.save_model(model, folder / _FILE, compress_to_fp16=False))
    images, height, width = task.shape
    model.reshape([images, height, width, 3])
    lower = task.precision != "float32" and has_bfloat16()
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "bf16" if lower else "f32"}
    return OpenVinoNetwork(_core().compile_model(model, "CPU", settings))


def _core() -> openvino.Core:
    """One for the whole process: its CPU plugin gives the thread that makes it a stack for signals, and where several
    are made and dropped, a signal such as Ctrl-C is later answered on a stack that is gone."""
    global _only_core
    with _core_lock:
        if _only_core is None:
            import openvino

            _only_core = openvino.Core()
        return _only_core


class OpenVinoNetwork:
    """A compiled model; each thread that calls it has a request of its own."""

    def __init__(self, model: openvino.CompiledModel):
        self._model = model
        self._own = threading.local()

    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Uint8 [N, H, W, 3] -> the network's two outputs, float32, the second without maps if it says nothing new."""
        if not hasattr(self._own, "request"):
            self._own.request = self._model.create_infer_request()
        answers = self._own.request.infer([pixels.numpy()], share_inputs=True, share_outputs=True)
        coarse, *rest = (torch.from_numpy(answer) for answer in answers.to_tuple())
        images, _, height, width = coarse.shape
        return coarse, rest[0] if rest else coarse.new_empty(images, 0, 2 * height, 2 * width)


def place(task: Task) -> Path:
    """Where the conversion of a task's network is kept; it serves every shape."""
    kind: tuple[object, ...] = ("float", *strips.marks())
    if task.precision == "int8":
        kind = (*quantisation.marks(task), *strips.marks())
    elif task.precision == "bfloat16" and rounding.helps(task.network):
        kind = rounding.marks()
    return entry("openvino", task.fingerprint, *kind, version("openvino"))


def _convert(task: Task) -> openvino.Model:
    if task.precision == "float32":
        return _read(strips.in_strips(task.network), task.shape)
    if task.precision == "bfloat16":
        return _read(rounding.rounded(task.network), task.shape)
    inputs = quantisation.calibration_inputs(task)
    exact = task.network.network.exact_layers
    model = _read(strips.in_strips(quantisation.prepared(task.network, inputs), among=exact), task.shape)
    return quantisation.quantised(model, exact, inputs)


def _read(network: ServedNetwork, shape: Shape) -> openvino.Model:
    import openvino

    images, height, width = shape
    with torch.no_grad():
        example = torch.zeros(images, height, width, 3, dtype=torch.uint8)
        network = network.to("cpu", memory_format=torch.contiguous_format)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its way of reading networks is one that PyTorch will drop some day
            model = openvino.convert_model(network, example_input=example)
    if network.says_it_twice:
        model.remove_result(model.get_results()[1])
    return model
