"""int8 for OpenVINO: a network quantised after training by NNCF, with what it needs to stay itself.

Convolutions run in 8 bits, weights with a scale for each channel, features with one for each tensor. What stays in
floating point is named by the networks (`exact_layers`): little work, and most of the error.
"""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Sequence
from importlib.metadata import version
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from engine import centring
from engine.backends import Task
from engine.calibration import fitted
from engine.errors import SwahrError
from engine.geometry import Resize
from engine.served import ServedNetwork
from engine.slim import SlimNetwork

if TYPE_CHECKING:
    import openvino

CALIBRATION_FRAMES = 100
_CENTRING_FRAMES = 16
_SHORT_SIDE = 384  # pixels
# What a network does between its modules is arithmetic on answers, and what it is served with comes before and after.
_ARITHMETIC = (r"__module\.network/.*", r"aten::.*")


def marks(task: Task) -> tuple[object, ...]:
    """What a quantised model depends on besides the network and the frames."""
    sources = [Path(file).read_bytes() for file in (__file__, centring.__file__)]
    return "int8", version("nncf"), adds_in_16_bits(), *sources


def adds_in_16_bits() -> bool:
    """Whether the processor adds products of 8-bit numbers in pairs that can overflow: x86 without VNNI."""
    able = torch.cpu.get_capabilities()
    return bool(able.get("sse4_1")) and not any(able.get(one) for one in ("avx512_vnni", "avx_vnni", "amx_int8"))


def calibration_inputs(task: Task) -> list[NDArray[np.uint8]]:
    """The task's calibration frames as a network may take them, uint8 [1, H, W, 3], the short side 384 pixels.

    Whatever the size of the task's input: one conversion serves all, and what is seen small is seen too roughly.
    Raises SwahrError if there are no frames.
    """
    frames = islice(task.calibration(), CALIBRATION_FRAMES)
    first = next(frames, None)
    if first is None:
        raise SwahrError("There are no frames to calibrate int8 with; name a source that has some.")
    width, height = Resize.fit((first.shape[1], first.shape[0]), _SHORT_SIDE).size
    return [fitted(frame, height, width)[None] for frame in chain((first,), frames)]


def prepared(served: ServedNetwork, inputs: Sequence[NDArray[np.uint8]]) -> ServedNetwork:
    """The same network in the form that loses least in 8 bits; a copy where that is another one."""
    if not isinstance(served.network, SlimNetwork):
        return served
    twin = copy.deepcopy(served)
    some = inputs[:: -(-len(inputs) // _CENTRING_FRAMES)]
    centring.centre_streams(twin.network, (twin.images(torch.from_numpy(frame)) for frame in some))
    return twin


def quantised(
    model: openvino.Model, exact_layers: Sequence[str], inputs: Sequence[NDArray[np.uint8]]
) -> openvino.Model:
    """The model in 8 bits but for the modules named, with ranges from the inputs, uint8 [1, H, W, 3] each.

    Where sums of products could overflow, weights take only half of the range: 7 bits.
    """
    import nncf
    from nncf.quantization.advanced_parameters import (
        AdvancedQuantizationParameters,
        OverflowFix,
        QuantizationParameters,
    )

    # Not nncf.set_log_level, which changes whatever handlers its logger has, others' among them.
    logging.getLogger("nncf").setLevel(logging.ERROR)
    model.reshape(list(inputs[0].shape))
    exact = [rf"__module\.network\.{re.escape(name)}[./].*" for name in exact_layers]
    return nncf.quantize(
        model,
        nncf.Dataset(list(inputs)),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(inputs),
        ignored_scope=nncf.IgnoredScope(patterns=[*exact, *_ARITHMETIC], validate=False),
        advanced_parameters=AdvancedQuantizationParameters(
            # A channel of its own range, as depthwise layers' inputs have it otherwise, is cut off where other pictures
            # reach farther than those of the calibration.
            activations_quantization_params=QuantizationParameters(per_channel=False),
            overflow_fix=OverflowFix.ENABLE if adds_in_16_bits() else OverflowFix.DISABLE,
        ),
    )
