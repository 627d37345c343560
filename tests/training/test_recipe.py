"""Recipes: what a file may say, and what is said of one that is wrong."""

from pathlib import Path

import pytest

import engine.training
from engine.errors import SwahrError
from engine.training.recipe import Recipe, Schedule, load_recipe


@pytest.fixture
def recipe_file(tmp_path):
    def _write(text):
        path = tmp_path / "r.toml"
        path.write_text(text)
        return path

    return _write


def test_an_empty_file_is_the_defaults(recipe_file):
    assert load_recipe(recipe_file("")) == Recipe()


def test_values_reach_their_place(recipe_file):
    path = recipe_file(
        '[model]\nfrozen = ["trunk.stem"]\n[mixture]\nsource_weights = { coco = 3 }\n[schedule]\nsteps = 7'
    )
    recipe = load_recipe(path)
    assert recipe.model.frozen == ("trunk.stem",)
    assert recipe.mixture.source_weights == {"coco": 3.0}
    assert recipe.schedule.steps == 7


def test_overrides_win_and_keep_their_types(recipe_file):
    path = recipe_file("[schedule]\nsteps = 7")
    recipe = load_recipe(path, ["schedule.steps=9", "augmentation.scale=[0.5, 1]", "data.train=photos/a.json"])
    assert recipe.schedule.steps == 9
    assert recipe.augmentation.scale == (0.5, 1.0)
    assert recipe.data.train == "photos/a.json"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[schedul]", r"unknown key 'schedul'; known keys are augmentation, data"),
        ("[schedule]\nstep = 1", r"schedule has an unknown key 'step'"),
        ("[schedule]\nsteps = 1.5", r"schedule: steps must be int, but is 1\.5"),
        ("[schedule]\nsteps = true", r"steps must be int, but is True"),
        ("[augmentation]\nscale = [1.0]", r"scale needs 2 values, but has 1"),
        ("schedule = 3", r"schedule must be a table"),
        ("[schedule", r"not valid TOML"),
        ("[schedule]\nbatch = 0", r"schedule\.batch is 0; it must be at least 1"),
        ("[schedule]\nprecision = 'half'", r"must be 'bfloat16' or 'float32'"),
        ("[mixture]\nsize = 100", r"multiple of 64"),
        ("[mixture]\nmosaic = 0.9", r"not two parts of 1"),
    ],
)
def test_what_is_wrong_is_named_with_the_file(recipe_file, text, message):
    with pytest.raises(SwahrError, match=message) as error:
        load_recipe(recipe_file(text))
    assert "r.toml" in str(error.value) or "schedule." in str(error.value) or "mixture." in str(error.value)


@pytest.mark.parametrize("override", ["steps=3", "schedule.steps", "schedule.=3"])
def test_a_malformed_override_is_explained(recipe_file, override):
    with pytest.raises(SwahrError, match=r"write section\.key=value"):
        load_recipe(recipe_file(""), [override])


def test_a_folder_is_no_recipe(tmp_path):
    with pytest.raises(SwahrError, match=r"cannot be read \(Is a directory\)"):
        load_recipe(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SwahrError, match=r"no recipe .*gone\.toml"):
        load_recipe(tmp_path / "gone.toml")


def test_bundled_recipes_are_valid():
    recipes = sorted((Path(engine.training.__file__).parent / "recipes").glob("*.toml"))
    assert recipes
    for path in recipes:
        load_recipe(path)


def test_the_rate_rises_then_falls_to_zero_in_straight_lines():
    schedule = Schedule(steps=100, warm_up=10)
    assert [schedule.rate(step) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert [schedule.rate(step) for step in (10, 55, 99)] == pytest.approx([1.0, 0.5, 1 / 90])
