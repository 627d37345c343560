"""A network that was just trained, tested as its recipe says: on photos, or on synthetic people nobody trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from engine.checkpoint import ModelMetadata
from engine.estimator import PoseEstimator
from engine.heads import split_outputs
from engine.training.evaluation import evaluate, evaluate_synthetic
from engine.training.recipe import EvaluationSettings, Recipe
from grouping import GroupingOptions


class FineHeatmaps(nn.Module):
    """A network whose averaged heatmaps are those of its 1/2 map alone (Tables 7 and 8).

    Aggregation takes the mean of both maps, so the coarse one becomes 0 and the fine one twice what it was.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.config = network, network.config

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """As the network's, with other heatmaps."""
        (coarse_alphas, coarse, tags), (fine_alphas, fine) = split_outputs(
            self.network(images), self.config.num_keypoints
        )
        return torch.cat((coarse_alphas, torch.zeros_like(coarse), tags), 1), torch.cat((fine_alphas, 2 * fine), 1)


def estimator_of(network: nn.Module, testing: EvaluationSettings, device: str) -> PoseEstimator:
    """An estimator around a network in memory, in float32, which owes nothing to a compiler."""
    metadata = ModelMetadata.of(network.config)
    threshold = testing.threshold or metadata.detection_threshold
    options = GroupingOptions(detection_threshold=threshold, tag_threshold=metadata.tag_threshold)
    return PoseEstimator(
        FineHeatmaps(network) if testing.heatmaps == "fine" else network,
        replace(metadata, detection_threshold=threshold),
        model=network.config.name,
        device=device,
        backend="eager",
        precision="float32",
        size=testing.size or None,
        flip=testing.flip,
        scales=testing.scales,
        options=options,
        sigmas=False,
    )


def figures_of(
    network: nn.Module, recipe: Recipe, device: str, progress: Callable[[int, int], None] | None = None
) -> dict[str, float]:
    """Average precision and its like on the validation photos, or on synthetic frames if the recipe names none."""
    estimator, data = estimator_of(network, recipe.test, device), recipe.data
    if data.validation:
        images = data.validation_images or data.images
        folder = Path(images) if images else None
        return evaluate(estimator, Path(data.validation), folder, progress, data.skip_broken).figures
    return evaluate_synthetic(estimator, frames=recipe.test.frames, progress=progress).figures
