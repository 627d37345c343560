"""What a run is made of, from its recipe: its pictures, what it learns and how the network is run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from engine.backends import eager
from engine.errors import SwahrError
from engine.training.coco import CocoPhotos, Photos
from engine.training.evaluation import require_coco_eval
from engine.training.packed import PackedPhotos, is_pack
from engine.training.recipe import DataSettings, Recipe
from engine.training.samples import TrainingSamples
from grouping import Skeleton

_log = logging.getLogger(__name__)


def with_samples(recipe: Recipe, skeleton: Skeleton) -> tuple[Recipe, TrainingSamples]:
    """The recipe with its epochs counted in steps, and the pictures that it asks for."""
    data = recipe.data
    photos = _said(training_photos(data, skeleton)) if data.train else None
    if data.validation:  # read it now: what is wrong with it must not come to light hours into the run
        _said(validation_photos(data, skeleton))
        require_coco_eval()
    base_width = recipe.loss.base_width if recipe.loss.heatmap == "shr" else None
    samples = TrainingSamples(
        photos, skeleton, recipe.mixture, recipe.augmentation, recipe.schedule.seed, 0, base_width
    )
    schedule = recipe.schedule.in_steps(samples.drawn)
    samples.count = schedule.steps * schedule.batch
    return replace(recipe, schedule=schedule), samples


def open_photos(annotations: Path, images: Path | None, skeleton: Skeleton, skip_broken: bool) -> Photos:
    """The photos of a pack or of an annotation file, as a recipe names it.

    images: the folder of the annotation file's pictures; None: where they usually are.
    """
    if is_pack(annotations):
        return PackedPhotos(annotations, skeleton, skip_broken)
    return CocoPhotos(annotations, images, skeleton, skip_broken)


def training_photos(data: DataSettings, skeleton: Skeleton) -> Photos:
    """The photos that a recipe trains on, which names some."""
    return open_photos(Path(data.train), Path(data.images) if data.images else None, skeleton, data.skip_broken)


def validation_photos(data: DataSettings, skeleton: Skeleton) -> CocoPhotos:
    """The photos that a recipe validates on, which names some: an annotation file's, never packed ones."""
    images = data.validation_images or data.images
    return CocoPhotos(Path(data.validation), Path(images) if images else None, skeleton, data.skip_broken)


def _said(photos: Photos) -> Photos:
    """The same photos, once what is left out of them is said."""
    for note in photos.notes():
        _log.warning(note)
    return photos


def wants_bfloat16(precision: str, device: torch.device) -> bool:
    """Whether the network runs in bfloat16 under autocast, for a recipe's precision."""
    if precision != "auto":
        return precision == "bfloat16"
    # Without instructions for it a processor emulates bfloat16 convolutions, ten times slower than float32.
    return eager.has_bfloat16() if device.type == "cpu" else device.type == "cuda"


def parameter_groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """The trained weights, with `share`: their part of the learning rate."""
    trunk, rest = [], []
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            (trunk if name.startswith("trunk.") else rest).append(parameter)
    groups = [{"params": rest, "share": 1.0}]
    return groups + ([{"params": trunk, "share": recipe.schedule.trunk_rate}] if trunk else [])


def compile_network(network: nn.Module, device: torch.device) -> None:
    """Let the network be compiled by `torch.compile` when it first runs; names of weights stay as they are.

    Raises SwahrError where there is no compiler for the device.
    """
    from engine.backends.inductor import missing

    reason = missing(device)
    if reason:
        raise SwahrError(f"schedule.compile cannot be had on {device}: {reason}; set it to false.")
    network.compile()


@contextmanager
def compiler_errors_in_words() -> Iterator[None]:
    """Say in one sentence that a network cannot be compiled, which shows when it first runs."""
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise
        reason = str(error).strip().splitlines()[0].rstrip(".:")
        raise SwahrError(f"The network cannot be compiled here ({reason}); set schedule.compile to false.") from error
