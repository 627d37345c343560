"""Photos with labelled people, most often from annotation files in COCO's keypoint format (COCO, CrowdPose)."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.errors import SwahrError
from engine.training.findings import OUTSIDE, Findings
from engine.training.photo_table import PhotoTable, open_table
from engine.training.picture_checks import check_pictures, likely_folder, missing_pictures, size_fault
from engine.training.pictures import read_rgb
from grouping import Skeleton

_log = logging.getLogger(__name__)


@dataclass
class LabelledImage:
    """A picture, the people in it, and the regions about which the labels say nothing.

    image RGB uint8 [H,W,3]; keypoints float32 [P,K,3] x, y in pixels (pixel centres at integer + 0.5) and visibility
    (2 visible, 1 hidden, 0 not labelled); ignored: polygons, each float32 [n,2], whose pixels must not count in a loss.
    A polygon may touch itself: each is filled by the even-odd rule (see `filling.fill`).
    """

    image: np.ndarray
    keypoints: np.ndarray
    ignored: list[np.ndarray] = field(default_factory=list)


@dataclass(frozen=True)
class PhotoRecord:
    """What the annotations say of one photo, without its pixels. The arrays are read-only."""

    id: int
    path: Path
    size_wh: tuple[int, int]
    source: str
    keypoints: np.ndarray  # float32 [P, K, 3]
    people_ids: tuple[int, ...]  # of their annotations
    ignored: tuple[np.ndarray, ...]
    crowd_index: float  # CrowdPose's, 0 to 1; NaN elsewhere


class Photos(Sequence[PhotoRecord], ABC):
    """Photos and what is said of each, wherever their pixels come from.

    annotations: where the labels come from, for messages. table: what they say, of all photos. skip_broken: whether
    photos that cannot be read are left out, instead of raising SwahrError. damaged: how many `load` could not read so
    far, here and in processes that were forked from this one. findings: what is wrong with the labels and the pictures,
    as far as it was looked at.
    """

    def __init__(
        self,
        annotations: Path,
        skeleton: Skeleton,
        table: PhotoTable,
        sound: NDArray[np.bool_],
        findings: Findings,
        skip_broken: bool,
    ) -> None:
        """table: of all photos. sound: which of them are used, bool [N]. Faults raise SwahrError, unless skipped."""
        self.annotations, self.skeleton, self.skip_broken = annotations, skeleton, skip_broken
        self.table, self.findings = table, findings
        self._refuse_faults()
        self._sound = np.flatnonzero(sound)
        self._damaged = torch.zeros(len(self._sound), dtype=torch.uint8).share_memory_() if skip_broken else None
        if skip_broken and not len(self._sound):
            raise SwahrError(f"{self.annotations}: not one photo can be used; swahr data check says what is wrong.")

    @abstractmethod
    def _path(self, at: int) -> Path:
        """Where the photo at this place of the table is, for messages."""

    @abstractmethod
    def _pixels(self, at: int) -> NDArray[np.uint8]:
        """The pixels of the photo at this place of the table, RGB uint8 [H,W,3]. Raises SwahrError naming it."""

    @property
    def damaged(self) -> int:
        return 0 if self._damaged is None else int(torch.count_nonzero(self._damaged))

    def notes(self) -> Iterator[str]:
        """What a user should know before training: a sentence each about faults and about labels that do not count."""
        if self.findings.faults:
            yield (
                f"{self.annotations}: {self.findings.faults} faults are left out ({self.findings.fault_counts()}), "
                f"{len(self)} of {len(self.table)} photos remain; the first: {self.findings.first_fault}"
            )
        if outside := self.findings.counts.get(OUTSIDE):
            first = self.findings.sentences[OUTSIDE][0]
            yield f"{self.annotations}: {OUTSIDE} ({outside}) do not count; the first: {first}"

    def left_out(self) -> dict[str, int]:
        """How many faults are left out, and how many keypoints do not count because they lie outside; if any."""
        findings = self._all_findings()
        counts = {"left_out": findings.faults, "keypoints_outside": findings.counts.get(OUTSIDE, 0)}
        return {name: number for name, number in counts.items() if number}

    @property
    def ids(self) -> list[int]:
        """The id of each photo, as the annotations have it."""
        return self.table.ids[self._sound].tolist()

    @property
    def annotation_ids(self) -> list[int]:
        """The ids of all sound annotations."""
        return self.table.annotation_ids.tolist()

    @property
    def records(self) -> Sequence[PhotoRecord]:
        """The photos themselves, each made when it is asked for."""
        return self

    def __len__(self) -> int:
        return len(self._sound)

    def __getitem__(self, index: int) -> PhotoRecord:
        table, at = self.table, int(self._sound[index])
        return PhotoRecord(
            int(table.ids[at]),
            self._path(at),
            (int(table.sizes[at, 0]), int(table.sizes[at, 1])),
            table.source_names[table.sources[at]],
            table.people(at),
            tuple(table.ids_of_people(at)),
            tuple(table.rings(at)),
            float(table.crowd_indices[at]),
        )

    def load(self, index: int, among: NDArray[np.int64] | None = None) -> LabelledImage:
        """Read photo `index`; a picture that is missing, damaged or of another size is named in the error.

        Where broken ones are skipped, the next photo takes its place, with a warning when the broken one is first met.
        among: rising indices, `index` one of them, of those that may take it; None: all.
        """
        allowed = np.arange(len(self)) if among is None else among
        first = int(np.searchsorted(allowed, index))
        for step in range(len(allowed)):
            at = int(allowed[(first + step) % len(allowed)])
            record = self[at]
            try:
                return LabelledImage(self.read(at), record.keypoints.copy(), list(record.ignored))
            except SwahrError as error:
                if not self.skip_broken:
                    raise
                if not self._damaged[at]:
                    self._damaged[at] = 1
                    _log.warning("%s The next photo takes its place.", error)
        raise SwahrError(f"{self.annotations}: not one of its pictures can be read; check where they are.")

    def read(self, index: int) -> NDArray[np.uint8]:
        """The pixels of photo `index`, RGB uint8 [H,W,3]; a broken picture is named in the error."""
        image, record = self._pixels(int(self._sound[index])), self[index]
        fault = size_fault(record.path, record.size_wh, image.shape[1::-1])
        if fault:
            raise SwahrError(fault)
        return image

    def weights(self, source_weights: Mapping[str, float]) -> NDArray[np.float64]:
        """The weight of each photo, float64 [N]: that of its source, 1 for a source that is not named."""
        of_source = np.array([source_weights.get(name, 1.0) for name in self.table.source_names])
        return of_source[self.table.sources[self._sound]]

    def without_people(self) -> NDArray[np.int64]:
        """The indices of photos with neither labelled people nor regions to ignore."""
        return np.flatnonzero(~(self.table.has_people() | self.table.has_rings())[self._sound])

    def _all_findings(self) -> Findings:
        """What was ever found wrong with the photos."""
        return self.findings

    def _refuse_faults(self) -> None:
        if self.skip_broken or not self.findings.first_fault:
            return
        sentence, number = self.findings.first_fault, self.findings.faults
        if number > 1:
            sentence = f"{sentence.removesuffix('.')} (one of {number} faults; swahr data check lists them)."
        raise SwahrError(f"{self.annotations}: {sentence}")


class CocoPhotos(Photos):
    """The photos of an annotation file in COCO's keypoint format, with any skeleton: what it says of each.

    Crowd regions (`iscrowd`) and people without any labelled keypoint become regions to ignore, as in the paper's code:
    by their segmentation (polygons, or run lengths of either kind) where there is one, else by their box. An optional
    field `source` of an image names the collection it comes from.

    The file is parsed once: its content is kept as flat arrays in the cache folder, which all processes map and none
    copies. Pickled, photos are little more than paths.

    images: the folder of the pictures; None: where COCO and CrowdPose have it, or beside the file (`likely_folder`).
    skip_broken: leave out faulty entries and pictures, instead of raising SwahrError that names the first.
    """

    def __init__(self, annotations: Path, images: Path | None, skeleton: Skeleton, skip_broken: bool = False) -> None:
        annotations = Path(annotations)
        table = open_table(annotations, skeleton)
        self.images = likely_folder(annotations, table) if images is None else Path(images)
        look = check_pictures if skip_broken else missing_pictures
        sound, findings = look(table, self.images)
        super().__init__(annotations, skeleton, table, sound, table.findings.merged(findings), skip_broken)

    def _path(self, at: int) -> Path:
        return self.images / self.table.file_name(at)

    def _pixels(self, at: int) -> NDArray[np.uint8]:
        return read_rgb(self._path(at))
