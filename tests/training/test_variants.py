"""The paper's systems as recipes: each does what its name says, and they differ in nothing else."""

import math
from dataclasses import replace

import pytest
import torch

from engine.heads import ZeroScale
from engine.training import losses
from engine.training.losses import adaptive_weight, heatmap_loss, scale_loss, scaled_target, tag_loss
from engine.training.objective import HEATMAP_LOSSES, LossSettings, total_loss
from engine.training.recipe import ModelSettings, Recipe, Schedule
from engine.training.samples import Mixture
from engine.training.trainer import Trainer
from engine.training.variants import TABLES, changed

TINY = Recipe(
    ModelSettings("w32-512", width=2),
    mixture=Mixture(size=64),
    loss=LossSettings(base_width=32.0),
    schedule=Schedule(steps=2, batch=2, warm_up=1, workers=0, precision="float32", learning_rate=1e-2),
)
DISTINCT = {row.name: row for table in TABLES.values() for row in table.rows}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def maps(seed=0, keypoints=2):
    """Predicted heatmaps, targets with zeros, alphas, masks: float64 [2,K,3,4], masks [2,3,4]."""
    generator = torch.Generator().manual_seed(seed)
    predicted, target, alpha = (
        torch.rand(2, keypoints, 3, 4, generator=generator, dtype=torch.float64) for _ in range(3)
    )
    target = torch.where(target < 0.3, 0.0, target)
    mask = torch.ones(2, 3, 4, dtype=torch.float64)
    mask[1, :, 0] = 0
    return predicted + 0.05, target, alpha - 0.5, mask


def batch(keypoints=2):
    """A sample of 8 x 8 pixels, in float64 where the losses compute."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(1, keypoints, 2, 2, generator=generator, dtype=torch.float64)
    fine = torch.rand(1, keypoints, 4, 4, generator=generator, dtype=torch.float64)
    tags = torch.tensor([[[[0, 1], [4, 1]], [[2, 1], [0, 0]], [[0, 0], [0, 0]]]])
    return {
        "coarse": torch.where(coarse < 0.4, 0.0, coarse),
        "coarse_mask": torch.tensor([[[1, 1], [0, 1]]], dtype=torch.uint8),
        "fine": torch.where(fine < 0.4, 0.0, fine),
        "fine_mask": torch.ones(1, 4, 4, dtype=torch.uint8),
        "tags": tags,
    }


def outputs(keypoints=2):
    generator = torch.Generator().manual_seed(4)
    coarse = torch.rand(1, 3 * keypoints, 2, 2, generator=generator, dtype=torch.float64) + 0.1
    fine = torch.rand(1, 2 * keypoints, 4, 4, generator=generator, dtype=torch.float64) + 0.1
    return coarse.requires_grad_(), fine.requires_grad_()


SETTINGS = [
    *(LossSettings(heatmap) for heatmap in HEATMAP_LOSSES),
    *(LossSettings("sahr", regulariser=value) for value in (0.1, 0.5, math.inf)),
    *(LossSettings("wahr", gamma=value) for value in (1.0, 0.1, 0.001)),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_gradients_of_the_whole_loss_are_those_of_finite_differences(settings):
    sample = batch()
    assert torch.autograd.gradcheck(lambda coarse, fine: total_loss((coarse, fine), sample, settings)[0], outputs())


def test_gradients_of_scale_and_tag_loss_are_those_of_finite_differences():
    _, target, alpha, mask = maps()
    assert torch.autograd.gradcheck(lambda a: scale_loss(a, target, mask), alpha.requires_grad_())
    tags = torch.tensor([[[0.3], [1.0], [-0.5], [0.9]]], dtype=torch.float64, requires_grad=True)
    keypoints = torch.tensor([[[[0, 1], [1, 1]], [[2, 1], [3, 1]]]])
    assert torch.autograd.gradcheck(lambda one: tag_loss(one, keypoints), tags)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_whole_loss_is_the_weighted_sum_of_its_parts(settings):
    total, parts = total_loss(outputs(), batch(), settings)
    regulariser = settings.regulariser if settings.scale_adaptive else 0.0
    expected = parts["heatmap_coarse"] + parts["heatmap_fine"] + 1e-3 * (parts["push"] + parts["pull"])
    if settings.scale_adaptive:
        expected = expected + regulariser * (parts["scale_coarse"] + parts["scale_fine"])
    else:
        assert "scale_coarse" not in parts
    assert total.item() == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize("gamma", [None, 0.01, 1.0])
def test_at_alpha_zero_the_scale_adaptive_loss_is_the_plain_one(gamma):
    predicted, target, _, mask = maps()
    zero = torch.zeros_like(target)
    assert torch.equal(
        heatmap_loss(predicted, target, zero, mask, gamma), heatmap_loss(predicted, target, None, mask, gamma)
    )


def test_with_weights_of_one_the_weight_adaptive_loss_is_the_plain_one(monkeypatch):
    predicted, target, alpha, mask = maps()
    plain = heatmap_loss(predicted, target, alpha, mask, gamma=None)
    assert not torch.allclose(heatmap_loss(predicted, target, alpha, mask), plain)
    monkeypatch.setattr(losses, "adaptive_weight", lambda predicted, target, gamma: torch.ones_like(predicted))
    monkeypatch.setattr(losses, "_background_power", lambda gamma: 2)
    assert torch.equal(heatmap_loss(predicted, target, alpha, mask), plain)


def test_where_eq_13_gives_one_the_weight_adaptive_loss_is_the_plain_one():
    # |P| = 1 where H = 0, and |1 − P| = 1 where H = 1.
    predicted, target = torch.tensor([[[[1.0, -1.0, 0.0, 2.0]]]]), torch.tensor([[[[0.0, 0.0, 1.0, 1.0]]]])
    mask = torch.ones(1, 1, 4)
    weighted, plain = (heatmap_loss(predicted, target, None, mask, gamma) for gamma in (0.01, None))
    assert weighted.item() == pytest.approx(plain.item()) and plain.item() == 1


@pytest.mark.parametrize("gamma", [None, 0.01])
def test_losses_and_gradients_are_the_same_however_maps_lie_in_memory(gamma):
    *inputs, mask = maps(3)
    found = []
    for layout in (torch.contiguous_format, torch.channels_last):
        predicted, target, alpha = (one.detach().clone(memory_format=layout).requires_grad_() for one in inputs)
        target = target.detach()
        loss = heatmap_loss(predicted, target, alpha, mask, gamma) + scale_loss(alpha, target, mask)
        gradients = torch.autograd.grad(loss.sum(), (predicted, alpha))
        assert gradients[0].is_contiguous(memory_format=layout)
        found.append((loss, *gradients))
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-12, atol=0)


@pytest.mark.parametrize("gamma", [None, 0.01])
@pytest.mark.parametrize("scaled", [False, True])
def test_looking_at_covered_pixels_alone_gives_the_equations_over_all_pixels(gamma, scaled):
    predicted, target, alpha, mask = maps(5)
    wanted = scaled_target(target, alpha) if scaled else target
    error = (predicted - wanted) ** 2
    if gamma:
        error = error * (target**gamma * (1 - predicted).abs() + predicted.abs() * (1 - target**gamma))
    expected = (error * mask[:, None]).mean((1, 2, 3))
    loss = heatmap_loss(predicted, target, alpha if scaled else None, mask, gamma)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    expected = (alpha**2 * (target > 0) * mask[:, None]).mean((1, 2, 3))
    torch.testing.assert_close(scale_loss(alpha, target, mask), expected, rtol=1e-12, atol=0)


def test_a_picture_without_people_has_a_loss_and_gradients():
    predicted, _, alpha, mask = maps()
    nobody = torch.zeros_like(predicted)
    predicted, alpha = predicted.requires_grad_(), alpha.requires_grad_()
    loss = heatmap_loss(predicted, nobody, alpha, mask) + scale_loss(alpha, nobody, mask)
    loss.sum().backward()
    expected = (predicted.abs() ** 3 * mask[:, None]).mean((1, 2, 3))
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    assert predicted.grad.any() and not alpha.grad.any()


@pytest.mark.parametrize("gamma", [1.0, 0.1, 0.01, 0.001])
def test_the_soft_boundary_lies_where_gamma_puts_it(gamma):
    boundary = torch.tensor(2.0, dtype=torch.float64) ** (-1 / gamma)  # section 3.4; 2⁻¹⁰⁰ for the paper's γ
    predicted = torch.tensor(0.2, dtype=torch.float64)
    assert adaptive_weight(predicted, boundary, gamma).item() == pytest.approx(0.5 if boundary > 0 else 0.2)
    assert adaptive_weight(predicted, torch.tensor(1.0).double(), gamma).item() == pytest.approx(0.8)


def test_lambda_weighs_the_regulariser_and_nothing_else():
    sample, given = batch(), outputs()
    (small, parts), (large, _) = (
        total_loss(given, sample, LossSettings("sahr", regulariser=value)) for value in (0.1, 0.5)
    )
    scales = parts["scale_coarse"] + parts["scale_fine"]
    assert (large - small).item() == pytest.approx(0.4 * scales.item()) and scales.item() > 0


def step(loss, tmp_path, seed=0, steps=1):
    """The trainer of a tiny network after some steps with this loss, and the losses of the last of them."""
    recipe = replace(TINY, loss=loss, schedule=replace(TINY.schedule, seed=seed))
    trainer = Trainer(recipe, tmp_path)
    sample = {name: value[None].repeat_interleave(2, 0) for name, value in trainer.samples[0].items()}
    for _ in range(steps):
        values = trainer.update(sample)
    return trainer, values


def test_with_lambda_infinite_every_step_is_the_baselines(tmp_path):
    fixed, fixed_losses = step(LossSettings("sahr", regulariser=math.inf), tmp_path, steps=3)
    baseline, losses_of_baseline = step(LossSettings("baseline"), tmp_path, steps=3)
    assert fixed_losses == losses_of_baseline
    assert fixed.network.state_dict().keys() == baseline.network.state_dict().keys()
    for (name, one), other in zip(
        fixed.network.state_dict().items(), baseline.network.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other), name
    assert all(isinstance(branch, ZeroScale) for branch in fixed.network.conv_scale_layers)


def test_the_first_step_of_sahr_moves_heatmaps_and_tags_as_the_baselines(tmp_path):
    # The scale branch starts at α = 0 and gives no gradient to what is before it: they differ from the second step on.
    baseline, _ = step(LossSettings("baseline"), tmp_path)
    adaptive, _ = step(LossSettings("sahr"), tmp_path)
    moved = adaptive.network.state_dict()
    for name, one in baseline.network.state_dict().items():
        torch.testing.assert_close(moved[name], one, rtol=0, atol=1e-6, msg=name)
    assert moved["conv_scale_layers.1.3.weight"].abs().max() > 0


@pytest.mark.parametrize("heatmap", ["baseline", "wahr", "sahr", "swahr"])
def test_all_systems_start_from_the_same_weights_and_see_the_same_pictures(heatmap, tmp_path):
    reference = Trainer(TINY, tmp_path)
    other = Trainer(changed(TINY, {"loss.heatmap": heatmap}), tmp_path)
    own = other.network.state_dict()
    common = {name: one for name, one in reference.network.state_dict().items() if name in own}
    assert len(common) == len(own)
    assert all(torch.equal(own[name], one) for name, one in common.items())
    for name, value in reference.samples[1].items():
        assert torch.equal(value, other.samples[1][name])


def test_baseline_and_wahr_have_no_scale_branch_and_fewer_parameters(tmp_path):
    sizes = {}
    for heatmap in HEATMAP_LOSSES:
        network = Trainer(changed(TINY, {"loss.heatmap": heatmap}), tmp_path).network
        sizes[heatmap] = sum(parameter.numel() for parameter in network.parameters())
        assert network.config.scale_branch == (heatmap in ("sahr", "swahr"))
    assert sizes["baseline"] == sizes["wahr"] == sizes["shr"] < sizes["sahr"] == sizes["swahr"]


def test_the_slim_network_keeps_its_scale_branch_at_zero_where_none_is_trained(tmp_path):
    recipe = replace(TINY, model=ModelSettings("default", "default"), loss=LossSettings("baseline"))
    trainer = Trainer(recipe, tmp_path)
    trainer.train()
    for branch in trainer.network.conv_scale_layers:
        assert not branch[-1].weight.any() and not branch[-1].bias.any()
    coarse, fine = trainer.network.eval()(torch.rand(1, 3, 64, 64))
    assert not coarse[:, :17].any() and not fine[:, :17].any()


def test_naive_shr_has_wider_gaussians_for_wider_people(tmp_path):
    recipe = changed(TINY, {"mixture.synthetic_people": (1, 1), "mixture.synthetic_sizes": (30.0, 60.0)})
    plain = Trainer(changed(recipe, {"loss.heatmap": "baseline"}), tmp_path).samples
    naive = Trainer(changed(recipe, {"loss.heatmap": "shr"}), tmp_path).samples
    differing = 0
    for number in range(8):
        one, other = plain[number], naive[number]
        assert all(torch.equal(one[name], other[name]) for name in ("image", "tags", "fine_mask"))
        differing += int(not torch.equal(one["fine"], other["fine"]))
    assert differing == 8


@pytest.mark.parametrize("name", DISTINCT)
def test_every_row_of_every_table_trains(name, tmp_path):
    row = DISTINCT[name]
    trainer = Trainer(changed(TINY, row.changes), tmp_path)
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    sample = {name: value[None].repeat_interleave(2, 0) for name, value in trainer.samples[0].items()}
    values = [trainer.update(sample) for _ in range(2)][-1]
    assert all(math.isfinite(value) for value in values.values())
    assert ("scale_fine" in values) == trainer.network.config.scale_branch
    moved = trainer.network.state_dict()
    assert not torch.equal(before["final_layers.1.weight"], moved["final_layers.1.weight"])


def test_the_tables_are_the_papers():
    assert list(TABLES) == [f"table{number}" for number in range(3, 9)]
    assert [len(table.rows) for table in TABLES.values()] == [4, 3, 4, 4, 3, 3]
    assert [row.changes["loss.regulariser"] for row in TABLES["table5"].rows] == [0.1, 0.5, 1.0, math.inf]
    assert [row.changes["loss.gamma"] for row in TABLES["table6"].rows] == [1.0, 0.1, 0.01, 0.001]
    assert [row.changes["mixture.sigma"] for row in TABLES["table8"].rows] == [2.0, 2.5, 3.0]
    assert [row.changes["model.dilations"] for row in TABLES["table7"].rows] == [
        (1, 1, 1, 1), (1, 1, 2, 2), (2, 2, 2, 2),
    ]  # fmt: skip
    for table in TABLES.values():
        assert table.reference in {row.name for row in table.rows}
        assert all(row.published.keys() == set(table.figures) for row in table.rows)
        assert all(len(row.cells) == len(table.labels) for row in table.rows)


def test_rows_of_one_name_are_the_same_system_in_all_tables():
    for table in TABLES.values():
        for row in table.rows:
            ours, first = changed(TINY, row.changes), changed(TINY, DISTINCT[row.name].changes)
            assert ours.to_dict() == first.to_dict(), row.name
            assert row.published["AP"] == DISTINCT[row.name].published["AP"]
