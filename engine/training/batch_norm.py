"""Batch normalisation over the pictures of all processes, so that its statistics do not depend on how many they are."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F


class _Normalised(torch.autograd.Function):
    """x [N,C,H,W] normalised over N, H and W of all processes, with its mean and variance [C].

    One exchange each way. The statistics carry no gradient of their own: what flows through them is in that of x.
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        own = torch.stack(torch.var_mean(_precise(x), (0, 2, 3), correction=0))  # [2, C]
        gathered = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        dist.all_gather(gathered, own)
        variances, means = torch.stack(gathered, 1)  # each [processes, C]
        mean = means.mean(0)
        variance = variances.mean(0) + (means - mean).square().mean(0)
        ctx.save_for_backward(x, weight, mean, torch.rsqrt(variance + eps))
        ctx.mark_non_differentiable(mean, variance)
        return F.batch_norm(x, mean, variance, weight, bias, eps=eps), mean, variance

    @staticmethod
    def backward(ctx, gradient: Tensor, *_: Tensor):
        x, weight, mean, inverse_deviation = ctx.saved_tensors
        normalised = (_precise(x) - mean[:, None, None]) * inverse_deviation[:, None, None]
        precise = _precise(gradient)
        own = torch.stack((precise.sum((0, 2, 3)), (precise * normalised).sum((0, 2, 3))))  # of bias and weight
        everyones = own.clone()
        dist.all_reduce(everyones)
        of_mean, of_deviation = everyones[:, :, None, None] / (x.numel() // x.shape[1] * dist.get_world_size())
        dx = (precise - of_mean - normalised * of_deviation) * (weight * inverse_deviation)[:, None, None]
        return dx.to(x.dtype), own[1], own[0], None


class CrossProcessBatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d` whose means and variances in training are those of all processes' equally large batches.

    For CPUs, for which PyTorch's SyncBatchNorm is not made.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[N,C,H,W] -> [N,C,H,W] of the same type."""
        if not self.training:
            return super().forward(x)
        normalised, mean, variance = _Normalised.apply(x, self.weight, self.bias, self.eps)
        count = x.numel() // x.shape[1] * dist.get_world_size()
        with torch.no_grad():  # as nn.BatchNorm2d does: it remembers the variance without bias
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        return normalised


def synchronise_batch_norm(network: nn.Module, device: torch.device) -> nn.Module:
    """Let the batch normalisations of a network on `device` share their statistics; names of weights stay as they are.

    Changes the network in place where it can; use what is returned.
    """
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = CrossProcessBatchNorm2d
    return network


def _precise(values: Tensor) -> Tensor:
    """In float32 at least."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
