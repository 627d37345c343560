"""What is compiled by tests stays with them."""

import os

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
