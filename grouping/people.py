"""The result of grouping: the people of one image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .skeleton import COCO17, Skeleton

if TYPE_CHECKING:
    from supervision import KeyPoints

CREDIBLE_PART = 0.1


@dataclass(frozen=True, eq=False)
class People:
    """The P people found in one image, each with K keypoints.

    keypoints: float32 [P, K, 3]: x, y, score. Pixel centres lie at integers + 0.5. Score 0: not found, and
        x and y mean nothing.
    scores: float32 [P], how sure each person is.
    sigmas: float32 [P, K], how far off each keypoint may be, in the pixels of ``keypoints``; or None.
    skeleton: what the K keypoints are.
    ids: int64 [P], who is who from frame to frame; or None.
    tags: float32 [P, T], the mean tag of each person's keypoints, by which the network tells the people of one image
        apart (section 3.5 of the paper); or None, as for people read from files, which do not hold them.

    Raises ValueError for a wrong shape or a value that is not finite. Indexing selects people as in numpy
    (an index, a slice, a mask, an array of indices) and always gives a ``People``.
    """

    keypoints: NDArray[np.float32]
    scores: NDArray[np.float32]
    sigmas: NDArray[np.float32] | None = None
    skeleton: Skeleton = COCO17
    ids: NDArray[np.int64] | None = None
    tags: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.skeleton, Skeleton):
            raise TypeError(f"skeleton is a {type(self.skeleton).__name__}; it must be a grouping.Skeleton")
        number_of_keypoints = self.skeleton.num_keypoints
        self._set("keypoints", np.float32, (None, number_of_keypoints, 3), "[P, K, 3]")
        people = len(self.keypoints)
        self._set("scores", np.float32, (people,), "[P]")
        if self.sigmas is not None:
            self._set("sigmas", np.float32, (people, number_of_keypoints), "[P, K]")
        if self.ids is not None:
            self._set("ids", np.int64, (people,), "[P]")
        if self.tags is not None:
            self._set("tags", np.float32, (people, None), "[P, T]")

    def _set(self, name: str, dtype: type, expected: tuple[int | None, ...], letters: str) -> None:
        array = np.asarray(getattr(self, name), dtype=dtype)
        fits = len(array.shape) == len(expected) and all(
            want is None or want == have for want, have in zip(expected, array.shape, strict=True)
        )
        if not fits:
            wanted = ", ".join("any" if want is None else str(want) for want in expected)
            raise ValueError(
                f"people.{name} has shape {list(array.shape)}, expected [{wanted}] ({letters}, "
                f"skeleton {self.skeleton.name})"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"people.{name} holds a value that is not a finite number")
        object.__setattr__(self, name, array)

    @classmethod
    def empty(cls, skeleton: Skeleton) -> People:
        """Nobody: every array has length 0; sigmas, ids and tags are None."""
        keypoints = np.zeros((0, skeleton.num_keypoints, 3), np.float32)
        return cls(keypoints, np.zeros(0, np.float32), skeleton=skeleton)

    @property
    def is_empty(self) -> bool:
        """Whether nobody was found."""
        return len(self) == 0

    def __len__(self) -> int:
        return len(self.keypoints)

    def __getitem__(self, index: int | slice | ArrayLike) -> People:
        if isinstance(index, (int, np.integer)):
            if not -len(self) <= index < len(self):
                raise IndexError(f"person {index} of {len(self)}")
            index = [index]
        elif not isinstance(index, slice):
            index = np.asarray(index)
            if index.size == 0 and index.dtype != bool:
                index = index.astype(np.int64)  # numpy makes an empty list an array of floats
        return replace(
            self,
            keypoints=self.keypoints[index],
            scores=self.scores[index],
            sigmas=None if self.sigmas is None else self.sigmas[index],
            ids=None if self.ids is None else self.ids[index],
            tags=None if self.tags is None else self.tags[index],
        )

    def __iter__(self) -> Iterator[People]:
        return (self[index] for index in range(len(self)))

    @property
    def found(self) -> NDArray[np.bool_]:
        """Which keypoints were found, bool [P, K]."""
        return self.keypoints[:, :, 2] > 0

    @property
    def credible(self) -> NDArray[np.bool_]:
        """Which keypoints are worth showing, bool [P, K]: found, and at least a tenth as sure as the person's surest.

        Refinement fills in every keypoint whose heatmap is above zero anywhere; what is left out here lies where the
        heatmap was next to nothing.
        """
        scores = self.keypoints[:, :, 2]
        return self.found & (scores >= CREDIBLE_PART * scores.max(axis=1, keepdims=True, initial=0))

    @property
    def boxes(self) -> NDArray[np.float32]:
        """The smallest box around each person's credible keypoints, float32 [P, 4]: left, top, right, bottom.

        Zeros for a person without any found keypoint.
        """
        found = self.credible[:, :, None]
        positions = self.keypoints[:, :, :2]
        low = np.where(found, positions, np.inf).min(axis=1)
        high = np.where(found, positions, -np.inf).max(axis=1)
        boxes = np.concatenate((low, high), axis=1)
        return np.where(self.found.any(axis=1)[:, None], boxes, 0).astype(np.float32)

    def transformed(self, affine: ArrayLike) -> People:
        """The same people in other coordinates.

        affine: [2, 3], maps x, y, 1 to the new x, y. Sigmas grow by the square root of the absolute
        determinant; keypoints that were not found stay as they are.
        """
        matrix = np.asarray(affine, np.float64)
        if matrix.shape != (2, 3):
            raise ValueError(f"the affine transform has shape {list(matrix.shape)}, expected [2, 3]")
        positions = self.keypoints[:, :, :2].astype(np.float64) @ matrix[:, :2].T + matrix[:, 2]
        keypoints = self.keypoints.copy()
        keypoints[:, :, :2] = np.where(self.found[:, :, None], positions, keypoints[:, :, :2])
        sigmas = self.sigmas
        if sigmas is not None:
            sigmas = sigmas * np.sqrt(abs(np.linalg.det(matrix[:, :2])))
        return replace(self, keypoints=keypoints, sigmas=sigmas)

    def values_at(self, maps: ArrayLike) -> NDArray[np.float32]:
        """Each keypoint's value in its own map, 0 where it was not found.

        maps: [K, h, w], whose pixels the people's coordinates count. Returns float32 [P, K]. This is how the
        scale branch's answer for a keypoint is read (section 3.2 of the paper).
        """
        maps = np.asarray(maps, np.float32)
        if maps.ndim != 3 or len(maps) != self.skeleton.num_keypoints or 0 in maps.shape:
            raise ValueError(f"the maps have shape {list(maps.shape)}, expected [{self.skeleton.num_keypoints}, h, w]")
        pixels = np.floor(self.keypoints[:, :, :2]).astype(np.int64)
        columns = pixels[:, :, 0].clip(0, maps.shape[2] - 1)
        rows = pixels[:, :, 1].clip(0, maps.shape[1] - 1)
        values = maps[np.arange(len(maps)), rows, columns]
        return np.where(self.found, values, np.float32(0))

    def to_supervision(self) -> KeyPoints:
        """The same people as ``supervision.KeyPoints``, for its annotators and metrics.

        Keypoints that were not found lie at (0, 0), as supervision has it, and are not visible. ``class_id`` is 0, a
        person. ``data`` holds "sigma" [P, K] and "tracker_id" [P] where they are known.
        Raises ImportError unless supervision is installed.
        """
        import supervision

        data = {"sigma": self.sigmas, "tracker_id": self.ids}
        return supervision.KeyPoints(
            xy=np.where(self.found[:, :, None], self.keypoints[:, :, :2], np.float32(0)),
            class_id=np.zeros(len(self), np.int64),
            keypoint_confidence=self.keypoints[:, :, 2].copy(),
            detection_confidence=self.scores.copy(),
            visible=self.found,
            data={name: values.copy() for name, values in data.items() if values is not None},
        )
