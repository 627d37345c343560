"""Writing shards: uncompressed tar archives of JPEG files and, last in each, their labels."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import SwahrError
from engine.training.packed import Shard, Span
from engine.training.run_folder import write_whole
from grouping import Skeleton

_BLOCK, _RECORD = 512, 10240  # bytes; tar archives are filled up to a whole number of either


@dataclass(frozen=True)
class PackedPhoto:
    """One photo as it is packed: its JPEG file, and its image and annotations as COCO has them, without ids."""

    jpeg: bytes
    image: dict[str, Any]
    annotations: list[dict[str, Any]]


class Shards:
    """Gathers photos, and writes a shard into `folder` whenever the next photo would bring it to `limit` bytes.

    written: the shards so far. counts: how many "photos", "annotations", "people" and "ignored" regions were added.
    sources: photos by source.
    """

    def __init__(self, folder: Path, skeleton: Skeleton, limit: int) -> None:
        self.folder, self.limit = folder, limit
        self.written: list[Shard] = []
        self.counts: Counter[str] = Counter()
        self.sources: Counter[str] = Counter()
        category = {"id": 1, "name": "person", "keypoints": list(skeleton.names), "skeleton": []}
        self._categories = json.dumps([category])
        self._clear()

    def _clear(self) -> None:
        self._files: list[tuple[str, bytes]] = []
        self._images: list[str] = []
        self._annotations: list[str] = []
        self._photo_bytes = 0
        self._label_bytes = len(self._labels())

    def add(self, one: PackedPhoto) -> None:
        """Take one more photo. Raises SwahrError for one that is too long for any shard."""
        self.counts["photos"] += 1
        number = self.counts["photos"]
        name = f"{number:07}.jpg"
        image = json.dumps({"id": number, **one.image, "file_name": name})
        annotations = []
        for entry in one.annotations:
            self.counts["annotations"] += 1
            self.counts["ignored" if entry["iscrowd"] else "people"] += 1
            ids = {"id": self.counts["annotations"], "image_id": number, "category_id": 1}
            annotations.append(json.dumps({**ids, **entry}))
        self.sources[one.image.get("source", "")] += 1
        photo = _member_bytes(len(one.jpeg))
        labels = sum(len(text) + 2 for text in (image, *annotations))
        if self._files and self._archive_bytes(photo, labels) >= self.limit:
            self.close()
        if (alone := self._archive_bytes(photo, labels)) >= self.limit:
            raise SwahrError(
                f"{one.image['original']} alone makes a shard of {alone / 2**20:.1f} MiB, but the limit is "
                f"{self.limit / 2**20:g}; raise --shard-mib or lower --size."
            )
        self._files.append((name, one.jpeg))
        self._images.append(image)
        self._annotations += annotations
        self._photo_bytes += photo
        self._label_bytes += labels

    def close(self) -> None:
        """Write what was gathered."""
        if not self._files:
            return
        stem = f"photos-{len(self.written):03}"
        content, spans = _archive([*self._files, (f"{stem}.json", self._labels().encode())])
        write_whole(self.folder / f"{stem}.tar", lambda path: path.write_bytes(content))
        *photos, labels = spans
        self.written.append(
            Shard(f"{stem}.tar", len(content), hashlib.sha256(content).hexdigest(), labels, tuple(photos))
        )
        self._clear()

    def _archive_bytes(self, photo: int, labels: int) -> int:
        """How long the archive would be with one more photo."""
        members = self._photo_bytes + photo + _member_bytes(self._label_bytes + labels)
        return _filled_up(members + 2 * _BLOCK, _RECORD)

    def _labels(self) -> str:
        images, annotations = (",\n".join(lines) for lines in (self._images, self._annotations))
        return f'{{"images": [\n{images}],\n"annotations": [\n{annotations}],\n"categories": {self._categories}}}\n'


def _archive(files: Sequence[tuple[str, bytes]]) -> tuple[bytes, list[Span]]:
    """An uncompressed tar archive, and where in it each file's content lies."""
    archive, spans = io.BytesIO(), []
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files:
            member = tarfile.TarInfo(name)  # of 1970 and of nobody, so that the same files give the same archive
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
            spans.append((archive.tell() - _filled_up(len(content), _BLOCK), len(content)))
    return archive.getvalue(), spans


def _member_bytes(length: int) -> int:
    return _BLOCK + _filled_up(length, _BLOCK)


def _filled_up(length: int, unit: int) -> int:
    return -(-length // unit) * unit
