"""A few pictures that stay the same through a run, and what the network makes of them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.aggregate import aggregate
from engine.geometry import Resize
from engine.training.recipe import Recipe
from engine.training.samples import TrainingSamples
from engine.training.setup import validation_photos
from grouping import Skeleton

Image = NDArray[np.uint8]  # RGB [H, W, 3]

NUMBER = 4  # of pictures


class FixedPictures:
    """The first photos to validate on, or, where there are none, the first training pictures.

    images: RGB uint8 [H,W,3], both sides multiples of 64. normalise: uint8 [N,3,H,W] -> what the network takes.
    Raises SwahrError for a photo that cannot be read.
    """

    def __init__(
        self, recipe: Recipe, skeleton: Skeleton, samples: TrainingSamples, normalise: Callable[[Tensor], Tensor]
    ) -> None:
        self.skeleton, self.normalise = skeleton, normalise
        data = recipe.data
        if data.validation:
            photos = validation_photos(data, skeleton)
            whole = [photos.load(index).image for index in range(min(NUMBER, len(photos)))]
            self.images = [Resize.fit(one.shape[1::-1], recipe.mixture.size).image(one) for one in whole]
        else:
            shown = islice((samples[index]["image"] for index in range(len(samples))), NUMBER)
            self.images = [np.ascontiguousarray(one.numpy().transpose(1, 2, 0)) for one in shown]

    @torch.inference_mode()
    def panels(self, network: nn.Module) -> dict[str, list[Image]]:
        """By kind, the pictures under maps of a network on the device of `normalise`, which is left in evaluation mode.

        "heatmaps": the highest of all keypoints. "inverse_scales": 1/s = α + 1 (eq. 7), the mean of all keypoints, from
        its lowest value in a picture to its highest, which stand in the corner; not of a network without scale branch.
        """
        network.eval()
        panels: dict[str, list[Image]] = {"heatmaps": [], "inverse_scales": []}
        for image in self.images:
            outputs = network(self.normalise(torch.from_numpy(image).permute(2, 0, 1)[None]))
            heatmaps, _, alphas = aggregate({1.0: outputs}, image.shape[1::-1], self.skeleton.flip_indices)
            panels["heatmaps"].append(_under(heatmaps.amax(0).float().cpu().numpy(), image, "heatmap", 0.0, 1.0))
            if alphas is not None and network.config.scale_branch:
                values = alphas.mean(0).float().cpu().numpy() + 1
                panels["inverse_scales"].append(_under(values, image, "1/s", float(values.min()), float(values.max())))
        return panels


def _under(values: NDArray[np.float32], image: Image, name: str, low: float, high: float) -> Image:
    """A map [H,W] over its picture, in colours from `low` to `high`, with what they stand for."""
    levels = ((values - low) * (255 / max(high - low, 1e-6))).clip(0, 255).astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_JET), cv2.COLOR_BGR2RGB)
    panel = cv2.addWeighted(colours, 0.5, image, 0.5, 0)
    cv2.putText(panel, f"{name} {low:.3f} to {high:.3f}", (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255))
    return panel
