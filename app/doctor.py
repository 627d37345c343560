"""``swahr doctor``: what this machine has of what the program can use, and what it would choose."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.table import Table

import grouping
from app.machine import machine
from engine import backends
from engine.backends.cache import cache_folder, sizes
from engine.devices import choose_device

PACKAGES = (
    "torch",
    "numpy",
    "numba",
    "opencv-python",
    "av",
    "PyQt6",
    "openvino",
    "nncf",
    "cupy-cuda13x",
    "torch-tensorrt",
)
_CAMERAS = Path("/sys/class/video4linux")


def report(warm: bool) -> None:
    """Print the report; `warm`: first compile what is compiled when it is first used, so that nothing waits later."""
    console = Console()
    if warm:
        start = time.perf_counter()
        with console.status("compiling grouping"):
            grouping.warm_up()
        console.print(f"Grouping is compiled and kept for the next runs ({time.perf_counter() - start:.1f} s).")
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in _findings():
        table.add_row(name, value)
    console.print(table)


def _findings() -> Iterator[tuple[str, str]]:
    yield "machine", machine()
    yield "system", f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    for package in PACKAGES:
        yield package, _version(package)
    yield "Qt", _qt()
    yield "cameras", _cameras()
    yield from _gpus()
    device = choose_device("auto")
    yield from _backends(device)
    on_gpu = device.type == "cuda" and find_spec("cupy") is not None
    yield "grouping", "GPU (CuPy)" if on_gpu else "CPU (Numba)"
    folder = grouping.compiled_folder()
    compiled = any(folder.glob("group._scan*.nbi"))
    yield "compiled grouping", f"in {folder}" if compiled else "not yet; swahr doctor --warm does it"
    held = ", ".join(f"{name} {size / 2**20:.0f} MiB" for name, size in sizes().items())
    yield "compiled networks", f"in {cache_folder()}: {held}" if held else "none yet; swahr compile does it"


def _gpus() -> Iterator[tuple[str, str]]:
    import torch

    if not torch.cuda.is_available():
        yield "cuda", "no device"
        return
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        yield f"cuda:{index}", f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    yield "driver", _driver()
    yield "CUDA of torch", str(torch.version.cuda)


def _backends(device: object) -> Iterator[tuple[str, str]]:
    reasons = {name: backends.module(name).missing(device) for name in backends.BACKENDS}
    for name, reason in reasons.items():
        if reason:
            yield name, reason
        else:
            yield name, f"{backends.compiler(name)}, in {', '.join(backends.module(name).precisions(device))}"
    chosen, *others = backends.choices("auto", "auto", device)[0]
    behind = ", then ".join(map(str, others))
    yield (
        "auto chooses",
        f"{chosen} on {device}, the fastest that runs here; if its answers are not right, {behind}",
    )


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return "not known (nvidia-smi does not run)"
    return said.splitlines()[0] if said else "not known"


def _qt() -> str:
    try:
        from PyQt6.QtCore import QT_VERSION_STR
    except ImportError as error:
        return f"cannot be loaded: {error}"
    return QT_VERSION_STR


def _cameras() -> str:
    if platform.system() != "Linux":
        return "not listed on this system"
    names = sorted({path.read_text().strip() for path in _CAMERAS.glob("*/name")})
    return ", ".join(names) if names else "none"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
