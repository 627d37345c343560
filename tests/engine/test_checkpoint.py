"""Weights from files: every form that is read, and every fault that is named."""

from __future__ import annotations

import argparse
import dataclasses
import json
import zipfile

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.checkpoint import ModelMetadata, load_model, load_weights, save_weights
from engine.errors import SwahrError
from engine.heads import split_outputs
from engine.network import PRESETS, build_network
from grouping import COCO17, PairedSkeleton, Skeleton


@pytest.fixture(scope="module")
def network(make):
    return make.lively()


@pytest.fixture(scope="module")
def state(network):
    return network.state_dict()


@pytest.fixture(scope="module")
def images():
    return torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(3))


def assert_same_answers(loaded, network, images):
    with torch.no_grad():
        for ours, theirs in zip(loaded.eval()(images), network(images), strict=True):
            torch.testing.assert_close(ours, theirs)


def prefixed(state, prefix):
    return {prefix + name: tensor for name, tensor in state.items()}


FORMS = {
    "bare": lambda state: state,
    "state_dict": lambda state: {"state_dict": state},
    "model": lambda state: {"model": state},
    "module.": lambda state: prefixed(state, "module."),
    "1.": lambda state: prefixed(state, "1."),
    "module.1.": lambda state: {"state_dict": prefixed(state, "module.1.")},
    "1.module.module.": lambda state: prefixed(state, "1.module.module."),
    "a whole training state": lambda state: {
        "epoch": 3,
        "model": "pose_higher_hrnet",
        "state_dict": prefixed(state, "module."),
        "best_state_dict": state,
        "perf": 2,
        "optimizer": {"state": {0: {"step": 1, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 0.1}]},
    },
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_every_published_form_loads(tmp_path, make, network, state, images, form, zipped):
    path = tmp_path / "weights.pth"
    torch.save(FORMS[form](state), path, _use_new_zipfile_serialization=zipped)
    assert_same_answers(load_weights(make.tiny, path), network, images)


def test_weights_load_into_a_network_in_place(tmp_path, make, network, state, images):
    torch.save(state, tmp_path / "weights.pth")
    mine = build_network(make.tiny)
    assert load_weights(mine, str(tmp_path / "weights.pth")) is mine
    assert_same_answers(mine, network, images)


def test_half_precision_weights_become_float32(tmp_path, make, state):
    halves = {name: t.half() if t.is_floating_point() else t for name, t in state.items()}
    torch.save(prefixed(halves, "1."), tmp_path / "half.pth")
    loaded = load_weights(make.tiny, tmp_path / "half.pth")
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}
    torch.testing.assert_close(loaded.conv1.weight.data, state["conv1.weight"].half().float())


def without_scale_branch(state):
    return {name: tensor for name, tensor in state.items() if not name.startswith("conv_scale_layers.")}


def mmpose(state):
    head = ("final_layers.", "deconv_layers.")
    return {
        ("keypoint_head." if name.startswith(head) else "backbone.") + name: tensor
        for name, tensor in without_scale_branch(state).items()
    }


PLAIN_FORMS = {
    "HigherHRNet": without_scale_branch,
    "HigherHRNet wrapped": lambda state: prefixed(without_scale_branch(state), "1."),
    "mmpose": lambda state: {
        "meta": {"mmpose_version": "0.29", "CLASSES": None},
        "state_dict": mmpose(state),
    },
    "mmpose wrapped": lambda state: {"state_dict": prefixed(mmpose(state), "module.")},
}


@pytest.mark.parametrize("form", PLAIN_FORMS)
@pytest.mark.parametrize("as_network", [True, False])
def test_without_scale_branch_alphas_are_zero(tmp_path, make, network, state, images, form, as_network):
    path = tmp_path / "higher_hrnet.pth"
    torch.save(PLAIN_FORMS[form](state), path)
    # Even a network whose scale branch has learnt something has none afterwards.
    target = make.lively(seed=5) if as_network else make.tiny
    loaded = load_weights(target, path).eval()
    assert loaded.config.scale_branch is False
    with torch.no_grad():
        (alphas, *maps), (fine_alphas, fine) = split_outputs(loaded(images), 17)
        (_, *expected), (_, expected_fine) = split_outputs(network(images), 17)
    assert torch.count_nonzero(alphas) == torch.count_nonzero(fine_alphas) == 0
    torch.testing.assert_close(maps, expected)
    torch.testing.assert_close(fine, expected_fine)


def test_a_missing_entry_is_named(tmp_path, make, state):
    path = tmp_path / "weights.pth"
    torch.save({name: t for name, t in state.items() if name != "stage3.1.branches.2.0.bn1.bias"}, path)
    with pytest.raises(SwahrError, match=r"weights\.pth.*'tiny'.*lacks 'stage3\.1\.branches\.2\.0\.bn1\.bias'"):
        load_weights(make.tiny, path)


def test_half_a_scale_branch_is_no_checkpoint_without_one(tmp_path, make, state):
    path = tmp_path / "weights.pth"
    torch.save({name: t for name, t in state.items() if name != "conv_scale_layers.1.3.bias"}, path)
    with pytest.raises(SwahrError, match=r"lacks 'conv_scale_layers\.1\.3\.bias'"):
        load_weights(make.tiny, path)


def test_an_extra_entry_is_named(tmp_path, make, state):
    path = tmp_path / "weights.pth"
    torch.save({**state, "stage5.0.weight": torch.zeros(1), "stage5.0.bias": torch.zeros(1)}, path)
    with pytest.raises(SwahrError, match=r"unknown entry 'stage5\.0\.weight' and 1 more"):
        load_weights(make.tiny, path)


def test_a_wrong_shape_is_named_with_both_shapes(tmp_path, make, state):
    path = tmp_path / "weights.pth"
    torch.save({**state, "final_layers.0.bias": torch.zeros(28)}, path)
    with pytest.raises(SwahrError, match=r"'final_layers\.0\.bias' \(\[28\], expected \[34\]\)"):
        load_weights(make.tiny, path)


def test_a_refused_file_leaves_the_network_as_it_was(tmp_path, make, images):
    network, twin = make.lively(), make.lively()
    torch.save({"conv1.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "weights.pth")
    with pytest.raises(SwahrError, match="lacks"):
        load_weights(network, tmp_path / "weights.pth")
    assert network.config.scale_branch
    assert_same_answers(network, twin, images)


class Trap:
    """Unpickled, it leaves a mark."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (zipfile.ZipFile, (str(self.mark), "w"))


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_code_in_a_pickle_is_refused_by_name_and_never_run(tmp_path, make, state, zipped):
    path, mark = tmp_path / "trap.pth", tmp_path / "mark"
    torch.save({"state_dict": state, "x": Trap(mark)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(SwahrError, match=r"trap\.pth asks for zipfile\.ZipFile"):
        load_weights(make.tiny, path)
    assert not mark.exists()


def test_a_blocked_class_is_named(tmp_path, make, state):
    torch.save({"state_dict": state, "args": argparse.Namespace(lr=1)}, tmp_path / "args.pth")
    with pytest.raises(SwahrError, match=r"argparse\.Namespace"):
        load_weights(make.tiny, tmp_path / "args.pth")


JUNK = {
    "text": b"these are no weights\n",
    "nothing": b"",
    "picture": b"\x89PNG\r\n\x1a\n" + bytes(200),
}


@pytest.mark.parametrize("content", JUNK)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_is_no_checkpoint_is_refused(tmp_path, make, content, suffix):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(JUNK[content])
    with pytest.raises(SwahrError, match=r"weights\.(pth|safetensors) is no "):
        load_weights(make.tiny, path)


def test_a_cut_off_checkpoint_is_refused(tmp_path, make, state):
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SwahrError, match="is no PyTorch checkpoint, or is damaged"):
        load_weights(make.tiny, path)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"state_dict": {}}, {"state_dict": "none"}])
def test_a_checkpoint_without_weights_is_refused(tmp_path, make, content):
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(SwahrError, match=r"weights\.pth holds no network weights"):
        load_weights(make.tiny, tmp_path / "weights.pth")


@pytest.mark.parametrize("name", ["nowhere.pth", "nowhere.safetensors", "."])
def test_a_missing_file_is_refused(tmp_path, make, name):
    with pytest.raises(SwahrError, match="There is no weights file"):
        load_weights(make.tiny, tmp_path / name)


def test_empty_safetensors_lack_everything(tmp_path, make):
    save_file({}, tmp_path / "empty.safetensors")
    with pytest.raises(SwahrError, match="lacks"):
        load_weights(make.tiny, tmp_path / "empty.safetensors")


# -- this program's own files --------------------------------------------------------------------------------


@pytest.fixture
def metadata(make, monkeypatch):
    monkeypatch.setitem(PRESETS, "tiny", make.tiny)
    return dataclasses.replace(
        ModelMetadata.of(make.tiny),
        mean=(0.5, 0.25, 0.125),
        tag_threshold=0.75,
        license="Apache-2.0",
        notes="für Tests",
        figures={"AP": 0.25, "curve": [1, 2]},
    )


@pytest.mark.parametrize("half", [True, False])
def test_own_weights_round_trip_with_their_metadata(tmp_path, network, images, metadata, half):
    path = tmp_path / "new folder" / "tiny.safetensors"
    save_weights(path, network, metadata, half=half)
    loaded, read = load_model(path)
    assert read == metadata
    assert not loaded.training
    assert [file.name for file in path.parent.iterdir()] == ["tiny.safetensors"]
    entries = loaded.state_dict()
    for name, tensor in network.state_dict().items():
        expected = tensor.half().float() if half and tensor.ndim > 1 else tensor
        assert torch.equal(entries[name], expected), name
    if not half:
        assert_same_answers(loaded, network, images)


def test_half_files_are_half_as_large(tmp_path, network, metadata):
    save_weights(tmp_path / "half.safetensors", network, metadata)
    save_weights(tmp_path / "full.safetensors", network, metadata, half=False)
    convolutions = sum(t.numel() for t in network.state_dict().values() if t.ndim > 1)
    saved = (tmp_path / "full.safetensors").stat().st_size - (tmp_path / "half.safetensors").stat().st_size
    assert saved == pytest.approx(2 * convolutions, rel=0.1)
    stored = load_file(tmp_path / "half.safetensors")
    assert stored["conv1.weight"].dtype == torch.float16
    assert stored["bn1.running_var"].dtype == torch.float32


def test_weights_without_scale_branch_round_trip(tmp_path, make, metadata):
    plain = make.lively(dataclasses.replace(make.tiny, scale_branch=False))
    save_weights(tmp_path / "plain.safetensors", plain, metadata)
    assert load_model(tmp_path / "plain.safetensors")[0].config.scale_branch is False


def test_saving_replaces_the_file_whole_or_not_at_all(tmp_path, make, network, metadata):
    path = tmp_path / "tiny.safetensors"
    save_weights(path, network, metadata)
    before = path.read_bytes()
    broken = make.lively()
    with torch.no_grad():
        broken.conv1.weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(SwahrError, match=r"tiny\.safetensors was not written.*'conv1\.weight'"):
        save_weights(path, broken, metadata)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1
    save_weights(path, make.lively(seed=1), metadata)
    assert path.read_bytes() != before


def test_weights_too_large_for_half_are_refused(tmp_path, make, metadata):
    network = make.lively()
    with torch.no_grad():
        network.conv1.weight[0, 0, 0, 0] = 1e6
    with pytest.raises(SwahrError, match=r"'conv1\.weight'"):
        save_weights(tmp_path / "tiny.safetensors", network, metadata)
    save_weights(tmp_path / "tiny.safetensors", network, metadata, half=False)


def test_safetensors_of_unknown_make_want_a_preset(tmp_path, make, network, state, images):
    path = tmp_path / "foreign.safetensors"
    save_file(state, path, {"format": "pt"})
    with pytest.raises(SwahrError, match=r"foreign\.safetensors does not say.*w32-512"):
        load_model(path)
    assert_same_answers(load_weights(make.tiny, path), network, images)


@pytest.mark.parametrize(
    "skeleton",
    [
        Skeleton("cat", ("nose", "left_ear", "right_ear"), ((0, 1), (0, 2)), (0.02, 0.03, 0.03), (2, 0, 1)),
        PairedSkeleton("glove", ("wrist", "thumb", "little finger"), ((0, 1),), (0.1, 0.2, 0.3), pairs=((1, 2),)),
        dataclasses.replace(COCO17, oks_sigmas=(0.1,) * 17),  # of a built-in one's name, but another
    ],
    ids=lambda skeleton: skeleton.name,
)
def test_a_file_holds_the_whole_skeleton(make, tmp_path, skeleton):
    config = dataclasses.replace(PRESETS["default"], skeleton=skeleton)
    network = build_network(config)
    save_weights(tmp_path / "own.safetensors", network, ModelMetadata.of(config))
    loaded, metadata = load_model(tmp_path / "own.safetensors")
    assert metadata.skeleton == skeleton == loaded.config.skeleton
    assert metadata.skeleton.flip_indices == skeleton.flip_indices


def test_a_built_in_skeleton_is_stored_by_its_name(metadata):
    assert metadata.to_strings()["skeleton"] == '"coco17"'


@pytest.mark.parametrize(
    "change, problem",
    [
        ({"input_size": None}, "input_size"),
        ({"skeleton": '"horse"'}, "skeleton is 'horse'"),
        ({"skeleton": "[1]"}, "unusable"),
        ({"skeleton": '{"name": "horse"}'}, "the skeleton's description lacks grouping_order"),
        ({"skeleton": json.dumps(COCO17.to_dict() | {"pairs": [[0, 17]]})}, r"has the flip pair \(0, 17\)"),
        ({"std": "[0, 0, 0]"}, "std"),
        ({"mean": "[1]"}, "mean"),
        ({"detection_threshold": '"high"'}, "unusable"),
        ({"notes": "{"}, "unusable"),
        ({"preset": '"w99"'}, "'w99', which this version does not know"),
    ],
)
def test_unusable_metadata_is_refused(tmp_path, state, metadata, change, problem):
    strings = {**metadata.to_strings(), **change}
    path = tmp_path / "tiny.safetensors"
    save_file(state, path, {name: text for name, text in strings.items() if text is not None})
    with pytest.raises(SwahrError, match=rf"tiny\.safetensors.*{problem}"):
        load_model(path)


def parts_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_weights_over_the_limit_are_kept_in_parts_that_are_read_as_one(tmp_path, network, metadata):
    path, limit = tmp_path / "tiny.safetensors", 700_000
    save_weights(path, network, metadata)
    whole, whole_metadata = load_model(path)
    save_weights(path, network, metadata, limit=limit)
    names = parts_in(tmp_path)
    assert len(names) > 2 and names == [f"tiny-{n}-of-{len(names)}.safetensors" for n in range(1, len(names) + 1)]
    lengths = [(tmp_path / name).stat().st_size for name in names]
    assert max(lengths) < limit and min(lengths[:-1]) > 0.5 * limit
    loaded, read = load_model(path)
    assert read == whole_metadata
    for name, tensor in whole.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    save_weights(path, network, metadata, limit=10**9)  # which is enough for one file
    assert parts_in(tmp_path) == ["tiny.safetensors"]


def test_parts_that_do_not_belong_together_are_refused(tmp_path, make, network, metadata):
    path, limit = tmp_path / "tiny.safetensors", 700_000
    save_weights(path, network, metadata, limit=limit)
    names = parts_in(tmp_path)
    old = (tmp_path / names[0]).read_bytes()
    save_weights(path, make.lively(seed=1), metadata, limit=limit)
    assert parts_in(tmp_path) == names
    (tmp_path / names[0]).write_bytes(old)
    with pytest.raises(SwahrError, match="were not saved together; copy all of them again"):
        load_model(path)
    (tmp_path / names[0]).unlink()
    with pytest.raises(SwahrError, match=rf"{names[0]} is missing, one of {len(names)} parts of .*tiny\.safetensors"):
        load_model(path)
    with pytest.raises(SwahrError, match=r"is one of \d parts; name .*tiny\.safetensors instead"):
        load_model(tmp_path / names[1])
    with pytest.raises(SwahrError, match=r"'conv1\.weight' alone take .* raise --weights-mib"):
        save_weights(path, network, metadata, limit=5000)
