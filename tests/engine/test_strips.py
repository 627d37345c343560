"""Blocks in strips give what whole blocks give, at every size."""

import pytest
import torch

from engine.backends.strips import StripedResidual, in_strips
from engine.mobilenet import InvertedResidual
from engine.network import build_network
from engine.served import ServedNetwork


@pytest.mark.parametrize("strips", [1, 2, 4])
@pytest.mark.parametrize(("channels", "stride"), [(6, 1), (8, 1), (8, 2)], ids=["skip", "plain", "stride 2"])
def test_a_block_in_strips_is_the_block(strips, channels, stride):
    torch.manual_seed(0)
    block = InvertedResidual(6, channels, stride, 4).eval()
    x = torch.randn(2, 6, 16, 24)
    with torch.inference_mode():
        torch.testing.assert_close(StripedResidual(block, strips)(x), block(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [(64, 64), (128, 192), (192, 64)])
def test_a_network_in_strips_is_the_network_and_shares_its_weights(size):
    torch.manual_seed(0)
    served = ServedNetwork(build_network("default"), (0.5,) * 3, (0.5,) * 3, alphas=True)
    twin = in_strips(served)
    assert sum(isinstance(module, StripedResidual) for module in twin.modules()) == 2
    assert not any(isinstance(module, StripedResidual) for module in served.modules())
    own = served.state_dict()
    assert {name: tensor.data_ptr() for name, tensor in twin.state_dict().items()} == {
        name: tensor.data_ptr() for name, tensor in own.items()
    }
    pixels = torch.randint(0, 256, (1, *size, 3), dtype=torch.uint8)
    with torch.inference_mode():
        for answer, expected in zip(twin(pixels), served(pixels), strict=True):
            torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-5)


def test_only_blocks_that_are_named_are_taken_apart():
    served = ServedNetwork(build_network("default"), (0.5,) * 3, (0.5,) * 3, alphas=False)
    twin = in_strips(served, among=("trunk.stem", "trunk.blocks.1", "trunk.blocks.5"))
    assert [index for index, block in enumerate(twin.network.trunk.blocks) if isinstance(block, StripedResidual)] == [1]


def test_other_networks_stay_as_they_are(make):
    served = ServedNetwork(make.small(), (0,) * 3, (1,) * 3, alphas=False)
    assert in_strips(served) is served
