"""Synthetic people: the truth that comes with a picture is what the picture shows."""

import math
import time

import numpy as np
import pytest

from engine.training.figures import motion, posture, raster, shading
from engine.training.figures.canvas import NO_FACE, Canvas
from engine.training.figures.clutter import random_object
from engine.training.figures.figure import View, random_figure
from engine.training.figures.paint import MATERIAL_FIELDS, noise_tile
from engine.training.figures.wardrobe import SHOES
from engine.training.synthetic import SyntheticFrame, SyntheticScene, random_frame

LIGHT = np.array((-0.4, -0.7, -0.6, 0.45, 0.6, 0.2))
NOSE, LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_WRIST, LEFT_ANKLE, RIGHT_ANKLE = 0, 5, 6, 9, 15, 16
TORSO = [5, 6, 11, 12]


def draw_person(
    seed: int = 0, yaw: float = 0.0, stature: float = 160.0, clip: motion.Clip = motion.stand
) -> tuple[Canvas, np.ndarray]:
    """A person on black, and where its silhouette is: bool [240, 200]."""
    rng = np.random.default_rng(seed)
    figure = random_figure(rng)
    figure.materials[:, :9] += 20  # nothing as black as the background
    canvas = Canvas(np.zeros((240, 200, 3), np.uint8), LIGHT)
    pose = clip(0.4, posture.random_manner(rng))
    canvas.draw_person(7, figure, figure.place(pose, yaw, View(100, 215, stature, 0.1, 0.0, 6.0)), stature)
    return canvas, canvas.image.any(axis=2)


def assert_same(one: SyntheticFrame, other: SyntheticFrame) -> None:
    for name in SyntheticFrame.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize(("center", "radius"), [((20.5, 16.5), 8.0), ((19.8, 16.13), 5.0), ((20.25, 15.9), 2.5)])
def test_a_ball_is_drawn_where_it_is(center, radius):
    solids, tags = np.zeros((1, raster.SOLID_FIELDS)), np.zeros((1, raster.TAG_FIELDS), np.int64)
    solids[0, : raster.ORIGIN] = np.eye(3).ravel()
    solids[0, raster.ORIGIN : raster.AXIS] = *center, 0.0
    solids[0, raster.RADII : raster.CLIP] = radius
    tags[0, : raster.BOX] = 0, 1, 1, 0, 0
    tags[0, raster.BOX :] = 0, 0, 40, 32
    window, shape = (0, 0, 4, False), (128, 160)
    samples = (
        np.empty(shape, np.float32),
        np.empty(shape, np.int16),
        np.empty((*shape, 3), np.int8),
        np.empty((*shape, 3), np.uint8),
    )
    material = np.full((1, MATERIAL_FIELDS), 0.0)
    material[0, :3] = 200
    image, box = np.zeros((32, 40, 3), np.uint8), np.empty(4)
    raster.rasterise(raster.finish(solids), tags, 0, 0, 4, *samples[:2])
    shading.surfaces(solids, tags, material, NO_FACE, noise_tile(), window, samples)
    owners, light, taps = np.zeros((32, 40), np.int16), np.array((0, 0, -1.0, 1.0, 0, 0)), shading.light_taps(LIGHT, 1)
    area = shading.composite(image, owners, 3, tags, material, light, taps, 1.0, window, samples, box)
    weight = image[..., 0] / 200
    rows, columns = np.mgrid[:32, :40] + 0.5
    assert area == pytest.approx(math.pi * radius**2, rel=0.03)
    assert weight.sum() == pytest.approx(math.pi * radius**2, rel=0.03)
    assert (weight * columns).sum() / weight.sum() == pytest.approx(center[0], abs=0.05)
    assert (weight * rows).sum() / weight.sum() == pytest.approx(center[1], abs=0.05)
    # The middle of the ball is its nearest point.
    assert samples[0].min() == pytest.approx(-radius, abs=0.1)
    assert set(np.unique(owners)) == {0, 3}


@pytest.mark.parametrize("seed", range(8))
def test_left_is_the_persons_own_left(seed):
    front = draw_person(seed, yaw=0.0)[0].truth()[0][0]
    back = draw_person(seed, yaw=math.pi)[0].truth()[0][0]
    for left in (5, 7, 11, 13):
        assert front[left, 0] > front[left + 1, 0]
        assert back[left, 0] < back[left + 1, 0]
    assert front[NOSE, 2] == 2
    assert back[:3, 2].tolist() == [0, 0, 0]
    assert (front[TORSO, 2] == 2).all() and (back[TORSO, 2] == 2).all()


@pytest.mark.parametrize("yaw", [0.0, 0.9, 2.5, -1.6])
@pytest.mark.parametrize("clip", [motion.stand, motion.walk, motion.crouch, motion.cheer])
def test_keypoints_lie_on_the_silhouette(clip, yaw):
    for seed in range(4):
        canvas, silhouette = draw_person(seed, yaw, clip=clip)
        (keypoints,), (box,), (area,), (height,), (identity,) = canvas.truth()
        on = silhouette[keypoints[:, 1].astype(int), keypoints[:, 0].astype(int)]
        assert on.all()
        rows, columns = np.nonzero(silhouette)
        assert box == pytest.approx([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], abs=8)
        assert area <= silhouette.sum() + 1
        assert (height, identity) == (160, 7)


def test_ankles_are_at_the_shoes():
    rng = np.random.default_rng(4)
    figure = random_figure(rng)
    figure.materials[:, :9], figure.materials[:, 12:] = 60, 0
    figure.materials[SHOES, :9] = np.tile((250, 0, 0), 3)
    canvas = Canvas(np.zeros((240, 200, 3), np.uint8), LIGHT)
    pose = motion.jumping_jack(0.55, posture.random_manner(rng))  # feet apart
    canvas.draw_person(0, figure, figure.place(pose, 0.0, View(100, 215, 180, 0.0)), 180)
    keypoints = canvas.truth()[0][0]
    rows, columns = np.nonzero((canvas.image[..., 0] > 80) & (canvas.image[..., 1] < 40))
    for ankle, side in ((LEFT_ANKLE, columns > 100), (RIGHT_ANKLE, columns < 100)):
        assert side.sum() > 20
        assert columns[side].mean() == pytest.approx(keypoints[ankle, 0], abs=0.05 * 180)
        assert rows[side].mean() == pytest.approx(keypoints[ankle, 1] + 0.02 * 180, abs=0.04 * 180)


def test_what_is_covered_is_hidden():
    canvas, _ = draw_person(2)
    before = canvas.truth()[0][0]
    solids, tags, materials = random_object(np.random.default_rng(3), 100, 215, 50)
    # A curtain over everything left of the person's middle: one wide rod in front.
    solids, tags = solids[:1].copy(), tags[:1].copy()
    solids[0, : raster.ORIGIN] = np.eye(3).ravel()
    solids[0, raster.ORIGIN : raster.CLIP] = 40, 0, 0, 0, 300, 0, 60, 60
    tags[0, : raster.BOX] = 0, 1, 1, 0, 1
    tags[0, raster.BOX :] = 0, 0, 100, 240
    canvas.draw(raster.finish(solids), tags, materials, NO_FACE, 50)
    after = canvas.truth()[0][0]
    covered = before[:, 0] < 100
    assert covered.any() and not covered.all()
    np.testing.assert_array_equal(after[covered, 2], np.minimum(before[covered, 2], 1))
    np.testing.assert_array_equal(after[~covered], before[~covered])
    tags[0, raster.BOX :] = 0, 0, 200, 240
    solids[0, raster.RADII : raster.CLIP] = 400
    canvas.draw(raster.finish(solids), tags, materials, NO_FACE, 50)
    assert len(canvas.truth()[0]) == 0  # nobody can be seen any more


def test_areas_grow_with_the_square_of_the_size():
    (small,), (large,) = draw_person(1, stature=60.0)[0].truth()[2], draw_person(1, stature=180.0)[0].truth()[2]
    assert large / small == pytest.approx(9, rel=0.06)


def test_walking_feet_alternate_and_arms_swing_against_them():
    figure = random_figure(np.random.default_rng(0))
    manner = posture.Manner()
    view = View(0, 0, 1.0)
    side = np.array([figure.place(motion.walk(t, manner), math.pi / 2, view).keypoints for t in np.arange(0, 4, 0.05)])
    left, right, hand = side[:, LEFT_ANKLE, 0], side[:, RIGHT_ANKLE, 0], side[:, LEFT_WRIST, 0]
    assert np.corrcoef(left, right)[0, 1] < -0.6
    assert np.corrcoef(left, hand)[0, 1] < -0.6
    # Under somebody who walks to the picture's right, the foot in the air moves right, the one on the ground left.
    lifted = np.diff(side[:, [LEFT_ANKLE, RIGHT_ANKLE], 1])[:-1, 0] > 0.03
    assert lifted.any()
    assert np.diff(left)[lifted].mean() > 0.01
    assert np.diff(right)[lifted].mean() < -0.01


def test_somebody_stands_on_the_ground_with_its_full_height():
    for seed in range(5):
        figure = random_figure(np.random.default_rng(seed))
        placed = figure.place(np.zeros((posture.POSE_ROWS, 3)), 0.0, View(0, 0, 100.0))
        assert placed.keypoints[[LEFT_ANKLE, RIGHT_ANKLE], 1] == pytest.approx(-4.5, abs=1.0)
        assert placed.keypoints[NOSE, 1] == pytest.approx(-91, abs=3)


def test_a_scene_is_the_same_in_any_order():
    one, other = (
        SyntheticScene(160, 120, seed=5, size_range=(30, 100)),
        SyntheticScene(160, 120, seed=5, size_range=(30, 100)),
    )
    late, early = one.render(7.25), one.render(0.5)
    assert_same(other.render(0.5), early)
    assert_same(other.render(7.25), late)
    different = SyntheticScene(160, 120, seed=6, size_range=(30, 100)).render(0.5)
    assert (different.image != early.image).mean() > 0.5


def test_a_scene_moves_smoothly():
    scene = SyntheticScene(160, 120, people=5, seed=2, size_range=(25, 75))
    before, moved = None, 0.0
    for step in range(150):
        frame = scene.render(step / 30)
        assert ((frame.heights >= 24.9) & (frame.heights <= 75.1)).all()
        if before is not None:
            _, i, j = np.intersect1d(frame.ids, before.ids, return_indices=True)
            distance = np.linalg.norm(frame.keypoints[i, :, :2] - before.keypoints[j, :, :2], axis=2)
            share = distance / frame.heights[i, None]
            assert share.max(initial=0) < 0.25
            assert share[:, TORSO].max(initial=0) < 0.1
            assert np.abs(np.log(frame.heights[i] / before.heights[j])).max(initial=0) < 0.05
            moved = max(moved, share.max(initial=0))
        before = frame
    assert moved > 0.01


@pytest.mark.parametrize(("width", "height"), [(256, 256), (320, 180), (33, 70), (1, 1)])
def test_random_frames_keep_their_promises(width, height):
    rng = np.random.default_rng(9)
    people = 0
    for _ in range(12):
        frame = random_frame(rng, width, height, (0, 6), (30, 300))
        count = len(frame.ids)
        people += count
        assert (frame.image.shape, frame.image.dtype) == ((height, width, 3), np.uint8)
        for array, shape, kind in (
            (frame.keypoints, (count, 17, 3), np.float32),
            (frame.boxes, (count, 4), np.float32),
            (frame.areas, (count,), np.float32),
            (frame.heights, (count,), np.float32),
            (frame.ids, (count,), np.int64),
        ):
            assert array.shape == shape and array.dtype == kind and np.isfinite(array).all()
        assert len(set(frame.ids.tolist())) == count
        labelled = frame.keypoints[..., 2] > 0
        assert labelled.any(axis=1).all()
        assert set(np.unique(frame.keypoints[..., 2])) <= {0, 1, 2}
        xy = frame.keypoints[..., :2][labelled]
        assert ((xy >= 0) & (xy < (width, height))).all()
        assert ((frame.boxes[:, :2] >= 0) & (frame.boxes[:, 2:] <= (width, height))).all()
        sides = frame.boxes[:, 2:] - frame.boxes[:, :2]
        assert (frame.areas > 0).all() and (frame.areas <= sides.prod(axis=1) + 0.01).all()
        assert ((frame.heights >= 29.9) & (frame.heights <= 300.1)).all()
    assert people > 0 or width == 1


def test_random_frames_repeat_from_a_seed_and_vary():
    one, other = (random_frame(np.random.default_rng(3), 96, 96) for _ in range(2))
    assert_same(one, other)
    assert (random_frame(np.random.default_rng(4), 96, 96).image != one.image).mean() > 0.5


def test_a_given_background_stays_visible_and_unharmed():
    photo = np.zeros((200, 300, 3), np.uint8)
    photo[:, :, 1] = 200
    copy = photo.copy()
    frame = random_frame(np.random.default_rng(0), 128, 128, people=(0, 0), background=photo)
    green = frame.image[..., 1] > frame.image[..., 0].astype(int) + 80
    assert green.mean() > 0.5  # objects may stand before it
    same_size = random_frame(np.random.default_rng(1), 300, 200, people=(3, 3), background=photo)
    assert same_size.image.shape == (200, 300, 3)
    np.testing.assert_array_equal(photo, copy)


def test_an_empty_scene_has_empty_truth():
    frame = SyntheticScene(64, 48, people=0).render(1.0)
    assert frame.image.shape == (48, 64, 3)
    shapes = [a.shape for a in (frame.keypoints, frame.boxes, frame.areas, frame.heights, frame.ids)]
    assert shapes == [(0, 17, 3), (0, 4), (0,), (0,), (0,)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SyntheticScene(0, 10), "0 x 10"),
        (lambda: SyntheticScene(10, 10, people=-1), "-1 people"),
        (lambda: SyntheticScene(10, 10, size_range=(50, 20)), "size_range"),
        (lambda: SyntheticScene(10, 10).render(-1.0), "-1.0"),
        (lambda: SyntheticScene(10, 10).render(math.nan), "nan"),
        (lambda: random_frame(np.random.default_rng(0), 10, 10, people=(3, 1)), "people"),
        (lambda: random_frame(np.random.default_rng(0), 10, 10, size_range=(0, 1)), "size_range"),
    ],
)
def test_bad_values_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.slow
def test_rendering_is_fast_enough_to_play():
    scenes = [SyntheticScene(seed=seed) for seed in range(3)]
    for scene in scenes:
        scene.render(0.0)
    rounds = []
    for step in range(12):
        start = time.process_time()
        for scene in scenes:
            scene.render(step / 2)
        rounds.append((time.process_time() - start) / len(scenes))
    assert min(rounds) < 1 / 30  # seconds of one core a frame; the best round, for the machine may be busy
