"""Recipes: what a file may say, and what is said of one that is wrong."""

from pathlib import Path

import pytest
import torch

import engine.training
from engine.errors import SwahrError
from engine.network import PRESETS, build_network
from engine.training.objective import LossSettings
from engine.training.recipe import (
    EvaluationSettings,
    ModelSettings,
    Recipe,
    Schedule,
    find_recipe,
    first_difference,
    load_recipe,
)


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
        ("[schedule]\nprecision = 'half'", r"must be one of auto, bfloat16, float32"),
        ("[mixture]\nsize = 100", r"multiple of 64"),
        ("[mixture]\nmosaic = 0.9", r"not two parts of 1"),
        ("[mixture]\nempty_weight = -1", r"mixture\.empty_weight is -1\.0"),
        ("[loss]\nheatmap = 'l2'", r"loss\.heatmap is 'l2'; it must be one of baseline, shr, sahr, wahr, swahr"),
        ("[loss]\ngamma = 0", r"loss\.gamma 0\.0 .* must be above 0"),
        ("[loss]\nregulariser = -1", r"loss\..*\.regulariser must not|loss\..*-1\.0 must not"),
        ("[loss]\nregulariser = nan", r"loss\..*nan must not be below 0"),
        ("[test]\nheatmaps = 'coarse'", r"test\.heatmaps is 'coarse'"),
        ("[test]\nscale = [1]", r"test has an unknown key 'scale'"),
        ("[schedule]\nepochs = -1", r"schedule\.epochs is -1\.0"),
        ("[model]\nwidth = -8", r"model\.width is -8"),
        ("[model]\ndilations = [1, 2]", r"dilations needs 4 values, but has 2"),
    ],
)
def test_what_is_wrong_is_named_with_the_file(recipe_file, text, message):
    with pytest.raises(SwahrError, match=message) as error:
        load_recipe(recipe_file(text))
    assert "r.toml" in str(error.value) or "schedule." in str(error.value) or "." in str(error.value).split()[0]


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


BUNDLED = sorted(path.stem for path in (Path(engine.training.__file__).parent / "recipes").glob("*.toml"))


def test_bundled_recipes_are_known_by_name():
    assert {"default", "finetune", "synthetic", "synthetic-hrnet", *PAPER} == set(BUNDLED)
    assert find_recipe(Path("w32-512")).is_file()
    assert find_recipe(Path("mine")) == Path("mine") and find_recipe(Path("w32-512.toml")) == Path("w32-512.toml")


@pytest.mark.parametrize("name", BUNDLED)
def test_networks_of_bundled_recipes_can_be_built(name):
    recipe = load_recipe(Path(name))
    assert recipe.loss.heatmap == "swahr"  # the paper's own method, unless something else is asked for
    with torch.device("meta"):
        build_network(recipe.model.config())


PAPER = {"w32-512": (512, 20, 2.5e-4), "w48-640": (640, 10, 1.2e-4), "w48-640-crowdpose": (640, 10, 1.2e-4)}


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_recipes_are_as_published(name):
    recipe = load_recipe(Path(name))
    schedule, augmentation = recipe.schedule, recipe.augmentation
    assert (recipe.mixture.size, schedule.batch, schedule.learning_rate) == PAPER[name]
    assert recipe.model.preset == name and schedule.epochs == 300 and recipe.test.flip
    assert (augmentation.rotation, augmentation.scale, augmentation.translation) == (30.0, (0.75, 1.5), 0.2)
    assert (augmentation.flip, augmentation.focus, recipe.mixture.mosaic, recipe.mixture.synthetic) == (0.5, 0, 0, 0)
    assert (recipe.loss, recipe.mixture.sigma) == (LossSettings(gamma=0.01, regulariser=1.0, push=1e-3, pull=1e-3), 2)


def test_epochs_become_steps_when_the_photos_are_known():
    schedule = Schedule(epochs=300, warm_up_epochs=3, batch=20).in_steps(57_000)
    assert (schedule.steps, schedule.warm_up) == (300 * 2850, 3 * 2850)
    assert Schedule(steps=7, warm_up=2).in_steps(0) == Schedule(steps=7, warm_up=2)
    assert Schedule(epochs=0.001, warm_up=0).in_steps(10).steps == 1
    with pytest.raises(SwahrError, match=r"data\.train names none"):
        Schedule(epochs=1).in_steps(0)


def test_a_run_from_before_a_setting_existed_did_what_is_usual_now():
    old = Recipe().to_dict()
    del old["model"]["fresh"], old["loss"]["base_width"]
    assert first_difference(old, Recipe().to_dict()) is None
    assert first_difference(old, Recipe(ModelSettings(fresh=("fusion",))).to_dict()) == (
        "model.fresh was [] and is ['fusion']"
    )


def test_how_a_network_is_tested_makes_no_other_run_unless_asked():
    one, other = Recipe().to_dict(), Recipe(test=EvaluationSettings(flip=True)).to_dict()
    assert first_difference(one, other) is None
    assert first_difference(one, other, tested=True) == "test.flip was False and is True"


def test_another_width_or_dilation_is_another_network():
    settings = ModelSettings("w32-512", width=8, dilations=(1, 1, 2, 2))
    assert settings.config().name == "w32-512-width-8-1122" and settings.config().width == 8
    assert ModelSettings("w32-512").config() == PRESETS["w32-512"]
    with pytest.raises(SwahrError, match=r"dilations \[1, 1, 2, 2\]; they must be 1 or more, and are for HRNet"):
        ModelSettings("default", dilations=(1, 1, 2, 2)).config()


def test_the_rate_rises_then_falls_to_zero_in_straight_lines():
    schedule = Schedule(steps=100, warm_up=10)
    assert [schedule.rate(step) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert [schedule.rate(step) for step in (10, 55, 99)] == pytest.approx([1.0, 0.5, 1 / 90])
