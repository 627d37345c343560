"""Every equation of the losses, against values worked out by hand or by the plainest code."""

import math

import pytest
import torch

from engine.training.losses import adaptive_weight, heatmap_loss, scale_loss, scaled_target, tag_loss


def maps(*values):
    """[1, 1, 1, len(values)]"""
    return torch.tensor(values, dtype=torch.float64)[None, None, None]


ONES = torch.ones(1, 1, 1)


def test_scaled_target_is_the_taylor_series_of_eq_6_in_alpha():
    target, alpha = maps(0.7, 0.3, 0.05), maps(1e-4, -2e-4, 1e-4)
    exact = target ** (1 + alpha)  # eq. 6: H^(1/s) with 1/s = 1 + α
    # The terms left out are of third order: (α ln H)³/6.
    assert torch.allclose(scaled_target(target, alpha), exact, rtol=0, atol=1e-10)
    first_order = target * (1 + alpha * target.log())
    assert not torch.allclose(first_order, exact, rtol=0, atol=1e-10)


def test_scaled_target_by_hand():
    # eq. 8 with ln H = -1 and α = 0.5: ½·e⁻¹·(1 + 0.5²)
    value = scaled_target(maps(math.exp(-1)), maps(0.5))
    assert value.item() == pytest.approx(0.625 * math.exp(-1))


def test_scaled_target_keeps_zero_and_one():
    assert scaled_target(maps(0.0, 1.0), maps(3.0, -3.0)).tolist() == [[[[0.0, 1.0]]]]


def test_no_gradient_reaches_alpha_where_the_target_is_zero():
    alpha = maps(0.4, 0.4).requires_grad_()
    scaled_target(maps(0.0, 0.5), alpha).sum().backward()
    gradient = alpha.grad.flatten()
    assert gradient[0] == 0 and gradient[1] != 0 and torch.isfinite(gradient).all()


def test_weight_of_eq_13_by_hand():
    predicted, target = maps(0.25, 0.25, 0.25), maps(1.0, 0.0, 2.0**-100)
    weight = adaptive_weight(predicted, target, gamma=0.01)
    # H = 1: |1 − P|. H = 0: |P|. H = 2^(−1/γ), the soft boundary: halfway, here ½·0.75 + ½·0.25.
    assert weight.flatten().tolist() == pytest.approx([0.75, 0.25, 0.5])


def test_weight_takes_absolute_values_on_both_sides():
    weight = adaptive_weight(maps(1.5, -0.5), maps(1.0, 0.0), gamma=0.01)
    assert weight.flatten().tolist() == pytest.approx([0.5, 0.5])


def test_plain_heatmap_loss_is_the_mean_square_under_the_mask():
    predicted, target = torch.tensor([[[[0.5, 1.0]]]]), torch.tensor([[[[0.0, 0.0]]]])
    mask = torch.tensor([[[1.0, 0.0]]])
    # eq. 3, with the masked pixel still counted in the mean as in the paper's code
    assert heatmap_loss(predicted, target, None, mask, gamma=None).tolist() == [0.125]


def test_heatmap_loss_puts_the_equations_together():
    generator = torch.Generator().manual_seed(0)
    predicted, target, alpha = (torch.rand(2, 3, 4, 5, generator=generator) for _ in range(3))
    mask = torch.rand(2, 4, 5, generator=generator).round()
    loss = heatmap_loss(predicted, target, alpha, mask, gamma=0.01)
    for n in range(2):
        total = 0.0
        for k in range(3):
            for y in range(4):
                for x in range(5):
                    p, h, a = (float(m[n, k, y, x]) for m in (predicted, target, alpha))
                    wanted = 0.5 * h * (1 + (1 + a * math.log(h)) ** 2)
                    weight = h**0.01 * abs(1 - p) + abs(p) * (1 - h**0.01)
                    total += weight * (p - wanted) ** 2 * float(mask[n, y, x])
        assert loss[n].item() == pytest.approx(total / 60, rel=1e-5)


@pytest.mark.parametrize("gamma", [None, 0.01])
def test_gradients_flow_through_alpha_and_through_the_weight(gamma):
    predicted = maps(0.3, 0.6).requires_grad_()
    alpha = maps(0.2, -0.1).requires_grad_()
    target = maps(0.5, 0.8)
    mask = ONES.expand(1, 1, 2).double()
    inputs = (predicted, alpha)
    assert torch.autograd.gradcheck(lambda p, a: heatmap_loss(p, target, a, mask, gamma), inputs)
    heatmap_loss(predicted, target, alpha, mask, gamma).sum().backward()
    assert alpha.grad.abs().min() > 0
    if gamma is not None:
        error = predicted.detach() - scaled_target(target, alpha.detach())
        without = 2 * error * adaptive_weight(predicted.detach(), target, gamma) / 2
        assert not torch.allclose(predicted.grad, without)


def test_scale_loss_counts_only_covered_pixels_under_the_mask():
    alpha, target = maps(2.0, 3.0, 5.0, 7.0), maps(0.5, 0.0, 1.0, 0.1)
    mask = torch.tensor([[[1.0, 1.0, 1.0, 0.0]]])
    assert scale_loss(alpha, target, mask).tolist() == [(4 + 25) / 4]


def test_tag_loss_by_hand():
    # Two people: tags 0 and 2 (mean 1), and 1 and 1 (mean 1).
    tags = torch.tensor([[[0.0], [2.0], [1.0], [1.0], [99.0]]])
    keypoints = torch.tensor([[[[0, 1], [1, 1]], [[2, 1], [3, 1]]]])
    push, pull = tag_loss(tags, keypoints)
    assert push.item() == pytest.approx(0.5)  # both means are 1: exp(0) for each ordered pair, mean 1, half of it
    assert pull.item() == pytest.approx((1.0 + 0.0) / 2)


def test_push_falls_with_the_distance_of_the_means():
    keypoints = torch.tensor([[[[0, 1]], [[1, 1]], [[2, 1]]]])
    push, pull = tag_loss(torch.tensor([[[0.0], [1.0], [3.0]]]), keypoints)
    pairs = math.exp(-1) + math.exp(-9) + math.exp(-4)
    assert push.item() == pytest.approx(0.5 * 2 * pairs / 6)
    assert pull.item() == 0


def test_unlabelled_keypoints_and_absent_people_do_not_count():
    tags = torch.tensor([[[0.0], [2.0], [50.0]]])
    labelled = torch.tensor([[[[0, 1], [1, 1]]]])
    padded = torch.tensor([[[[0, 1], [1, 1]], [[0, 0], [2, 0]]]])
    with_more = torch.tensor([[[[0, 1], [1, 1], [0, 0]]]])
    for keypoints in (labelled, padded, with_more):
        push, pull = tag_loss(tags, keypoints)
        assert push.item() == 0 and pull.item() == 1


def test_tag_loss_without_people_is_zero_and_differentiable():
    tags = torch.zeros(2, 4, 1, requires_grad=True)
    push, pull = tag_loss(tags, torch.zeros(2, 3, 5, 2, dtype=torch.long))
    (push + pull).sum().backward()
    assert push.tolist() == pull.tolist() == [0, 0] and tags.grad.abs().sum() == 0


def test_losses_of_a_batch_are_those_of_its_images():
    generator = torch.Generator().manual_seed(1)
    tags = torch.randn(3, 40, 1, generator=generator)
    keypoints = torch.stack(
        (
            torch.randint(0, 40, (3, 4, 5), generator=generator),
            torch.randint(0, 2, (3, 4, 5), generator=generator),
        ),
        -1,
    )
    push, pull = tag_loss(tags, keypoints)
    for n in range(3):
        one_push, one_pull = tag_loss(tags[n : n + 1], keypoints[n : n + 1])
        assert push[n].item() == pytest.approx(one_push.item()) and pull[n].item() == pytest.approx(one_pull.item())


# One pixel with P = 0.6, H = e⁻¹, α = 0.5, of the five variants: what target, what weight.
FIRST, SCALED = math.exp(-1), 0.625 * math.exp(-1)  # eq. 8 with ln H = −1: ½H(1 + (1 − 0.5)²)
WEIGHT = math.exp(-0.01) * 0.4 + 0.6 * (1 - math.exp(-0.01))  # eq. 13
VARIANTS = {
    "baseline": (False, None, (0.6 - FIRST) ** 2),
    "shr": (False, None, (0.6 - FIRST) ** 2),  # differs in its targets alone
    "sahr": (True, None, (0.6 - SCALED) ** 2),
    "wahr": (False, 0.01, WEIGHT * (0.6 - FIRST) ** 2),
    "swahr": (True, 0.01, WEIGHT * (0.6 - SCALED) ** 2),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_each_variant_by_hand(name):
    scaled, gamma, expected = VARIANTS[name]
    # Beside the pixel one without Gaussian, P² or |P|³, and one that the mask leaves out; three of them in the mean.
    predicted, target, alpha = maps(0.6, -0.2, 0.9), maps(FIRST, 0.0, 0.5), maps(0.5, 3.0, 0.1)
    mask = torch.tensor([[[1.0, 1.0, 0.0]]], dtype=torch.float64)
    background = 0.2**2 if gamma is None else 0.2**3
    loss = heatmap_loss(predicted, target, alpha if scaled else None, mask, gamma)
    assert loss.item() == pytest.approx((expected + background) / 3, rel=1e-12)


def random_maps():
    """Predictions on both sides of 0 and of 1, targets with zeros and ones, alphas, masks; float64 [2,3,4,5]."""
    generator = torch.Generator().manual_seed(7)
    predicted = 1.6 * torch.rand(2, 3, 4, 5, generator=generator, dtype=torch.float64) - 0.3
    target, alpha = (torch.rand(2, 3, 4, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    target = torch.where(target < 0.4, 0.0, torch.where(target > 0.9, 1.0, target))
    mask = (torch.rand(2, 4, 5, generator=generator) < 0.7).double()
    assert min(predicted.abs().min(), (1 - predicted).abs().min()) > 1e-4  # |P| and |1 − P| have a kink
    return predicted.requires_grad_(), target, (2 * alpha - 1).requires_grad_(), mask


@pytest.mark.parametrize("name", VARIANTS)
def test_gradients_of_each_variant_are_those_of_finite_differences(name):
    scaled, gamma, _ = VARIANTS[name]
    predicted, target, alpha, mask = random_maps()
    if scaled:
        assert torch.autograd.gradcheck(lambda p, a: heatmap_loss(p, target, a, mask, gamma), (predicted, alpha))
    else:
        assert torch.autograd.gradcheck(lambda p: heatmap_loss(p, target, None, mask, gamma), predicted)


def test_gradients_of_the_regulariser_are_those_of_finite_differences():
    _, target, alpha, mask = random_maps()
    assert torch.autograd.gradcheck(lambda a: scale_loss(a, target, mask), alpha)


@pytest.mark.parametrize("part", [0, 1], ids=["push", "pull"])
def test_gradients_of_push_and_pull_are_those_of_finite_differences(part):
    generator = torch.Generator().manual_seed(2)
    tags = torch.randn(2, 30, 1, generator=generator, dtype=torch.float64, requires_grad=True)
    indices = torch.randint(0, 30, (2, 4, 3), generator=generator)
    labelled = torch.tensor([[[1, 1, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0]], [[1, 1, 0], [0] * 3, [0] * 3, [0] * 3]])
    keypoints = torch.stack((indices, labelled), -1)
    assert torch.autograd.gradcheck(lambda one: tag_loss(one, keypoints)[part], tags)
    assert tag_loss(tags, keypoints)[part][0] > 0


@pytest.mark.parametrize("gamma", [None, 0.01])
def test_at_alpha_zero_scale_adaptive_gradients_are_the_plain_ones_too(gamma):
    predicted, target, alpha, mask = random_maps()
    (plain,) = torch.autograd.grad(heatmap_loss(predicted, target, None, mask, gamma).sum(), predicted)
    zero = torch.zeros_like(alpha)
    (adaptive,) = torch.autograd.grad(heatmap_loss(predicted, target, zero, mask, gamma).sum(), predicted)
    assert torch.equal(adaptive, plain) and plain.any()
