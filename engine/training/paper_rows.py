"""Figures in the layout of the paper's Table 1 (COCO) and Table 9 (CrowdPose), so that they can stand beside it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from engine.network import build_network, preset_config

_TRUNKS = {"hrnet": "HRNet-W{width}", "mobile": "MobileNetV2"}


def paper_row(figures: Mapping[str, float], method: str, preset: str, size: int) -> str:
    """The head of the paper's table and one row: Table 9 if the figures are CrowdPose's, else Table 1.

    figures: as `evaluation.Evaluation` has them; shown in per cent, "-" where nobody is labelled. method: what the row
    is called. preset, size: the network and the pixels of its input's short side.
    """
    if "AP easy" in figures:
        names = ("AP", "AP50", "AP75", "AP easy", "AP medium", "AP hard")
        heads, cells = ["Methods"], [method]
        titles = ("AP", "AP^50", "AP^75", "AP^E", "AP^M", "AP^H")
    else:
        names = ("AP", "AP50", "AP75", "APM", "APL")
        parameters, operations = network_cost(preset, size)
        heads = ["Methods", "Backbone", "Input Size", "#Params", "GFLOPs"]
        cells = [method, _backbone(preset), str(size), f"{parameters / 1e6:.1f}", f"{operations / 1e9:.1f}"]
        titles = ("AP", "AP^50", "AP^75", "AP^M", "AP^L")
    heads += titles
    cells += ["-" if figures[name] < 0 else f"{100 * figures[name]:.1f}" for name in names]
    widths = [max(len(head), len(cell)) for head, cell in zip(heads, cells, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) if at == 0 else text.rjust(width) for at, (text, width) in enumerate(row)).rstrip()
        for row in (list(zip(heads, widths, strict=True)), list(zip(cells, widths, strict=True)))
    )


def network_cost(preset: str, size: int) -> tuple[int, int]:
    """Parameters, and multiplications of all convolutions for one square picture of `size`, as the paper counts them.

    It counts a transposed convolution as if each of its output pixels saw the whole kernel, four times what is done.
    """
    with torch.device("meta"):
        network = build_network(preset).eval()
        operations = [0]

        def count(module: nn.Module, _: tuple, output: torch.Tensor) -> None:
            operations[0] += module.weight.numel() * output.shape[2] * output.shape[3]

        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                module.register_forward_hook(count)
        with torch.no_grad():
            network(torch.zeros(1, 3, size, size))
    return sum(parameter.numel() for parameter in network.parameters()), operations[0]


def _backbone(preset: str) -> str:
    config = preset_config(preset)
    return _TRUNKS[config.trunk].format(width=config.width)
