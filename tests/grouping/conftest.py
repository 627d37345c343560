import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


@pytest.fixture(scope="session")
def oracle() -> ModuleType:
    """The slow second implementation beside this file."""
    return _beside("oracle")


@pytest.fixture(scope="session")
def reference() -> ModuleType:
    """Grouping as people usually write it, with PyTorch and SciPy."""
    return _beside("reference")


@pytest.fixture(scope="session")
def crowd() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Draws the raw outputs of a network that sees a crowd."""
    return _beside("crowd").crowd


def _beside(file: str) -> ModuleType:
    # This folder is no package to import from.
    name = f"grouping_{file}"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{file}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


class Maps:
    """Heatmaps and tags to paint single keypoints on: zero heat and a tag far from everybody's elsewhere."""

    def __init__(self, num_keypoints: int, height: int = 24, width: int = 32, num_tags: int = 1) -> None:
        self.heatmaps = np.zeros((num_keypoints, height, width), np.float32)
        self.tags = np.full((num_keypoints, height, width, num_tags), -50, np.float32)

    def put(self, keypoint: int, x: int, y: int, value: float, tag: float) -> "Maps":
        self.heatmaps[keypoint, y, x] = value
        self.tags[keypoint, y, x] = tag
        return self


@pytest.fixture
def maps() -> type[Maps]:
    return Maps
