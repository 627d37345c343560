"""Every CUDA backend on a real GPU: right, safe in threads, and how long it takes."""

import threading

import numpy as np
import pytest
import torch

from app.bench.stages import BenchOptions, bench_stages, untrained
from app.engine_settings import EngineSettings
from engine import PoseEstimator, backends
from engine.backends import Choice, Task
from engine.devices import choose_device
from engine.geometry import Resize
from engine.served import ServedNetwork
from engine.training.synthetic import random_frame
from engine.upload import upload

if not torch.cuda.is_available():
    pytest.skip("there is no CUDA device", allow_module_level=True)

CUDA = choose_device("cuda")
AT_HAND = [name for name in ("eager", "inductor", "tensorrt") if backends.module(name).missing(CUDA) is None]
CHOICES = [Choice(name, precision) for name in AT_HAND for precision in backends.module(name).precisions(CUDA)]


def picture(seed=0, width=1280, height=720):
    return random_frame(np.random.default_rng(seed), width, height).image


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_a_backend_is_used_and_finds_the_people_of_the_cpu(choice):
    estimator = PoseEstimator.load(device="cuda", backend=choice.backend, precision=choice.precision)
    plain = PoseEstimator.load(device="cpu", backend="eager", precision="float32")
    for seed in range(5):
        people, expected = estimator(picture(seed)), plain(picture(seed))
        assert (estimator.backend, estimator.precision) == (choice.backend, choice.precision), estimator.messages
        assert abs(len(people) - len(expected)) <= 2
        clear = expected.keypoints[expected.scores > 0.3]
        for person in clear:
            distances = [np.median(np.abs(other[:, :2] - person[:, :2])) for other in people.keypoints]
            assert min(distances) < 4


@pytest.mark.parametrize("backend", AT_HAND)
@pytest.mark.parametrize("alphas", [True, False])
@pytest.mark.parametrize("images", [1, 8])
def test_answers_are_those_of_float32(backend, alphas, images):
    network = untrained("w32-512")
    served = ServedNetwork(network, (0.5,) * 3, (0.25,) * 3, alphas).to(CUDA)
    pixels = torch.randint(0, 256, (images, 256, 256, 3), dtype=torch.uint8, device=CUDA)
    with torch.inference_mode():
        expected = [answer.clone() for answer in served(pixels)]
    precision = backends.module(backend).precisions(CUDA)[0]
    task = Task(served, (images, 256, 256), CUDA, precision, served.fingerprint(), iter)
    compiled = backends.module(backend).compile(task)
    for _ in range(3):
        for answer, reference in zip(compiled(pixels), expected, strict=True):
            assert answer.dtype == torch.float32
            assert (answer - reference).abs().max() < 0.05 * reference.abs().max()


def test_threads_get_their_own_answers():
    """A recorded network has one memory; each thread must get what its own picture gives."""
    estimator = PoseEstimator.load(device="cuda", backend="inductor")
    pictures = [picture(seed) for seed in range(4)]
    expected = [estimator(one) for one in pictures]
    failures = []

    def run(index):
        for _ in range(30):
            people = estimator(pictures[index])
            if len(people) != len(expected[index]) or not np.allclose(people.scores, expected[index].scores, atol=1e-3):
                failures.append(index)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_one_thread_compiles_while_another_goes_on():
    estimator = PoseEstimator.load(device="cuda", backend="inductor", sigmas=False)
    expected = len(estimator(picture()))
    worker = threading.Thread(target=estimator.prepare, args=(1280, 720, True))
    worker.start()
    while worker.is_alive():
        assert abs(len(estimator(picture())) - expected) <= 1
    worker.join()
    assert estimator.backend == "inductor", estimator.messages


@pytest.mark.parametrize("size", [(640, 360), (1920, 1080), (1279, 721)])
def test_resizing_is_that_of_the_cpu(size):
    image, resize = picture(1, *size), Resize.fit(size, 384)
    found = upload([image], [resize], CUDA)[0].cpu().numpy().astype(int)
    difference = np.abs(found - resize.image(image))
    assert difference.mean() < 0.6


def test_a_batch_gives_what_single_images_give():
    estimator = PoseEstimator.load(device="cuda", backend="inductor")
    pictures = [picture(seed) for seed in range(5)]
    for together, image in zip(estimator.batch(pictures), pictures, strict=True):
        alone = estimator(image)
        assert abs(len(together) - len(alone)) <= 1


@pytest.mark.parametrize(("preset", "size"), [("w32-512", 512), ("w48-640", 640)])
@pytest.mark.parametrize("batch", [1, 8])
def test_bench(preset, size, batch, capsys, tmp_path):
    with capsys.disabled():
        engine = EngineSettings("untrained", preset, device="cuda")
        options = BenchOptions(f"demo:?size={size}x{size}", engine, frames=64, batch=batch)
        bench_stages(options, tmp_path / "figures.json")
