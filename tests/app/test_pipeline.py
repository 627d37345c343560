"""The pipeline of three threads: order, back-pressure, failures and Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from app.channel import Channel
from app.processing.pipeline import run_recorded

TIMEOUT = 10  # seconds after which a test that should end has hung


pytestmark = pytest.mark.usefixtures("no_thread_is_left")


def in_time(function, *arguments, **settings):
    """Run a function that must not hang; returns the error it raised, if any."""
    errors = []

    def run():
        try:
            function(*arguments, **settings)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(TIMEOUT)
    assert not thread.is_alive(), "the pipeline hangs"
    return errors[0] if errors else None


def test_every_item_arrives_in_order():
    written = []
    run_recorded(range(500), lambda item: item * 2, written.append)
    assert written == [item * 2 for item in range(500)]


@pytest.mark.parametrize("workers", [2, 3])
def test_several_that_infer_keep_the_order_and_work_at_once(workers):
    written, most, busy = [], [], set()

    def infer(item):
        busy.add(item)
        most.append(len(busy))
        time.sleep(0.002 * (item % 3))
        busy.discard(item)
        return item

    run_recorded(range(100), infer, written.append, workers=workers)
    assert written == list(range(100))
    assert max(most) == workers


def test_with_several_that_infer_an_error_comes_once_and_what_was_before_is_written():
    written = []

    def infer(item):
        if item == 20:
            raise ValueError("bad weights")
        return item

    error = in_time(run_recorded, iter(range(10_000)), infer, written.append, queue_length=2, workers=3)
    assert isinstance(error, ValueError)
    assert written == list(range(20))


def test_an_empty_source_ends():
    written = []
    run_recorded([], lambda item: item, written.append)
    assert written == []


def test_each_stage_has_its_own_thread():
    names = {}

    def source():
        names["source"] = threading.current_thread().name
        yield 1

    run_recorded(
        source(),
        lambda item: names.setdefault("infer", threading.current_thread().name),
        lambda item: names.setdefault("write", threading.current_thread().name),
    )
    assert len(set(names.values())) == 3
    assert threading.main_thread().name not in names.values()


def test_reading_waits_for_slow_writing():
    read, written, lead = [], [], []

    def source():
        for index in range(60):
            read.append(index)
            yield index

    def write(item):
        time.sleep(0.002)
        written.append(item)
        lead.append(len(read) - len(written))

    run_recorded(source(), lambda item: item, write, queue_length=3)
    assert len(written) == 60
    # 3 wait before each of two stages, and each of the three stages holds one.
    assert 6 <= max(lead) <= 9


def test_source_error_comes_once_and_what_was_read_is_written():
    written = []

    def source():
        yield from range(10)
        raise ValueError("broken file")

    error = in_time(run_recorded, source(), lambda item: item, written.append)
    assert isinstance(error, ValueError)
    assert written == list(range(10))


def test_inference_error_stops_an_endless_source_behind_a_full_queue():
    written = []

    def infer(item):
        if item == 20:
            time.sleep(0.05)  # the source fills its queue meanwhile
            raise ValueError("bad weights")
        return item

    def endless():
        index = 0
        while True:
            yield index
            index += 1

    error = in_time(run_recorded, endless(), infer, written.append, queue_length=2)
    assert isinstance(error, ValueError)
    assert written == list(range(20))


def test_write_error_stops_everything_behind_full_queues():
    read = []

    def source():
        for index in range(10_000):
            read.append(index)
            yield index

    def write(item):
        if item == 5:
            time.sleep(0.05)
            raise OSError("disk full")

    error = in_time(run_recorded, source(), lambda item: item, write, queue_length=2)
    assert isinstance(error, OSError)
    assert len(read) < 20


def test_the_first_of_two_errors_is_the_one_raised():
    def source():
        yield from range(5)
        time.sleep(0.1)
        raise ValueError("second")

    def write(item):
        raise OSError("first")

    assert isinstance(in_time(run_recorded, source(), lambda item: item, write), OSError)


def test_ctrl_c_writes_what_is_inferred_and_stops():
    inferred, written = [], []

    def infer(item):
        if item == 30:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.3)
        inferred.append(item)
        return item

    with pytest.raises(KeyboardInterrupt):
        run_recorded(iter(range(100_000)), infer, written.append)
    assert written == inferred
    assert written == list(range(31))


def test_another_thread_can_stop_it_as_ctrl_c_does():
    inferred, written, stopped = [], [], threading.Event()

    def infer(item):
        if item == 30:
            stopped.set()
            time.sleep(0.5)
        inferred.append(item)
        return item

    error = in_time(run_recorded, iter(range(100_000)), infer, written.append, stopped=stopped)
    assert isinstance(error, KeyboardInterrupt)
    assert written == inferred == list(range(31))


def test_channel_wakes_a_waiting_sender_when_cancelled():
    channel = Channel(1)
    assert channel.put("a")
    answers = []
    sender = threading.Thread(target=lambda: answers.append(channel.put("b")))
    sender.start()
    time.sleep(0.05)
    assert sender.is_alive()
    channel.cancel()
    sender.join(TIMEOUT)
    assert answers == [False]
    assert list(channel) == []


def test_channel_gives_what_waits_after_close():
    channel = Channel(3)
    channel.put(1)
    channel.put(2)
    channel.close()
    assert list(channel) == [1, 2]
