"""Grouping on a real GPU: the same people as on the CPU, and how long it takes."""

import statistics
import time

import numpy as np
import pytest
import torch

from app.bench.grouping import crowd_outputs
from grouping import GroupingOptions, group_outputs

cupy = pytest.importorskip("cupy", reason="comes with the extra `cuda`")
if not torch.cuda.is_available():
    pytest.skip("there is no CUDA device", allow_module_level=True)

from grouping.peaks_cuda import group_outputs_cuda  # noqa: E402

AFFINE = [[2.0, 0, 3], [0, 2, -1]]


def on_gpu(maps: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(maps).cuda().contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("people", [0, 1, 10, 30])
@pytest.mark.parametrize("passes", [1, 2])
def test_people_are_those_of_the_cpu(people, passes):
    pairs = [crowd_outputs(people, 512, seed) for seed in range(passes)]
    coarse, fine = (np.concatenate([pair[part] for pair in pairs]) for part in (0, 1))
    expected = group_outputs(coarse, fine, AFFINE)
    found = group_outputs_cuda(on_gpu(coarse), on_gpu(fine), AFFINE)
    assert len(found) == len(expected)
    np.testing.assert_allclose(found.keypoints, expected.keypoints, rtol=0, atol=1e-3)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.sigmas, expected.sigmas, rtol=1e-4)
    np.testing.assert_allclose(found.tags, expected.tags, rtol=0, atol=1e-3)


def test_time_of_ten_people(capsys):
    coarse, fine = (on_gpu(maps) for maps in crowd_outputs(10, 512))
    stream = torch.cuda.current_stream().cuda_stream
    times = []
    for _ in range(200):
        torch.cuda.synchronize()
        start = time.perf_counter()
        group_outputs_cuda(coarse, fine, AFFINE, GroupingOptions(), stream=stream)
        times.append((time.perf_counter() - start) * 1000)
    with capsys.disabled():
        name = torch.cuda.get_device_name()
        print(f"\ngrouping 10 people at 512x512 on {name}: median {statistics.median(times):.3f} ms")
    assert statistics.median(times) < 20
