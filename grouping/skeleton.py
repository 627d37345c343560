"""Skeletons: which keypoints a person has, and everything that follows from their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

Side = Literal["left", "right", "centre"]


@dataclass(frozen=True)
class Skeleton:
    """The keypoints of a person, the limbs between them and how exactly each can be placed.

    names: K names, unique; a name that begins with ``left_`` needs its ``right_`` partner, and the
        other way round, for the mirrored pairs are read off the names.
    limbs: pairs of keypoint indices, each drawn as one line.
    oks_sigmas: K positive numbers, the object keypoint similarity's constant of each keypoint (the COCO
        evaluation's ``k_i`` is twice this).
    grouping_order: the K indices in the order in which keypoints are handed to people; the natural order
        if left out.

    Raises ValueError when these do not fit together.
    """

    name: str
    names: tuple[str, ...]
    limbs: tuple[tuple[int, int], ...]
    oks_sigmas: tuple[float, ...]
    grouping_order: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        order = range(len(self.names)) if self.grouping_order is None else self.grouping_order
        # Lists (from JSON) become tuples, so that a skeleton stays hashable and equal to its copy.
        values = {
            "names": tuple(self.names),
            "limbs": tuple(tuple(limb) for limb in self.limbs),
            "oks_sigmas": tuple(float(sigma) for sigma in self.oks_sigmas),
            "grouping_order": tuple(order),
        }
        for field, value in values.items():
            object.__setattr__(self, field, value)
        self._check_names()
        self._check_limbs()
        self._check_sigmas_and_order()

    def _check_names(self) -> None:
        self._check_unique()
        for name in self.names:
            partner = _mirrored(name)
            if partner not in self.names:
                raise ValueError(
                    f"skeleton {self.name!r} has {name!r} but no {partner!r}; left_ and right_ keypoints come in pairs"
                )

    def _check_unique(self) -> None:
        if not self.names:
            raise ValueError(f"skeleton {self.name!r} has no keypoints; name at least one")
        for index, name in enumerate(self.names):
            if self.names.index(name) != index:
                raise ValueError(f"skeleton {self.name!r} names the keypoint {name!r} twice; names are unique")

    def _check_limbs(self) -> None:
        indices = range(self.num_keypoints)
        for limb in self.limbs:
            if len(limb) != 2 or limb[0] == limb[1] or not all(end in indices for end in limb):
                raise ValueError(
                    f"skeleton {self.name!r} has the limb {limb}; a limb joins two different keypoints "
                    f"with indices 0 to {self.num_keypoints - 1}"
                )

    def _check_sigmas_and_order(self) -> None:
        if len(self.oks_sigmas) != self.num_keypoints:
            raise ValueError(
                f"skeleton {self.name!r} has {len(self.oks_sigmas)} OKS sigmas for "
                f"{self.num_keypoints} keypoints; give one each"
            )
        for sigma in self.oks_sigmas:
            if not 0 < sigma < float("inf"):
                raise ValueError(f"skeleton {self.name!r} has the OKS sigma {sigma}; sigmas are positive")
        if sorted(self.grouping_order) != list(range(self.num_keypoints)):
            raise ValueError(
                f"skeleton {self.name!r} has the grouping order {self.grouping_order}; "
                f"it holds each index from 0 to {self.num_keypoints - 1} once"
            )

    @property
    def num_keypoints(self) -> int:
        """K."""
        return len(self.names)

    @cached_property
    def flip_indices(self) -> tuple[int, ...]:
        """For each of the K keypoints the index of its mirror image, itself for a keypoint in the middle."""
        return tuple(self.names.index(_mirrored(name)) for name in self.names)

    @cached_property
    def flip_pairs(self) -> tuple[tuple[int, int], ...]:
        """The (left, right) index pairs that change places in a mirrored image."""
        return tuple(
            (index, self.flip_indices[index]) for index, name in enumerate(self.names) if name.startswith("left_")
        )

    @cached_property
    def keypoint_sides(self) -> tuple[Side, ...]:
        """The side of the body of each of the K keypoints, as the person sees it."""
        return tuple(_side(name) for name in self.names)

    @cached_property
    def limb_sides(self) -> tuple[Side, ...]:
        """The side of each limb: that of its sided ends, the centre if it has none or crosses over."""
        sides = []
        for first, second in self.limbs:
            ends = {self.keypoint_sides[first], self.keypoint_sides[second]} - {"centre"}
            sides.append(ends.pop() if len(ends) == 1 else "centre")
        return tuple(sides)

    def to_dict(self) -> dict[str, Any]:
        """The skeleton as plain lists, strings and numbers, ready for JSON."""
        return {
            "name": self.name,
            "names": list(self.names),
            "limbs": [list(limb) for limb in self.limbs],
            "oks_sigmas": list(self.oks_sigmas),
            "grouping_order": list(self.grouping_order),
        }

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Skeleton:
        """The skeleton that ``to_dict`` wrote; ValueError names a key that is missing or unknown."""
        if not isinstance(values, Mapping):
            raise ValueError(f"a skeleton is read from a dictionary, not from {type(values).__name__}")
        kind = PairedSkeleton if "pairs" in values else Skeleton
        expected = set(kind.__dataclass_fields__)
        if missing := sorted(expected - values.keys()):
            raise ValueError(f"the skeleton's description lacks {', '.join(missing)}")
        if unknown := sorted(values.keys() - expected):
            raise ValueError(f"the skeleton's description has the unknown entry {', '.join(unknown)}")
        return kind(**values)


@dataclass(frozen=True)
class PairedSkeleton(Skeleton):
    """A skeleton whose mirrored keypoints are given, and not read off their names.

    pairs: (left, right) indices of keypoints that change places in a mirrored image.
    """

    pairs: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "pairs", tuple(tuple(pair) for pair in self.pairs))
        super().__post_init__()

    def _check_names(self) -> None:
        self._check_unique()
        for pair in self.pairs:
            if len(pair) != 2 or not all(index in range(self.num_keypoints) for index in pair):
                raise ValueError(
                    f"skeleton {self.name!r} has the flip pair {pair}; a pair is two keypoints "
                    f"with indices 0 to {self.num_keypoints - 1}"
                )
        paired = [index for pair in self.pairs for index in pair]
        for index in paired:
            if paired.count(index) > 1:
                raise ValueError(
                    f"skeleton {self.name!r} has {self.names[index]!r} in more than one flip pair; it has one mirror"
                )

    @cached_property
    def flip_indices(self) -> tuple[int, ...]:
        mirrored = {one: other for pair in self.pairs for one, other in (pair, pair[::-1])}
        return tuple(mirrored.get(index, index) for index in range(self.num_keypoints))

    @cached_property
    def flip_pairs(self) -> tuple[tuple[int, int], ...]:
        return self.pairs

    @cached_property
    def keypoint_sides(self) -> tuple[Side, ...]:
        sides: dict[int, Side] = {left: "left" for left, _ in self.pairs} | {right: "right" for _, right in self.pairs}
        return tuple(sides.get(index, "centre") for index in range(self.num_keypoints))

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "pairs": [list(pair) for pair in self.pairs]}


def _side(name: str) -> Side:
    if name.startswith("left_"):
        return "left"
    return "right" if name.startswith("right_") else "centre"


def _mirrored(name: str) -> str:
    side = _side(name)
    if side == "centre":
        return name
    other = "right" if side == "left" else "left"
    return other + name.removeprefix(side)


COCO17 = Skeleton(
    name="coco17",
    names=(
        "nose",
        *("left_eye", "right_eye", "left_ear", "right_ear"),
        *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
        *("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
    ),
    limbs=(
        *((15, 13), (13, 11), (16, 14), (14, 12), (11, 12)),
        *((5, 11), (6, 12), (5, 6), (5, 7), (6, 8), (7, 9), (8, 10)),
        *((1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)),
    ),
    oks_sigmas=(
        *(0.026, 0.025, 0.025, 0.035, 0.035),
        *(0.079, 0.079, 0.072, 0.072, 0.062, 0.062),
        *(0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
    ),
    # The face, the shoulders and the hips first: they tell people apart best, and limbs then join them.
    grouping_order=(*range(7), 11, 12, *range(7, 11), *range(13, 17)),
)

CROWDPOSE14 = Skeleton(
    name="crowdpose14",
    names=(
        *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist"),
        *("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle"),
        *("head", "neck"),
    ),
    limbs=(
        *((10, 8), (8, 6), (11, 9), (9, 7), (6, 7), (0, 6), (1, 7), (0, 1)),
        *((0, 2), (1, 3), (2, 4), (3, 5), (12, 13), (0, 13), (1, 13)),
    ),
    oks_sigmas=(
        *(0.079, 0.079, 0.072, 0.072, 0.062, 0.062),
        *(0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
        *(0.079, 0.079),
    ),
    # COCO's list of indices without those that CrowdPose lacks, as the published models were evaluated.
    grouping_order=(*range(7), 11, 12, *range(7, 11), 13),
)

SKELETONS: Mapping[str, Skeleton] = MappingProxyType({skeleton.name: skeleton for skeleton in (COCO17, CROWDPOSE14)})
