"""The whole training loss: what the paper sums, with its weights, and each part by its own name."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from engine.heads import split_outputs
from engine.training.losses import heatmap_loss, scale_loss, tag_loss


@dataclass(frozen=True)
class LossWeights:
    """Weights of the parts (the paper's values are the defaults) and the paper's two switches.

    scale_adaptive: SAHR, targets scaled by the alphas (eq. 8) with the regulariser's weight `regulariser` (λ).
    weight_adaptive: WAHR (eq. 13) with `gamma`. push, pull: the two parts of the tag loss.
    """

    scale_adaptive: bool = True
    weight_adaptive: bool = True
    gamma: float = 0.01
    regulariser: float = 1.0
    push: float = 1e-3
    pull: float = 1e-3


def total_loss(
    outputs: tuple[Tensor, Tensor], sample: dict[str, Tensor], weights: LossWeights
) -> tuple[Tensor, dict[str, Tensor]]:
    """Sum over both resolutions of heatmap and scale loss (eq. 9 with eqs. 11 and 13), plus the tag loss.

    `outputs` are the network's two tensors, `sample` a batch of `TrainingSamples`. Returns the scalar to minimise and
    its parts, unweighted, each averaged over the batch.
    """
    keypoints = sample["coarse"].shape[1]
    # Targets lie [N,K,H,W] in memory; parts of a channels_last output would make every product below ten times slower.
    (coarse_alphas, coarse_heatmaps, tags), (fine_alphas, fine_heatmaps) = (
        [part.float().contiguous() for part in parts] for parts in split_outputs(outputs, keypoints)
    )
    gamma = weights.gamma if weights.weight_adaptive else None
    parts, total = {}, 0.0
    for name, alphas, heatmaps in (
        ("coarse", coarse_alphas, coarse_heatmaps),
        ("fine", fine_alphas, fine_heatmaps),
    ):
        target, mask = sample[name].float(), sample[f"{name}_mask"].float()
        used = alphas if weights.scale_adaptive else None
        parts[f"heatmap_{name}"] = heatmap_loss(heatmaps, target, used, mask, gamma).mean()
        total = total + parts[f"heatmap_{name}"]
        if weights.scale_adaptive:
            parts[f"scale_{name}"] = scale_loss(alphas, target, mask).mean()
            total = total + weights.regulariser * parts[f"scale_{name}"]
    push, pull = tag_loss(tags.flatten(1)[..., None], sample["tags"])
    parts["push"], parts["pull"] = push.mean(), pull.mean()
    return total + weights.push * parts["push"] + weights.pull * parts["pull"], parts
