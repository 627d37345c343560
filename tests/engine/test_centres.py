"""People's centres become maps: where keypoints are expected, and whose they are."""

import pytest
import torch
from torch import nn

from engine.centres import PeopleMaps, position


class MapsOfPeople(nn.Module):
    """`PeopleMaps` for offsets that are known in all cells, [N, 2A, h, w]."""

    def __init__(self, anchors):
        super().__init__()
        self.people = PeopleMaps(anchors)

    def forward(self, centres, offsets):
        return self.people(
            centres, lambda cells: offsets.flatten(2).gather(2, cells[:, None].expand(-1, offsets.shape[1], -1))
        )


@pytest.fixture(scope="module")
def people():
    return MapsOfPeople(range(3))


def centred(*persons, height=32, width=48):
    """Centres and offsets of persons (x, y, score) in cells, each with keypoints 40 pixels left, right and below."""
    centres, offsets = torch.zeros(1, 1, height, width), torch.zeros(1, 6, height, width)
    for x, y, score in persons:
        centres[0, 0, y, x] = score
        offsets[0, :, y, x] = torch.tensor([0.0, -40, 0, 40, 40, 0])
    return centres, offsets


def test_position_counts_input_pixels_from_the_centre():
    grid = position(torch.zeros(2, 5, 3, 4), stride=16)
    assert grid.shape == (2, 2, 3, 4)
    assert grid[0, 0, 0].tolist() == [-24, -8, 8, 24] and grid[1, 1, :, 0].tolist() == [-16, 0, 16]


def test_keypoints_are_expected_where_the_centre_says(people):
    presence, _ = people(*centred((20, 12, 0.9)))
    assert presence.shape == (1, 3, 16, 24)
    for keypoint, (x, y) in enumerate(((5, 6), (15, 6), (10, 11))):
        assert presence[0, keypoint].argmax() == y * 24 + x
        assert presence[0, keypoint, y, x] > 0.95
    assert presence[0, 0, 6, 20] < 0.01


def test_where_nobody_is_nothing_is_expected(people):
    presence, tags = people(*centred((20, 12, 0.02)))
    assert presence.max() < 1e-3 and tags.isfinite().all()


def test_a_weak_centre_counts_less_and_none_comes_or_goes_at_once(people):
    heights = [people(*centred((20, 12, score / 1000)))[0].max().item() for score in range(40, 200, 2)]
    steps = torch.tensor(heights).diff()
    assert steps.min() >= 0 and steps.max() < 0.05 and heights[-1] > 0.95


@pytest.mark.parametrize("other", [(35, 12), (20, 21), (22, 20), (16, 19)])
def test_keypoints_of_one_person_share_a_tag_and_those_of_two_are_far_apart(people, other):
    _, tags = people(*centred((20, 12, 0.9), (*other, 0.4)))
    first, second = (
        [tags[0, k, (y + dy) // 2, (x + dx) // 2].item() for k, (dx, dy) in enumerate(((-10, 0), (10, 0), (0, 10)))]
        for x, y in ((20, 12), other)
    )
    assert len(set(first)) == 1 and len(set(second)) == 1
    assert abs(first[0] - second[0]) >= 1.99


def test_a_person_far_from_others_keeps_the_tag_that_the_place_has(people):
    alone = people(*centred((8, 12, 0.9), width=96))[1][0, 2, 11, 4]
    among = people(*centred((8, 12, 0.9), (80, 12, 0.9), (80, 20, 0.9), width=96))[1][0, 2, 11, 4]
    assert alone.item() == pytest.approx(among.item(), abs=0.05)


def test_two_centres_of_one_person_are_one_person(people):
    _, once = people(*centred((20, 12, 0.9)))
    _, twice = people(*centred((20, 12, 0.9), (21, 12, 0.9)))
    assert len(once.unique()) == len(twice.unique()) == 1


X = torch.tensor([-20.0, 20]).repeat(6)  # of twelve keypoints of a person who stands upright
Y = torch.linspace(20, 240, 12)


def placed(*persons, height=64, width=80):
    """Centres and offsets of persons (row, column, score, x, y): the cell of the centre, and where it expects its
    twelve keypoints, in pixels from the top left corner."""
    centres, offsets = torch.zeros(1, 1, height, width), torch.zeros(1, 24, height, width)
    for row, column, score, x, y in persons:
        centres[0, 0, row, column] = score
        offsets[0, 0::2, row, column] = y - 4 * row - 2
        offsets[0, 1::2, row, column] = x - 4 * column - 2
    return centres, offsets


def at(maps, keypoint, x, y):
    return maps[0, keypoint, int(y) // 8, int(x) // 8].item()


def halves(agreeing):
    """Two centres of one person, of whom one knows the upper six keypoints, the other the lower six, and who place so
    many in the middle alike; the others are expected 60 pixels too far right."""
    wrong = torch.zeros(2, 12)
    wrong[0, 6 + agreeing // 2 :] = 60
    wrong[1, : 6 - agreeing // 2] = 60
    return placed((20, 25, 0.9, 100 + X + wrong[0], Y), (40, 25, 0.4, 100 + X + wrong[1], Y))


@pytest.fixture(scope="module")
def twelve():
    return MapsOfPeople(range(12))


@pytest.mark.parametrize(("agreeing", "people"), [(6, 1), (4, 2)])
def test_centres_that_agree_on_many_keypoints_are_one_person_who_is_where_either_says(twelve, agreeing, people):
    presence, tags = twelve(*halves(agreeing))
    top, bottom = (0, 80, 20), (11, 120, 240)
    assert at(presence, *top) > 0.9 and at(presence, *bottom) > 0.9
    assert len(tags.unique()) == people and (at(tags, *top) == at(tags, *bottom)) == (people == 1)


def test_a_centre_between_two_people_is_nobody(twelve):
    x = 100 + X + torch.tensor([0.0] * 6 + [130] * 6)  # 120 pixels right of the one stands the other
    people = (20, 25, 0.9, 100 + X, Y), (20, 55, 0.8, 220 + X, Y)
    for expected, maps in zip(twelve(*placed(*people)), twelve(*placed(*people, (40, 40, 0.3, x, Y))), strict=True):
        assert torch.equal(expected, maps)


def test_a_centre_that_agrees_with_no_person_s_best_one_is_nobody(twelve):
    best = (20, 25, 0.9, 100 + X, Y)
    second = (30, 25, 0.8, 100 + X + torch.tensor([0.0] * 6 + [60] * 6), Y)
    third = (40, 25, 0.7, 100 + X + torch.tensor([150.0] * 6 + [60] * 6), Y)
    for expected, maps in zip(twelve(*placed(best, second)), twelve(*placed(best, second, third)), strict=True):
        assert torch.equal(expected, maps)
    assert len(twelve(*placed(third, best))[1].unique()) == 2


def test_keypoints_that_may_be_anywhere_join_nobody():
    x = 100 + X + torch.tensor([0.0] + [120] * 11)  # the same nose
    both = placed((20, 25, 0.9, 100 + X, Y), (20, 55, 0.8, x, Y))
    assert len(MapsOfPeople((*range(12), *[None] * 12))(*both)[1].unique()) == 2


@pytest.mark.parametrize(
    ("maps", "ones"),
    [("people", [centred((20, 12, 0.9), (30, 12, 0.5)), centred((5, 20, 0.3))]), ("twelve", [halves(4), halves(6)])],
)
def test_each_image_is_looked_at_alone(maps, ones, request):
    maps = request.getfixturevalue(maps)
    together = maps(*(torch.cat(parts) for parts in zip(*ones, strict=True)))
    for index, one in enumerate(ones):
        for expected, found in zip(maps(*one), together, strict=True):
            assert torch.allclose(expected[0], found[index], atol=1e-5)


def test_what_was_traced_at_one_size_is_right_at_another(people, twelve):
    traced = torch.jit.trace(people, centred((20, 12, 0.9)), check_trace=False)
    other = centred((7, 30, 0.8), (30, 9, 0.6), height=40, width=36)
    for expected, maps in zip(people(*other), traced(*other), strict=True):
        assert torch.allclose(expected, maps, atol=1e-5)
    traced = torch.jit.trace(twelve, placed((20, 25, 0.9, 90 + X, Y), height=80, width=48), check_trace=False)
    for expected, maps in zip(twelve(*halves(6)), traced(*halves(6)), strict=True):
        assert torch.allclose(expected, maps, atol=1e-5)


def test_where_a_keypoint_is_expected_can_be_learned(people):
    centres, offsets = centred((20, 12, 0.1))
    centres.requires_grad_()
    offsets.requires_grad_()
    people(centres, offsets)[0][0, 0, 6, 7].backward()
    assert offsets.grad[0, 1, 12, 20] > 0 and centres.grad[0, 0, 12, 20] > 0


def test_a_keypoint_that_may_be_anywhere_is_expected_everywhere():
    presence, tags = MapsOfPeople((0, None, 2))(*centred((20, 12, 0.9)))
    alone, _ = MapsOfPeople((0, 0, 2))(*centred((20, 12, 0.9)))
    assert (presence[:, 1] == 1).all() and torch.equal(presence[:, 2], alone[:, 2]) and tags.isfinite().all()
    assert (MapsOfPeople((None, None))(*centred())[0] == 1).all()  # whether there are people or not


@pytest.mark.parametrize("anchors", [(1,), (None, None), (2, 2, None)])
def test_gradients_are_finite_where_people_have_no_extent(anchors):
    centres, offsets = (maps.requires_grad_() for maps in centred((20, 12, 0.9), (9, 20, 0.3)))
    presence, tags = MapsOfPeople(anchors)(centres, offsets)
    (presence.sum() + tags.sum()).backward()
    assert centres.grad.isfinite().all() and offsets.grad.isfinite().all()
