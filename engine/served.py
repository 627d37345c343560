"""A network as it is served: pixels in, the maps that grouping reads out, and nothing computed that nobody asked for.

Letters: N images, K keypoints, H W pixels of the network's input.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from engine.slim import SlimNetwork

SCALE_LAYERS = "conv_scale_layers"  # the networks' scale branches, of the 1/4 map and of the 1/2 map


class NoAlphas(nn.Module):
    """Stands where a scale branch is left out: no channels at all, [N, 0, h, w]."""

    def forward(self, features: Tensor) -> Tensor:
        """Features [N, C, h, w] -> [N, 0, h, w]."""
        batch, _, height, width = features.shape
        return features.new_zeros(batch, 0, height, width)


class ServedNetwork(nn.Module):
    """A network in evaluation mode with what surrounds it.

    `forward(pixels uint8 [N, H, W, 3], RGB)` normalises and returns, coarse to fine, float32,
        [N, K heatmaps | K tags, H/4, W/4]
        [N, (K alphas |) K heatmaps, H/2, W/2]
    with the alphas only if the network has a scale branch and they are wanted. Those of the 1/4 map are never read, so
    that branch is always left out.

    says_it_twice: whether the second is the first one's heatmaps, doubled.
    mean, std: of R, G, B on the scale 0 to 1. The network's parameters are shared, not copied; it is set to evaluate.
    """

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float], alphas: bool):
        super().__init__()
        self.alphas = alphas and network.config.scale_branch
        self.num_keypoints: int = network.config.num_keypoints
        self.network = _without_idle_layers(network.eval(), self.alphas)
        self.says_it_twice = isinstance(self.network, SlimNetwork) and not self.network.has_heads
        self.register_buffer("factor", 1 / (255 * torch.tensor(std)), persistent=False)
        self.register_buffer("shift", -(torch.tensor(mean) / torch.tensor(std)), persistent=False)
        self.dtype = torch.float32
        self.eval()

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        return self.answers(self.images(pixels))

    def images(self, pixels: Tensor) -> Tensor:
        """Pixels uint8 [N, H, W, 3] -> what the network takes, [N, 3, H, W], normalised."""
        return (pixels.float() * self.factor + self.shift).to(self.dtype).permute(0, 3, 1, 2)

    def answers(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised images [N, 3, H, W] -> what `forward` returns."""
        coarse, fine = self.network(images)
        keypoints = self.num_keypoints
        return _last(coarse, 2 * keypoints).float(), _last(fine, (1 + self.alphas) * keypoints).float()

    def lowered(self, dtype: torch.dtype) -> ServedNetwork:
        """A copy of its own whose weights are of that type, and that computes in it."""
        twin = copy.deepcopy(self)
        twin.network.to(dtype)
        twin.dtype = dtype
        return twin

    def fingerprint(self) -> str:
        """A text that changes with the weights, the normalisation, the layers served and the code of the networks."""
        digest = hashlib.sha256(repr((type(self.network).__name__, self.network.config, self.alphas)).encode())
        for name, tensor in [*self.state_dict().items(), ("factor", self.factor), ("shift", self.shift)]:
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
        for source in ("served", "heads", "hrnet", "slim", "centres", "mobilenet"):
            digest.update(Path(__file__).with_name(f"{source}.py").read_bytes())
        return digest.hexdigest()[:20]


def _last(maps: Tensor, number: int) -> Tensor:
    """The last `number` channels: what a network gives before them, such as zeros for alphas, is cut away."""
    return maps if maps.shape[1] == number else maps[:, -number:]


def _without_idle_layers(network: nn.Module, alphas: bool) -> nn.Module:
    """The same network, sharing its parameters, without what nobody reads.

    That is the scale branch of the 1/4 map and, if no alphas are wanted, that of the 1/2 map and all layers of silent
    heads (`SlimNetwork`).
    """
    if not alphas and isinstance(network, SlimNetwork):
        network = network.without_silent_heads()
    if not hasattr(network, SCALE_LAYERS):
        return network
    twin = copy.copy(network)
    twin._modules = dict(network._modules)
    _, fine_branch = getattr(network, SCALE_LAYERS)
    twin._modules[SCALE_LAYERS] = nn.ModuleList([NoAlphas(), fine_branch if alphas else NoAlphas()])
    return twin
