"""``swahr data pack``: the photos of a recipe or of annotation files in a few files that can be carried elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.data import counted, skeleton_of
from engine.errors import SwahrError

if TYPE_CHECKING:
    from engine.training.coco import CocoPhotos
    from engine.training.packed import Manifest


@dataclass(frozen=True)
class PackRequest:
    """What ``data pack`` was asked for.

    sources: one recipe, or annotation files. output: the folder. images, skeleton: of annotation files; None: as the
    help says. side: pixels, or None: what the recipe needs. overrides: changed entries of the recipe.
    """

    sources: Sequence[str]
    output: Path
    images: Path | None = None
    skeleton: str | None = None
    side: int | None = None
    shard_mib: float = 60
    quality: int = 92
    overrides: Sequence[str] = ()
    skip_broken: bool = False
    overwrite: bool = False


def run_pack(request: PackRequest) -> str:
    """Pack the photos and say what the pack holds, what was left out, and how to train from it."""
    from engine.training.packing import PackOptions, pack

    recipe = _recipe(request)
    photos, side = _of_annotations(request) if recipe is None else _of_recipe(request, recipe)
    options = PackOptions(side, int(request.shard_mib * 2**20), request.quality)
    with counted("packing") as progress:
        manifest = pack(photos, request.output, options, progress, request.overwrite)
    return "\n".join(_told(request.output, manifest))


def _recipe(request: PackRequest) -> Path | None:
    """The recipe's file if the one source is a recipe. Raises SwahrError for what cannot stand together."""
    from engine.training.recipe import find_recipe

    recipes = [path for path in map(find_recipe, map(Path, request.sources)) if path.suffix == ".toml"]
    if not recipes:
        if request.overrides:
            raise SwahrError("--set changes a recipe; leave it out, or name a recipe instead of annotations.")
        return None
    if len(request.sources) > 1:
        raise SwahrError(f"Name one recipe or annotation files, not both; {recipes[0]} is a recipe.")
    if request.images is not None or request.skeleton is not None:
        raise SwahrError(
            "A recipe names its pictures and skeleton; change them with --set data.images=... and the like."
        )
    return recipes[0]


def _of_recipe(request: PackRequest, path: Path) -> tuple[list[CocoPhotos], int]:
    """The photos that a recipe trains on, and the short side from which on training enlarges none of them."""

    from engine.training.packed import is_pack
    from engine.training.recipe import load_recipe
    from engine.training.setup import training_photos

    recipe = load_recipe(path, list(request.overrides))
    data = replace(recipe.data, skip_broken=recipe.data.skip_broken or request.skip_broken)
    if not data.train:
        raise SwahrError(f"{path} names no photos (data.train is empty); synthetic people need no packing.")
    if is_pack(Path(data.train)):
        raise SwahrError(f"{data.train} is packed already; set data.train to the annotations of its photos.")
    side = recipe.augmentation.side_without_enlarging(recipe.mixture.size)
    return [training_photos(data, recipe.model.config().skeleton)], request.side or side


def _of_annotations(request: PackRequest) -> tuple[list[CocoPhotos], int]:
    from engine.training.coco import CocoPhotos

    paths = [Path(source) for source in request.sources]
    skeleton = skeleton_of(request.skeleton, paths[0])
    return [CocoPhotos(path, request.images, skeleton, request.skip_broken) for path in paths], request.side or 0


def _told(folder: Path, manifest: Manifest) -> list[str]:
    from engine.training.findings import Findings

    largest = max(shard.bytes for shard in manifest.shards) / 2**20
    reduced = f", larger ones reduced to a short side of {manifest.side} pixels" if manifest.side else ""
    lines = [
        f"Packed {manifest.photos} photos{reduced}, with {manifest.people} labelled people and {manifest.ignored} "
        f"regions to ignore: {manifest.bytes / 2**20:.1f} MiB in {len(manifest.shards)} shards, "
        f"the largest {largest:.2f} MiB."
    ]
    left_out = Findings(**manifest.left_out)
    if left_out.faults:
        lines += [f"Left out: {left_out.faults} faults ({left_out.fault_counts()}).", *left_out.fault_sentences()]
    return [*lines, f"To train from them: --set data.train={folder}"]
