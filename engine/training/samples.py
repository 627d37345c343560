"""Training pictures: single photos, mosaics of several photos, and synthetic people, mixed at random.

Sample `i` depends on nothing but the seed and `i`, whichever worker makes it and in whatever order: so a run that was
interrupted goes on with exactly the pictures it would have seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from engine.errors import SwahrError
from engine.training.augment import Augmentation, Window, change_colours, place, random_affine
from engine.training.coco import Photos
from engine.training.synthetic import check_skeleton, random_frame
from engine.training.targets import box_scales, render_heatmaps, tag_indices
from grouping import Skeleton

Composed = tuple[np.ndarray, list[np.ndarray], np.ndarray]  # image, masks, keypoints

STRIDES = {"coarse": 4, "fine": 2}  # of the network's two maps, in pixels of the picture


@dataclass(frozen=True)
class Mixture:
    """How training pictures are put together.

    size: side of the square picture in pixels. mosaic, synthetic: the parts of all pictures that are mosaics or
    synthetic people; the rest are single photos. source_weights: how often photos of a source are drawn against those
    of the other sources (1 if not named). empty_weight: the same of photos without labelled people; 0 leaves them out,
    as the paper does. max_people: more people than that in one picture get no tag loss.
    sigma: standard deviation of the Gaussians in map pixels. synthetic_people: least and most of them in one picture.
    synthetic_sizes: smallest and largest standing height of synthetic people in pixels; (0, 0) is 40 to 1.4 · size.
    """

    size: int = 256
    mosaic: float = 0.4
    synthetic: float = 0.15
    source_weights: dict[str, float] = field(default_factory=dict)
    empty_weight: float = 1.0
    max_people: int = 30
    sigma: float = 2.0
    synthetic_people: tuple[int, int] = (1, 6)
    synthetic_sizes: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if self.size < 64 or self.size % 64:
            raise SwahrError(f"mixture.size is {self.size}; the network needs a multiple of 64.")
        if min(self.mosaic, self.synthetic) < 0 or self.mosaic + self.synthetic > 1:
            raise SwahrError(f"mixture.mosaic {self.mosaic} and .synthetic {self.synthetic} are not two parts of 1.")
        if not 0 <= self.empty_weight < math.inf:
            raise SwahrError(f"mixture.empty_weight is {self.empty_weight}; it must be 0 or more.")
        if not 0 <= self.synthetic_people[0] <= self.synthetic_people[1]:
            raise SwahrError(
                f"mixture.synthetic_people is {list(self.synthetic_people)}; give the least, then the most, from 0 on."
            )
        if self.synthetic_sizes == (0.0, 0.0):
            object.__setattr__(self, "synthetic_sizes", (40.0, 1.4 * self.size))
        if not 0 < self.synthetic_sizes[0] <= self.synthetic_sizes[1]:
            raise SwahrError(
                f"mixture.synthetic_sizes is {list(self.synthetic_sizes)}; give the smallest, then the largest height."
            )


class TrainingSamples(Dataset):
    """Sample i of the mixture: a dict of tensors (see `__getitem__`).

    drawn: how many of the photos may be shown.
    """

    def __init__(
        self,
        photos: Photos | None,
        skeleton: Skeleton,
        mixture: Mixture,
        augmentation: Augmentation,
        seed: int,
        count: int,
        base_width: float | None = None,
    ) -> None:
        """base_width: of naive SHR, see `box_scales`; None: all Gaussians are equally wide."""
        self.photos, self.skeleton, self.mixture = photos, skeleton, mixture
        self.augmentation, self.seed, self.count = augmentation, seed, count
        self.base_width = base_width
        self.drawn = 0
        if photos is None or mixture.synthetic > 0:
            check_skeleton(skeleton)
        if photos is not None:
            weights = _photo_weights(photos, mixture)
            self._shown = np.flatnonzero(weights)
            self.drawn = len(self._shown)
            self._cumulative = np.cumsum(weights / weights.sum())
            self._empty = photos.without_people()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Sample `index`: image uint8 [3,S,S]; coarse, fine: target heatmaps float16 [K,S/4,S/4] and [K,S/2,S/2];
        coarse_mask, fine_mask: uint8, 1 where the labels count; tags: int64 [max_people,K,2] (see `tag_indices`)."""
        cv2.setNumThreads(0)  # OpenCV's threads do not survive a fork, and one picture a worker needs none
        rng = np.random.default_rng((self.seed, index))
        image, masks, keypoints = self.compose(rng)
        if rng.random() < self.augmentation.photometric:
            image = change_colours(rng, image)
        return self._tensors(image, masks, keypoints)

    def compose(self, rng: np.random.Generator) -> Composed:
        """One picture before its colours change: image RGB uint8 [S,S,3], masks uint8 [S/4,S/4] and [S/2,S/2],
        keypoints [P,K,3]."""
        size, draw = self.mixture.size, rng.random()
        if self.photos is None or draw < self.mixture.synthetic:
            return self._synthetic(rng)
        whole = Window(0, 0, size, size)
        windows = _random_mosaic(rng, size) if draw < self.mixture.synthetic + self.mixture.mosaic else [whole]
        return self._photos(rng, windows)

    def _photos(self, rng: np.random.Generator, windows: list[Window]) -> Composed:
        size = self.mixture.size
        canvas = np.zeros((size, size, 3), np.uint8)
        masks = [np.zeros((size // stride,) * 2, np.uint8) for stride in STRIDES.values()]
        people = []
        for window in windows:
            photo = self.photos.load(int(np.searchsorted(self._cumulative, rng.random())), self._shown)
            size_wh = (photo.image.shape[1], photo.image.shape[0])
            matrix, flipped = random_affine(rng, size_wh, window, self.augmentation, photo.keypoints)
            people.append(place(photo, matrix, flipped, window, canvas, masks, self.skeleton))
        return canvas, masks, np.concatenate(people)

    def _synthetic(self, rng: np.random.Generator) -> Composed:
        size = self.mixture.size
        background = None
        if self.photos is not None and len(self._empty) and rng.random() < 0.7:
            canvas = np.zeros((size, size, 3), np.uint8)
            photo = self.photos.load(self._empty[rng.integers(len(self._empty))], self._empty)
            window = Window(0, 0, size, size)
            ranges = replace(self.augmentation, scale=(0.5, 0.8), translation=0.05)
            matrix, flipped = random_affine(rng, (photo.image.shape[1], photo.image.shape[0]), window, ranges)
            place(photo, matrix, flipped, window, canvas, [], self.skeleton)
            background = canvas
        mixture = self.mixture
        frame = random_frame(rng, size, size, mixture.synthetic_people, mixture.synthetic_sizes, background)
        return frame.image, [np.ones((size // stride,) * 2, np.uint8) for stride in STRIDES.values()], frame.keypoints

    def _tensors(self, image: np.ndarray, masks: list[np.ndarray], keypoints: np.ndarray) -> dict[str, Tensor]:
        size, sigma = self.mixture.size, self.mixture.sigma
        if self.base_width is not None:
            sigma = sigma * box_scales(keypoints, self.base_width)
        sample = {"image": torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))}
        for (name, stride), mask in zip(STRIDES.items(), masks, strict=True):
            side = size // stride
            heatmaps = render_heatmaps(keypoints * (1 / stride, 1 / stride, 1), side, side, sigma, np.float16)
            sample[name] = torch.from_numpy(heatmaps)
            sample[f"{name}_mask"] = torch.from_numpy(mask)
        side = size // 4
        indices = tag_indices(keypoints * (0.25, 0.25, 1), side, side, self.mixture.max_people)
        sample["tags"] = torch.from_numpy(indices)
        return sample


def _photo_weights(photos: Photos, mixture: Mixture) -> np.ndarray:
    """How often each photo is drawn, float64 [N], not normalised."""
    weights = photos.weights(mixture.source_weights)
    if mixture.empty_weight != 1:
        labelled = np.array([len(record.keypoints) > 0 for record in photos.records])
        weights = weights * np.where(labelled, 1.0, mixture.empty_weight)
    if not weights.sum() > 0:
        raise SwahrError(
            f"{photos.annotations}: every photo has the weight 0; change mixture.source_weights or .empty_weight."
        )
    return weights


def _random_mosaic(rng: np.random.Generator, size: int) -> list[Window]:
    """Two, three or four windows with a random cut, so that people of very different sizes meet in one picture."""
    x, y = (int(v) for v in rng.uniform(0.3, 0.7, 2) * size)
    split_top, split_bottom = (rng.random(2) < 0.75).tolist()
    windows = []
    for top, height, split in ((0, y, split_top), (y, size - y, split_bottom)):
        if split:
            windows += [Window(0, top, x, height), Window(x, top, size - x, height)]
        else:
            windows.append(Window(0, top, size, height))
    return windows
