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
    predicted: Tensor,
    target: Tensor,
    alpha: Tensor | None,
    mask: Tensor,
    gamma: float | None = 0.01,
    covered: Covered | None = None,
) -> Tensor:
    """Regression of heatmaps: SWAHR (eqs. 8, 11, 13), or less of it.

    `predicted`, `target` and `alpha` [N,K,H,W], `mask` [N,H,W] with 0 where the labels say nothing. `alpha=None`
    keeps the target as it is (WAHR, or eq. 3); `gamma=None` drops the weight (SAHR, or eq. 3). The weight uses the
    unscaled target. Gradients flow through α and through the weight. Returns [N], the mean over K, H and W.
    covered: of the same target and mask, where it is at hand.
    """
    # Gaussians cover a few pixels in a hundred. Elsewhere H = 0 makes the loss P², times |P| with the weight.
    power = _background_power(gamma)
    background = _Background.apply(predicted, mask, power)
    covered = covered or Covered(target, mask)
    p, h = covered.read(predicted), covered.read(target)
    wanted = h if alpha is None else scaled_target(h, covered.read(alpha))
    error = (p - wanted).square()
    if gamma is not None:
        error = error * adaptive_weight(p, h, gamma)
    return background + covered.mean(error - p.abs().pow(power))


def scale_loss(alpha: Tensor, target: Tensor, mask: Tensor, covered: Covered | None = None) -> Tensor:
    """Regulariser of the scale maps, α² where a Gaussian covers the pixel (eq. 7).

    `alpha` and `target` [N,K,H,W], `mask` [N,H,W]. Returns [N], the mean over K, H and W. covered: as above.
    """
    covered = covered or Covered(target, mask)
    return covered.mean(covered.read(alpha).square())


def _background_power(gamma: float | None) -> int:
    """Of |P|, which makes the loss where H = 0."""
    return 2 if gamma is None else 3


class _Background(torch.autograd.Function):
    """|P|^power under the mask, the mean over K, H and W: predicted [N,K,H,W], mask [N,H,W] -> [N].

    By hand because these maps are large: autograd would keep, and pass over, twice as many of them, and forget on the
    way back how they lie in memory.
    """

    @staticmethod
    def forward(ctx, predicted: Tensor, mask: Tensor, power: int) -> Tensor:
        ctx.save_for_backward(predicted, mask)
        ctx.power = power
        error = predicted.square()
        if power == 3:
            error *= predicted.abs()
        return (error * mask[:, None]).mean((1, 2, 3))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient: Tensor):
        predicted, mask = ctx.saved_tensors
        share = mask * (gradient * ctx.power / predicted[0].numel())[:, None, None]
        slope = predicted * predicted.abs() if ctx.power == 3 else predicted
        return slope * share[:, None], None, None


class Covered:
    """The pixels [M] that some Gaussian covers in the targets [N,K,H,W], and the mask [N,H,W] there.

    Maps that are read lie best in memory as the targets do, channels_last or not.
    """

    def __init__(self, target: Tensor, mask: Tensor) -> None:
        self._images, self._values = target.shape[0], target[0].numel()
        self._channels_last = target.is_contiguous(memory_format=torch.channels_last) and not target.is_contiguous()
        self._index = self._flat(target).nonzero()[:, 0]
        self._image = self._index // self._values
        pixels, within = mask[0].numel(), self._index % self._values
        pixel = within // target.shape[1] if self._channels_last else within % pixels
        self._mask = mask.flatten()[self._image * pixels + pixel]

    def _flat(self, maps: Tensor) -> Tensor:
        """The values in the order of the targets' memory."""
        return (maps.permute(0, 2, 3, 1) if self._channels_last else maps).flatten()

    def read(self, maps: Tensor) -> Tensor:
        """Values of maps [N,K,H,W] there, [M]."""
        return self._flat(maps)[self._index]

    def mean(self, values: Tensor) -> Tensor:
        """Values [M] under the mask, summed over each image, as part of the mean over all its K, H and W: [N]."""
        sums = values.new_zeros(self._images).index_add(0, self._image, values * self._mask)
        return sums / self._values


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
