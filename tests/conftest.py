"""What tests compile and start stays with them."""

import os
import threading
import time

import pytest

from engine.backends import cache


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_session(tmp_path_factory: pytest.TempPathFactory):
    """One cache for all tests, empty at first, so that each network is converted once."""
    before = os.environ.get(cache.VARIABLE)
    os.environ[cache.VARIABLE] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.pop(cache.VARIABLE)
    if before is not None:
        os.environ[cache.VARIABLE] = before


@pytest.fixture
def no_thread_is_left():
    """Fails a test that leaves a thread behind; compiling grouping ahead, once a process, may go on."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 20
    while left := {one.name for one in set(threading.enumerate()) - before if "compile grouping" not in one.name}:
        assert time.monotonic() < deadline, left
        time.sleep(0.01)
