"""Where networks start: files fill what they fit, fresh modules forget, frozen ones stay."""

from dataclasses import replace

import pytest
import torch

from engine.checkpoint import ModelMetadata, save_weights
from engine.errors import SwahrError
from engine.network import build_network
from engine.training.initial import KEYPOINT_MODULES, initial_network
from engine.training.objective import LossSettings
from engine.training.recipe import ModelSettings, Recipe
from grouping import COCO17, CROWDPOSE14, Skeleton


def start(loss="swahr", **model):
    torch.manual_seed(0)
    return initial_network(Recipe(ModelSettings("w32-512", width=2, **model), loss=LossSettings(loss)))


@pytest.fixture
def file(tmp_path):
    """Weights of a network of that width, all of them 0.5."""
    network = build_network(ModelSettings("w32-512", width=2).config())
    for value in network.state_dict().values():
        value.fill_(0.5 if value.is_floating_point() else 1)
    save_weights(tmp_path / "w.safetensors", network, ModelMetadata.of(network.config))
    return str(tmp_path / "w.safetensors")


def is_half(state, prefix):
    return all((value == 0.5).all() for name, value in state.items() if name.startswith(prefix) and value.ndim)


def test_a_file_fills_all_but_the_fresh_modules(file):
    state = start(initial=file, fresh=("final_layers", "stage4.2")).state_dict()
    random = start().state_dict()
    assert is_half(state, ("conv1", "layer1", "stage4.0", "deconv_layers", "conv_scale_layers"))
    for name, value in state.items():
        if name.startswith(("final_layers.", "stage4.2.")):
            assert torch.equal(value, random[name]), name


def test_a_bundled_model_goes_by_its_name():
    network = initial_network(Recipe(ModelSettings("default", "default", fresh=("final_layers",))))
    assert not network.final_layers[0].weight.any()  # the slim network's heads start at zero
    assert initial_network(Recipe(ModelSettings("default", "default"))).final_layers[0].weight.any()


def test_weights_without_dilation_start_a_network_with_some(file):
    network = start(initial=file, dilations=(1, 1, 2, 2))
    assert is_half(network.state_dict(), ("conv1", "deconv_layers"))
    convolutions = [network.deconv_layers[0][place][0].conv2.dilation for place in range(1, 5)]
    assert convolutions == [(1, 1), (1, 1), (2, 2), (2, 2)]


def test_weights_with_dilation_are_not_taken_for_others(tmp_path):
    dilated = start(dilations=(2, 2, 2, 2))
    save_weights(tmp_path / "d.safetensors", dilated, ModelMetadata.of(dilated.config))
    with pytest.raises(SwahrError, match=r"unknown entry 'deconv_layers\.0\.1\.0\.dilation'"):
        start(initial=str(tmp_path / "d.safetensors"))


def test_an_imagenet_classifier_fills_the_trunk_alone(tmp_path):
    trunk = {
        name: torch.full_like(value, 0.5) if value.is_floating_point() else value
        for name, value in start().state_dict().items()
        if not name.startswith(("final_layers", "deconv_layers", "conv_scale_layers"))
    }
    above = {"classifier.weight": torch.zeros(1000, 8), "incre_modules.0.0.conv1.weight": torch.zeros(2, 2, 1, 1)}
    # The classifier's last module also leads into its coarser branches.
    coarser = {"stage4.2.fuse_layers.3.0.0.0.weight": torch.zeros(2, 2, 3, 3)}
    torch.save({**trunk, **above, **coarser}, tmp_path / "hrnet_w2.pth")
    state = start(initial=str(tmp_path / "hrnet_w2.pth")).state_dict()
    assert is_half(state, ("conv1", "stage2", "stage4"))
    random = start().state_dict()
    assert torch.equal(state["final_layers.0.weight"], random["final_layers.0.weight"])

    del trunk["stage3.0.branches.0.0.conv1.weight"]
    torch.save({**trunk, **above}, tmp_path / "other.pth")
    with pytest.raises(SwahrError, match=r"other\.pth does not fit .*'stage3\.0\.branches\.0\.0\.conv1\.weight'"):
        start(initial=str(tmp_path / "other.pth"))


def test_a_baseline_takes_weights_of_swahr_without_their_scale_branch(file):
    network = start("baseline", initial=file)
    assert not network.config.scale_branch
    assert not any(name.startswith("conv_scale_layers") for name in network.state_dict())
    assert is_half(network.state_dict(), ("stage2", "final_layers"))


def test_an_unknown_fresh_module_is_named(file):
    with pytest.raises(SwahrError, match=r"model\.fresh names 'heads'"):
        start(initial=file, fresh=("heads",))


@pytest.mark.parametrize("preset", ["w32-512", "default"])
def test_weights_for_other_keypoints_start_what_does_not_depend_on_them(preset, tmp_path, caplog):
    seventeen = Skeleton("tiger", tuple(f"spot {index}" for index in range(17)), (), (0.1,) * 17)
    ours = replace(ModelSettings(preset).config(), width=4, skeleton=COCO17)
    source = build_network(ours)
    for value in source.state_dict().values():
        value.fill_(0.5 if value.is_floating_point() else 1)
    path = str(tmp_path / "coco.safetensors")
    save_weights(path, source, ModelMetadata.of(ours))
    for skeleton in (CROWDPOSE14, seventeen):  # another number of keypoints, and other ones of the same number
        caplog.clear()
        model = ModelSettings(preset, path, width=4, skeleton=skeleton)
        state = initial_network(Recipe(model)).state_dict()
        (said,) = caplog.messages
        assert f"{path} was trained for the keypoints of coco17, not of {skeleton.name}: final_layers" in said
        fresh = KEYPOINT_MODULES[ours.trunk]
        assert ("deconv_layers.0.0" in fresh) == (preset != "default")
        assert is_half(state, tuple(name for name in state if not name.startswith(fresh)))
        assert not any(is_half(state, name) for name in (f"{one}." for one in fresh))
        assert state["final_layers.1.weight"].shape[0] == skeleton.num_keypoints


def test_weights_for_the_same_keypoints_with_other_sigmas_are_taken_whole(file, caplog):
    own = replace(COCO17, name="strict", oks_sigmas=(0.02,) * 17, limbs=())
    state = start(initial=file, skeleton=own).state_dict()
    assert is_half(state, "") and not caplog.messages
