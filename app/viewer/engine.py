"""What the viewer's inferring thread does with a frame; the network is loaded there, and never in the window."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from app.engine_settings import EngineSettings

if TYPE_CHECKING:
    from app.sources import Frame
    from grouping import People

Overlay = Literal["", "scale", "heatmap", "tags"]


@dataclass(frozen=True)
class ViewSettings:
    """What counts from the next frame on.

    threshold: a keypoint's least heatmap value; None: the model's own. sigmas: whether people come with sigmas.
    overlay: what the picture is shown under: "" for nothing, "scale" for the predicted 1/s, "heatmap" or "tags".
    """

    threshold: float | None = None
    sigmas: bool = False
    overlay: Overlay = ""


@dataclass(frozen=True, eq=False)
class View:
    """What the window shows of a frame.

    picture: RGB uint8 [H, W, 3], the frame or what was laid over it. engine: what runs, in words. seconds: stage -> how
    long it took. note: a sentence on what could not be done, or "".
    """

    picture: NDArray[np.uint8]
    people: People
    engine: str
    seconds: dict[str, float]
    note: str = ""


class ViewEngine:
    """Called with frames by one thread; its settings may be replaced by another at any time.

    What takes long, other engine settings and the first use of the scale branch, is made ready on a thread of its own,
    while what there is goes on. load: makes an estimator.
    """

    def __init__(
        self, engine: EngineSettings, view: ViewSettings, load: Callable[[EngineSettings], Any] = EngineSettings.load
    ) -> None:
        self.engine, self.view = engine, view
        self._load = load
        self._estimator: Any = None
        self._own_threshold = 0.0
        self._loaded: EngineSettings | None = None
        self._next: tuple[EngineSettings, Any] | None = None
        self._failed: dict[EngineSettings, str] = {}
        self._loading: threading.Thread | None = None
        self._branch_ready: set[tuple[EngineSettings, int, int]] = set()
        self._preparing: threading.Thread | None = None

    def __call__(self, frame: Frame) -> View:
        """Raises SwahrError where the first engine cannot be loaded; a later one that cannot leaves a note."""
        self._take_up(frame)
        estimator, view = self._estimator, self.view
        threshold = self._own_threshold if view.threshold is None else view.threshold
        if estimator.options.detection_threshold != threshold:
            estimator.options = replace(estimator.options, detection_threshold=threshold)
        branch = (view.sigmas or view.overlay) and self._scale_branch_ready(frame)
        estimator.sigmas = view.sigmas and branch
        picture, note = frame.image, self._failed.get(self.engine, "")
        if view.overlay and branch:
            people, maps = estimator.detailed(frame.image)
            if view.overlay == "scale" and maps.alphas is None:
                note = f"The model {estimator.model} has no scale branch to show."
            else:
                picture = _under_map(frame.image, maps, view.overlay)
        else:
            people = estimator(frame.image)
        engine = f"{estimator.backend} on {estimator.device} in {estimator.precision}"
        return View(picture, people, engine, estimator.stage_seconds, note or " ".join(estimator.messages[-1:]))

    def _take_up(self, frame: Frame) -> None:
        """Begin to load what is wanted, and change to it when it is ready."""
        wanted = self.engine
        if self._estimator is None:
            self._use(wanted, self._load(wanted))
            return
        if self._next is not None:
            if self._next[0] == wanted:
                self._use(*self._next)
            self._next = None
        loading = self._loading is not None and self._loading.is_alive()
        if wanted != self._loaded and wanted not in self._failed and not loading:
            height, width = frame.image.shape[:2]
            self._loading = threading.Thread(
                target=self._load_beside, args=(wanted, width, height), name="load engine", daemon=True
            )
            self._loading.start()

    def _scale_branch_ready(self, frame: Frame) -> bool:
        """Whether the network is there with its scale branch; if not, begin to make it ready."""
        height, width = frame.image.shape[:2]
        key = self._loaded, width, height
        if key in self._branch_ready:
            return True
        if self._preparing is None or not self._preparing.is_alive():
            self._preparing = threading.Thread(
                target=self._prepare_beside, args=(key, self._estimator), name="prepare scale branch", daemon=True
            )
            self._preparing.start()
        return False

    def _prepare_beside(self, key: tuple[EngineSettings, int, int], estimator: Any) -> None:
        with contextlib.suppress(Exception):  # the next frame meets the same error, and tells it
            estimator.prepare(*key[1:], sigmas=True)
        self._branch_ready.add(key)

    def _load_beside(self, wanted: EngineSettings, width: int, height: int) -> None:
        try:
            estimator = self._load(wanted)
            estimator.prepare(width, height)
            self._next = wanted, estimator
        except Exception as error:  # told as a note; the old engine goes on
            self._failed[wanted] = str(error)

    def _use(self, settings: EngineSettings, estimator: Any) -> None:
        self._estimator, self._loaded = estimator, settings
        self._own_threshold = estimator.options.detection_threshold


def _under_map(image: NDArray[np.uint8], maps: Any, overlay: Overlay) -> NDArray[np.uint8]:
    from app import map_overlay

    where = maps.to_source, image.shape[1::-1]
    if overlay == "scale":
        return map_overlay.blend_scale_map(image, map_overlay.inverse_scales(maps.alphas, *where))
    if overlay == "heatmap":
        return map_overlay.blend_map(image, map_overlay.highest_heat(maps.heatmaps, *where), "heat", (0.0, 1.0))
    return map_overlay.blend_map(image, map_overlay.tags_of_the_likeliest(maps.heatmaps, maps.tags, *where), "tag")
