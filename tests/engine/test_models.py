"""Finding the models that come with the program."""

from __future__ import annotations

import subprocess
import sys

import pytest

from engine import PoseEstimator, models
from engine.errors import SwahrError


@pytest.fixture
def folders(tmp_path, monkeypatch):
    inside, beside = tmp_path / "inside", tmp_path / "beside"
    for folder in (inside, beside):
        folder.mkdir()
    monkeypatch.setattr(models, "model_folders", lambda: [inside, beside])
    return inside, beside


def test_models_are_listed_by_name(folders):
    inside, beside = folders
    for path in (beside / "tall.safetensors", beside / "both.safetensors", inside / "both.safetensors"):
        path.touch()
    (beside / "icon.png").touch()
    assert models.bundled_models() == {
        "both": inside / "both.safetensors",
        "tall": beside / "tall.safetensors",
    }
    assert models.find_model("tall") == beside / "tall.safetensors"


def test_a_model_that_is_not_there_is_reported_with_those_that_are(folders):
    (folders[0] / "small.safetensors").touch()
    with pytest.raises(SwahrError, match=r"no model 'large' \(there are small\)"):
        models.find_model("large")


def test_a_preset_without_weights_is_reported_as_such(folders):
    with pytest.raises(SwahrError, match=r"No weights of 'w32-512' come with this program \(none is installed\)"):
        PoseEstimator.load("w32-512")


def test_importing_the_package_does_not_import_torch():
    program = "import engine, sys; sys.exit('torch' in sys.modules or 'numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_package_has_no_other_names():
    import engine

    with pytest.raises(AttributeError, match="nothing"):
        _ = engine.nothing
