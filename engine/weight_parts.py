"""Weights in several files where one would be too long: `weights.safetensors` as `weights-1-of-3.safetensors` and on.

They are named as if they were one file. Each part says which whole it belongs to, so that parts of two savings, as a
process that is killed between them leaves them, are not taken for one network.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from engine.errors import SwahrError

WHOLE = "whole"  # entry of a part's header: the same in all parts of one saving

_PART = re.compile(r"(.+)-(\d+)-of-(\d+)\.safetensors")
_HEADER = 4096  # bytes for what a file says about itself, besides each tensor's entry
_ENTRY = 200  # bytes of a header for a tensor, besides its name


def part_path(path: Path, number: int, count: int) -> Path:
    """Where part `number` of `count`, from 1, of the weights `path` is."""
    return path.with_name(f"{path.stem}-{number}-of-{count}{path.suffix}")


def files_of(path: Path) -> list[Path]:
    """The files that hold the weights `path`: itself if it is there, else its parts in their order; [] if neither.

    Raises SwahrError where a part is missing, and for the name of a part.
    """
    if match := _PART.fullmatch(path.name):
        raise SwahrError(
            f"{path} is one of {match[3]} parts; name {path.with_name(f'{match[1]}.safetensors')} instead."
        )
    if path.is_file():
        return [path]
    found = _parts(path)
    if not found:
        return []
    count = int(_PART.fullmatch(found[0].name)[3])
    parts = [part_path(path, number, count) for number in range(1, count + 1)]
    for part in parts:
        if part not in found:
            raise SwahrError(f"{part} is missing, one of {count} parts of {path}; copy it there.")
    return parts


def remove_others(path: Path, kept: Iterable[Path]) -> None:
    """Delete what holds older weights `path` in more or fewer files than those `kept`."""
    kept = set(kept)
    for other in (path, *_parts(path)):
        if other not in kept:
            other.unlink(missing_ok=True)


def shared_out(tensors: Mapping[str, Tensor], limit: int, path: Path) -> list[dict[str, Tensor]]:
    """The tensors in as few parts as follow one another in order, each of which makes a file under `limit` bytes.

    Raises SwahrError, which names `path`, for a tensor that is too long alone.
    """
    parts: list[dict[str, Tensor]] = [{}]
    length = _HEADER
    for name, tensor in tensors.items():
        own = tensor.numel() * tensor.element_size() + len(name) + _ENTRY
        if parts[-1] and length + own >= limit:
            parts.append({})
            length = _HEADER
        if _HEADER + own >= limit:
            raise SwahrError(
                f"{path} was not written: the weights {name!r} alone take {own / 2**20:.1f} MiB, more than a file may "
                f"have ({limit / 2**20:g} MiB); raise --weights-mib."
            )
        parts[-1][name] = tensor
        length += own
    return parts


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """A text that differs between weights that differ."""
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        digest.update(name.encode())
        digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:20]


def _parts(path: Path) -> list[Path]:
    pattern = re.compile(re.escape(path.stem) + r"-\d+-of-\d+\.safetensors")
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    return sorted(one for one in beside if pattern.fullmatch(one.name))
