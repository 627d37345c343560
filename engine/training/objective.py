"""The whole training loss: what the paper sums, with its weights, and each part by its own name."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import SwahrError
from engine.heads import split_outputs
from engine.training.losses import Covered, heatmap_loss, scale_loss, tag_loss

HEATMAP_LOSSES = ("baseline", "shr", "sahr", "wahr", "swahr")


@dataclass(frozen=True)
class LossSettings:
    """Which of the paper's systems is trained, and the weights of the parts (the paper's values are the defaults).

    heatmap: "baseline" (HigherHRNet: plain L2, eq. 3), "shr" (Gaussians as wide as people's boxes, L2; Table 4), "sahr"
    (targets scaled by the alphas, eq. 8), "wahr" (weighted by eq. 13) or "swahr" (both).
    regulariser: λ, weight of the alphas' regulariser (eq. 9); inf fixes every s to 1, which is the network without
    scale branch. gamma: of eq. 13. push, pull: the two parts of the tag loss.
    base_width: of SHR, width in training pixels of a box whose keypoints get the standard deviation as it is.
    """

    heatmap: str = "swahr"
    gamma: float = 0.01
    regulariser: float = 1.0
    push: float = 1e-3
    pull: float = 1e-3
    base_width: float = 256.0

    def __post_init__(self) -> None:
        if self.heatmap not in HEATMAP_LOSSES:
            raise SwahrError(f"loss.heatmap is '{self.heatmap}'; it must be one of {', '.join(HEATMAP_LOSSES)}.")
        if not 0 < self.gamma < math.inf or not self.regulariser >= 0 or not 0 < self.base_width < math.inf:
            raise SwahrError(
                f"loss.gamma {self.gamma} and .base_width {self.base_width} must be above 0, "
                f"and .regulariser {self.regulariser} must not be below 0."
            )

    @property
    def scale_adaptive(self) -> bool:
        """Whether alphas are trained."""
        return self.heatmap in ("sahr", "swahr") and math.isfinite(self.regulariser)

    @property
    def weight_adaptive(self) -> bool:
        return self.heatmap in ("wahr", "swahr")


def total_loss(
    outputs: tuple[Tensor, Tensor], sample: dict[str, Tensor], settings: LossSettings
) -> tuple[Tensor, dict[str, Tensor]]:
    """Sum over both resolutions of heatmap and scale loss (eq. 9 with eqs. 11 and 13), plus the tag loss.

    `outputs` are the network's two tensors, `sample` a batch of `TrainingSamples`. Returns the scalar to minimise and
    its parts, unweighted, each averaged over the batch.
    """
    keypoints = sample["coarse"].shape[1]
    # Products of maps that lie differently in memory are ten times slower, and so are all gradients that follow.
    layout = (
        torch.channels_last if outputs[1].is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
    )
    (coarse_alphas, coarse_heatmaps, tags), (fine_alphas, fine_heatmaps) = (
        [_precise(part).contiguous(memory_format=layout) for part in parts]
        for parts in split_outputs(outputs, keypoints)
    )
    gamma = settings.gamma if settings.weight_adaptive else None
    parts, total = {}, 0.0
    for name, alphas, heatmaps in (
        ("coarse", coarse_alphas, coarse_heatmaps),
        ("fine", fine_alphas, fine_heatmaps),
    ):
        target = sample[name].to(heatmaps.dtype, memory_format=layout)
        mask = sample[f"{name}_mask"].to(heatmaps.dtype)
        covered = Covered(target, mask)
        used = alphas if settings.scale_adaptive else None
        parts[f"heatmap_{name}"] = heatmap_loss(heatmaps, target, used, mask, gamma, covered).mean()
        total = total + parts[f"heatmap_{name}"]
        if settings.scale_adaptive:
            parts[f"scale_{name}"] = scale_loss(alphas, target, mask, covered).mean()
            total = total + settings.regulariser * parts[f"scale_{name}"]
    push, pull = tag_loss(tags.flatten(1)[..., None], sample["tags"])
    parts["push"], parts["pull"] = push.mean(), pull.mean()
    return total + settings.push * parts["push"] + settings.pull * parts["pull"], parts


def _precise(part: Tensor) -> Tensor:
    """In float32 at least: sums of bfloat16 lose small losses."""
    return part.to(torch.promote_types(part.dtype, torch.float32))
