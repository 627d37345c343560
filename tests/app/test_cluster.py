"""A queue on a local Ray cluster of two workers gives what it gives without one, also where a worker dies."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from app.cli import main
from app.processing import cluster

ray = pytest.importorskip("ray", reason="Ray is not installed (extra cluster)")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def two_workers():
    """A Ray cluster on this machine, with room for two workers of one core each."""
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"  # what Ray would warn about
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """A folder with eight clips of synthetic people, and the folder of what a plain run makes of them."""
    folder = tmp_path_factory.mktemp("clips")
    before = Path.cwd()
    os.chdir(folder)
    try:
        for number in range(8):
            demo = f"demo:?people=2&seed={number}&seconds=1&size=192x144&fps=24"
            write_clip(demo, Path(f"{number}.mkv"))
        assert main(["process", *names(), "-o", "plain", "--json", "--csv", "--size", "128", "--quiet"]) == 0
    finally:
        os.chdir(before)
    return folder


def names() -> list[str]:
    return [f"{number}.mkv" for number in range(8)]


def write_clip(demo: str, path: Path) -> None:
    import av

    from app.sources import open_source

    with open_source(demo) as source, av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = *source.info.size, "yuv420p"
        for frame in source:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image)))
        container.mux(stream.encode(None))


def assert_same_files(folder: Path, plain: Path, tools) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in plain.iterdir())
    for path in plain.glob("*.swahr.*"):
        if path.suffix == ".mp4":
            frames = zip(tools.video_frames(path), tools.video_frames(folder / path.name), strict=True)
            assert all(np.array_equal(one, other) for one, other in frames)
            assert tools.video_stamps(path) == tools.video_stamps(folder / path.name)
        else:
            assert (folder / path.name).read_bytes() == path.read_bytes()


def states(folder: Path) -> dict[str, str]:
    lines = (folder / "swahr-manifest.jsonl").read_text().splitlines()[1:]
    return {record["source"]: record["state"] for record in map(json.loads, lines)}


def test_eight_clips_on_two_workers(two_workers, clips, tools, monkeypatch, capsys):
    monkeypatch.chdir(clips)
    assert (
        main(["process", *names(), "-o", "ray", "--json", "--csv", "--size", "128", "--ray", "--ray-cores", "1"]) == 0
    )
    assert capsys.readouterr().out.splitlines()[-1] == "8 sources: 8 done."
    assert_same_files(clips / "ray", clips / "plain", tools)
    assert states(clips / "ray") == dict.fromkeys(names(), "done")
    assert (
        main(["process", *names(), "-o", "ray", "--json", "--csv", "--size", "128", "--ray", "--ray-cores", "1"]) == 0
    )
    assert capsys.readouterr().out.splitlines()[-1] == "8 sources: 0 done, 8 done before."
    assert (
        main(["process", *names(), "-o", "ray", "--json", "--csv", "--size", "128"]) == 0
    )  # the manifest is the same without Ray
    assert capsys.readouterr().out.splitlines()[-1] == "8 sources: 0 done, 8 done before."


@pytest.mark.parametrize("parts", [False, True])
def test_a_worker_that_is_killed_midway(parts, two_workers, clips, tools, monkeypatch, capsys):
    monkeypatch.chdir(clips)
    if parts:
        monkeypatch.setattr(cluster, "FRAMES_OF_A_PART", 8)
    folder = clips / f"killed {parts}"
    killed, pids = [], []
    make = cluster._Workers.make

    def remember(workers):
        worker = make(workers)
        pids.append(worker.__ray_call__.remote(lambda self: os.getpid()))
        return worker

    monkeypatch.setattr(cluster._Workers, "make", remember)

    def kill() -> None:
        while not (folder / "swahr-manifest.jsonl").exists() or len(states(folder)) < 2:
            time.sleep(0.02)
        killed.append(ray.get(pids[0]))
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    assert (
        main(
            [
                "process",
                *names(),
                "-o",
                str(folder.name),
                "--json",
                "--csv",
                "--size",
                "128",
                "--ray",
                "--ray-cores",
                "1",
            ]
        )
        == 0
    )
    killer.join(1)
    assert killed and len(pids) == 3
    assert_same_files(folder, clips / "plain", tools)


def test_a_broken_clip_does_not_stop_the_others(two_workers, clips, monkeypatch, capsys):
    monkeypatch.chdir(clips)
    Path("broken.mp4").write_bytes(b"no video")
    assert main(["process", "broken.mp4", "0.mkv", "-o", "broken", "--size", "128", "--ray", "--ray-cores", "1"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("[1/2] broken.mp4: broken.mp4 cannot be read as a video")
    assert said.out.splitlines()[-1] == "2 sources: 1 done, 1 failed."


def test_a_model_that_cannot_be_loaded_is_one_sentence_for_each(two_workers, clips, monkeypatch, capsys):
    monkeypatch.chdir(clips)
    assert main(["process", "0.mkv", "1.mkv", "-o", "wrong", "--model", "no.pth", "--ray", "--ray-cores", "1"]) == 2
    said = capsys.readouterr().err
    assert said.count("no.pth") == 2 and "Traceback" not in said


def test_no_cluster_at_an_address_is_one_sentence(clips, monkeypatch, capsys):
    if ray.is_initialized():
        ray.shutdown()
    monkeypatch.chdir(clips)
    assert main(["process", "0.mkv", "-o", "none", "--ray=127.0.0.1:1"]) == 2
    said = capsys.readouterr().err
    assert "There is no Ray cluster at 127.0.0.1:1 to be had" in said and "Traceback" not in said
