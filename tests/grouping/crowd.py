"""Raw outputs of a network that sees a crowd, drawn at random."""

import numpy as np


def crowd(seed, skeleton, num_people, passes, height, width, noise) -> tuple[np.ndarray, np.ndarray]:
    """What a network might say of a crowd: [F, 3K, height, width] and [F, 2K, 2 * height, 2 * width]."""
    random = np.random.default_rng(seed)
    keypoints = skeleton.num_keypoints
    coarse = random.normal(0, noise, (passes, 3 * keypoints, height, width))
    fine = random.normal(0, noise, (passes, 2 * keypoints, 2 * height, 2 * width))
    coarse[:, 2 * keypoints :] *= 50
    flips = list(skeleton.flip_indices)
    for person in range(num_people):
        for keypoint in range(keypoints):
            if random.random() < 0.2:
                continue
            x, y, high = random.uniform(0, 2 * width), random.uniform(0, 2 * height), random.uniform(0.1, 1)
            for image in range(passes):
                at_x, own = (2 * width - x, flips[keypoint]) if image else (x, keypoint)
                for maps, shift, part, sigma in ((coarse, 2, keypoints, 2.0), (fine, 1, keypoints, 2.0)):
                    rows, columns = np.mgrid[: maps.shape[2], : maps.shape[3]]
                    squared = (columns + 0.5 - at_x / shift) ** 2 + (rows + 0.5 - y / shift) ** 2
                    bump = high * np.exp(-squared / (2 * sigma**2))
                    maps[image, part + own] = np.maximum(maps[image, part + own], bump)
                    if maps is coarse:
                        near = squared < 9
                        maps[image, 2 * keypoints + own][near] = person * 1.5 + random.normal(0, 0.1, near.sum())
    return coarse.astype(np.float32), fine.astype(np.float32)
