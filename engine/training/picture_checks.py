"""Are the pictures there that an annotation file names, whole, and of the size that it says?"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import SwahrError
from engine.training.findings import Findings
from engine.training.photo_table import PhotoTable
from engine.training.pictures import read_rgb, stored_size

_READERS = 16  # threads, which mostly wait for the disk
_AT_ONCE = 1024  # pictures handed to them


def missing_pictures(table: PhotoTable, folder: Path) -> tuple[NDArray[np.bool_], Findings]:
    """Which of a table's pictures are in the folder, bool [N], and the others as findings; no file is opened.

    Raises SwahrError if there is no such folder.
    """
    if not folder.is_dir():
        raise SwahrError(f"There is no folder of images at {folder}; name the folder that the annotations belong to.")
    names = [table.file_name(index) for index in range(len(table))]
    listed: dict[str, set[str]] = {}
    there, findings = np.ones(len(names), bool), Findings()
    for index, name in enumerate(names):
        parent, _, last = name.rpartition("/")
        if parent not in listed:
            listed[parent] = _listed(folder / parent)
        if last not in listed[parent]:
            there[index] = False
            findings.add(
                "missing pictures",
                f"{folder / name} is missing, but the annotations name it; put it back or remove its entry.",
            )
    return there, findings


def check_pictures(
    table: PhotoTable,
    folder: Path,
    decode: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[NDArray[np.bool_], Findings]:
    """Which of a table's pictures are there, whole and of the right size, bool [N], and the others as findings.

    Looks at both ends of each file; with `decode`, at every pixel. `progress` is told how many of how many are done.
    """
    sound, findings = missing_pictures(table, folder)
    chosen = np.flatnonzero(sound)
    for done, (index, problem) in enumerate(zip(chosen, _problems(table, folder, chosen, decode), strict=True), 1):
        if problem:
            findings.add(*problem)
            sound[index] = False
        if progress:
            progress(done, len(chosen))
    return sound, findings


def likely_folder(annotations: Path, table: PhotoTable) -> Path:
    """The folder in which the pictures of an annotation file most likely are: the first of those usual that has one.

    Beside the file (`photos/labels.json`), as COCO has it (`annotations/person_keypoints_val2017.json` and `val2017/`
    or `images/val2017/`), as CrowdPose has it (`json/crowdpose_train.json` and `images/`); else the file's own folder.
    """
    beside, above = annotations.parent, annotations.parent.parent
    part = annotations.stem.rpartition("_")[2]
    usual = (beside, above / part, above / "images" / part, above / "images", beside / "images")
    first = table.file_name(0) if len(table) else ""
    return next((folder for folder in usual if first and (folder / first).is_file()), beside)


def size_fault(path: Path, told: Sequence[int], found: Sequence[int]) -> str | None:
    """The sentence about a picture whose size is not what the annotations say, if it is not."""
    if tuple(told) == tuple(found):
        return None
    return (
        f"{path} has {found[0]}x{found[1]} pixels, but the annotations say {told[0]}x{told[1]}; "
        "the labels belong to another version of the picture."
    )


def _problems(
    table: PhotoTable, folder: Path, indices: NDArray[np.int64], decode: bool
) -> Iterator[tuple[str, str] | None]:
    def look(index: int) -> tuple[str, str] | None:
        path, told = folder / table.file_name(index), tuple(table.sizes[index].tolist())
        try:
            found = read_rgb(path).shape[1::-1] if decode else stored_size(path)
        except SwahrError as error:
            return "damaged pictures", str(error)
        fault = size_fault(path, told, found)
        return ("pictures of another size", fault) if fault else None

    readers = min(_READERS, 1 + (os.cpu_count() or 1)) if decode else _READERS
    with ThreadPoolExecutor(readers) as pool:
        for start in range(0, len(indices), _AT_ONCE):
            yield from pool.map(look, indices[start : start + _AT_ONCE].tolist())


def _listed(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if not entry.is_dir()}
    except OSError:
        return set()
