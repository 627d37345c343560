"""``swahr data check`` and ``show``: what a data set holds, what is wrong with it, and what training makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from engine.errors import SwahrError

if TYPE_CHECKING:
    from engine.training.findings import Findings
    from engine.training.photo_table import PhotoTable
    from engine.training.samples import TrainingSamples
    from grouping import Skeleton


@dataclass(frozen=True)
class ShowOptions:
    """What ``data show`` was asked for.

    annotations: a file, a pack, or demo:. images, skeleton, recipe, model: None: as the help says.
    """

    annotations: str
    output: Path
    images: Path | None = None
    skeleton: str | None = None
    number: int = 8
    recipe: Path | None = None
    seed: int = 0
    model: str | None = None
    preset: str | None = None
    skip_broken: bool = False
    overwrite: bool = False


def run_check(annotations: Path, images: Path | None, skeleton_name: str | None, decode: bool) -> tuple[str, bool]:
    """What a file of annotations or a pack holds and what is wrong with it, in plain sentences, and if it has no fault.

    Of a pack everything is always read. Raises SwahrError for a file that holds no annotations, or a folder that is not
    there.
    """
    from engine.training.packed import PackedPhotos, is_pack
    from engine.training.photo_table import open_table
    from engine.training.picture_checks import check_pictures, likely_folder

    skeleton = skeleton_of(skeleton_name, annotations)
    with counted("looking at pictures") as progress:
        if is_pack(annotations):
            photos = PackedPhotos(annotations, skeleton)
            table, findings, decode = photos.table, photos.verify(progress), True
            place = f"{len(photos.manifest.shards)} shards of {photos.manifest.bytes / 2**20:.1f} MiB"
        else:
            table = open_table(annotations, skeleton)
            folder = likely_folder(annotations, table) if images is None else images
            _, findings = check_pictures(table, folder, decode, progress)
            place = f"pictures in {folder}"
    findings = table.findings.merged(findings)
    lines = [f"{annotations}, with the skeleton {skeleton.name}; {place}.", *_contents(table, skeleton)]
    lines += ["", *findings.lines()] if findings.counts else []
    return "\n".join([*lines, "", _verdict(findings, decode)]), not findings.faults


def run_show(options: ShowOptions) -> str:
    """Write the pictures and say where they are. Raises SwahrError for what cannot be read or written."""
    import cv2

    from app.data_sheets import sheet

    paths = _free_paths(options)
    samples = _samples(options)
    estimator = None
    if options.model is not None:
        from engine import PoseEstimator

        estimator = PoseEstimator.load(options.model, preset=options.preset, size=samples.mixture.size)
    with counted("drawing") as progress:
        for index, path in enumerate(paths):
            picture = sheet(samples[index], samples.skeleton, estimator)
            if not cv2.imwrite(str(path), picture[..., ::-1]):
                raise SwahrError(f"{path} cannot be written; name another folder with -o.")
            progress(index + 1, len(paths))
    last = f" to {paths[-1].name}" if paths[1:] else ""
    return f"Written: {paths[0]}{last}."


def skeleton_of(name: str | None, annotations: Path) -> Skeleton:
    """The skeleton of that name, else the one that annotations or a pack were made for. Raises SwahrError for none."""
    from engine.training.annotations import likely_skeleton, read_annotations
    from engine.training.packed import is_pack, read_manifest
    from engine.training.skeletons import find_skeleton

    if name is not None:
        return find_skeleton(name)
    if is_pack(annotations):
        return read_manifest(annotations)[0].known_skeleton(annotations)
    return likely_skeleton(read_annotations(annotations), annotations)


def _contents(table: PhotoTable, skeleton: Skeleton) -> Iterator[str]:
    import numpy as np

    flags = table.keypoints[..., 2]
    with_people = int(table.has_people().sum())
    yield f"{len(table)} images, {with_people} of them with {len(table.keypoints)} labelled people."
    yield f"{len(table.corners_end)} regions of crowds and of people without keypoints are ignored."
    if len(table):
        sizes, counts = np.unique(np.asarray(table.sizes), axis=0, return_counts=True)
        usual = sizes[counts.argmax()]
        low, high = table.sizes.min(0), table.sizes.max(0)
        yield (
            f"Pictures are {low[0]} to {high[0]} pixels wide and {low[1]} to {high[1]} high, "
            f"most often {usual[0]}x{usual[1]}."
        )
    known = table.crowd_indices[~np.isnan(table.crowd_indices)]
    if len(known):
        from engine.training.crowdpose import EASY_BELOW, HARD_FROM

        easy, hard = int((known < EASY_BELOW).sum()), int((known >= HARD_FROM).sum())
        yield f"By their crowd index {easy} images are easy, {len(known) - easy - hard} medium and {hard} hard."
    yield f"{'keypoint':>16} {'visible':>9} {'hidden':>9} {'not labelled':>13}"
    for index, name in enumerate(skeleton.names):
        counts = [int((flags[:, index] == flag).sum()) for flag in (2, 1, 0)]
        yield f"{name:>16} {counts[0]:>9} {counts[1]:>9} {counts[2]:>13}"


def _verdict(findings: Findings, decode: bool) -> str:
    if findings.faults:
        return (
            f"Faults: {findings.faults}, remarks: {findings.remarks}. Training and evaluation refuse faults, or leave "
            "them out (data.skip_broken in a recipe, --skip-broken); remarks they put up with."
        )
    looked = (
        "every picture was decoded" if decode else "of each picture the beginning and the end; --decode reads all of it"
    )
    remarks = f", but remarks: {findings.remarks}" if findings.remarks else ""
    return f"No fault was found{remarks} (read: all annotations; {looked})."


def _free_paths(options: ShowOptions) -> list[Path]:
    paths = [options.output / f"sample-{index:03}.png" for index in range(options.number)]
    taken = next((path for path in paths if path.exists()), None)
    if taken and not options.overwrite:
        raise SwahrError(f"{taken} exists; add --overwrite, or name another folder with -o.")
    try:
        options.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SwahrError(f"{options.output} cannot be a folder of pictures ({error.strerror}); name another.") from None
    return paths


def _samples(options: ShowOptions) -> TrainingSamples:
    from engine.training.recipe import Recipe, load_recipe
    from engine.training.samples import Mixture, TrainingSamples
    from engine.training.setup import open_photos
    from grouping import COCO17

    plain = Recipe(mixture=Mixture(size=512, mosaic=0.0, synthetic=0.0))
    recipe = plain if options.recipe is None else load_recipe(options.recipe)
    photos, skeleton = None, COCO17
    if options.annotations != "demo:":
        path = Path(options.annotations)
        own = recipe.model.skeleton if options.skeleton is None else None
        skeleton = own or skeleton_of(options.skeleton, path)
        photos = open_photos(path, options.images, skeleton, options.skip_broken)
        if not len(photos):
            raise SwahrError(f"{path} names no image, so there is nothing to show; check the file.")
    base_width = recipe.loss.base_width if recipe.loss.heatmap == "shr" else None
    mixture, augmentation = recipe.mixture, recipe.augmentation
    return TrainingSamples(photos, skeleton, mixture, augmentation, options.seed, options.number, base_width)


@contextmanager
def counted(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on the terminal, if there is one, and the function that moves it: done, of how many."""
    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
