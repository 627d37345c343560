"""The same grouping as people usually write it: PyTorch for the maps, SciPy for the assignment, numpy for the rest.

`swahr bench grouping` measures the package against it, and the tests hold the package's answers against its answers.
Maps are projected to the input's size first, non-maximum suppression is a max pooling over all of them, the best
candidates are the top k of all pixels, and each person's keypoints are looked for in every pixel of every map, as the
published code does, though only the missing ones are taken.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional


def projected(coarse: Tensor, fine: Tensor, flip_indices: list[int]) -> tuple[Tensor, Tensor]:
    """Heatmaps [K, h, w] and tags [K, h, w, F] at the size of the input, from [F, 3K, h/4, w/4], [F, 2K, h/2, w/2]."""
    keypoints = len(flip_indices)
    _, coarse_heatmaps, tags = coarse.split(keypoints, 1)
    _, fine_heatmaps = fine.split(keypoints, 1)
    heatmaps = (_doubled(coarse_heatmaps) + fine_heatmaps) / 2
    tags = _doubled(tags)
    if len(heatmaps) == 2:
        heatmaps, tags = (torch.stack((maps[0], maps[1].flip(-1)[flip_indices])) for maps in (heatmaps, tags))
    # Both passes' tags end side by side in memory, as the published code's concatenation leaves them.
    return _doubled(heatmaps.mean(0, keepdim=True))[0], _doubled(tags).permute(1, 2, 3, 0).contiguous()


def _doubled(maps: Tensor) -> Tensor:
    return functional.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)


def group(
    heatmaps: Tensor,
    tags: Tensor,
    order: tuple[int, ...],
    max_people: int = 30,
    detection_threshold: float = 0.1,
    tag_threshold: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints [P, K, 3] and scores [P] of the people in heatmaps [K, h, w] and tags [K, h, w, T]."""
    pixels, values, candidate_tags = _candidates(heatmaps, tags, max_people)
    people = _matched(pixels, values, candidate_tags, order, max_people, detection_threshold, tag_threshold)
    heatmaps, tags = heatmaps.numpy(), tags.numpy()
    keypoints = np.zeros((len(people), len(heatmaps), 3), np.float32)
    for person, (found, _) in enumerate(people):
        for keypoint, (x, y, value) in found.items():
            keypoints[person, keypoint] = (*_placed(heatmaps[keypoint], x, y), value)
    scores = keypoints[..., 2].mean(1)
    kept = np.sort(np.argsort(-scores, kind="stable")[:max_people])
    for person in kept:
        _fill(people[person], heatmaps, tags, keypoints[person])
    return keypoints[kept], scores[kept]


def _candidates(heatmaps: Tensor, tags: Tensor, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    keypoints, height, width = heatmaps.shape
    highest = functional.max_pool2d(heatmaps[None], 5, 1, 2)[0]
    peaks = heatmaps * (highest == heatmaps)
    values, indices = peaks.view(keypoints, -1).topk(min(number, height * width), dim=1)
    flat = tags.reshape(keypoints, height * width, -1)
    candidate_tags = torch.stack([flat[k, indices[k]] for k in range(keypoints)])
    return torch.stack((indices % width, indices // width), 2).numpy(), values.numpy(), candidate_tags.numpy()


def _matched(pixels, values, tags, order, max_people, detection_threshold, tag_threshold) -> list[tuple[dict, list]]:
    people: list[tuple[dict, list]] = []
    for keypoint in order:
        chosen = np.flatnonzero(values[keypoint] > detection_threshold)
        if not len(chosen):
            continue
        known = people[:max_people]
        partner, distances = {}, np.zeros((len(chosen), 0))
        if known:
            means = np.stack([np.mean(own, axis=0) for _, own in known])
            distances = np.linalg.norm(tags[keypoint, chosen][:, None] - means[None], axis=2)
            costs = 100 * np.round(distances) - values[keypoint, chosen][:, None].astype(np.float64)
            # Ties between rounded distances go to the nearer tag; everything else weighs far more.
            costs = costs + 1e-6 * np.minimum(distances, tag_threshold) ** 2
            partner = dict(zip(*linear_sum_assignment(costs), strict=True))
        for row, candidate in enumerate(chosen):
            column = partner.get(row, -1)
            if column < 0 or not distances[row, column] < tag_threshold:
                people.append(({}, []))
                column = len(people) - 1
            people[column][0][keypoint] = (*pixels[keypoint, candidate].tolist(), values[keypoint, candidate])
            people[column][1].append(tags[keypoint, candidate])
    return people


def _fill(person: tuple[dict, list], heatmaps: np.ndarray, tags: np.ndarray, keypoints: np.ndarray) -> None:
    mean = np.mean(np.array(person[1], np.float64), axis=0).astype(np.float32)
    for keypoint, heatmap in enumerate(heatmaps):
        score = heatmap - np.round(np.sqrt(((tags[keypoint] - mean) ** 2).sum(2)))
        y, x = np.unravel_index(score.argmax(), score.shape)
        if keypoint not in person[0] and heatmap[y, x] > 0:
            keypoints[keypoint] = (*_placed(heatmap, x, y), heatmap[y, x])


def _placed(heatmap: np.ndarray, x: int, y: int) -> tuple[float, float]:
    height, width = heatmap.shape
    right = heatmap[y, min(x + 1, width - 1)] > heatmap[y, max(x - 1, 0)]
    down = heatmap[min(y + 1, height - 1), x] > heatmap[max(y - 1, 0), x]
    return x + (0.75 if right else 0.25), y + (0.75 if down else 0.25)
