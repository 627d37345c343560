"""Compiled functions older than a source file are forgotten, newer ones kept."""

import os

from grouping.compiled import forget_outdated


def test_what_is_older_than_a_source_is_forgotten(tmp_path):
    (tmp_path / "a.py").touch()
    os.utime(tmp_path / "a.py", (1000, 1000))
    for name, time in (("old.nbi", 999), ("new.nbi", 1001), ("old.nbc", 999)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time, time))
    assert forget_outdated(tmp_path, tmp_path) == 1
    assert sorted(path.name for path in tmp_path.glob("*.nb?")) == ["new.nbi", "old.nbc"]
    assert forget_outdated(tmp_path / "nowhere", tmp_path) == 0
