"""Compiled functions older than a source file are forgotten, newer ones kept."""

import os
import subprocess
import sys

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


def test_warming_up_compiles_the_second_look_too():
    check = "from grouping.group import warm_up; from grouping.refine import fill_missing_keypoints as look; "
    done = subprocess.run([sys.executable, "-c", check + "warm_up(); print(len(look.signatures))"], capture_output=True)
    assert int(done.stdout) > 0, done.stderr
