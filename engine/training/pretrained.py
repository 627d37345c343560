"""MoveNet's published weights for the trunk of `default`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.errors import SwahrError
from engine.mobilenet import PoseTrunk
from engine.slim import SlimNetwork
from grouping import COCO17

_DTYPES = {"float16": np.float16, "float32": np.float32, "int32": np.int32, "bool": np.bool_, "uint8": np.uint8}
_PREFIX = "StatefulPartitionedCall/"
_EXTRACTOR = _PREFIX + "center_net_mobile_net_v2fpn_feature_extractor/model_1/"


def load_movenet(network: SlimNetwork, path: Path) -> None:
    """Fill the trunk with MoveNet MultiPose Lightning from a TensorFlow.js graph model.

    A network for the same keypoints, COCO's, then starts from MoveNet's heatmaps at 1/4.

    `path` is the graph's JSON file; its weights lie beside it, named inside. Raises SwahrError when the file is not
    that model.
    """
    try:
        tensors = _read_graph_model(Path(path))
        state = {key: _torch_layout(tensors[name]) for key, name in _published_names(network.trunk).items()}
        network.trunk.load_state_dict(state)
    except FileNotFoundError as error:
        raise SwahrError(f"There is no {error.filename}; see the recipe for where to get MoveNet's weights.") from None
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise SwahrError(f"{path} is not the graph model of MoveNet MultiPose ({reason}).") from None
    if network.config.skeleton.names == COCO17.names:
        width = network.config.width
        with torch.no_grad():
            own = network.final_layers[0].weight[: PoseTrunk.keypoints, width:, 0, 0]
            own.fill_diagonal_(1.0)


def _read_graph_model(path: Path) -> dict[str, np.ndarray]:
    tensors = {}
    for group in json.loads(path.read_text())["weightsManifest"]:
        data, offset = b"".join((path.parent / name).read_bytes() for name in group["paths"]), 0
        for entry in group["weights"]:
            dtype = _DTYPES[entry.get("quantization", entry)["dtype"]]
            count = int(np.prod(entry["shape"], dtype=np.int64))
            tensors[entry["name"]] = np.frombuffer(data, dtype, count, offset).reshape(entry["shape"])
            offset += tensors[entry["name"]].nbytes
    return tensors


def _torch_layout(array: np.ndarray) -> Tensor:
    # TensorFlow keeps kernels as [h, w, in, out], and as [h, w, channels, 1] where they are depthwise.
    if array.ndim == 4:
        array = array.transpose((2, 3, 0, 1) if array.shape[3] == 1 and array.shape[0] == 3 else (3, 2, 0, 1))
    return torch.from_numpy(array.astype(np.float32))


def _published_names(trunk: PoseTrunk) -> dict[str, str]:
    """From each parameter of the trunk to its tensor's name in the published graph."""
    model = f"{_EXTRACTOR}model/"
    weight, bias = "/Conv2D_weights", "/Conv2D_bn_offset"
    names = {}

    def put(key: str, of_weight: str, of_bias: str = "") -> None:
        names[f"{key}.weight"] = of_weight
        if of_bias:
            names[f"{key}.bias"] = of_bias

    def conv(key: str, name: str) -> None:
        put(key, f"{name}/Conv2D/ReadVariableOp", f"{name}/BiasAdd/ReadVariableOp")

    def separable(key: str, name: str, folded: bool) -> None:
        inner = f"{name}/separable_conv2d"
        put(f"{key}.0", f"{inner}/ReadVariableOp")
        if folded:
            put(f"{key}.1", f"{inner}_weights", f"{inner}_bn_offset")
        else:
            put(f"{key}.1", f"{inner}/ReadVariableOp_1", f"{name}/BiasAdd/ReadVariableOp")

    put("stem.0", f"{model}Conv1{weight}", f"{model}Conv1{bias}")
    put("last.0", f"{model}Conv_1{weight}", f"{model}Conv_1{bias}")
    for index in range(len(trunk.blocks)):
        name = f"{model}block_{index}" if index else f"{model}expanded_conv"
        deep = f"{name}_depthwise/depthwise"
        layers = [(f"{name}_expand{weight}", f"{name}_expand{bias}")] if index else []
        layers += [(f"{deep}_weights", f"{deep}_bn_offset"), (f"{name}_project{weight}", f"{name}_project{bias}")]
        for place, layer in enumerate(layers):
            put(f"blocks.{index}.layers.{2 * place}", *layer)
    for level, suffix in enumerate(("_3", "_2", "_1", "")):
        conv(f"pyramid.lateral.{level}", f"{_EXTRACTOR}conv2d{suffix}")
    for level, suffix in enumerate(("_2", "_1", "")):
        separable(f"pyramid.smooth.{level}", f"{_EXTRACTOR}separable_conv2d{suffix}", folded=True)
    heads = (("centres", "center_0", 3), ("heatmaps", "kpt_heatmap_0", 6), ("offsets", "kpt_regress_0", 7))
    for head, name, number in heads:
        separable(f"{head}.0", f"{_PREFIX}{name}/separable_conv2d_{number}", folded=False)
        conv(f"{head}.1", f"{_PREFIX}{name}/conv2d_{number + 1}")
    return names
