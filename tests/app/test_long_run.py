"""A long video: memory stays where it was."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.machine import memory_in_use

FRAMES, WARM = 10_000, 500
MEGABYTE = 2**20

SCRIPT = """
import importlib.util, json, sys
import engine
spec = importlib.util.spec_from_file_location("cut_off", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
engine.PoseEstimator = module.PictureEstimator
from pathlib import Path
from app.machine import memory_in_use
from app.processing.options import ProcessOptions
from app.processing.run import process

memory = []

def progress(frames, expected, rate):
    if frames % 100 == 0:
        memory.append(memory_in_use())

process(ProcessOptions("in.mp4", Path("out.mp4"), Path("out.jsonl"), quiet=True, csv=Path("out.csv")), progress)
print(json.dumps(memory))
"""


@pytest.mark.slow
@pytest.mark.skipif(memory_in_use() is None, reason="only Linux tells how much memory there is in use")
def test_memory_is_flat_over_ten_thousand_frames(tools, tmp_path):
    write_clip(tools, tmp_path / "in.mp4")
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).with_name("cut_off.py"))]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    memory = json.loads(done.stdout)
    assert len(memory) == FRAMES // 100
    later = memory[WARM // 100 :]
    assert max(later) - min(later) <= 60 * MEGABYTE
    assert abs(later[-1] - later[0]) <= 30 * MEGABYTE
    assert sum(1 for _ in (tmp_path / "out.jsonl").open()) == FRAMES + 1


def write_clip(tools, path: Path) -> None:
    import av

    pictures = [av.VideoFrame.from_ndarray(tools.picture(index, 640, 360)) for index in range(60)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for index in range(FRAMES):
            picture = pictures[index % len(pictures)]
            picture.pts = index
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
