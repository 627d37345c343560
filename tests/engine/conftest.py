"""Small networks that answer in an instant."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.backends import eager
from engine.checkpoint import ModelMetadata, load_model
from engine.estimator import PoseEstimator
from engine.heads import ScaleBranch
from engine.models import model_file
from engine.network import NetworkConfig, build_network
from engine.served import ServedNetwork

TINY = NetworkConfig("tiny", "hrnet", width=4, input_size=64, detection_threshold=0.1)


class SpotNetwork(nn.Module):
    """Sees a nose wherever the picture is red; its tag there is ten times the picture's green. No weights.

    Takes pictures from 0 to 1, so it goes with mean 0 and std 1. The alphas are the picture's blue.
    """

    def __init__(self):
        super().__init__()
        self.config = NetworkConfig("spots", "hrnet", width=1, input_size=64, detection_threshold=0.1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        coarse, fine = functional.avg_pool2d(images, 4), functional.avg_pool2d(images, 2)
        return (
            torch.cat([self.only_nose(coarse[:, 2]), self.only_nose(coarse[:, 0]), self.tags(coarse)], 1),
            torch.cat([self.only_nose(fine[:, 2]), self.only_nose(fine[:, 0])], 1),
        )

    @staticmethod
    def only_nose(channel: Tensor) -> Tensor:
        rest = torch.zeros_like(channel)[:, None].expand(-1, 16, -1, -1)
        return torch.cat([channel[:, None], rest], 1)

    @staticmethod
    def tags(pictures: Tensor) -> Tensor:
        return (10 * pictures[:, 1:2]).expand(-1, 17, -1, -1)


class SmallNetwork(nn.Module):
    """Laid out as the real ones, with weights that make every part matter; few layers, as
    compilers take their time."""

    exact_layers = ("final_layers", "conv_scale_layers")

    def __init__(self, seed=0):
        super().__init__()
        self.config = NetworkConfig("small", "hrnet", width=8, input_size=64, detection_threshold=0.1)
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.down = nn.Conv2d(8, 8, 3, 2, 1)
        self.final_layers = nn.ModuleList([nn.Conv2d(8, 34, 1), nn.Conv2d(8, 17, 1)])
        self.conv_scale_layers = nn.ModuleList([ScaleBranch(8, 17), ScaleBranch(8, 17)])
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.parameters():
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)

    def forward(self, images):
        fine = self.stem(images)
        coarse = self.down(fine).relu()
        return (
            torch.cat([self.conv_scale_layers[0](coarse), self.final_layers[0](coarse)], 1),
            torch.cat([self.conv_scale_layers[1](fine), self.final_layers[1](fine)], 1),
        )


@cache
def lively_weights(config: NetworkConfig, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    weights = build_network(config).state_dict()
    for name, tensor in weights.items():
        if name.endswith("num_batches_tracked"):
            continue
        noise = torch.randn(tensor.shape, generator=generator)
        if tensor.ndim > 1:
            tensor.copy_(noise * (0.3 / tensor[0].numel()) ** 0.5)
        elif name.endswith("running_var"):
            tensor.copy_(1 + 0.2 * noise.abs())
        elif name.endswith("weight"):
            tensor.copy_(1 + 0.1 * noise)
        else:
            tensor.copy_(0.1 * noise)
    return weights


@dataclass
class Makers:
    """What tests build their subjects with."""

    tiny: NetworkConfig

    small = SmallNetwork

    @staticmethod
    def lively(config: NetworkConfig = TINY, seed: int = 0) -> nn.Module:
        """A network with weights that make every part of it matter to the outputs."""
        network = build_network(config).eval()
        network.load_state_dict(lively_weights(config, seed))
        return network

    @staticmethod
    def estimator(network: nn.Module, **settings) -> PoseEstimator:
        """An estimator on the CPU for pictures from 0 to 1."""
        metadata = ModelMetadata(
            preset=network.config.name,
            skeleton=network.config.skeleton,
            input_size=network.config.input_size,
            detection_threshold=network.config.detection_threshold,
            mean=(0, 0, 0),
            std=(1, 1, 1),
            person_threshold=0,  # in tests a nose is a person
        )
        settings = {"backend": "eager", **settings}
        return PoseEstimator(network, metadata, model="a test's network", device="cpu", **settings)


@pytest.fixture(scope="session")
def make() -> Makers:
    return Makers(TINY)


@pytest.fixture(scope="session")
def bundled() -> tuple[ServedNetwork, ModelMetadata]:
    """The bundled model as it is served where nobody asks for alphas."""
    network, metadata = load_model(model_file("default"))
    return ServedNetwork(network, metadata.mean, metadata.std, alphas=False), metadata


@pytest.fixture
def spots() -> SpotNetwork:
    return SpotNetwork()


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute in float32 whatever the processor is quick at."""
    monkeypatch.setattr(eager, "has_bfloat16", lambda: False)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
