"""bfloat16: a network whose weights it holds exactly, and that answers as before on average.

bfloat16 keeps 8 bits of a weight. What that changes, times features that hardly vary, is nearly a constant, and makes
most of the error of the bundled model's first layers. It is known beforehand, so biases can take it back.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn

from engine import calibration, centring
from engine.served import ServedNetwork
from engine.slim import SlimNetwork

_FRAMES, _SIZE = 16, (384, 640)  # height, width


def helps(served: ServedNetwork) -> bool:
    """Whether `rounded` changes anything: other networks normalise right after their convolutions."""
    return isinstance(served.network, SlimNetwork)


def marks() -> tuple[object, ...]:
    """What a rounded network depends on besides the network itself."""
    return "bfloat16", *(Path(file).read_bytes() for file in (__file__, centring.__file__, calibration.__file__))


@torch.no_grad()
def rounded(served: ServedNetwork) -> ServedNetwork:
    """A copy in which the weights of convolutions with biases are numbers of bfloat16, and the biases make up for it.

    Features are centred first (`engine.centring`), so that rounding them costs less, too. Means are those on synthetic
    people. A network that this does not help is returned as it is.
    """
    if not helps(served):
        return served
    twin = copy.deepcopy(served)
    frames = islice(calibration.synthetic_frames(), _FRAMES)
    inputs = [twin.images(torch.from_numpy(calibration.fitted(frame, *_SIZE)[None])) for frame in frames]
    centring.centre_streams(twin.network, inputs)
    for convolution, mean in _input_means(twin.network, inputs).items():
        near = convolution.weight.to(torch.bfloat16).to(convolution.weight.dtype)
        lost = (convolution.weight - near).sum((2, 3))  # [outputs, inputs of a group]
        of_outputs = mean.view(convolution.groups, -1).repeat_interleave(len(lost) // convolution.groups, 0)
        convolution.bias = nn.Parameter(convolution.bias + (lost * of_outputs).sum(1))
        convolution.weight = nn.Parameter(near)
    return twin


def _input_means(network: nn.Module, inputs: Sequence[Tensor]) -> dict[nn.Conv2d, Tensor]:
    """The mean [C] of each channel of what the convolutions with biases read."""
    read: dict[nn.Conv2d, list[Tensor]] = defaultdict(list)
    hooks = [
        module.register_forward_pre_hook(lambda module, given: read[module].append(given[0].mean((0, 2, 3))))
        for module in network.modules()
        if isinstance(module, nn.Conv2d) and module.bias is not None
    ]
    try:
        for images in inputs:
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return {convolution: torch.stack(means).mean(0) for convolution, means in read.items()}
