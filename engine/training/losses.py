"""The losses of the paper (eqs. 3, 7, 8, 11, 13) and of associative embedding; small pure functions, one value an
image.

Letters: N batch, K keypoints, H W map pixels, P people.
"""

from __future__ import annotations

import torch
from torch import Tensor


def scaled_target(target: Tensor, alpha: Tensor) -> Tensor:
    """Target heatmaps with their standard deviation changed by the scale maps, to second order (eq. 8).

    ½H(1 + (1 + α ln H)²) where H > 0 and 0 elsewhere; `target` H in 0..1 and `alpha` α = 1/s − 1, both [N,K,H,W].
    """
    # ln 1 = 0 makes the formula H where H is 0 as well, and H is 0 there: no branch, and no gradient to α.
    log = torch.where(target > 0, target, 1.0).log()
    return 0.5 * target * (1 + (1 + alpha * log).square())


def adaptive_weight(predicted: Tensor, target: Tensor, gamma: float) -> Tensor:
    """WAHR's weight Hᵞ·|1 − P| + |P|·(1 − Hᵞ) (eq. 13); `predicted` P and `target` H [N,K,H,W]."""
    positive = target.pow(gamma)
    return positive * (1 - predicted).abs() + predicted.abs() * (1 - positive)


def heatmap_loss(
    predicted: Tensor, target: Tensor, alpha: Tensor | None, mask: Tensor, gamma: float | None = 0.01
) -> Tensor:
    """Regression of heatmaps: SWAHR (eqs. 8, 11, 13), or less of it.

    `predicted`, `target` and `alpha` [N,K,H,W], `mask` [N,H,W] with 0 where the labels say nothing. `alpha=None`
    keeps the target as it is (WAHR, or eq. 3); `gamma=None` drops the weight (SAHR, or eq. 3). The weight uses the
    unscaled target. Gradients flow through α and through the weight. Returns [N], the mean over K, H and W.
    """
    wanted = target if alpha is None else scaled_target(target, alpha)
    error = (predicted - wanted).square()
    if gamma is not None:
        error = error * adaptive_weight(predicted, target, gamma)
    return (error * mask[:, None]).mean((1, 2, 3))


def scale_loss(alpha: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Regulariser of the scale maps, α² where a Gaussian covers the pixel (eq. 7).

    `alpha` and `target` [N,K,H,W], `mask` [N,H,W]. Returns [N], the mean over K, H and W.
    """
    return (alpha.square() * (target > 0) * mask[:, None]).mean((1, 2, 3))


def tag_loss(tags: Tensor, keypoints: Tensor) -> tuple[Tensor, Tensor]:
    """Associative embedding: tags of one person agree (pull), those of different people differ (push).

    `tags` [N, K·h·w, 1] is the flattened tag map; `keypoints` int [N,P,K,2] holds a flat index and 1 where the
    keypoint is labelled, 0 elsewhere (people without any do not count).
    pull: mean over people of the mean squared distance to the person's mean tag.
    push: half the mean over ordered pairs of people of exp(−(difference of mean tags)²); 0 for fewer than two.
    Returns (push [N], pull [N]).
    """
    index, visible = keypoints[..., 0], keypoints[..., 1].to(tags.dtype)
    read = torch.gather(tags[..., 0], 1, index.flatten(1)).view_as(visible)  # [N, P, K]
    count = visible.sum(2)  # [N, P]
    present = (count > 0).to(tags.dtype)
    people = present.sum(1)  # [N]
    mean = (read * visible).sum(2) / count.clamp(min=1)
    spread = ((read - mean[..., None]).square() * visible).sum(2) / count.clamp(min=1)
    pull = spread.sum(1) / people.clamp(min=1)
    pairs = present[:, :, None] * present[:, None, :]
    closeness = torch.exp(-(mean[:, :, None] - mean[:, None, :]).square()) * pairs
    others = closeness.sum((1, 2)) - people  # each person is at distance 0 from itself
    push = 0.5 * others / (people * (people - 1)).clamp(min=1)
    return push, pull
