"""group() on random crowds: equal to the oracle, whatever the arrays' layout and however many threads."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from app.machine import memory_in_use
from grouping import COCO17, CROWDPOSE14, GroupingOptions, Skeleton, group, group_outputs

# With the 100 fused cases of test_outputs, 500 in all.
thorough = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def random_maps(
    seed: int,
    num_keypoints: int,
    num_people: int,
    num_tags: int,
    height: int,
    width: int,
    spacing: float,
    clutter: int,
) -> tuple[np.ndarray, np.ndarray]:
    """A crowd: blobs with a person's tag, some missing, some on the border, and blobs of nobody between."""
    random = np.random.default_rng(seed)
    heatmaps = random.normal(0, 0.02, (num_keypoints, height, width))
    tags = random.normal(0, 2 * spacing, (num_keypoints, height, width, num_tags))
    rows, columns = np.mgrid[:height, :width]

    def blob(keypoint: int, tag: np.ndarray) -> None:
        x, y = random.integers(0, width), random.integers(0, height)
        if random.random() < 0.3:
            x = random.choice([0, width - 1])
        bump = random.uniform(0.05, 1) * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 4)
        heatmaps[keypoint] = np.maximum(heatmaps[keypoint], bump)
        near = bump > 0.01
        tags[keypoint][near] = tag + random.normal(0, 0.1, (near.sum(), num_tags))

    for person in range(num_people):
        own_tag = person * spacing + random.normal(0, 0.2, num_tags)
        for keypoint in range(num_keypoints):
            if random.random() < 0.8:
                blob(keypoint, own_tag)
    for _ in range(clutter):
        blob(random.integers(num_keypoints), random.normal(0, 3 * spacing, num_tags))
    return heatmaps.astype(np.float32), tags.astype(np.float32)


scenes = st.builds(
    dict,
    seed=st.integers(0, 2**32 - 1),
    num_people=st.integers(0, 40),
    num_tags=st.sampled_from((1, 2)),
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    spacing=st.sampled_from((0.2, 1.0, 3.0)),
    clutter=st.integers(0, 20),
)
option_sets = st.builds(
    GroupingOptions,
    max_people=st.sampled_from((1, 3, 13, 30)),
    detection_threshold=st.sampled_from((0.0, 0.1, 0.3)),
    tag_threshold=st.sampled_from((0.3, 1.0, 4.0)),
    nms_kernel=st.sampled_from((1, 3, 5, 7)),
    adjust=st.booleans(),
    refine=st.booleans(),
    person_threshold=st.sampled_from((0.0, 0.0, 0.1)),
)
usual = st.builds(GroupingOptions, detection_threshold=st.sampled_from((0.1, 0.12)))


def assert_equals_oracle(
    oracle, heatmaps, tags, options: GroupingOptions, skeleton: Skeleton, look_for_ties: bool = False
) -> None:
    reference = oracle.Oracle(skeleton.grouping_order, **asdict(options), look_for_ties=look_for_ties)
    keypoints, scores = reference(heatmaps, tags)
    assume(not reference.ambiguous)
    people = group(heatmaps, tags, options, skeleton)
    assert people.skeleton is skeleton
    np.testing.assert_allclose(people.keypoints, keypoints, rtol=0, atol=1e-5)
    np.testing.assert_allclose(people.scores, scores, rtol=0, atol=1e-5)


@settings(thorough, max_examples=200)
@given(scene=scenes, options=usual, skeleton=st.sampled_from((COCO17, CROWDPOSE14)))
def test_usual_options_equal_the_oracle(oracle, scene, options, skeleton):
    heatmaps, tags = random_maps(num_keypoints=skeleton.num_keypoints, **scene)
    assert_equals_oracle(oracle, heatmaps, tags, options, skeleton)


@thorough
@given(scene=scenes, options=option_sets)
def test_unusual_options_equal_the_oracle(oracle, scene, options):
    assume(options.max_people < 30 or options.detection_threshold > 0)  # hundreds of people: slow
    assume(scene["height"] * scene["width"] < 1600)
    heatmaps, tags = random_maps(num_keypoints=14, **scene)
    assert_equals_oracle(oracle, heatmaps, tags, options, CROWDPOSE14)


@thorough
@given(scene=scenes, options=usual)
def test_coarse_values_equal_the_oracle(oracle, scene, options):
    """Plateaus of equal heat, and tag distances that are exactly a half or exactly the threshold."""
    scene |= {"num_people": scene["num_people"] % 4, "clutter": 0, "spacing": 1.0}
    heatmaps, tags = random_maps(num_keypoints=14, **scene)
    heatmaps, tags = np.round(heatmaps * 8) / 8, np.round(tags * 4) / 4
    assert_equals_oracle(oracle, heatmaps, tags, options, CROWDPOSE14, look_for_ties=True)


def test_other_dtypes_and_layouts_mean_the_same_and_inputs_stay_untouched():
    heatmaps, tags = random_maps(1, 17, 4, 2, 40, 50, 2.0, 5)
    expected = group(heatmaps, tags)
    assert len(expected) > 0
    copies = heatmaps.copy(), tags.copy()
    strided = np.repeat(heatmaps, 2, axis=2)[:, :, ::2], np.moveaxis(tags, 3, 1).copy().transpose(0, 2, 3, 1)
    for pair in (strided, (heatmaps.astype(np.float64), tags.astype(">f4"))):
        np.testing.assert_array_equal(group(*pair).keypoints, expected.keypoints)
    heatmaps.flags.writeable = tags.flags.writeable = False
    np.testing.assert_array_equal(group(heatmaps, tags).keypoints, expected.keypoints)
    np.testing.assert_array_equal(heatmaps, copies[0])
    np.testing.assert_array_equal(tags, copies[1])


@pytest.mark.parametrize("doubled", [False, True])
def test_the_largest_finite_numbers_come_to_an_end(doubled):
    """Bounds and distances overflow; the search ends all the same, and the people found have finite places."""
    huge, random = np.finfo(np.float32).max, np.random.default_rng(5)
    heatmaps = random.choice(np.array([0, 1e-45, 3e-45, 0.5, huge / 99], np.float32), (17, 40, 36))
    tags = random.choice(np.array([-huge / 2, 0, huge / 2], np.float32), (17, 40, 36, 2))
    if doubled:
        coarse = np.concatenate((heatmaps, heatmaps, tags[..., 0]))[None]
        fine = np.repeat(np.repeat(coarse[:, :34], 2, axis=2), 2, axis=3)
        people = group_outputs(coarse, fine, np.eye(2, 3))
    else:
        people = group(heatmaps, tags)
    assert len(people) and np.isfinite(people.keypoints).all()


def test_many_threads_at_once_get_their_own_people():
    inputs = [random_maps(seed, 17, seed % 6, 1 + seed % 2, 90, 70, 1.5, 6) for seed in range(24)]
    expected = [group(*pair) for pair in inputs]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda pair: group(*pair), inputs * 4))
    for people, alone in zip(results, expected * 4, strict=True):
        np.testing.assert_array_equal(people.keypoints, alone.keypoints)
        np.testing.assert_array_equal(people.scores, alone.scores)


@pytest.mark.slow
def test_memory_does_not_grow_over_ten_thousand_calls(crowd):
    """And threads may come and go meanwhile."""
    outputs = [crowd(seed, COCO17, 3, 1 + seed % 2, 16, 16, 0.01) for seed in range(4)]
    maps = random_maps(2, 17, 3, 1, 64, 64, 1.5, 4)

    def call(number: int) -> None:
        group_outputs(*outputs[number % 4], np.eye(2, 3))
        group(*maps)

    if memory_in_use() is None:
        pytest.skip("memory in use is read from /proc, which is not here")
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(call, range(600)))
    before = memory_in_use()
    for number in range(3000):
        call(number)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(call, range(2000)))
    assert memory_in_use() - before < 4e6  # 10,000 calls of the two
