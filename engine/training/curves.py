"""What TensorBoard shows of a run: losses, learning rate, AP, and the maps of a few pictures that stay the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import SwahrError

FOLDER = "tensorboard"  # in the run's folder


def curves_wanted(asked: bool | None) -> bool:
    """Whether there shall be curves: as asked, and otherwise (None) if TensorBoard is installed.

    Raises SwahrError if they are asked for and TensorBoard is missing.
    """
    installed = find_spec("tensorboard") is not None
    if asked and not installed:
        raise SwahrError(
            "--tensorboard needs the package tensorboard, which is not installed; install the extra `train`, "
            "or leave out --tensorboard."
        )
    return installed if asked is None else asked


class Curves:
    """TensorBoard's files of a run, in `FOLDER`. A run that goes on draws its curves on from `step`.

    What another process wrote beyond that step is hidden, because it happens again.
    """

    def __init__(self, run: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(run / FOLDER), purge_step=step + 1)

    def figures(self, step: int, kind: str, figures: Mapping[str, float]) -> None:
        """A point of each curve, named such as "training/heatmap_fine" or "validation/AP"."""
        for name, value in figures.items():
            self._writer.add_scalar(f"{kind}/{name}", value, step)

    def pictures(self, step: int, kind: str, pictures: Sequence[NDArray[np.uint8]]) -> None:
        """Pictures RGB uint8 [H,W,3], named such as "heatmaps/0"."""
        for number, picture in enumerate(pictures):
            self._writer.add_image(f"{kind}/{number}", picture, step, dataformats="HWC")

    def flush(self) -> None:
        """Bring to the disk what was added: what lies before a saved state must be there when the run goes on."""
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()
