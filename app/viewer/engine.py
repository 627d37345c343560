"""What the viewer's inferring thread does with a frame; the network is loaded there, and never in the window."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from app.engine_settings import EngineSettings, GroupingChoice
from app.map_overlay import MapLayer, MapStyle, blend, layer_of
from app.over_time import OverTime
from app.viewer.errors import error_sentence
from app.viewer.job import Job

if TYPE_CHECKING:
    from app.sources import Frame
    from grouping import People

# What the header of poses takes from an estimator, and what the panel shows.
_SAID_OF_ITSELF = (
    "model",
    "backend",
    "device",
    "precision",
    "skeleton",
    "size",
    "flip",
    "scales",
    "options",
    "own_options",
)
Overlay = Literal["", "scale", "heatmap", "tags"]


@dataclass(frozen=True)
class ViewSettings:
    """What counts from the next frame on.

    grouping: how maps become people. sigmas: whether people come with sigmas. smooth: whether keypoints are smoothed
    over time. overlay: what the picture is shown under:
    "" for nothing, "scale" for the predicted 1/s, "heatmap" or "tags". keypoint: whose map; None: all keypoints'.
    """

    grouping: GroupingChoice = field(default_factory=GroupingChoice)
    sigmas: bool = False
    smooth: bool = True
    overlay: Overlay = ""
    keypoint: int | None = None
    style: MapStyle = field(default_factory=MapStyle)


@dataclass(frozen=True, eq=False)
class View:
    """What the window shows of a frame.

    picture: RGB uint8 [H, W, 3], the frame's or, with a layer, that under the map, without a legend. found_by: what
    the estimator said of itself, not itself: the window would be the one to take down a network that gave way to
    another. seconds: stage -> how long it took. note: a sentence on what could not be done, or "".
    """

    frame: Frame
    people: People
    picture: NDArray[np.uint8]
    settings: ViewSettings
    found_by: SimpleNamespace
    seconds: dict[str, float]
    layer: MapLayer | None = None
    note: str = ""

    @property
    def legend(self) -> tuple[MapLayer, MapStyle] | None:
        """Of the map, if there is one."""
        return None if self.layer is None else (self.layer, self.settings.style)

    @property
    def engine(self) -> str:
        """What runs, in words."""
        return f"{self.found_by.backend} on {self.found_by.device} in {self.found_by.precision}"


class ViewEngine:
    """Called with frames by one thread; `engine` and `view` may be replaced by another at any time.

    What takes long, an engine and the first use of the scale branch, is made ready on a thread of its own; while it
    is, what there is goes on. An engine that cannot be loaded is told to `on_failure`, and `engine` is again what runs.
    on_change: called when something is ready, or has begun; on the thread that it happened on, as is on_failure.
    load: makes an estimator. loaded: what runs; None before the first is loaded. devices: what it may run on here, once
    that is known.
    """

    def __init__(
        self,
        engine: EngineSettings,
        view: ViewSettings,
        load: Callable[[EngineSettings], Any] = EngineSettings.load,
        on_change: Callable[[], None] = lambda: None,
        on_failure: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.engine, self.view = engine, view
        self.on_change, self.on_failure = on_change, on_failure
        self.loaded: EngineSettings | None = None
        self.devices: list[str] = []
        self._load = load
        self._estimator: Any = None
        self._loading: Job | None = None
        self._wanted: EngineSettings | None = None  # what is being loaded
        self._awaited = False  # by the first frame, which tells its error
        self._compiling: Job | None = None
        self._preparing: Job | None = None
        self._branch_ready: set[tuple[int, int]] = set()  # frames' sizes, for this estimator
        self._left = False
        self._beginning = Lock()
        self._answer: tuple[tuple[Any, ...], People, Any] | None = None
        self._over_time = OverTime()

    @property
    def doing(self) -> str:
        """What is being made ready, in words, or ""."""
        for job in (self._loading, self._compiling, self._preparing):
            if job is not None and not job.done:
                return job.doing
        return ""

    @property
    def preparing(self) -> bool:
        """Whether the scale branch is being made ready."""
        return self._preparing is not None and not self._preparing.done

    def begin(self) -> None:
        """Load what is wanted before the first frame comes."""
        with self._beginning:  # by the window and by the first frame at once
            failed = self._loading is not None and self._loading.done and self._loading.error is not None
            if self._estimator is None and (self._loading is None or failed):
                self._begin_loading(None)

    def cancel(self) -> None:
        """Stay with what runs; what is being loaded is thrown away when it is there."""
        self._loading = None
        if self.loaded is not None:
            self.engine = self.loaded
        self.on_change()

    def leave(self) -> None:
        """The source is closed: whoever waits for an engine need not."""
        self._left = True

    def enter(self) -> None:
        """Another source follows."""
        self._left = False
        self._answer, self._over_time = None, OverTime()

    def __call__(self, frame: Frame) -> View:
        """Raises SwahrError where the first engine cannot be loaded, and LeftError after `leave`."""
        self._take_up(frame)
        estimator, view = self._estimator, self.view
        view.grouping.apply(estimator)
        branch = bool(view.sigmas or view.overlay) and self._scale_branch_ready(frame)
        estimator.sigmas = view.sigmas and branch
        people, maps, seconds = self._found(estimator, frame, bool(view.overlay) and branch)
        began = time.perf_counter()
        picture, layer, note = frame.image, None, " ".join(estimator.messages[-1:])
        if maps is not None and view.overlay == "scale" and maps.alphas is None:
            note = f"The model {estimator.model} has no scale branch to show."
        elif maps is not None and view.overlay:
            keypoint = view.keypoint if (view.keypoint or 0) < estimator.skeleton.num_keypoints else None
            layer = layer_of(view.overlay, maps, frame.image.shape[1::-1], keypoint)
            picture = blend(frame.image, layer, view.style)
            seconds["map"] = time.perf_counter() - began
        found_by = SimpleNamespace(**{name: getattr(estimator, name) for name in _SAID_OF_ITSELF})
        return View(frame, people, picture, view, found_by, seconds, layer, note)

    def _found(self, estimator: Any, frame: Frame, with_maps: bool) -> tuple[People, Any, dict[str, float]]:
        """The people, the maps if they are wanted, and how long it took: nothing for the same frame once more."""
        self._over_time.smooth = self.view.smooth
        asked = frame, estimator, estimator.options, estimator.sigmas, self.view.smooth, with_maps
        if self._answer is not None and self._answer[0] == asked:
            return *self._answer[1:], {}
        people, maps = estimator.detailed(frame.image) if with_maps else (estimator(frame.image), None)
        self._answer = asked, self._over_time(people, frame.time), maps
        return *self._answer[1:], dict(estimator.stage_seconds)

    # -- loading beside ------------------------------------------------------------------------------------------

    def _take_up(self, frame: Frame) -> None:
        """Begin to load what is wanted, and change to it when it is ready."""
        size = frame.image.shape[1::-1]
        if self._estimator is None:
            self._first_engine(size)
        ready = self._loading
        if ready is not None and ready.done:
            self._loading = None
            if ready.error is None and self._wanted == self.engine:
                self._use(ready.result)
        if self.engine != self.loaded and self._loading is None:
            self._begin_loading(size)
            self.on_change()

    def _first_engine(self, size: tuple[int, int]) -> None:
        """Wait for the first engine, and compile it for these frames: there is nothing that could go on meanwhile."""
        self._awaited = True
        try:
            self.begin()
            loading = self._loading
            self._wait(loading)
            if loading.error is not None:
                self._loading = None
                raise loading.error
            if self._compiling is not None:
                self._wait(self._compiling)  # for a source that was closed meanwhile
            words = f"Compiling for {size[0]} × {size[1]} pixels …"
            compiling = Job(words, lambda: loading.result.prepare(*size), lambda job: self.on_change())
            self._compiling = compiling
            compiling.start()
            self.on_change()
            self._wait(compiling)
            if compiling.error is not None:
                raise compiling.error
            self._loading = self._compiling = None
            self._use(loading.result)
        finally:
            self._awaited = False

    def _wait(self, job: Job) -> None:
        job.wait(lambda: self._left)
        if not job.done:
            raise LeftError

    def _use(self, estimator: Any) -> None:
        self._estimator, self.loaded = estimator, self._wanted
        self._branch_ready = set()

    def _begin_loading(self, size: tuple[int, int] | None) -> None:
        """size: of the frames to make it ready for, where other frames go on meanwhile."""
        wanted = self._wanted = self.engine

        def load() -> Any:
            estimator = self._load(wanted)
            if size is not None:
                estimator.prepare(*size)
            from engine.devices import devices_at_hand

            self.devices = devices_at_hand()
            return estimator

        self._loading = Job(f"Loading {Path(wanted.model).name} …", load, self._loading_ended)
        self._loading.start()

    def _loading_ended(self, loading: Job) -> None:
        if loading is not self._loading:
            return  # cancelled
        if loading.error is not None and not self._awaited:
            if self.loaded is not None and self.engine == self._wanted:
                self.engine = self.loaded
            self.on_failure(error_sentence(loading.error))
        self.on_change()

    def _scale_branch_ready(self, frame: Frame) -> bool:
        """Whether the network is there with its scale branch; if not, begin to make it ready."""
        size = frame.image.shape[1::-1]
        if size in self._branch_ready:
            return True
        if not self.preparing:
            estimator, ready = self._estimator, self._branch_ready

            def prepare() -> None:
                with contextlib.suppress(Exception):  # the next frame meets the same error, and tells it
                    estimator.prepare(*size, sigmas=True)
                ready.add(size)

            self._preparing = Job("Making the scale branch ready …", prepare, lambda job: self.on_change())
            self._preparing.start()
            self.on_change()
        return False


class LeftError(Exception):
    """Nobody waits for the frame any more."""
