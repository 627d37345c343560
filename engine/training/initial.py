"""The network that a run starts from: its preset's layers, the weights that a recipe names, and what stays as it is."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from engine.checkpoint import load_weights, read_metadata
from engine.errors import SwahrError
from engine.heads import ScaleBranch, ZeroScale
from engine.hrnet import HigherHRNet
from engine.models import model_file
from engine.network import NetworkConfig, build_network, preset_config
from engine.slim import SlimNetwork
from engine.training.pretrained import load_movenet
from engine.training.recipe import ModelSettings, Recipe

# By trunk, what depends on which keypoints there are; HRNet's deconvolution also reads the heatmaps at 1/4.
KEYPOINT_MODULES = {
    "hrnet": ("final_layers", "deconv_layers.0.0", "conv_scale_layers"),
    "mobile": ("final_layers", "conv_scale_layers"),
}

_log = logging.getLogger(__name__)

# What the published HRNet classifiers have on top of the trunk.
_CLASSIFIER = ("incre_modules.", "downsamp_modules.", "final_layer.", "classifier.")


def initial_network(recipe: Recipe) -> nn.Module:
    """The network of `recipe` before its first step; draws from torch's generator.

    Two recipes that differ only in their heatmap loss start from the same weights. Without alphas to train there is no
    scale branch. Where the initial weights were made for other keypoints, what depends on these starts afresh, with a
    warning that says so.
    """
    model = recipe.model
    config = model.config()
    if model.initial:  # a bundled model goes by its name
        model = replace(model, initial=str(model_file(model.initial)))
    network = build_network(config)
    if model.initial.endswith(".json"):
        _load_movenet(network, model)
    elif model.initial:
        _load(network, config, model)
    if not recipe.loss.scale_adaptive:
        _fix_scales(network)
    return network


def freeze(network: nn.Module, names: tuple[str, ...]) -> list[nn.Module]:
    """Keep the modules of these names from learning, and return them; their statistics are the caller's to keep."""
    return [_module(network, "model.frozen", name).requires_grad_(False) for name in names]


def _load_movenet(network: nn.Module, model: ModelSettings) -> None:
    if not isinstance(network, SlimNetwork):
        raise SwahrError(
            f"model.initial is '{model.initial}', but the preset {model.preset} has another trunk; "
            "leave it empty or name a weights file."
        )
    load_movenet(network, Path(model.initial))


def _load(network: nn.Module, config: NetworkConfig, model: ModelSettings) -> None:
    """Fill `network` from the file, but for the fresh modules."""
    for name in model.fresh:
        _module(network, "model.fresh", name)
    trunk = _classifier_trunk(Path(model.initial)) if isinstance(network, HigherHRNet) else None
    if trunk is not None:
        _load_trunk(network, trunk, model.initial)
        return
    told = read_metadata(model.initial)
    skeleton = told.skeleton if told else preset_config(model.preset).skeleton
    # Weights do not depend on dilations, but a file that was trained with some says so.
    source_config = replace(config, dilations=(1, 1, 1, 1), skeleton=skeleton)
    source = load_weights(build_network(source_config), model.initial).state_dict()
    names = model.fresh
    if skeleton.names != config.skeleton.names:
        names += KEYPOINT_MODULES[config.trunk]
        _log.warning(
            "%s was trained for the keypoints of %s, not of %s: %s start afresh, the rest is taken over.",
            *(model.initial, skeleton.name, config.skeleton.name, ", ".join(KEYPOINT_MODULES[config.trunk])),
        )
    fresh = tuple(f"{name}." for name in names)
    network.load_state_dict({name: one for name, one in source.items() if not name.startswith(fresh)}, strict=False)


def _classifier_trunk(path: Path) -> dict[str, Tensor] | None:
    """The trunk's weights if the file is a published HRNet classifier, else None."""
    if path.suffix != ".pth" or not path.is_file():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # whatever is wrong with it is said by the reader of checkpoints
        return None
    if not isinstance(state, dict) or "classifier.weight" not in state:
        return None
    return {name: one for name, one in state.items() if not name.startswith(_CLASSIFIER)}


def _load_trunk(network: nn.Module, trunk: dict[str, Tensor], path: str) -> None:
    heads = ("final_layers.", "deconv_layers.", "conv_scale_layers.")
    for name, own in network.state_dict().items():
        if not name.startswith(heads) and (name not in trunk or trunk[name].shape != own.shape):
            raise SwahrError(f"{path} does not fit the network: {name!r} is missing or has another shape.")
    network.load_state_dict(trunk, strict=False)  # the classifier's last stage also fuses into coarser branches


def _fix_scales(network: nn.Module) -> None:
    """Let every s be 1: without its scale branch, the network is HigherHRNet."""
    if isinstance(network, HigherHRNet):
        keypoints = network.config.num_keypoints
        network.conv_scale_layers = nn.ModuleList(ZeroScale(keypoints) for _ in network.conv_scale_layers)
        network.config = replace(network.config, scale_branch=False)
        return
    for branch in network.conv_scale_layers:  # files of the slim network always hold the branch
        if isinstance(branch, ScaleBranch):
            branch.reset_last()
            branch.requires_grad_(False)


def _module(network: nn.Module, key: str, name: str) -> nn.Module:
    try:
        return network.get_submodule(name)
    except AttributeError:
        raise SwahrError(f"{key} names '{name}', but the network has no module of that name.") from None
