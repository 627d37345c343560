"""`swahr train` of a small network in float64; takes the same arguments.

Sums in another order hardly differ there. In float32 Adam makes steps of a full learning rate out of gradients that are
nothing but rounding, such as those of a bias before batch normalisation. With SECONDS_A_STEP in the environment, each
step takes longer by that.
"""

import os
import sys
import time

import torch
from torch import nn

import engine.training.trainer as trainer_module
from app.cli import main
from engine.heads import ScaleBranch
from engine.network import preset_config


class SmallNetwork(nn.Module):
    """The layout of the paper's networks in a few layers; every kind of layer that they have is there."""

    def __init__(self):
        super().__init__()
        self.config = preset_config("w32-512")
        keypoints = self.config.num_keypoints
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
            nn.Conv2d(8, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.deconvolve = nn.Sequential(
            nn.ConvTranspose2d(8, 8, 4, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        )
        self.heads = nn.ModuleList((nn.Conv2d(8, 2 * keypoints, 1), nn.Conv2d(8, keypoints, 1)))
        self.scales = nn.ModuleList(ScaleBranch(8, keypoints) for _ in range(2))

    def forward(self, images):
        coarse = self.stem(images)
        fine = self.deconvolve(coarse)
        return tuple(
            torch.cat((scale(level), head(level)), 1)
            for scale, head, level in zip(self.scales, self.heads, (coarse, fine), strict=True)
        )


class SlowTrainer(trainer_module.Trainer):
    def update(self, sample):
        time.sleep(float(os.environ["SECONDS_A_STEP"]))
        return super().update(sample)


def train(arguments):
    """The exit code of the command."""
    usual = trainer_module.initial_network
    trainer_module.initial_network = lambda recipe: SmallNetwork()
    torch.set_default_dtype(torch.float64)
    try:
        return main(["train", *arguments])
    finally:
        torch.set_default_dtype(torch.float32)
        trainer_module.initial_network = usual


if __name__ == "__main__":
    if "SECONDS_A_STEP" in os.environ:
        trainer_module.Trainer = SlowTrainer
    sys.exit(train(sys.argv[1:]))
