"""A small data set to pack: photos of several sizes, people, a crowd by run lengths, and one photo without anybody."""

import json

import cv2
import numpy as np


def write_photos(folder, sizes=((160, 120), (90, 130), (400, 300)), suffix="jpg", seed=0):
    """Photos 1, 2, ... and `labels.json`, whose path is returned."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    labels = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]}
    for number, (width, height) in enumerate(sizes, 1):
        coarse = rng.integers(0, 255, (height // 10, width // 10, 3), np.uint8)
        cv2.imwrite(
            str(folder / f"{number}.{suffix}"), cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        )
        image = {"id": 10 * number, "file_name": f"{number}.{suffix}", "width": width, "height": height}
        labels["images"].append(image | {"source": "odd" if number % 2 else "even"})
        if number == 2:
            continue
        points = rng.uniform((0, 0), (width - 1, height - 1), (17, 2)).round(1)
        keypoints = [value for x, y in points.tolist() for value in (x, y, 2)]
        keypoints[:3] = [0, 0, 0]
        person = {"id": number, "image_id": 10 * number, "category_id": 1, "iscrowd": 0, "keypoints": keypoints}
        box = [3.5, 4, width / 2, height / 2]
        labels["annotations"].append(person | {"bbox": box, "area": width * height / 5, "num_keypoints": 16})
        runs = [height * 10 + 7, 30, height * (width - 10) - 37]
        crowd = {"id": 100 + number, "image_id": 10 * number, "category_id": 1, "iscrowd": 1, "bbox": box}
        labels["annotations"].append(crowd | {"segmentation": {"size": [height, width], "counts": runs}})
        unlabelled = {**crowd, "id": 200 + number, "iscrowd": 0, "keypoints": [0] * 51}
        triangle = [width / 3, 5, width / 2, height / 2, 11.25, height - 2]
        labels["annotations"].append(unlabelled | {"segmentation": [triangle]})
    path = folder / "labels.json"
    path.write_text(json.dumps(labels))
    return path
