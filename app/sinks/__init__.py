"""What is written: annotated videos and pictures, and poses as text."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from app.sources import Frame
    from grouping import People


class Sink(Protocol):
    """One output of a run, open between ``__enter__`` and ``__exit__``.

    path: where the complete output will be.
    partial: where what was written is found after a failure; None if nothing is left.
    notes: sentences the user should read at the end.
    frames_kept: how many frames an earlier run, with which this one goes on, has left in it; `write` begins after them.
    """

    path: Path
    notes: list[str]
    frames_kept: int

    @property
    def partial(self) -> Path | None: ...

    def write(self, frame: Frame, picture: NDArray[np.uint8], people: People) -> None:
        """Add one frame: the picture is the annotated one, RGB uint8 [H, W, 3]."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
