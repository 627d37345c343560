"""MoveNet's weights are read from a TensorFlow.js graph model; here from one that the test writes."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from engine.errors import SwahrError
from engine.mobilenet import PoseTrunk
from engine.network import PRESETS, build_network
from engine.training.pretrained import _published_names, load_movenet
from grouping import Skeleton


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """A graph model in float16 with random weights, and the trunk that it holds."""
    folder = tmp_path_factory.mktemp("movenet")
    torch.manual_seed(1)
    trunk = PoseTrunk()
    entries, data = [], []
    for key, name in _published_names(trunk).items():
        array = trunk.state_dict()[key].numpy()
        if array.ndim == 4:  # to [h, w, in, out], or [h, w, channels, 1] for the depthwise ones
            depthwise = array.shape[1] == 1 and array.shape[2] == 3
            array = array.transpose(2, 3, 0, 1) if depthwise else array.transpose(2, 3, 1, 0)
        quantization = {"dtype": "float16", "original_dtype": "float32"}
        entries.append({"name": name, "shape": array.shape, "dtype": "float32", "quantization": quantization})
        data.append(np.ascontiguousarray(array, np.float16).tobytes())
        if len(entries) == 5:  # tensors that are no weights lie between them
            entries.append({"name": "axis", "shape": [], "dtype": "int32"})
            data.append(np.int32(3).tobytes())
    half = sum(len(part) for part in data) // 2  # shards cut anywhere
    (folder / "shard1.bin").write_bytes(b"".join(data)[:half])
    (folder / "shard2.bin").write_bytes(b"".join(data)[half:])
    manifest = [{"paths": ["shard1.bin", "shard2.bin"], "weights": entries}]
    (folder / "model.json").write_text(json.dumps({"weightsManifest": manifest}))
    return folder / "model.json", trunk


@pytest.fixture
def network():
    return build_network("default")


def test_every_parameter_of_the_trunk_is_filled(graph, network):
    path, written = graph
    load_movenet(network, path)
    for key, value in network.trunk.state_dict().items():
        assert torch.equal(value, written.state_dict()[key].half().float()), key


def test_training_starts_from_movenets_heatmaps(graph, network):
    load_movenet(network.eval(), graph[0])
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        heatmaps = network(images)[0][:, 17:34]
        seen = network.trunk(images)
        presence, _ = network.people(seen.centres, lambda cells: network.trunk.offsets_at(seen, cells))
    presence = functional.interpolate(presence, scale_factor=2, mode="bilinear")
    published = seen.heatmaps
    assert published.shape == heatmaps.shape and published.min() > 0 and presence.max() > 0.1
    assert torch.allclose(heatmaps, published * presence, atol=1e-5)


def test_other_keypoints_start_from_no_heatmaps(graph):
    tiger = Skeleton("tiger", tuple(f"spot {index}" for index in range(17)), (), (0.1,) * 17)
    network = build_network(replace(PRESETS["default"], skeleton=tiger)).eval()
    load_movenet(network, graph[0])
    with torch.inference_mode():
        assert not network(torch.rand(1, 3, 64, 64))[0][:, 17:34].any()


def test_a_missing_file_is_named(tmp_path, network):
    with pytest.raises(SwahrError, match=r"There is no .*gone\.json"):
        load_movenet(network, tmp_path / "gone.json")


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"weightsManifest": []}', '{"weightsManifest": [{"paths": [], "weights": [{}]}]}']
)
def test_another_file_is_refused_in_one_sentence(tmp_path, network, content):
    path = tmp_path / "model.json"
    path.write_text(content)
    with pytest.raises(SwahrError, match="is not the graph model of MoveNet MultiPose") as error:
        load_movenet(network, path)
    assert "\n" not in str(error.value)


def test_a_missing_shard_is_named(graph, tmp_path, network):
    (tmp_path / "model.json").write_text(graph[0].read_text())
    with pytest.raises(SwahrError, match=r"shard1\.bin"):
        load_movenet(network, tmp_path / "model.json")
