"""A step whose numbers are not finite: found before it changes a weight, and its pictures kept to be looked at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.errors import SwahrError
from engine.training.run_folder import write_whole
from engine.training.samples import TrainingSamples

GRADIENT_NORM = "gradient_norm"  # what it is called among the losses

_SIDE = 256  # pixels of a picture on the sheet
_MOST = 64  # pictures on the sheet


class NotFiniteError(SwahrError):
    """A loss or a gradient became infinite or NaN. what: the beginning of the sentence."""

    def __init__(self, what: str, way_on: str = "go on from the last state with --resume", kept: str = "") -> None:
        self.what = what
        super().__init__(
            f'{what}{kept}; lower schedule.learning_rate or use schedule.precision = "float32", and {way_on}.'
        )


def check_finite(values: Mapping[str, float], step: int) -> None:
    """Raise NotFiniteError naming the first of a step's losses, or the gradients, that is not finite."""
    for name, value in values.items():
        if not math.isfinite(value):
            named = "norm of the gradients" if name == GRADIENT_NORM else f"loss '{name}'"
            raise NotFiniteError(f"The {named} became {value} at step {step}")


def keep_bad_batch(folder: Path, step: int, samples: TrainingSamples, indices: Sequence[int]) -> str:
    """Make the step's samples again and keep them; returns the rest of the sentence, which names the files.

    `bad-batch-stepN.pt` holds a dict: step, indices, sample (the batch as training has it, [N,...] by name);
    `bad-batch-stepN.png` shows its pictures with the target heatmaps in red, and the masked parts dark.
    """
    try:
        path = _keep(folder, step, samples, indices)
    except (OSError, RuntimeError, SwahrError) as error:  # PyTorch's of a full disk is a RuntimeError
        return f" (its pictures could not be kept: {str(error).splitlines()[0].rstrip('.')})"
    return f" (its pictures are in {path} and {path.with_suffix('.png').name})"


def _keep(folder: Path, step: int, samples: TrainingSamples, indices: Sequence[int]) -> Path:
    pictures = [samples[index] for index in indices]
    batch = {name: torch.stack([picture[name] for picture in pictures]) for name in pictures[0]}
    path = folder / f"bad-batch-step{step}.pt"
    write_whole(path, lambda at: torch.save({"step": step, "indices": list(indices), "sample": batch}, at))
    encoded = cv2.imencode(".png", _sheet(batch)[..., ::-1])[1]
    write_whole(path.with_suffix(".png"), lambda at: at.write_bytes(encoded.tobytes()))
    return path


def _sheet(batch: Mapping[str, Tensor]) -> NDArray[np.uint8]:
    """The first pictures in rows, RGB uint8 [H,W,3]."""
    shown = min(_MOST, len(batch["image"]))
    columns = math.ceil(math.sqrt(shown))
    sheet = np.zeros((math.ceil(shown / columns) * _SIDE, columns * _SIDE, 3), np.uint8)
    for number in range(shown):
        y, x = (_SIDE * place for place in divmod(number, columns))
        sheet[y : y + _SIDE, x : x + _SIDE] = _shown({name: value[number] for name, value in batch.items()})
    return sheet


def _shown(sample: Mapping[str, Tensor]) -> NDArray[np.float32]:
    """One picture with what it is to teach, RGB 0 to 255 [SIDE,SIDE,3]."""
    image, heat, mask = (
        cv2.resize(values.astype(np.float32), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        for values in (
            sample["image"].numpy().transpose(1, 2, 0),
            sample["fine"].float().amax(0).numpy(),
            sample["fine_mask"].numpy(),
        )
    )
    red = np.array((255, 0, 0), np.float32)
    return (image + (red - image) * heat[..., None]) * (0.3 + 0.7 * mask[..., None])
