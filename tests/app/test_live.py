"""Live: the newest frame wins, nothing queues, an error comes once, and no thread is left."""

from __future__ import annotations

import gc
import resource
import threading
import time
import weakref
from itertools import count

import numpy as np
import pytest

from app.live import LivePipeline, Slot

PATIENCE = 20


pytestmark = pytest.mark.usefixtures("no_thread_is_left")


def paced(period, items=None):
    """A camera: an item every period, whether anybody takes it or not."""
    due = time.perf_counter()
    for item in items or count():
        due += period
        time.sleep(max(0, due - time.perf_counter()))
        yield item


class Camera:
    """A source that waits for its next frame until it is closed."""

    def __init__(self, frames=()):
        self.frames, self.closed = list(frames), threading.Event()

    def __iter__(self):
        yield from self.frames
        assert self.closed.wait(PATIENCE)

    def close(self):
        self.closed.set()


def run_until(pipeline, condition):
    shots = []
    deadline = time.monotonic() + PATIENCE
    while not condition(shots):
        assert time.monotonic() < deadline
        if (shot := pipeline.take()) is not None:
            shots.append((shot, time.perf_counter()))
        time.sleep(0.001)
    return shots


@pytest.mark.parametrize("engine", [0.1, 0.02])
def test_what_is_shown_is_never_older_than_one_inference_and_one_frame(engine):
    frame = 1 / 30
    pipeline = LivePipeline(paced(frame), lambda item: time.sleep(engine) or item)
    pipeline.start()
    shots = run_until(pipeline, lambda shots: len(shots) == 15)
    assert pipeline.stop(PATIENCE)
    ages = [now - shot.captured for shot, now in shots]
    assert np.median(ages) <= engine + frame + 0.01
    assert np.quantile(ages, 0.8) <= engine + frame + 0.05  # a busy machine may be late now and then
    order = [shot.item for shot, _ in shots]
    assert order == sorted(set(order))
    stats = pipeline.stats
    assert stats.captured >= stats.inferred >= stats.shown == 15
    if engine > 2 * frame:
        assert stats.dropped >= stats.captured / 3
        assert stats.inference == pytest.approx(engine, rel=0.3)
    assert stats.latency <= 3 * (engine + frame)


def test_a_slow_engine_shows_nothing_older_than_its_period_and_a_frame():
    engine, frame = 0.2, 1 / 30
    pipeline = LivePipeline(paced(frame), lambda item: time.sleep(engine) or item)
    pipeline.start()
    shots = run_until(pipeline, lambda shots: len(shots) == 10)
    assert pipeline.stop(PATIENCE)
    ages = [now - shot.captured for shot, now in shots]
    assert np.median(ages) <= engine + frame + 0.01
    assert max(ages) <= engine + frame + 0.1  # a busy machine may be late now and then
    steps = np.diff([shot.item for shot, _ in shots])
    assert (steps >= 4).all() and np.median(steps) <= 8  # six frames pass during an inference


def test_every_frame_is_taken_or_counted_as_dropped():
    pipeline = LivePipeline(paced(0.001, range(200)), lambda item: time.sleep(0.004) or item)
    ended = threading.Event()
    pipeline._on_end = lambda error: ended.set()
    pipeline.start()
    assert ended.wait(PATIENCE)
    assert pipeline.take().item == 199  # the last one is not lost when the source ends
    stats = pipeline.stats
    assert stats.captured == 200 and stats.shown == 1
    assert stats.dropped + stats.shown == stats.captured
    assert pipeline.state == "stopped" and pipeline.take() is None


def test_memory_stays_flat():
    frame = np.zeros((360, 640, 3), np.uint8)
    peaks = []

    def frames():
        for number in range(2000):
            if number in (300, 1999):
                gc.collect()
                peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
            yield frame + np.uint8(number % 200)

    ended = threading.Event()
    pipeline = LivePipeline(frames(), lambda item: time.sleep(0.001) or item, on_end=lambda error: ended.set())
    pipeline.start()
    assert ended.wait(2 * PATIENCE)
    assert peaks[1] - peaks[0] < 8 * 1024  # KiB, a dozen of 2,000 frames


@pytest.mark.parametrize("stage", ["capture", "infer"])
def test_an_error_stops_the_pipeline_and_comes_once(stage):
    ends = []

    def source():
        yield from range(3)
        if stage == "capture":
            raise OSError("the camera is gone")
        yield from paced(0.001)

    def infer(item):
        if stage == "infer" and item >= 2:
            raise RuntimeError("out of memory")
        time.sleep(0.002)
        return item

    pipeline = LivePipeline(source(), infer, on_end=ends.append)
    pipeline.start()
    deadline = time.monotonic() + PATIENCE
    while not ends and time.monotonic() < deadline:
        time.sleep(0.01)
    assert pipeline.stop(PATIENCE)
    (error,) = ends
    assert isinstance(error, OSError if stage == "capture" else RuntimeError)
    assert pipeline.state == "faulted"


def test_stopping_ends_a_capture_that_waits_for_its_camera():
    ends, camera = [], Camera([1, 2, 3])
    pipeline = LivePipeline(camera, lambda item: item, on_end=ends.append, close=camera.close)
    pipeline.start()
    run_until(pipeline, lambda shots: pipeline.stats.inferred)
    assert pipeline.stop(PATIENCE)
    assert ends == [None] and pipeline.state == "stopped"
    assert pipeline.stop(PATIENCE)


def test_stopping_says_when_an_engine_does_not_end():
    go_on = threading.Event()
    camera = Camera([1])
    pipeline = LivePipeline(camera, lambda item: go_on.wait(PATIENCE), close=camera.close)
    pipeline.start()
    time.sleep(0.05)
    assert not pipeline.stop(0.05)
    go_on.set()
    assert pipeline.stop(PATIENCE)


def test_the_engine_can_be_changed_while_it_runs():
    pipeline = LivePipeline(paced(0.002), lambda item: "old")
    pipeline.start()
    run_until(pipeline, lambda shots: shots)
    pipeline.infer = lambda item: "new"
    run_until(pipeline, lambda shots: shots and shots[-1][0].result == "new")
    assert pipeline.stop(PATIENCE)


def test_whoever_shows_is_woken_for_every_result():
    woken, ended = [], threading.Event()
    pipeline = LivePipeline(
        range(5),
        lambda item: item,
        on_result=lambda: woken.append(pipeline.take()),
        on_end=lambda error: ended.set(),
    )
    pipeline.start()
    assert ended.wait(PATIENCE)
    assert None not in woken and woken[-1].item == 4


class Picture:
    """Something that can be watched while it is alive."""


def test_what_was_captured_last_can_be_inferred_again():
    camera, setting = Camera(["a", "b"]), ["old"]
    pipeline = LivePipeline(camera, lambda item: (item, setting[0]), close=camera.close)
    pipeline.refresh()  # nothing was captured yet
    pipeline.start()
    first = run_until(pipeline, lambda shots: shots and shots[-1][0].result == ("b", "old"))[-1][0]
    before = pipeline.stats
    setting[0] = "new"
    pipeline.refresh()
    ((again, _),) = run_until(pipeline, lambda shots: shots)
    assert again.result == ("b", "new") and again.refreshed and not first.refreshed
    assert again.captured == first.captured
    after = pipeline.stats
    for figure in ("captured", "inferred", "shown", "dropped", "latency"):
        assert getattr(after, figure) == getattr(before, figure), figure
    assert pipeline.stop(PATIENCE)
    pipeline.refresh()
    assert pipeline.take() is None


def test_refreshes_in_a_row_are_one_and_give_way_to_what_is_newer():
    inferred, go_on, newer = [], threading.Semaphore(0), threading.Event()
    frames = (item for item in ("a", "b") if item == "a" or newer.wait(PATIENCE))

    def infer(item):
        inferred.append(item)
        assert go_on.acquire(timeout=PATIENCE)

    pipeline = LivePipeline(frames, infer)
    pipeline.start()
    while not inferred:
        time.sleep(0.001)
    for _ in range(50):
        pipeline.refresh()
    go_on.release()
    while len(inferred) < 2:
        time.sleep(0.001)
    pipeline.refresh()
    newer.set()
    while pipeline.stats.captured < 2:
        time.sleep(0.001)
    pipeline.refresh()  # "b" waits
    go_on.release(50)
    while pipeline.state == "running":
        time.sleep(0.001)
    assert inferred == ["a", "a", "b"]
    assert pipeline.stats.inferred == 2 and pipeline.stats.dropped == 1  # the first "a", which was never taken
    assert pipeline.stop(PATIENCE)


def test_refreshing_from_many_threads_loses_and_doubles_nothing():
    pipeline = LivePipeline(paced(0.0005, range(400)), lambda item: item)
    pipeline.start()
    stop = threading.Event()

    def refresh():
        while not stop.is_set():
            pipeline.refresh()

    threads = [threading.Thread(target=refresh) for _ in range(3)]
    for thread in threads:
        thread.start()
    shots = run_until(pipeline, lambda shots: pipeline.state == "stopped")
    stop.set()
    for thread in threads:
        thread.join(PATIENCE)
    items = [shot.item for shot, _ in shots]
    assert items == sorted(items)  # never an older one again
    new = [shot.item for shot, _ in shots if not shot.refreshed]
    assert new == sorted(set(new))
    stats = pipeline.stats
    assert stats.captured == 400 and stats.shown == len(new)
    pipeline.take()
    assert pipeline.stats.shown + stats.dropped == 400


def test_only_the_newest_item_is_kept_for_refreshing():
    alive = weakref.WeakSet()

    def pictures():
        for _ in range(50):
            picture = Picture()
            alive.add(picture)
            yield picture
            del picture
            time.sleep(0.002)
        assert closed.wait(PATIENCE)

    closed = threading.Event()
    pipeline = LivePipeline(pictures(), lambda item: None, close=closed.set)
    pipeline.start()
    run_until(pipeline, lambda shots: pipeline.stats.captured == 50 and len(shots) + pipeline.stats.dropped == 50)
    gc.collect()
    assert len(alive) == 1
    assert pipeline.stop(PATIENCE)
    gc.collect()
    assert not alive


def test_a_slot_keeps_the_newest():
    slot: Slot[int] = Slot()
    assert slot.take_now() is None
    assert (slot.put(1), slot.put(2)) == (None, 1)
    assert slot.take() == 2
    slot.put_if_empty(3)
    slot.put_if_empty(5)
    slot.close()
    assert (slot.take(), slot.take()) == (3, None)
    slot.put_if_empty(6)
    assert slot.take_now() is None
    slot = Slot()
    slot.put(4)
    slot.close(throw_away=True)
    assert slot.take() is None
