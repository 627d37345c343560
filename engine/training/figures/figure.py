"""A synthetic person: from a pose to solids and keypoints in picture coordinates.

Lengths are statures (standing height 1) in bone frames: x to the person's left, y up, z forward. The picture frame is
x right, y down, z away from the camera, in pixels.
"""

import math
from dataclasses import dataclass

import numpy as np

from engine.training.figures import paint, posture, raster, tailor, wardrobe
from engine.training.figures.posture import (
    CHEST,
    FOOT,
    FOREARM,
    FRAMES,
    HAND,
    HEAD,
    NECK,
    PARENTS,
    PELVIS,
    SEAT_FRAME,
    SHIN,
    SKIRT_FRAME,
    SPINE,
    THIGH,
    UPPER_ARM,
)
from engine.training.figures.wardrobe import Build, Look

ANKLE_HEIGHT = 0.045
LIMBS = np.arange(posture.BONES) >= UPPER_ARM[0]
RIGHT_LIMBS = [*range(UPPER_ARM[1], THIGH[0]), *range(THIGH[1], posture.BONES)]
FACE_KEYPOINTS = 5
KEYPOINT_BONES = np.array([HEAD] * FACE_KEYPOINTS + [*UPPER_ARM, *FOREARM, *HAND, PELVIS, PELVIS, *SHIN, *FOOT])
# How deep a keypoint lies under the surface, in statures; eyes, ears and nose lie on it.
DEPTH_UNDER_SURFACE = np.repeat((0.02, 0.02, 0.025, 0.07, 0.05, 0.045, 0.12, 0.07, 0.055), (1, 2, 2, 2, 2, 2, 2, 2, 2))
# Where the face keypoints are on the head (head heights), whence they can be seen, and how far they may turn away.
FACE_POINTS = np.array(
    [(0, 0.345, 0.43), (0.145, 0.50, 0.31), (-0.145, 0.50, 0.31), (0.33, 0.45, -0.04), (-0.33, 0.45, -0.04)]
)
FACE_NORMALS = np.array([(0, 0.1, 1), (0.42, 0.1, 0.9), (-0.42, 0.1, 0.9), (0.97, 0, -0.1), (-0.97, 0, -0.1)])
FACE_TURN = np.array((0.35, 0.15, 0.15, 0.3, 0.3))
CONTACT_BONES = np.array([*FOOT, *FOOT, *SHIN, *HAND, *UPPER_ARM, PELVIS, CHEST, HEAD])
CONTACTS = np.array(
    [(0, -0.042, -0.04)] * 2
    + [(0, -0.045, 0.1)] * 2
    + [(0, 0, 0.038)] * 2
    + [(0, -0.09, 0)] * 2
    + [(0, 0.03, 0)] * 2
    + [(0, -0.06, -0.04), (0, 0.05, -0.07), (0, 0.13, 0)]
)


@dataclass(frozen=True)
class View:
    """Where a person stands in the picture and from where the camera sees it."""

    x: float  # pixels, the point on the ground under the pelvis
    y: float
    stature: float  # pixels
    pitch: float = 0.0  # radians, the camera looking down
    roll: float = 0.0
    distance: float = 1e3  # statures, for the perspective within the body

    def camera(self) -> np.ndarray:
        """Rotation [3, 3] from the world (x right, y up, z toward the camera) to the picture frame."""
        cp, sp, cr, sr = math.cos(self.pitch), math.sin(self.pitch), math.cos(self.roll), math.sin(self.roll)
        return np.array([(cr, -sr, 0), (sr, cr, 0), (0, 0, 1)]) @ np.array([(1, 0, 0), (0, -cp, sp), (0, -sp, -cp)])


@dataclass(frozen=True)
class Placed:
    """A posed person in picture coordinates."""

    solids: np.ndarray  # float64 [S, SOLID_FIELDS]
    tags: np.ndarray  # int64 [S, TAG_FIELDS]
    keypoints: np.ndarray  # float64 [17, 3]: x, y, depth
    turned_away: np.ndarray  # bool [17]: face keypoints on the far side of the head
    slack: np.ndarray  # float64 [17]: pixels a surface may lie before a keypoint that it does not hide
    skeleton: np.ndarray  # float64 [BONES, 3]: bone origins in statures, y above the ground, from the pelvis


def _rotations(angles: np.ndarray) -> np.ndarray:
    """Local rotation matrices [BONES, 3, 3] of a pose's angles [BONES, 3]."""
    signed = angles.copy()
    signed[LIMBS, posture.SWING] *= -1
    signed[RIGHT_LIMBS, 1:] *= -1  # twist and spread
    cos, sin = np.cos(signed), np.sin(signed)
    x, y, z = np.zeros((3, len(angles), 3, 3))
    for matrix, axis, (i, j) in ((x, 0, (1, 2)), (y, 1, (2, 0)), (z, 2, (0, 1))):
        matrix[:, axis, axis] = 1
        matrix[:, i, i] = matrix[:, j, j] = cos[:, axis]
        matrix[:, j, i], matrix[:, i, j] = sin[:, axis], -sin[:, axis]
    limbs = LIMBS[:, None, None]
    return np.where(limbs, z, y) @ x @ np.where(limbs, y, z)


def _own_axes(along: np.ndarray) -> np.ndarray:
    """Rotations [S, 3, 3] whose y axis runs along each part [S, 3], so that squashing happens across it."""
    length = np.linalg.norm(along, axis=1, keepdims=True)
    y = np.where(length > 1e-9, along / np.maximum(length, 1e-12), (0.0, 1.0, 0.0))
    steep = np.abs(y[:, 2:]) > 0.9
    x = np.where(steep, (1.0, 0.0, 0.0) - y[:, :1] * y, np.stack([y[:, 1], -y[:, 0], 0 * y[:, 0]], axis=1))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    axes = np.stack([x, y, np.cross(x, y)], axis=2)
    axes[np.abs(y[:, 1]) > 0.98] = np.eye(3)
    return axes


class Figure:
    """One person: a body, clothes and hair, ready to be posed."""

    def __init__(self, build: Build, look: Look):
        self.build, self.look = build, look
        self._measure()
        parts = tailor.dress(build, look)
        bones, starts, ends, radii, materials, squash, rounded, clips, props = zip(*parts, strict=True)
        self._bones = np.array(bones)
        self._without_seat = int((self._bones != SEAT_FRAME).sum())
        # Skirts and seats have frames with a scale of their own.
        unit = np.where(self._bones < posture.BONES, self._unit, 1.0)[:, None]
        self._points = np.stack([starts, ends], axis=1) * unit[:, None]  # [S, 2, 3]
        self._radii = np.array(radii) * unit
        self._shapes = _own_axes(self._points[:, 1] - self._points[:, 0]) * np.array(squash)[:, None]  # [S, 3, 3]
        planes = np.array([clip or (0, 0, 0, 0) for clip in clips], float)
        planes[:, 3:] *= unit
        # The trunk is painted in one piece, by height over the chest.
        rest = np.cumsum([0.0, *self._offsets[[SPINE, CHEST], 1]])
        drawn = self._points[:, 0].copy()
        for bone in (PELVIS, SPINE):
            drawn[self._bones == bone, 1] += rest[bone] - rest[CHEST]
        self._solids = np.zeros((len(parts), raster.SOLID_FIELDS))
        self._solids[:, raster.CLIP : raster.CLIP + 4] = planes
        self._solids[:, raster.PAINT : raster.PAINT + 3] = drawn
        self._solids[:, raster.PAINT + 3 : raster.A] = self._shapes.reshape(-1, 9)
        self._tags = np.zeros((len(parts), raster.TAG_FIELDS), np.int64)
        self._tags[:, raster.MATERIAL] = materials
        self._tags[:, raster.ROUND_START : raster.ROUND_END + 1] = rounded
        self._tags[:, raster.CLIPPED] = [clip is not None for clip in clips]
        self._tags[:, raster.PROP] = props
        self.materials = look.materials.copy()
        self.materials[wardrobe.HEAD_SKIN, paint.PERIOD] = build.head * self._unit

    def _measure(self) -> None:
        """Bone lengths and keypoint places for a standing height of 1."""
        build = self.build
        thigh, shin = tailor.THIGH_LENGTH * build.legs, tailor.SHIN_LENGTH * build.legs
        trunk = 0.045, 0.125, 0.150, 0.035
        self._unit = unit = 1 / (ANKLE_HEIGHT + thigh + shin + sum(trunk) + build.head)
        offsets = np.zeros((posture.BONES, 3))
        offsets[SPINE, 1], offsets[CHEST, 1] = trunk[0], trunk[1]
        offsets[NECK], offsets[HEAD] = (0, trunk[2], -0.006), (0, trunk[3], 0.010)
        for side, sign in ((posture.LEFT, 1), (posture.RIGHT, -1)):
            offsets[UPPER_ARM[side]] = sign * build.shoulders, 0.115, -0.006
            offsets[FOREARM[side], 1] = -tailor.UPPER_ARM_LENGTH * build.arms
            offsets[HAND[side], 1] = -tailor.FOREARM_LENGTH * build.arms
            offsets[THIGH[side], 0] = sign * 0.052
            offsets[SHIN[side], 1], offsets[FOOT[side], 1] = -thigh, -shin
        self._offsets = offsets * unit
        hips = (0.068 + 0.1 * max(0.0, build.hips - 0.09)) * unit
        self._keypoints = np.zeros((17, 3))
        self._keypoints[:FACE_KEYPOINTS] = FACE_POINTS * build.head * unit
        self._keypoints[11:13] = (hips, 0.012 * unit, 0), (-hips, 0.012 * unit, 0)
        self._contacts = CONTACTS * unit

    def _kinematics(self, pose: np.ndarray, yaw: float) -> tuple[np.ndarray, np.ndarray]:
        """Rotations [FRAMES, 3, 3] and origins [FRAMES, 3] of all frames; the lowest point touches y = 0, plus lift."""
        local = _rotations(pose[: posture.BONES])
        cos, sin = math.cos(yaw), math.sin(yaw)
        turn = np.array([(cos, 0, sin), (0, 1, 0), (-sin, 0, cos)])
        rotations, origins = np.empty((FRAMES, 3, 3)), np.zeros((FRAMES, 3))
        rotations[PELVIS] = turn @ local[PELVIS]
        for bone in range(1, posture.BONES):
            parent, offset = PARENTS[bone], self._offsets[bone]
            rotations[bone] = rotations[parent] @ local[bone]
            if bone in UPPER_ARM:
                # The collar bone lifts the shoulder of a raised arm.
                raised = max(0.0, 0.5 - 0.5 * float(rotations[parent, :, 1] @ rotations[bone, :, 1]))
                offset = offset * (1 - 0.12 * raised, 1, 1) + (0, 0.03 * raised * raised, 0)
            origins[bone] = origins[parent] + rotations[parent] @ offset
        contacts = origins[CONTACT_BONES] + np.einsum("nij,nj->ni", rotations[CONTACT_BONES], self._contacts)
        origins[: posture.BONES, 1] += pose[posture.LIFT, 0] - contacts[:, 1].min()
        rotations[SKIRT_FRAME], origins[SKIRT_FRAME] = _skirt_frame(rotations[PELVIS], origins), origins[PELVIS]
        seat = max(0.05, origins[PELVIS, 1] - 0.045)
        rotations[SEAT_FRAME], origins[SEAT_FRAME] = turn * (1, seat, 1), origins[PELVIS] * (1, 0, 1)
        return rotations, origins

    def place(self, pose: np.ndarray, yaw: float, view: View, seated: bool = False) -> Placed:
        """Pose the figure (rows of ``posture``), turned by ``yaw``: 0 faces the camera, positive the right."""
        rotations, origins = self._kinematics(pose, yaw)
        camera = view.camera()
        root = origins[PELVIS] * (1, 0, 1)

        def project(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            seen = (points - root) @ camera.T
            scale = view.stature / np.maximum(0.25, 1 + seen[..., 2:] / view.distance)
            pixels = np.concatenate([seen[..., :2] * scale + (view.x, view.y), seen[..., 2:] * view.stature], axis=-1)
            return pixels, scale[..., 0]

        count = len(self._bones) if seated else self._without_seat
        bones = self._bones[:count]
        frames = rotations[bones]
        pixels, scale = project(origins[bones, None] + np.einsum("nij,nkj->nki", frames, self._points[:count]))
        shapes = camera @ frames @ self._shapes[:count] * scale[:, :1, None]
        inverse = np.linalg.inv(shapes)
        radii = self._radii[:count] * scale / scale[:, :1]
        solids, tags = self._solids[:count].copy(), self._tags[:count].copy()
        solids[:, : raster.ORIGIN] = inverse.reshape(-1, 9)
        solids[:, raster.ORIGIN : raster.AXIS] = pixels[:, 0]
        solids[:, raster.AXIS : raster.RADII] = np.einsum("nij,nj->ni", inverse, pixels[:, 1] - pixels[:, 0])
        solids[:, raster.RADII : raster.CLIP] = radii
        raster.finish(solids)
        reach = np.linalg.norm(shapes[:, :2], axis=2)[:, None] * radii[..., None]  # [S, 2, 2]
        tags[:, raster.BOX : raster.BOX + 2] = np.floor((pixels[..., :2] - reach).min(1))
        tags[:, raster.BOX + 2 :] = np.ceil((pixels[..., :2] + reach).max(1))

        turned = np.einsum("nij,nj->ni", rotations[KEYPOINT_BONES], self._keypoints)
        keypoints, _ = project(origins[KEYPOINT_BONES] + turned)
        turned_away = np.zeros(17, bool)
        turned_away[:FACE_KEYPOINTS] = (FACE_NORMALS @ (camera @ rotations[HEAD]).T)[:, 2] > FACE_TURN
        skeleton = origins[: posture.BONES] - root
        return Placed(solids, tags, keypoints, turned_away, DEPTH_UNDER_SURFACE * view.stature, skeleton)


def _skirt_frame(pelvis: np.ndarray, origins: np.ndarray) -> np.ndarray:
    """A frame [3, 3] that is as long as the way to the knees and as wide as they are apart."""
    knees = origins[SHIN[0]], origins[SHIN[1]]
    down = origins[PELVIS] - 0.5 * (knees[0] + knees[1])
    y = down / (np.linalg.norm(down) + 1e-9)
    across = knees[0] - knees[1] + 0.04 * pelvis[:, 0]
    across = across - (across @ y) * y
    spread = np.linalg.norm(across)
    x = across / (spread + 1e-9)
    widen = 0.92 + 1.8 * max(0.0, spread - 0.10)
    return np.stack([x * widen, down, np.cross(x, y) * 0.95], axis=1)


def random_figure(rng: np.random.Generator) -> Figure:
    """A person with a random body, clothes and hair."""
    build = wardrobe.random_build(rng)
    return Figure(build, wardrobe.random_look(rng, build))
