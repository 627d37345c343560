"""A run of ``process`` in a process of its own, with an estimator whose people follow from the picture alone."""

from __future__ import annotations

import sys
import time
import zlib

import numpy as np

from grouping import COCO17, GroupingOptions, People


class PictureEstimator:
    """Finds up to three people where the picture's bytes say; has PoseEstimator's surface. seconds: for each image."""

    seconds = 0.0
    images_per_run = 1

    def __init__(self, model: str = "default") -> None:
        self.model, self.backend, self.device, self.precision = model, "none", "cpu", "float32"
        self.size, self.flip, self.scales, self.skeleton = 256, False, (1.0,), COCO17
        self.options = self.own_options = GroupingOptions()
        self.sigmas, self.messages = True, []
        self.looked_at = 0

    @classmethod
    def load(cls, model: str = "default", **settings: object) -> PictureEstimator:
        return cls(model)

    def prepare(self, width: int, height: int, sigmas: bool | None = None) -> None:
        pass

    def __call__(self, image: np.ndarray) -> People:
        time.sleep(self.seconds)
        self.looked_at += 1
        numbers = np.random.default_rng(zlib.crc32(np.ascontiguousarray(image).tobytes()))
        people = int(numbers.integers(0, 4))
        keypoints = numbers.random((people, 17, 3), dtype=np.float32)
        keypoints[:, :, 0] *= image.shape[1]
        keypoints[:, :, 1] *= image.shape[0]
        scores = keypoints[:, :, 2].mean(axis=1)
        return People(keypoints, scores, np.full((people, 17), 3, np.float32), COCO17)

    def batch(self, images: list[np.ndarray]) -> list[People]:
        return [self(image) for image in images]


if __name__ == "__main__":
    import engine

    PictureEstimator.seconds = float(sys.argv[1])
    engine.PoseEstimator = PictureEstimator
    from app.cli import main

    sys.exit(main(sys.argv[2:]))
