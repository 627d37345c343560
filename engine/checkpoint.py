"""Weights in and out of files: the published checkpoints, and this program's own .safetensors.

A file is loaded strictly: a missing, extra or misshapen entry is an error that names it. Pickles are read by
torch's restricted reader only, which runs no code from the file.
"""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from engine.errors import SwahrError
from engine.heads import ZeroScale
from engine.hrnet import HigherHRNet
from engine.network import PRESETS, NetworkConfig, build_network, preset_config
from engine.weight_parts import WHOLE, digest_of, files_of, part_path, remove_others, shared_out
from grouping import SKELETONS, Skeleton

# What data-parallel and half-precision training wrap a network in.
WRAPPERS = ("module.", "1.")
# mmpose keeps the published names, split over two parts.
MMPOSE_PARTS = ("backbone.", "keypoint_head.")
SCALE_BRANCH = "conv_scale_layers."


@dataclass(frozen=True, kw_only=True)
class ModelMetadata:
    """What a weights file says about itself.

    preset: the network's preset. skeleton: what its keypoints are, or a built-in one's name; in the file a built-in one
        is its name, any other one is described in full.
    mean, std: normalisation of R, G, B on the scale 0 to 1. input_size: pixels of the input's short side.
    detection_threshold, tag_threshold, person_threshold: how grouping is meant to be run.
    pixel_offset: input pixels by which what the network points at lies left of and above the truth. Own training
        leaves none; the published weights were trained with pixel centres at integers, and are half a pixel off.
    license, notes: for people. figures: names and values, such as {"AP": 0.31}.
    """

    preset: str
    skeleton: Skeleton
    input_size: int
    detection_threshold: float
    tag_threshold: float = 1.0
    person_threshold: float = 0.1
    pixel_offset: float = 0.0
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    license: str = ""
    notes: str = ""
    figures: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("mean", "std"):  # JSON has no tuples
            object.__setattr__(self, name, tuple(float(number) for number in getattr(self, name)))
        object.__setattr__(self, "skeleton", _skeleton(self.skeleton))
        sound = {
            "input_size": self.input_size > 0,
            "detection_threshold": 0 <= self.detection_threshold <= 1,
            "tag_threshold": self.tag_threshold > 0,
            "person_threshold": 0 <= self.person_threshold <= 1,
            "mean": len(self.mean) == 3,
            "std": len(self.std) == 3 and min(self.std) > 0,
        }
        for name, is_sound in sound.items():
            if not is_sound:
                raise ValueError(f"{name} is {getattr(self, name)!r}")

    @classmethod
    def of(cls, config: NetworkConfig) -> ModelMetadata:
        """What a preset's settings say."""
        return cls(
            preset=config.name,
            skeleton=config.skeleton,
            input_size=config.input_size,
            detection_threshold=config.detection_threshold,
            mean=config.mean,
            std=config.std,
        )

    def to_strings(self) -> dict[str, str]:
        """Every entry as JSON, for the header of a .safetensors file."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        known = SKELETONS.get(self.skeleton.name) == self.skeleton
        values["skeleton"] = self.skeleton.name if known else self.skeleton.to_dict()
        return {name: json.dumps(value) for name, value in values.items()}

    @classmethod
    def from_strings(cls, strings: Mapping[str, str]) -> ModelMetadata:
        """What `to_strings` gave; entries of other programs are left aside. Raises ValueError if unfit."""
        values = {entry.name: json.loads(strings[entry.name]) for entry in fields(cls) if entry.name in strings}
        try:
            return cls(**values)
        except TypeError as error:  # an entry is missing or of another type
            raise ValueError(str(error).removeprefix("ModelMetadata.__init__() ")) from error


def load_weights(network_or_preset: nn.Module | NetworkConfig | str, path: str | Path) -> nn.Module:
    """Load a weights file into a network, or into a new one of a preset, and return the network.

    Reads the published SWAHR and HigherHRNet checkpoints (bare, under `state_dict` or `model`, under any
    stack of `module.` and `1.` prefixes), mmpose's HigherHRNet, and .safetensors. Training states beside the
    weights are left aside, half precision becomes float32. A file without any scale branch (HigherHRNet)
    takes the network's away: its alphas are then 0 and its `config.scale_branch` False.
    Raises SwahrError naming the file and the missing or extra entry, both shapes, or the pickled global it
    refused.
    """
    path = Path(path)
    network = network_or_preset
    if not isinstance(network, nn.Module):
        network = build_network(preset_config(network))
    state = _read_safetensors(path)[0] if path.suffix == ".safetensors" else _read_pickle(path)
    state = _published_names(state)
    expected = network.state_dict()
    plain = isinstance(network, HigherHRNet) and not any(name.startswith(SCALE_BRANCH) for name in state)
    if plain:
        expected = {name: one for name, one in expected.items() if not name.startswith(SCALE_BRANCH)}
    _check_fit(state, expected, network, path)
    if plain:
        _remove_scale_branch(network)
    network.load_state_dict(state)
    return network


def load_model(path: str | Path) -> tuple[nn.Module, ModelMetadata]:
    """A network with its weights, in evaluation mode, and what the file says about it.

    path: a .safetensors file that `save_weights` wrote. Raises SwahrError where it is something else.
    """
    path = Path(path)
    metadata = read_metadata(path)
    if metadata is None:
        raise SwahrError(f"{path} does not say which network it belongs to; name its preset: {', '.join(PRESETS)}.")
    if metadata.preset not in PRESETS:
        raise SwahrError(
            f"{path} was made for the preset {metadata.preset!r}, which this version does not know; "
            f"known are {', '.join(PRESETS)}."
        )
    config = replace(PRESETS[metadata.preset], skeleton=metadata.skeleton)
    return load_weights(config, path).eval(), metadata


def read_metadata(path: str | Path) -> ModelMetadata | None:
    """What a file says about itself; None for one of another program, which says nothing.

    Raises SwahrError for a description that cannot be used, and for a file that is damaged or not there.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        _require_file(path)
    strings = _read_safetensors(path)[1] if path.suffix == ".safetensors" else {}
    if "preset" not in strings:
        return None
    try:
        return ModelMetadata.from_strings(strings)
    except ValueError as error:
        raise SwahrError(f"{path} has an unusable description ({error}); save or download it again.") from error


def save_weights(
    path: str | Path, network: nn.Module, metadata: ModelMetadata, half: bool = True, limit: int | None = None
) -> None:
    """Write a network's weights and what is to be known about them to a .safetensors file.

    half: store convolution weights as float16; what has one dimension (biases, batch statistics) stays
    float32, which costs little and keeps small variances. The file appears under its name only when it is
    complete. limit: bytes that no file may reach; weights that would are written in parts, which are read
    by the same name (see `weight_parts`).
    Raises SwahrError for weights that are not finite, or too large for float16.
    """
    path = Path(path)
    tensors = {}
    for name, tensor in network.state_dict().items():
        tensor = tensor.detach().cpu()
        if half and tensor.is_floating_point() and tensor.ndim > 1:
            tensor = tensor.half()
        if not torch.isfinite(tensor).all():
            raise SwahrError(f"{path} was not written: the weights {name!r} hold numbers that are not finite.")
        tensors[name] = tensor.clone(memory_format=torch.contiguous_format)
    path.parent.mkdir(parents=True, exist_ok=True)
    parts, strings, files = [tensors], metadata.to_strings(), [path]
    if limit is not None and len(parts := shared_out(tensors, limit, path)) > 1:
        strings = {**strings, WHOLE: digest_of(tensors)}
        files = [part_path(path, number, len(parts)) for number in range(1, len(parts) + 1)]
    unfinished = [file.with_name(f".{file.name}.{os.getpid()}.part") for file in files]
    try:
        for part, file in zip(parts, unfinished, strict=True):
            save_file(part, file, strings)
        for file, complete in zip(unfinished, files, strict=True):
            file.replace(complete)
    finally:
        for file in unfinished:
            file.unlink(missing_ok=True)
    remove_others(path, files)


def _skeleton(told: Any) -> Skeleton:
    """The skeleton that a name or a description stands for. Raises ValueError."""
    if isinstance(told, Skeleton):
        return told
    if isinstance(told, Mapping):
        return Skeleton.from_dict(told)
    if told not in SKELETONS:
        raise ValueError(f"skeleton is {told!r}")
    return SKELETONS[told]


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The weights and what the file says about itself, which its parts say alike."""
    files, tensors, told = files_of(path), {}, []
    if not files:
        _require_file(path)
    for one in files:
        try:
            with safe_open(one, framework="pt") as file:
                tensors |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                told.append(file.metadata() or {})
        except (SafetensorError, OSError) as error:
            raise SwahrError(f"{one} is no .safetensors file, or is damaged ({error}); download it again.") from error
    if len({strings.get(WHOLE) for strings in told}) > 1:
        raise SwahrError(f"{files[0]} and its other parts were not saved together; copy all of them again.")
    return tensors, told[0]


def _read_pickle(path: Path) -> dict[str, Tensor]:
    _require_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols, of files that are then refused anyway
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # for what is no checkpoint torch raises whatever its reader stumbles over
        if blocked := re.search(r"GLOBAL (\S+)", str(error)):
            raise SwahrError(
                f"{path} asks for {blocked[1]}, which could run code from the file, and was not loaded; "
                "use a checkpoint that holds weights only."
            ) from error
        raise SwahrError(f"{path} is no PyTorch checkpoint, or is damaged; download it again.") from error
    return _find_weights(content, path)


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise SwahrError(f"There is no weights file {path}.")


def _find_weights(content: Any, path: Path) -> dict[str, Tensor]:
    """The weights in what a checkpoint holds; some training states have a string under `model`."""
    if isinstance(content, Mapping):
        candidates = [content.get("state_dict"), content.get("model"), content]
        for one in candidates:
            if isinstance(one, Mapping) and one and all(isinstance(value, Tensor) for value in one.values()):
                return dict(one)
    raise SwahrError(
        f"{path} holds no network weights: neither its own entries nor 'state_dict' nor 'model' are tensors."
    )


def _published_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights under the names of the published checkpoints, whatever the network was wrapped in."""
    state = dict(state)
    while state and all(name.startswith(WRAPPERS) for name in state):
        state = {name.partition(".")[2]: tensor for name, tensor in state.items()}
    if all(name.startswith(MMPOSE_PARTS) for name in state):
        state = {name.partition(".")[2]: tensor for name, tensor in state.items()}
    return state


def _remove_scale_branch(network: HigherHRNet) -> None:
    keypoints = network.config.num_keypoints
    network.conv_scale_layers = nn.ModuleList(ZeroScale(keypoints) for _ in network.conv_scale_layers)
    network.config = replace(network.config, scale_branch=False)


def _check_fit(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], network: nn.Module, path: Path) -> None:
    """Raise SwahrError naming the first entry of each kind that does not fit."""
    missing = [f"{name!r}" for name in expected if name not in state]
    extra = [f"{name!r}" for name in state if name not in expected]
    shapes = [
        f"{name!r} ({list(tensor.shape)}, expected {list(expected[name].shape)})"
        for name, tensor in state.items()
        if name in expected and tensor.shape != expected[name].shape
    ]
    findings = (("lacks", missing), ("has the unknown entry", extra), ("has the wrong shape of", shapes))
    problems = [f"it {verb} {_first_of(names)}" for verb, names in findings if names]
    if problems:
        known = getattr(network, "config", None)
        name = f"the preset {known.name!r}" if known else f"the network {type(network).__name__}"
        raise SwahrError(f"{path} does not fit {name}: {'; '.join(problems)}. Choose the preset it was trained with.")


def _first_of(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
