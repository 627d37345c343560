"""What follows from a skeleton's names, and what is refused."""

import json

import pytest

from grouping import COCO17, CROWDPOSE14, SKELETONS, PairedSkeleton, Skeleton


@pytest.mark.parametrize("skeleton", [COCO17, CROWDPOSE14])
def test_flipping_twice_changes_nothing_and_swaps_the_sides(skeleton):
    other = {"left": "right", "right": "left", "centre": "centre"}
    for index, mirrored in enumerate(skeleton.flip_indices):
        assert skeleton.flip_indices[mirrored] == index
        assert skeleton.keypoint_sides[mirrored] == other[skeleton.keypoint_sides[index]]
    limbs = {frozenset(limb) for limb in skeleton.limbs}
    assert {frozenset(skeleton.flip_indices[end] for end in limb) for limb in limbs} == limbs
    for left, right in skeleton.flip_pairs:
        assert skeleton.oks_sigmas[left] == skeleton.oks_sigmas[right]


@pytest.mark.parametrize("skeleton", [COCO17, CROWDPOSE14])
def test_every_keypoint_hangs_together_with_the_others(skeleton):
    reached = {0}
    for _ in skeleton.limbs:
        reached |= {end for limb in skeleton.limbs if reached & set(limb) for end in limb}
    assert len(reached) == skeleton.num_keypoints


def test_coco_as_published():
    assert COCO17.flip_pairs == ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16))
    assert COCO17.grouping_order == (0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16)
    assert len(COCO17.limbs) == 19
    assert sum(COCO17.oks_sigmas) == pytest.approx(1.138)


def test_crowdpose_as_published():
    assert CROWDPOSE14.flip_pairs == ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11))
    assert CROWDPOSE14.grouping_order == (0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13)
    assert CROWDPOSE14.keypoint_sides[12:] == ("centre", "centre")
    assert sum(CROWDPOSE14.oks_sigmas) == pytest.approx(1.15)


def test_limb_sides():
    sides = dict(zip(COCO17.limbs, COCO17.limb_sides, strict=True))
    assert sides[5, 7] == "left"
    assert sides[6, 12] == "right"
    assert sides[0, 2] == "right"  # from the nose to the right eye
    assert sides[5, 6] == sides[11, 12] == "centre"


@pytest.mark.parametrize("skeleton", SKELETONS.values())
def test_through_json_and_back(skeleton):
    copy = Skeleton.from_dict(json.loads(json.dumps(skeleton.to_dict())))
    assert copy == skeleton
    assert hash(copy) == hash(skeleton)
    assert SKELETONS[copy.name] is skeleton


def test_without_an_order_keypoints_come_as_they_are_named():
    assert Skeleton("two", ("a", "b"), limbs=((0, 1),), oks_sigmas=(0.1, 0.1)).grouping_order == (0, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": []}, "no keypoints"),
        ({"names": ["nose", "nose", "neck"]}, "names the keypoint 'nose' twice"),
        ({"names": ["nose", "left_eye", "neck"]}, "has 'left_eye' but no 'right_eye'"),
        ({"limbs": [[0, 3]]}, r"limb \(0, 3\).*indices 0 to 2"),
        ({"limbs": [[1, 1]]}, "two different keypoints"),
        ({"limbs": [[0, 1, 2]]}, "two different keypoints"),
        ({"oks_sigmas": [0.1, 0.1]}, "2 OKS sigmas for 3 keypoints"),
        ({"oks_sigmas": [0.1, 0.0, 0.1]}, "the OKS sigma 0.0; sigmas are positive"),
        ({"grouping_order": [0, 1, 1]}, "each index from 0 to 2 once"),
        ({"colour": "red"}, "unknown entry colour"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    values = Skeleton("three", ("nose", "left_eye", "right_eye"), ((0, 1), (0, 2)), (0.1, 0.1, 0.1)).to_dict()
    with pytest.raises(ValueError, match=message):
        Skeleton.from_dict(values | change)


@pytest.mark.parametrize("pairs", [[[0, 3]], [[0, -1]], [[0]], [[0, 1], [1, 2]], [[1, 1]]])
def test_flip_pairs_that_do_not_fit_are_refused(pairs):
    values = PairedSkeleton("three", ("a", "b", "c"), (), (0.1, 0.1, 0.1), pairs=((0, 1),)).to_dict()
    assert Skeleton.from_dict(values).flip_indices == (1, 0, 2)
    with pytest.raises(ValueError, match="flip pair"):
        Skeleton.from_dict(values | {"pairs": pairs})


def test_a_description_names_what_it_lacks():
    values = COCO17.to_dict()
    del values["limbs"], values["name"]
    with pytest.raises(ValueError, match="lacks limbs, name"):
        Skeleton.from_dict(values)
    with pytest.raises(ValueError, match="not from list"):
        Skeleton.from_dict([1])
