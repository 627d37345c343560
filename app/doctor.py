"""``swahr doctor``: what this machine has of what the program can use, and what it would choose."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

import grouping
from app.bench import machine
from engine import backends
from engine.devices import choose_device

PACKAGES = ("torch", "numpy", "numba", "opencv-python", "av", "PyQt6", "cupy-cuda13x", "torch-tensorrt")


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
    import torch

    yield "machine", machine()
    yield "system", f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    for package in PACKAGES:
        yield package, _version(package)
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            yield f"cuda:{index}", f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    else:
        yield "cuda", "no device"
    device = choose_device("auto")
    yield "auto chooses", f"{backends.choices('auto', 'auto', device)[0][0]} on {device}"
    on_gpu = device.type == "cuda" and _version("cupy-cuda13x") != "not installed"
    yield "grouping", "GPU (CuPy)" if on_gpu else "CPU (Numba)"
    folder = grouping.compiled_folder()
    compiled = any(folder.glob("group._scan*.nbi"))
    yield "compiled grouping", f"in {folder}" if compiled else "not yet; swahr doctor --warm does it"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
