"""Which network is to run, on what, and how its maps become people: the same choice wherever people are found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from engine.errors import SwahrError

if TYPE_CHECKING:
    from engine import PoseEstimator


@dataclass(frozen=True)
class EngineSettings:
    """See ``PoseEstimator.load``, whose arguments these are."""

    model: str = "default"
    preset: str | None = None
    size: int | None = None
    flip: bool = False
    device: str = "auto"
    backend: str = "auto"
    precision: str = "auto"

    def load(self, **more: Any) -> PoseEstimator:
        """The estimator; `more`: further arguments. Raises SwahrError for what cannot be had."""
        from engine import PoseEstimator

        return PoseEstimator.load(**vars(self), **more)


@dataclass(frozen=True)
class GroupingChoice:
    """What the user chose of the GroupingOptions; None: as the model itself has it.

    threshold: a keypoint's least heatmap value, the options' detection_threshold.
    tag_threshold: a keypoint joins a person whose mean tag is nearer than this. max_people: the most people returned.
    person_threshold: a person's least score.
    Raises SwahrError for a value out of range.
    """

    threshold: float | None = None
    tag_threshold: float | None = None
    max_people: int | None = None
    person_threshold: float | None = None

    def __post_init__(self) -> None:
        if self._chosen:
            from grouping import GroupingOptions

            try:
                GroupingOptions(**self._chosen)
            except (TypeError, ValueError) as error:
                raise SwahrError(f"{error}.") from None

    @property
    def _chosen(self) -> dict[str, Any]:
        options = {
            "detection_threshold": self.threshold,
            "tag_threshold": self.tag_threshold,
            "max_people": self.max_people,
            "person_threshold": self.person_threshold,
        }
        return {name: value for name, value in options.items() if value is not None}

    def apply(self, estimator: PoseEstimator) -> None:
        """Set an estimator's options to these, and to the model's own where nothing is chosen."""
        estimator.options = replace(estimator.own_options, **self._chosen)
