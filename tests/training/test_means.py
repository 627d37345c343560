"""Figures between two lines of the log."""

import pytest

from engine.training import means
from engine.training.means import Means


def test_means_and_speed_leave_out_pauses(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(means.time, "monotonic", lambda: now[0])
    figures = Means()
    for loss in (1.0, 3.0):
        now[0] += 0.5
        figures.add({"loss": loss})
        with figures.paused():
            now[0] += 100
    assert figures.taken(8) == {"loss": 2.0, "images_per_second": pytest.approx(16.0)}
    now[0] += 2
    figures.add({"loss": 5.0})
    assert figures.taken(8) == {"loss": 5.0, "images_per_second": pytest.approx(4.0)}
