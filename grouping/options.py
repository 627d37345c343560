"""The settings of grouping."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real


@dataclass(frozen=True)
class GroupingOptions:
    """How heatmaps and tags become people.

    max_people: candidates kept per keypoint, and the most people returned; at least 1.
    detection_threshold: a candidate's heatmap value lies above it; 0 to 1.
    tag_threshold: a candidate joins a person whose mean tag is nearer than this; above 0.
    person_threshold: people who score less are left out; 0 to 1. Nobody is with 0, as in the paper.
    nms_kernel: side of the window, in map pixels, in which a candidate is the maximum; odd.
    adjust: move each detected keypoint from its pixel's corner to its centre and a quarter pixel toward the
        higher neighbour. Without it, coordinates are bare pixel indices.
    refine: look for each person's missing keypoints where the heatmap is high and the tag is like theirs.

    Raises ValueError for a value out of range, TypeError for one of the wrong type.
    """

    max_people: int = 30
    detection_threshold: float = 0.1
    tag_threshold: float = 1.0
    nms_kernel: int = 5
    adjust: bool = True
    refine: bool = True
    person_threshold: float = 0.0

    def __post_init__(self) -> None:
        _require_type(self, ("max_people", "nms_kernel"), Integral, "a whole number")
        _require_type(self, ("detection_threshold", "tag_threshold", "person_threshold"), Real, "a number")
        if self.max_people < 1:
            raise ValueError(f"max_people is {self.max_people}; it must be at least 1")
        if self.nms_kernel < 1 or self.nms_kernel % 2 == 0:
            raise ValueError(f"nms_kernel is {self.nms_kernel}; it must be odd and at least 1")
        for name in ("detection_threshold", "person_threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must lie between 0 and 1")
        if not 0 < self.tag_threshold < float("inf"):
            raise ValueError(f"tag_threshold is {self.tag_threshold}; it must be positive and finite")
        for name in ("adjust", "refine"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} is {getattr(self, name)!r}; it must be True or False")


def _require_type(options: GroupingOptions, names: tuple[str, ...], kind: type, wanted: str) -> None:
    for name in names:
        value = getattr(options, name)
        if isinstance(value, bool) or not isinstance(value, kind):
            raise TypeError(f"{name} is {value!r}; it must be {wanted}")
