"""On real photos the compiled engines find the people that PyTorch finds in float32.

The photos are no part of this project; without them these tests skip.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from engine import PoseEstimator
from engine.backends.cache import VARIABLE
from engine.backends.eager import has_bfloat16
from engine.training.evaluation import evaluate

PACK = Path(__file__).parents[3] / "shared" / "data" / "pack"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Some photos, and a cache in which nothing was calibrated with other frames than the program's own."""
    if not PACK.is_dir():
        pytest.skip(f"there are no photos in {PACK}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield some_photos()


def some_photos():
    paths = sorted((PACK / "images").glob("*.jpg"))
    return [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in islice(paths, 0, None, len(paths) // 40)]


def skip_without(precision):
    if precision == "bfloat16" and not has_bfloat16():
        pytest.skip("this processor has no instructions for bfloat16, and the engine runs in float32 instead")
    if precision == "int8":
        pytest.importorskip("nncf", reason="comes with the extra `int8`")


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "pixels"), [("float32", 0.1), ("bfloat16", 2), ("int8", 2)])
def test_people_are_those_of_eager_float32(photos, precision, pixels, capsys):
    skip_without(precision)
    plain = PoseEstimator.load(device="cpu", backend="eager", precision="float32")
    compiled = PoseEstimator.load(device="cpu", backend="openvino", precision=precision)
    distances, clear, lost = [], 0, 0
    for photo in photos:
        expected, people = plain(photo), compiled(photo)
        for person in expected.keypoints[expected.scores > plain.options.detection_threshold / 2]:
            clear += 1
            off = [
                np.linalg.norm(other[:, :2] - person[:, :2], axis=1)[(person[:, 2] > 0) & (other[:, 2] > 0)].mean()
                for other in people.keypoints
                if ((person[:, 2] > 0) & (other[:, 2] > 0)).any()
            ]
            nearest = min(off, default=np.inf)
            lost += nearest > 20
            distances += [nearest] if nearest <= 20 else []
    assert compiled.backend == "openvino" and compiled.precision == precision
    with capsys.disabled():
        print(f"\n{precision}: {clear} clear people, {lost} not found, mean distance {np.mean(distances):.2f} px")
    assert np.mean(distances) <= pixels
    assert lost <= 0.05 * clear  # people of whom one keypoint more or less decides


def average_precision(precision):
    estimator = PoseEstimator.load(device="cpu", backend="openvino", precision=precision, sigmas=False)
    estimator.options = replace(estimator.options, person_threshold=0)  # all count, by rank, as in `swahr evaluate`
    figures = evaluate(estimator, PACK / "val.json", PACK / "images").figures
    assert estimator.precision == precision
    return figures["AP"]


@pytest.fixture(scope="module")
def exact(photos):
    """The average precision in float32."""
    pytest.importorskip("faster_coco_eval", reason="comes with the extra `train`")
    return average_precision("float32")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_the_average_precision_is_that_of_float32(photos, exact, precision, capsys):
    skip_without(precision)
    found = average_precision(precision)
    with capsys.disabled():
        print(f"\nAP on {PACK.name}: {found:.3f} in {precision}, {exact:.3f} in float32")
    assert abs(found - exact) <= 0.01
