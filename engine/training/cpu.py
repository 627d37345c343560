"""What makes training on a CPU faster: memory that stays, depthwise gradients in float32, and no padded copies.

oneDNN computes the forward pass of a bfloat16 depthwise convolution fast, but some of its gradients 5 to 100 times
slower than in float32 (5×5 kernels, and every stride of 2). So the forward pass stays bfloat16 and those gradients
are float32. A convolution that pads on one side only would copy its whole input for that, which takes longer than the
convolution.
"""

from __future__ import annotations

import ctypes
import types

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.mobilenet import EndPaddedConv


class _Float32Backward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None, stride, padding, groups: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry = (stride, padding, groups)
        ctx.bias_size = None if bias is None else [weight.shape[0]]
        half = x.dtype
        bias = None if bias is None else bias.to(half)
        return F.conv2d(x, weight.to(half), bias, stride, padding, groups=groups)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        x, weight = ctx.saved_tensors
        stride, padding, groups = ctx.geometry
        wanted = (ctx.needs_input_grad[0], ctx.needs_input_grad[1], ctx.bias_size is not None)
        dx, dw, db = torch.ops.aten.convolution_backward(
            gradient.float(), x.float(), weight, ctx.bias_size,
            stride, padding, (1, 1), False, (0, 0), groups, wanted,
        )  # fmt: skip
        return (None if dx is None else dx.to(x.dtype)), dw, db, None, None, None


def _forward(self: nn.Conv2d, x: Tensor) -> Tensor:
    weight, padding = self.weight, self.padding
    if isinstance(self, EndPaddedConv) and self.stride[0] == 2:
        # A kernel with a first row and column of zeros and padding all around, rather than a padded copy of x.
        weight, padding = F.pad(weight, (1, 0, 1, 0)), (1, 1)
    if not self.training or not torch.is_autocast_enabled("cpu") or x.device.type != "cpu":
        return F.conv2d(x, weight, self.bias, self.stride, padding, self.dilation, self.groups)
    x = x.to(torch.get_autocast_dtype("cpu"))
    with torch.autocast("cpu", enabled=False):
        return _Float32Backward.apply(x, weight, self.bias, self.stride, padding, self.groups)


def keep_memory() -> bool:
    """Let the C library keep freed memory for the next step, where it is glibc; returns whether it could.

    By default every large tensor is a mapping of its own, given back to the system when freed; at the next step the
    kernel hands out, and clears, each page again.
    """
    trim_threshold, mmap_max = -1, -4  # glibc's names for mallopt's parameters
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(mmap_max, 0)) and bool(mallopt(trim_threshold, -1))


def _is_slow(convolution: nn.Conv2d) -> bool:
    return convolution.dilation == (1, 1) and (convolution.kernel_size[0] > 3 or convolution.stride[0] > 1)


def speed_up_depthwise(network: nn.Module) -> nn.Module:
    """Let every depthwise convolution of `network` compute its gradients in float32 when it trains under CPU autocast.

    Those that pad on one side pad their kernels instead, always. Changes the modules in place and returns the network;
    parameters and state-dict names stay as they are, and outside of training nothing else changes.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and 1 < module.groups == module.in_channels and _is_slow(module):
            module.forward = types.MethodType(_forward, module)
    return network
