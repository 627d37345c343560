"""One training sample as a picture to look at: what goes into the network, and what it should answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from app.map_overlay import MapLayer, MapStyle, blend, draw_legend, layer_of
from app.overlay import draw_people
from grouping import People, Skeleton

if TYPE_CHECKING:
    from torch import Tensor

    from engine import PoseEstimator

Image = NDArray[np.uint8]

_SIDE = 480  # pixels of a panel
_GAP, _CAPTION = 12, 34
_PAPER, _INK = (255, 255, 255), (20, 20, 20)
_MASKED = (255, 40, 40)
_HEAT = MapStyle(opacity=0.6, colours="inferno")
_SCALE = MapStyle(opacity=0.6, colours="jet")


def sheet(sample: Mapping[str, Tensor], skeleton: Skeleton, estimator: PoseEstimator | None = None) -> Image:
    """A sample of `TrainingSamples` as panels under captions, RGB uint8 [H,W,3].

    The picture with its people, what the mask leaves out, the target heatmaps at 1/2 and at 1/4, each the highest of
    all keypoints; with an estimator also its heatmaps and its 1/s.
    """
    image = np.ascontiguousarray(sample["image"].numpy().transpose(1, 2, 0))
    people = people_of(sample, skeleton)
    number = int(people.found.sum())
    drawn = _enlarged(image)
    draw_people(drawn, people.transformed(np.eye(2, 3) * (_SIDE / len(image))))
    panels = [
        (f"what training sees: {_counted(people)}, {number} keypoints", drawn),
        (_mask_caption(sample["fine_mask"].numpy()), _masked(image, sample["fine_mask"].numpy())),
        ("target heatmaps at 1/2, highest of all keypoints", _heat(image, sample["fine"].float().numpy())),
        ("target heatmaps at 1/4, highest of all keypoints", _heat(image, sample["coarse"].float().numpy())),
    ]
    if estimator is not None:
        panels += _answers(image, estimator)
    return _arranged(panels)


def people_of(sample: Mapping[str, Tensor], skeleton: Skeleton) -> People:
    """The people of a sample as its tags are read: each keypoint in the middle of its pixel of the 1/4 map."""
    size = sample["coarse"].shape[-1]
    flat, labelled = np.moveaxis(sample["tags"].numpy(), -1, 0)
    place = flat % (size * size)
    keypoints = np.stack((place % size + 0.5, place // size + 0.5), -1) * 4
    keypoints = np.concatenate((keypoints, np.ones((*labelled.shape, 1))), -1) * labelled[..., None]
    keypoints = keypoints[labelled.any(1)]
    return People(keypoints.astype(np.float32), np.ones(len(keypoints), np.float32), skeleton=skeleton)


def _answers(image: Image, estimator: PoseEstimator) -> list[tuple[str, Image]]:
    people, maps = estimator.detailed(image)
    large = _enlarged(image)
    ratio = _SIDE / len(image)
    to_panel = np.diag([ratio, ratio]) @ maps.to_source
    maps = type(maps)(maps.heatmaps, maps.tags, maps.alphas, to_panel)
    heat = layer_of("heatmap", maps, (_SIDE, _SIDE))
    found = blend(large, heat, _HEAT)
    draw_people(found, people.transformed(np.eye(2, 3) * ratio))
    draw_legend(found, heat, _HEAT)
    panels = [(f"the model's heatmaps and {_counted(people)}", found)]
    if maps.alphas is not None:
        scale = layer_of("scale", maps, (_SIDE, _SIDE))
        shown = blend(large, scale, _SCALE)
        draw_legend(shown, scale, _SCALE)
        panels.append(("the model's 1/s, mean of all keypoints", shown))
    return panels


def _counted(people: People) -> str:
    return "1 person" if len(people) == 1 else f"{len(people)} people"


def _heat(image: Image, heatmaps: NDArray[np.float32]) -> Image:
    values = cv2.resize(heatmaps.max(0), (_SIDE, _SIDE), interpolation=cv2.INTER_NEAREST)
    layer = MapLayer(values, "target", 0.0, 1.0)
    shown = blend(_enlarged(image), layer, _HEAT)
    draw_legend(shown, layer, _HEAT)
    return shown


def _mask_caption(mask: NDArray[np.uint8]) -> str:
    left_out = 100 * (1 - mask.mean())
    return f"left out by the mask: {left_out:.0f} %" if left_out else "the mask leaves nothing out"


def _masked(image: Image, mask: NDArray[np.uint8]) -> Image:
    """The picture, red and striped where the labels do not count."""
    shown = _enlarged(image)
    out = cv2.resize(mask, (_SIDE, _SIDE), interpolation=cv2.INTER_NEAREST) == 0
    rows, columns = np.indices(out.shape)
    stripes = (rows + columns) // 6 % 2 == 0
    shown[out] = (0.6 * shown[out] + 0.4 * np.array(_MASKED)).astype(np.uint8)
    shown[out & stripes] = (0.5 * shown[out & stripes]).astype(np.uint8)
    return shown


def _enlarged(image: Image) -> Image:
    smaller = len(image) > _SIDE
    return cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def _arranged(panels: list[tuple[str, Image]]) -> Image:
    """Panels in two rows, each under its caption."""
    columns = (len(panels) + 1) // 2
    height, width = _SIDE + _CAPTION + _GAP, _SIDE + _GAP
    page = np.full((2 * height + _GAP, columns * width + _GAP, 3), _PAPER, np.uint8)
    for index, (caption, panel) in enumerate(panels):
        x, y = _GAP + index % columns * width, _GAP + index // columns * height
        cv2.putText(page, caption, (x, y + _CAPTION - 11), cv2.FONT_HERSHEY_SIMPLEX, 0.6, _INK, 1, cv2.LINE_AA)
        page[y + _CAPTION : y + _CAPTION + _SIDE, x : x + _SIDE] = panel
    return page
