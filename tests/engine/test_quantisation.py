"""int8 keeps what the bundled model sees, whatever the processor makes of 8 bits."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from engine.backends import Task, openvino, quantisation
from engine.backends.cache import VARIABLE
from engine.errors import SwahrError
from engine.proof import objection, shown_pixels
from engine.served import ServedNetwork
from engine.training.synthetic import random_frame
from grouping import GroupingOptions

CPU = torch.device("cpu")
SHAPE = (1, 256, 320)


def some_frames():
    for seed in range(12):
        yield random_frame(np.random.default_rng((5, seed)), 320, 256).image


def task(served, frames=some_frames):
    return Task(served, SHAPE, CPU, "int8", served.fingerprint(), frames)


@pytest.fixture(scope="module")
def model(bundled, tmp_path_factory):
    """The bundled model in 8 bits, as it is kept."""
    pytest.importorskip("nncf", reason="comes with the extra `int8`")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(tmp_path_factory.mktemp("cache")))
        compiled = openvino.compile(task(bundled[0]))
        return compiled, openvino._core().read_model(openvino.place(task(bundled[0])) / "network.xml")


@pytest.mark.slow
def test_the_bundled_model_passes_the_proof(bundled, model):
    served, metadata = bundled
    pixels = shown_pixels(SHAPE)
    with torch.inference_mode():
        expected = served(pixels)
    options = GroupingOptions(detection_threshold=metadata.detection_threshold)
    assert objection(model[0](pixels), expected, "int8", options, metadata.skeleton) is None


@pytest.mark.slow
def test_most_multiplications_are_in_eight_bits_and_no_answers(bundled, model):
    """Weights in 8 bits lie in the files as whole numbers; tags and the arithmetic around them have no ranges."""
    work = {True: 0.0, False: 0.0}
    for node in model[1].get_ordered_ops():
        name = node.get_friendly_name()
        if "Convolution" in node.get_type_name():
            weights = node.input_value(1).get_node()
            while weights.get_type_name() != "Constant":
                weights = weights.input_value(0).get_node()
            whole = weights.get_element_type().get_type_name() == "i8"
            exact = any(re.search(rf"network\.{one}[./]", name) for one in bundled[0].network.exact_layers)
            assert not (whole and exact), name
            cells = np.prod([side.get_max_length() for side in list(node.get_output_partial_shape(0))[2:]])
            work[whole] += weights.data.size * cells
        elif node.get_type_name() == "FakeQuantize":
            assert re.search(r"network\.(trunk|fusion|detail|deconv_layers)[./]", name) and "people" not in name, name
    assert work[True] > 0.7 * sum(work.values())


@pytest.mark.slow
def test_weights_leave_room_for_sums_in_16_bits_where_the_processor_needs_it(model):
    """Depthwise layers, whose weights have five dimensions, sum nothing up in pairs."""
    weights = [
        node.data
        for node in model[1].get_ordered_ops()
        if node.get_type_name() == "Constant"
        and node.get_element_type().get_type_name() == "i8"
        and node.data.ndim == 4
    ]
    greatest = max(np.abs(array.astype(int)).max() for array in weights)
    assert greatest == pytest.approx(64 if quantisation.adds_in_16_bits() else 127, abs=1)


@pytest.mark.parametrize(
    ("able", "narrow"),
    [
        ({"sse4_1": True, "avx2": True}, True),
        ({"sse4_1": True, "avx2": True, "avx_vnni": True}, False),
        ({"sse4_1": True, "avx512_vnni": True, "avx512_f": True}, False),
        ({"neon": True, "dot": True}, False),
    ],
)
def test_which_processors_add_in_16_bits(bundled, monkeypatch, able, narrow):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert quantisation.adds_in_16_bits() is narrow
    assert narrow in quantisation.marks(task(bundled[0]))


def test_calibration_takes_so_many_frames_at_one_size_whatever_that_of_the_input(bundled):
    def endless():
        while True:
            yield np.zeros((50, 70, 3), np.uint8)
            yield np.zeros((70, 50, 3), np.uint8)

    inputs = quantisation.calibration_inputs(task(bundled[0], endless))
    assert len(inputs) == quantisation.CALIBRATION_FRAMES
    assert {frame.shape for frame in inputs} == {(1, 384, 576, 3)}


def test_no_frames_to_calibrate_with_is_one_sentence(bundled):
    with pytest.raises(SwahrError, match="no frames to calibrate int8"):
        quantisation.calibration_inputs(task(bundled[0], lambda: iter(())))


def test_other_networks_than_the_slim_one_are_quantised_as_they_are(make):
    served = ServedNetwork(make.small(), (0,) * 3, (1,) * 3, alphas=True)
    assert quantisation.prepared(served, [np.zeros((1, 64, 64, 3), np.uint8)]) is served
