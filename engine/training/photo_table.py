"""What an annotation file says, as flat arrays on the disk that any number of processes read and none copies.

Letters: N photos, P people, K keypoints, R rings around regions to ignore, M corners of all rings.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.backends.cache import entry
from engine.training.annotations import read_annotations
from engine.training.checks import check_entries
from engine.training.findings import Findings
from grouping import Skeleton

FORMAT = 3  # of the arrays and of the checks; another number reads all annotation files anew

_log = logging.getLogger(__name__)


class PhotoTable:
    """The sound entries of an annotation file, photo after photo.

    ids int64 [N]; sizes int32 [N,2] width, height; crowd_indices float32 [N] (NaN: none); sources uint16 [N], an index
    into `source_names`; names uint8, all file names in UTF-8; annotation_ids int64, of all sound ones; people_ids int64
    [P], those of labelled people; keypoints float32 [P,K,3]; corners float32 [M,2];
    names_end, people_end, rings_end int64 [N] and corners_end int64 [R]: where those of a photo or a ring end.
    findings: what is wrong with the file. place: the folder of the arrays, None where they could not be kept.
    """

    ARRAYS = (
        *("ids", "sizes", "crowd_indices", "sources", "names", "names_end"),
        *("annotation_ids", "people_ids", "people_end", "keypoints", "rings_end", "corners_end", "corners"),
    )

    def __init__(
        self, arrays: dict[str, NDArray], source_names: Sequence[str], findings: Findings, place: Path | None
    ) -> None:
        for name in self.ARRAYS:
            setattr(self, name, arrays[name])
        self.source_names, self.findings, self.place = list(source_names), findings, place

    def __len__(self) -> int:
        return len(self.ids)

    def file_name(self, index: int) -> str:
        """The file name of photo `index`, as the annotations have it."""
        return bytes(self.names[_span(self.names_end, index)]).decode()

    def people(self, index: int) -> NDArray[np.float32]:
        """The people of photo `index`, float32 [P',K,3], read-only."""
        return self.keypoints[_span(self.people_end, index)]

    def ids_of_people(self, index: int) -> list[int]:
        """The ids of their annotations."""
        return self.people_ids[_span(self.people_end, index)].tolist()

    def rings(self, index: int) -> list[NDArray[np.float32]]:
        """The regions to ignore in photo `index`, each float32 [n,2], read-only."""
        rings = _span(self.rings_end, index)
        return [self.corners[_span(self.corners_end, ring)] for ring in range(rings.start, rings.stop)]

    def has_people(self) -> NDArray[np.bool_]:
        """Which photos have labelled people, bool [N]."""
        return np.diff(self.people_end, prepend=0) > 0

    def has_rings(self) -> NDArray[np.bool_]:
        """Which photos have regions to ignore, bool [N]."""
        return np.diff(self.rings_end, prepend=0) > 0

    def __reduce__(self) -> tuple:
        # A process that is sent this table opens the files, instead of receiving what they hold.
        if self.place is not None:
            return _opened, (self.place,)
        arrays = {name: getattr(self, name) for name in self.ARRAYS}
        return PhotoTable, (arrays, self.source_names, self.findings, None)


def open_table(annotations: Path, skeleton: Skeleton) -> PhotoTable:
    """The table of an annotation file, from the cache if this content was read before.

    It is kept in the cache folder, by the file's content and the skeleton; where that cannot be written, the table
    stays in memory. Raises SwahrError for a file that holds no annotations; faulty entries are in `findings`.
    """
    return kept_table(_digest(annotations), skeleton, annotations, lambda: read_annotations(annotations))


def kept_table(digest: str, skeleton: Skeleton, where: Path, read: Callable[[], dict[str, Any]]) -> PhotoTable:
    """The table of what `read` gives, from the cache if it was kept there for this digest and skeleton.

    where: what the annotations are in, for messages.
    """
    place = entry("annotations", FORMAT, digest, skeleton.name, skeleton.names)
    try:
        return _opened(place)
    except (OSError, ValueError, KeyError):  # not there, or damaged
        shutil.rmtree(place, ignore_errors=True)
    table = build_table(read(), skeleton)
    try:
        _keep(table, place)
        return _opened(place)
    except (OSError, ValueError, KeyError) as error:
        _log.warning("What %s says cannot be kept in %s (%s), so it is read anew next time.", where, place, error)
        return table


def build_table(data: dict[str, Any], skeleton: Skeleton) -> PhotoTable:
    """The table of an annotation file's JSON, in memory."""
    photos, findings = check_entries(data, skeleton)
    source_names = sorted({photo.source for photo in photos})
    number_of = {name: number for number, name in enumerate(source_names)}
    names = [photo.file_name.encode() for photo in photos]
    rings = [ring for photo in photos for ring in photo.ignored]
    people = [person for photo in photos for person in photo.people]
    arrays = {
        "ids": np.array([photo.id for photo in photos], np.int64),
        "sizes": np.array([photo.size_wh for photo in photos], np.int32).reshape(-1, 2),
        "crowd_indices": np.array([photo.crowd_index for photo in photos], np.float32),
        "sources": np.array([number_of[photo.source] for photo in photos], np.uint16),
        "names": np.frombuffer(b"".join(names), np.uint8),
        "names_end": _ends(names),
        "annotation_ids": np.array([one for photo in photos for one in photo.annotation_ids], np.int64),
        "people_ids": np.array([one for photo in photos for one in photo.people_ids], np.int64),
        "people_end": _ends([photo.people for photo in photos]),
        "keypoints": np.array(people, np.float32).reshape(-1, len(skeleton.names), 3),
        "rings_end": _ends([photo.ignored for photo in photos]),
        "corners_end": _ends(rings),
        "corners": np.concatenate(rings or [np.zeros((0, 2))]).astype(np.float32),
    }
    return PhotoTable(arrays, source_names, findings, None)


def _ends(groups: Sequence[Sequence]) -> NDArray[np.int64]:
    return np.cumsum([len(group) for group in groups], dtype=np.int64)


def _span(ends: NDArray[np.int64], index: int) -> slice:
    return slice(int(ends[index - 1]) if index else 0, int(ends[index]))


def _digest(path: Path) -> str:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        read_annotations(path)  # says what is wrong
        raise


def _keep(table: PhotoTable, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=place.parent, prefix="filling-", ignore_cleanup_errors=True) as filling:
        for name in PhotoTable.ARRAYS:
            np.save(Path(filling) / f"{name}.npy", getattr(table, name))
        about = {"source_names": table.source_names, "findings": table.findings.to_dict()}
        (Path(filling) / "about.json").write_text(json.dumps(about), encoding="utf-8")
        if not place.exists():  # another process may have been faster
            Path(filling).rename(place)


def _opened(place: Path) -> PhotoTable:
    about = json.loads((place / "about.json").read_text(encoding="utf-8"))
    arrays = {name: _mapped(place / f"{name}.npy") for name in PhotoTable.ARRAYS}
    return PhotoTable(arrays, about["source_names"], Findings(**about["findings"]), place)


def _mapped(path: Path) -> NDArray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    except ValueError:  # an empty array cannot be mapped
        return np.load(path, allow_pickle=False)
