"""Packing photos: each reduced to what training needs of it, with its labels, into shards of a limited length.

What a pack is, and how it is read, is in `packed`.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.errors import SwahrError
from engine.training.annotations import read_annotations
from engine.training.coco import CocoPhotos, PhotoRecord
from engine.training.findings import Findings
from engine.training.packed import MANIFEST, Manifest, is_pack
from engine.training.pictures import JPEG
from engine.training.regions import box_of
from engine.training.run_folder import write_whole
from engine.training.shards import PackedPhoto, Shards

_UNDER_WAY = "packing.partial"  # in the folder until the pack is complete
_SHARD = re.compile(r"photos-\d{3,}\.tar(\.partial)?")
_AT_ONCE = 256  # photos handed to the threads

Progress = Callable[[int, int], None]  # photos done, of how many


@dataclass(frozen=True)
class PackOptions:
    """How photos are packed.

    side: the short side in pixels to which larger photos are reduced, or 0: as they are. shard_bytes: what each file
    stays under. quality: of the JPEG encoding, 1 to 100. A JPEG file that is small enough already stays as it is, and
    so does one that would be longer after it was reduced.
    """

    side: int = 0
    shard_bytes: int = 60 << 20
    quality: int = 92


def pack(
    sources: Sequence[CocoPhotos],
    folder: Path,
    options: PackOptions,
    progress: Progress | None = None,
    overwrite: bool = False,
) -> Manifest:
    """Pack the photos of some annotation files, in their order, into a folder; returns what it then holds.

    All files have one skeleton. Where broken photos are skipped, those that cannot be read are left out and counted.
    The same photos give the same bytes. The manifest appears last: what was interrupted is no pack, and is made anew
    when it is tried again. Raises SwahrError for a folder that holds something else, or a pack unless `overwrite`, and
    for a photo longer than a shard.
    """
    folder, skeleton = Path(folder), sources[0].skeleton
    _begin(folder, overwrite)
    left_out = Findings()
    for photos in sources:
        left_out = left_out.merged(photos.findings)
    shards = Shards(folder, skeleton, options.shard_bytes)
    total, done = sum(map(len, sources)), 0
    for photos in sources:
        for one in _packed(photos, options):
            if isinstance(one, SwahrError):
                left_out.add("damaged pictures", str(one))
            else:
                shards.add(one)
            done += 1
            if progress:
                progress(done, total)
    if not shards.counts["photos"]:
        raise SwahrError("There is no photo to pack; synthetic people need no packing.")
    shards.close()
    manifest = Manifest(
        options.side,
        skeleton.name,
        skeleton.names,
        shards.counts["photos"],
        shards.counts["people"],
        shards.counts["ignored"],
        dict(sorted(shards.sources.items())),
        left_out.to_dict(),
        tuple(shards.written),
    )
    write_whole(folder / MANIFEST, lambda path: path.write_text(manifest.to_json(), encoding="utf-8"))
    (folder / _UNDER_WAY).unlink()
    return manifest


def reduced_size(size_wh: tuple[int, int], side: int) -> tuple[int, int]:
    """Width and height of a photo whose short side is brought down to `side` pixels; never larger than it is."""
    short = min(size_wh)
    if not side or short <= side:
        return size_wh
    width, height = (max(1, round(length * side / short)) for length in size_wh)
    return width, height


def _begin(folder: Path, overwrite: bool) -> None:
    """Make the folder ready, without shards of an older pack or of one that was interrupted."""
    if is_pack(folder) and not overwrite:
        raise SwahrError(f"{folder} holds packed photos; add --overwrite, or name another folder with -o.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        own = is_pack(folder) or (folder / _UNDER_WAY).exists()
        if not own and any(folder.iterdir()):
            raise SwahrError(f"{folder} holds other files; name a new folder with -o.")
        (folder / _UNDER_WAY).touch()
        (folder / MANIFEST).unlink(missing_ok=True)
        for path in list(folder.iterdir()):
            if _SHARD.fullmatch(path.name):
                path.unlink()
    except OSError as error:
        raise SwahrError(f"{folder} cannot be a folder of packed photos ({error.strerror}); name another.") from None


def _packed(photos: CocoPhotos, options: PackOptions) -> Iterator[PackedPhoto | SwahrError]:
    """The photos in their order, or what is wrong with one where broken ones are skipped."""
    entries = {entry["id"]: entry for entry in reversed(read_annotations(photos.annotations)["annotations"])
               if isinstance(entry, Mapping) and isinstance(entry.get("id"), int)}  # fmt: skip

    def pack_one(index: int) -> PackedPhoto | SwahrError:
        try:
            return _pack_one(photos, index, entries, options)
        except SwahrError as error:
            if not photos.skip_broken:
                raise
            return error

    with ThreadPoolExecutor(1 + (os.cpu_count() or 1)) as pool:
        for start in range(0, len(photos), _AT_ONCE):
            yield from pool.map(pack_one, range(start, min(start + _AT_ONCE, len(photos))))


def _pack_one(
    photos: CocoPhotos, index: int, entries: Mapping[int, Mapping[str, Any]], options: PackOptions
) -> PackedPhoto:
    record = photos[index]
    jpeg, size = _jpeg(record, photos.read(index), options)
    factors = np.array(size) / record.size_wh
    image: dict[str, Any] = {"width": size[0], "height": size[1], "original": record.path.name}
    if record.source:
        image["source"] = record.source
    if not math.isnan(record.crowd_index):
        image["crowdIndex"] = round(record.crowd_index, 6)
    people = zip(record.keypoints, record.people_ids, strict=True)
    annotations = [_person(keypoints, entries[number], factors) for keypoints, number in people]
    return PackedPhoto(jpeg, image, annotations + [_region(ring, factors) for ring in record.ignored])


def _jpeg(record: PhotoRecord, pixels: NDArray[np.uint8], options: PackOptions) -> tuple[bytes, tuple[int, int]]:
    """A JPEG file of the photo, and its width and height."""
    size, original = reduced_size(record.size_wh, options.side), record.path.read_bytes()
    if size == record.size_wh and original.startswith(JPEG):
        return original, size
    if size != record.size_wh:
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    # Full colour resolution: at training size, red clothes are a few pixels wide.
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    quality = [cv2.IMWRITE_JPEG_QUALITY, options.quality]
    made = cv2.imencode(".jpg", pixels[..., ::-1], [*quality, *sampling])[1].tobytes()
    if original.startswith(JPEG) and len(original) <= len(made):
        return original, record.size_wh  # encoded worse, it says as much in fewer bytes
    return made, size


def _person(keypoints: NDArray[np.float32], entry: Mapping[str, Any], factors: NDArray[np.float64]) -> dict[str, Any]:
    """A labelled person [K,3] as COCO has it, with box and area where the annotation has them."""
    labelled = keypoints[:, 2:] > 0
    moved = np.where(labelled, keypoints[:, :2].astype(np.float64) * factors - 0.5, 0)
    person = {
        "iscrowd": 0,
        "keypoints": _rounded(np.column_stack((moved, keypoints[:, 2]))),
        "num_keypoints": int(labelled.sum()),
    }
    with suppress(ValueError):  # without a box, evaluation takes that around the keypoints
        person["bbox"] = _rounded(np.array(box_of(entry)) * (*factors, *factors))
    area = entry.get("area")
    if isinstance(area, int | float) and not isinstance(area, bool) and math.isfinite(area):
        person["area"] = area * float(factors.prod())
    return person


def _region(ring: NDArray[np.float32], factors: NDArray[np.float64]) -> dict[str, Any]:
    """A region to ignore: the ring itself, because run lengths would round it to pixels of the reduced photo."""
    ring = ring.astype(np.float64) * factors
    low, high = ring.min(0), ring.max(0)
    return {
        "iscrowd": 1,
        "keypoints": [],
        "segmentation": [_rounded(ring)],
        "bbox": _rounded(np.concatenate((low, high - low))),
        "area": float((high - low).prod()),
    }


def _rounded(values: NDArray) -> list[float]:
    """The numbers in a row, to a thousandth of a pixel and whole ones as such."""
    return [int(value) if value == int(value) else value for value in values.ravel().round(3).tolist()]
