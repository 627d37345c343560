"""Photos and their labels in a few large files, which can be carried to another machine and trained from there.

A pack is a folder of uncompressed tar archives, the shards, and `manifest.json`. Each shard holds JPEG files and, as
its last member, their labels in COCO's keypoint format; unpacked by `tar`, it is an ordinary data set. The manifest
says where in its shard each photo lies, so that any of them can be read at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import SwahrError
from engine.training.coco import Photos
from engine.training.findings import Findings
from engine.training.photo_table import kept_table
from engine.training.pictures import decode_rgb
from grouping import SKELETONS, Skeleton

MANIFEST = "manifest.json"
FORMAT = 1

Span = tuple[int, int]  # offset and length in bytes


@dataclass(frozen=True)
class Shard:
    """One archive: its file's name, length and SHA-256, and where in it the labels and each photo lie."""

    file: str
    bytes: int
    sha256: str
    labels: Span
    photos: tuple[Span, ...]


@dataclass(frozen=True)
class Manifest:
    """What a pack holds.

    side: the short side in pixels to which larger photos were reduced, where that made them shorter; 0: none was.
    skeleton, keypoints: its name and those of its keypoints. photos, people, ignored: how many photos, labelled people
    and regions to ignore there are; sources: photos by source. left_out: what was wrong and not packed
    (`Findings.to_dict`).
    """

    side: int
    skeleton: str
    keypoints: tuple[str, ...]
    photos: int
    people: int
    ignored: int
    sources: Mapping[str, int]
    left_out: Mapping[str, Any]
    shards: tuple[Shard, ...] = field(repr=False)

    @property
    def bytes(self) -> int:
        """The length of all shards."""
        return sum(shard.bytes for shard in self.shards)

    def to_json(self) -> str:
        return json.dumps({"format": FORMAT, **asdict(self)}) + "\n"

    def known_skeleton(self, folder: Path) -> Skeleton:
        """The built-in skeleton of these keypoints. Raises SwahrError where there is none."""
        for skeleton in SKELETONS.values():
            if skeleton.names == self.keypoints:
                return skeleton
        raise SwahrError(f"{folder} was packed for the skeleton {self.skeleton}; name its TOML file with --skeleton.")


def is_pack(path: Path) -> bool:
    """Whether this is a folder that photos were packed into."""
    return (Path(path) / MANIFEST).is_file()


def read_manifest(folder: Path) -> tuple[Manifest, str]:
    """What a pack says about itself, and the SHA-256 of that. Raises SwahrError where that cannot be read."""
    path = Path(folder) / MANIFEST
    try:
        content = path.read_bytes()
        values = json.loads(content)
        if values.pop("format") != FORMAT:
            raise SwahrError(f"{path} is of another version of this program; pack the photos again.")
        shards = tuple(
            Shard(one["file"], one["bytes"], one["sha256"], tuple(one["labels"]), tuple(map(tuple, one["photos"])))
            for one in values.pop("shards")
        )
        keypoints = tuple(values.pop("keypoints"))
        return Manifest(**values, keypoints=keypoints, shards=shards), hashlib.sha256(content).hexdigest()
    except OSError as error:
        raise SwahrError(f"{path} cannot be read ({error.strerror}); name a folder of swahr data pack.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SwahrError(f"{path} is no manifest of packed photos, or is damaged ({error}); copy it again.") from None


class PackedPhotos(Photos):
    """The photos of a pack, in its order.

    Every shard must be there in its length. When a pack is first opened on a machine, its shards are also held against
    their SHA-256, and the labels are kept in the cache folder, as those of annotation files are (see `CocoPhotos`).
    A photo is read by opening its shard, so processes may be forked from this one or be sent it.
    Raises SwahrError naming a shard that is missing or another one than was packed.
    """

    def __init__(self, folder: Path, skeleton: Skeleton, skip_broken: bool = False) -> None:
        folder = Path(folder)
        self.manifest, digest = read_manifest(folder)
        _check_lengths(folder, self.manifest)
        self._places = np.array(
            [(number, *span) for number, shard in enumerate(self.manifest.shards) for span in shard.photos], np.int64
        ).reshape(-1, 3)
        self._files = [shard.file for shard in self.manifest.shards]
        table = kept_table(digest, skeleton, folder, lambda: labels_of(folder, self.manifest))
        super().__init__(folder, skeleton, table, np.ones(len(table), bool), table.findings, skip_broken)

    def notes(self) -> Iterator[str]:
        """As of all photos, and what was left out when they were packed."""
        before = Findings(**self.manifest.left_out)
        if before.faults:
            yield (
                f"{self.annotations}: when it was packed, {before.faults} faults were left out "
                f"({before.fault_counts()}); the first: {before.first_fault}"
            )
        yield from super().notes()

    def verify(self, progress: Callable[[int, int], None] | None = None) -> Findings:
        """Read all shards, decode every photo and say what is wrong with them."""
        findings = Findings()
        for shard in self.manifest.shards:
            try:
                _content(self.annotations, shard)
            except SwahrError as error:
                findings.add("damaged pictures", str(error))
        for index in range(len(self)):
            try:
                self.read(index)
            except SwahrError as error:
                findings.add("damaged pictures", str(error))
            if progress:
                progress(index + 1, len(self))
        return findings

    def _all_findings(self) -> Findings:
        return Findings(**self.manifest.left_out).merged(self.findings)

    def _path(self, at: int) -> Path:
        return self.annotations / self._files[self._place(at)[0]] / self.table.file_name(at)

    def _pixels(self, at: int) -> NDArray[np.uint8]:
        number, offset, length = self._place(at)
        path = self.annotations / self._files[number]
        try:
            with path.open("rb") as file:
                file.seek(offset)
                content = file.read(length)
        except OSError as error:
            raise SwahrError(f"{path} cannot be read ({error.strerror}); copy it again.") from None
        return decode_rgb(content, self._path(at))

    def _place(self, at: int) -> list[int]:
        """Number of the shard, offset and length; photos are numbered from 1 through all shards."""
        return self._places[self.table.ids[at] - 1].tolist()


def labels_of(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """The labels of all shards in COCO's keypoint format. Raises SwahrError for a shard that is not the packed one."""
    labels: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    for shard in manifest.shards:
        offset, length = shard.labels
        try:
            part = json.loads(_content(folder, shard)[offset : offset + length])
            for name in ("images", "annotations"):
                labels[name] += part[name]
            labels["categories"] = part["categories"]
        except (ValueError, KeyError, TypeError) as error:
            raise SwahrError(f"{folder / MANIFEST} and {shard.file} do not belong together ({error}).") from None
    return labels


def _check_lengths(folder: Path, manifest: Manifest) -> None:
    for shard in manifest.shards:
        path = folder / shard.file
        try:
            length = path.stat().st_size
        except OSError as error:
            raise SwahrError(
                f"{path} is missing ({error.strerror}), one of {len(manifest.shards)} shards; copy it there."
            ) from None
        if length != shard.bytes:
            raise SwahrError(f"{path} has {length} bytes, but was packed as {shard.bytes}; copy it again.")


def _content(folder: Path, shard: Shard) -> bytes:
    path = folder / shard.file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SwahrError(f"{path} cannot be read ({error.strerror}); copy it again.") from None
    if hashlib.sha256(content).hexdigest() != shard.sha256:
        raise SwahrError(f"{path} is not what was packed (its SHA-256 is another); copy it again.")
    return content
