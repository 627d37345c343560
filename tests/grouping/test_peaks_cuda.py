"""Grouping on the GPU: the kernels compile, and run on the CPU by an emulator they give what the CPU path gives."""

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from grouping import COCO17, CROWDPOSE14, GroupingOptions, group_outputs, peaks_cuda
from grouping.matching import match_candidates
from grouping.peaks_cuda import COMPILER_OPTIONS, KERNELS, can_group, group_outputs_on, scratch_for_matching
from grouping.refine import mean_tags

AFFINE = [[2.0, 0, 3], [0, 2, -1]]
EMULATED_THREADS = 8
PARAMETERS = {
    kernel: parameters.count(",") + 1 + 4 * parameters.count("OUTPUT")  # OUTPUT stands for five
    for kernel, parameters in re.findall(r"__global__ void (\w+)\(([^{]*)\) \{", peaks_cuda.source())
}


class Emulator:
    """`peaks_cuda.Device` on the CPU."""

    def __init__(self, library: Path) -> None:
        self.library = ctypes.CDLL(str(library))

    empty = staticmethod(lambda shape, dtype: np.full(shape, 77, dtype))
    zeros = staticmethod(np.zeros)
    constant = staticmethod(lambda numbers: np.array(numbers, np.int32))
    get = staticmethod(np.copy)

    def launch(self, kernel, grid, arguments):
        values = []
        for argument in arguments:
            if isinstance(argument, np.ndarray):
                values.append(ctypes.c_void_p(argument.ctypes.data))
            elif isinstance(argument, np.float32):
                values.append(ctypes.c_float(argument))
            elif isinstance(argument, np.float64):
                values.append(ctypes.c_double(argument))
            else:
                assert isinstance(argument, np.int32), type(argument)  # CuPy takes a plain int for 64 bits
                values.append(ctypes.c_int(argument))
        assert len(values) == PARAMETERS[kernel], kernel  # nobody else counts them
        address = ctypes.c_void_p.in_dll(self.library, f"run_{kernel}").value
        columns, rows, layers = grid
        if kernel == "average":  # it alone has as many threads as pixels
            columns *= peaks_cuda.THREADS // EMULATED_THREADS
        kinds = [ctypes.c_int] * 3 + [type(value) for value in values]
        ctypes.CFUNCTYPE(None, *kinds)(address)(columns, rows, layers, *values)


@pytest.fixture(scope="module")
def emulator(tmp_path_factory) -> Emulator:
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("there is no g++ to compile the emulator with")
    library = tmp_path_factory.mktemp("emulator") / "kernels.so"
    kernels = library.with_suffix(".cu")
    kernels.write_text(peaks_cuda.source())
    source = Path(__file__).with_name("emulator.cpp")
    options = ["-std=c++20", "-O1", "-ffp-contract=off", "-fPIC", "-shared", "-pthread", f'-DKERNELS="{kernels}"']
    subprocess.run([compiler, *options, str(source), "-o", str(library)], check=True, capture_output=True)
    return Emulator(library)


def assert_same(emulator, coarse, fine, options, skeleton):
    expected = group_outputs(coarse, fine, AFFINE, options, skeleton)
    people = group_outputs_on(emulator, coarse, fine, AFFINE, options, skeleton)
    np.testing.assert_array_equal(people.found, expected.found)
    np.testing.assert_allclose(people.keypoints, expected.keypoints, rtol=0, atol=1e-4)
    np.testing.assert_allclose(people.scores, expected.scores, rtol=0, atol=1e-6)
    np.testing.assert_allclose(people.tags, expected.tags, rtol=0, atol=1e-4)
    if fine.shape[1] > skeleton.num_keypoints:
        np.testing.assert_allclose(people.sigmas, expected.sigmas, rtol=1e-5)
    else:
        assert people.sigmas is None
    return people


@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (19, 9), (1, 1), (8, 30)])
@pytest.mark.parametrize("people", [0, 3, 9])
def test_people_are_those_of_the_cpu(emulator, passes, height, width, people, crowd):
    for seed, skeleton in ((1, COCO17), (2, CROWDPOSE14)):
        coarse, fine = crowd(seed, skeleton, people, passes, height, width, 0.02)
        assert_same(emulator, coarse, fine, GroupingOptions(), skeleton)


@pytest.mark.parametrize(
    "options",
    [
        GroupingOptions(max_people=2),
        GroupingOptions(person_threshold=0.3),
        GroupingOptions(refine=False, detection_threshold=0.3),
        GroupingOptions(adjust=False, nms_kernel=1),
        GroupingOptions(nms_kernel=17, tag_threshold=0.2),
    ],
)
def test_options_mean_the_same(emulator, options, crowd):
    coarse, fine = crowd(3, COCO17, 4, 2, 14, 18, 0.02)
    assert can_group(options)
    with_alphas = assert_same(emulator, coarse, fine, options, COCO17)
    without = assert_same(emulator, coarse[:, 17:], fine[:, 17:], options, COCO17)
    np.testing.assert_array_equal(without.keypoints, with_alphas.keypoints)


def test_any_layout_is_read_where_it_lies(emulator, crowd):
    coarse, fine = crowd(4, COCO17, 3, 2, 12, 12, 0.02)
    last = [np.ascontiguousarray(maps.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) for maps in (coarse, fine)]
    plain = assert_same(emulator, coarse, fine, GroupingOptions(), COCO17)
    people = group_outputs_on(emulator, *last, AFFINE)
    np.testing.assert_array_equal(people.keypoints, plain.keypoints)


def test_one_copy_an_image_crosses_to_the_host(emulator, crowd, monkeypatch):
    copies = []
    monkeypatch.setattr(emulator, "get", lambda array: copies.append(array.nbytes) or np.copy(array))
    coarse, fine = crowd(7, COCO17, 3, 1, 16, 16, 0.02)
    assert not group_outputs_on(emulator, coarse, fine, AFFINE).is_empty
    assert len(copies) == 1
    assert copies[0] < 2**15


@pytest.mark.parametrize("seed", range(60))
def test_matching_is_that_of_the_cpu_with_ties_and_too_many_people(emulator, seed):
    random = np.random.default_rng(seed)
    keypoints, tags = (17, 1) if seed % 2 else (14, 2)
    limit = max_people = int(random.choice([1, 3, 6, 12]))
    counts = random.integers(0, limit + 1, keypoints)
    words = random.normal(0, 1, (keypoints, limit, 6 + tags)).astype(np.float32)
    words[..., 2] = -np.sort(-random.integers(1, 9, (keypoints, limit)) / np.float32(8))
    words[..., 6:] = random.integers(0, 4 * max_people, words[..., 6:].shape) / 4
    order, threshold = random.permutation(keypoints), float(random.choice([0.2, 1.0]))
    least_score = float(random.choice([0.0, 0.2]))

    values, own = (np.ascontiguousarray(words[..., part]) for part in (2, slice(6, None)))
    people = match_candidates(counts, values, own, order, threshold, max_people)
    scores = np.where(people < 0, 0, values[np.arange(keypoints), people]).mean(axis=1, dtype=np.float64)
    kept = np.sort(np.argsort(-scores, kind="stable")[:max_people])
    people = people[kept[scores[kept] >= least_score]]

    room = min(max_people, keypoints * limit)
    reals, numbers = scratch_for_matching(keypoints, limit, max_people, tags)
    num_people, chosen = np.zeros(1, np.int32), np.full((room, keypoints), 77, np.int32)
    means, described = np.zeros((room, tags), np.float32), np.zeros((room, keypoints, 6 + tags), np.float32)
    arguments = (
        np.zeros(1, np.int32), counts.astype(np.int32), words, order.astype(np.int32), *np.int32((keypoints, tags)),
        *np.int32((limit, max_people)), *np.float64((threshold, least_score)), np.full(reals, np.nan),
        np.full(numbers, 77, np.int32), num_people, chosen, means, described,
    )  # fmt: skip
    emulator.launch("match", (1, 1, 1), arguments)
    assert num_people[0] == len(people)
    np.testing.assert_array_equal(chosen[: len(people)], people)
    np.testing.assert_array_equal(means[: len(people)], mean_tags(people, own))
    kept = np.where(people[..., None] < 0, 0, words[np.arange(keypoints), people])
    np.testing.assert_array_equal(described[: len(people)], kept)


@pytest.mark.parametrize(("which", "map_"), [(0, 20), (0, 40), (1, 20)])
def test_what_is_not_finite_is_refused(emulator, which, map_, crowd):
    pair = crowd(5, COCO17, 1, 1, 8, 8, 0.02)
    pair[which][0, map_, 2, 3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        group_outputs_on(emulator, *pair, AFFINE)


def test_noise_with_too_many_peaks_is_left_to_the_cpu(emulator):
    random = np.random.default_rng(6)
    coarse = np.zeros((1, 51, 64, 64), np.float32)
    fine = random.uniform(0.5, 1, (1, 34, 128, 128)).astype(np.float32)
    assert group_outputs_on(emulator, coarse, fine, AFFINE, GroupingOptions(nms_kernel=1)) is None
    assert not can_group(GroupingOptions(nms_kernel=19))


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90", "sm_120"])
def test_kernels_compile_for_every_gpu(architecture):
    pytest.importorskip("cupy", reason="comes with the extras `cuda` and `test`")
    from cupy.cuda import nvrtc

    try:
        nvrtc.getVersion()
    except (RuntimeError, OSError, AttributeError) as error:
        pytest.skip(f"NVRTC is not installed ({error})")
    program = nvrtc.createProgram(peaks_cuda.source(), "grouping.cu", [], [])
    try:
        nvrtc.compileProgram(program, [*COMPILER_OPTIONS, f"--gpu-architecture={architecture}"])
    except nvrtc.NVRTCError:
        pytest.fail(nvrtc.getProgramLog(program))
    binary = nvrtc.getCUBIN(program)
    for kernel in KERNELS:
        assert kernel.encode() in binary
