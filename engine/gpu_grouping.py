"""Grouping where the network's outputs lie: on a CUDA device with CuPy, until that fails once."""

from __future__ import annotations

import logging
from importlib.util import find_spec

import torch
from numpy.typing import NDArray
from torch import Tensor

from grouping import GroupingOptions, People, Skeleton, peaks_cuda

_log = logging.getLogger(__name__)


class GpuGrouping:
    """`grouping.group_outputs` on the GPU for outputs that lie there."""

    def __init__(self) -> None:
        self.usable = find_spec("cupy") is not None

    def __call__(
        self,
        coarse: Tensor,
        fine: Tensor,
        to_source: NDArray,
        options: GroupingOptions,
        skeleton: Skeleton,
    ) -> People | None:
        """The people, or None where the CPU has to find them.

        That is where the outputs do not lie on a CUDA device, CuPy is not installed, the options are beyond the
        kernels, or the GPU failed, now or before: then one message says so. Raises NotFiniteError, a ValueError, if
        a value is NaN or infinite.
        """
        if not self.usable or coarse.device.type != "cuda" or not peaks_cuda.can_group(options):
            return None
        stream = torch.cuda.current_stream(coarse.device).cuda_stream
        try:
            return peaks_cuda.group_outputs_cuda(coarse, fine, to_source, options, skeleton, stream=stream)
        except peaks_cuda.NotFiniteError:  # what the network said is at fault
            raise
        except Exception as error:  # whatever CuPy, its compiler or the driver may raise: the CPU needs none of them
            self.usable = False
            reason = next(iter(str(error).splitlines()), "")
            _log.warning(
                "Grouping on the GPU failed (%s: %s); the CPU groups from here on.", type(error).__name__, reason
            )
            return None
