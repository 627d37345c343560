"""What the viewer's inferring thread does with a frame; the network is loaded there, and never in the window."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from app.engine_settings import EngineSettings, GroupingChoice
from app.map_overlay import MapLayer, MapStyle, blend, layer_of
from app.over_time import OverTime

if TYPE_CHECKING:
    from app.sources import Frame
    from grouping import People

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

    picture: RGB uint8 [H, W, 3], the frame's or, with a layer, that under the map, without a legend. estimator: what
    found the people. seconds: stage -> how long it took. note: a sentence on what could not be done, or "".
    """

    frame: Frame
    people: People
    picture: NDArray[np.uint8]
    settings: ViewSettings
    estimator: Any
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
        return f"{self.estimator.backend} on {self.estimator.device} in {self.estimator.precision}"


class ViewEngine:
    """Called with frames by one thread; `engine` and `view` may be replaced by another at any time.

    What takes long, an engine and the first use of the scale branch, is made ready on a thread of its own; while it
    is, what there is goes on. An engine that cannot be loaded is told to `on_failure`, and `engine` is again what runs.
    on_change: called when something is ready, or has begun; on the thread that it happened on, as is on_failure.
    load: makes an estimator. doing: what is being made ready, in words, or "".
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
        self._load = load
        self._estimator: Any = None
        self._loaded: EngineSettings | None = None
        self._loading: _Loading | None = None
        self._branch_ready: set[tuple[int, int]] = set()  # frames' sizes, for this estimator
        self._preparing: threading.Thread | None = None
        self._answer: tuple[tuple[Any, ...], People, Any] | None = None
        self._over_time = OverTime()
        self._compiling = ""

    @property
    def loaded(self) -> EngineSettings | None:
        """What runs; None before the first is loaded."""
        return self._loaded

    @property
    def doing(self) -> str:
        loading, preparing = self._loading, self._preparing
        if loading is not None and not loading.done:
            return f"Loading {loading.settings.model} …"
        if preparing is not None and preparing.is_alive():
            return "Making the scale branch ready …"
        return self._compiling

    def begin(self) -> None:
        """Load what is wanted before the first frame comes."""
        if self._estimator is None and self._loading is None:
            self._loading = _Loading(self._load, self.engine, None, self._loading_ended)

    def cancel(self) -> None:
        """Stay with what runs; what is being loaded is thrown away when it is there."""
        if self._loaded is not None:
            self.engine = self._loaded
        self.on_change()

    def __call__(self, frame: Frame) -> View:
        """Raises SwahrError where the first engine cannot be loaded."""
        self._take_up(frame)
        estimator, view = self._estimator, self.view
        view.grouping.apply(estimator)
        branch = bool(view.sigmas or view.overlay) and self._scale_branch_ready(frame)
        estimator.sigmas = view.sigmas and branch
        people, maps = self._found(estimator, frame, bool(view.overlay) and branch)
        seconds, began = dict(estimator.stage_seconds), time.perf_counter()
        picture, layer, note = frame.image, None, " ".join(estimator.messages[-1:])
        if maps is not None and view.overlay == "scale" and maps.alphas is None:
            note = f"The model {estimator.model} has no scale branch to show."
        elif maps is not None and view.overlay:
            keypoint = view.keypoint if (view.keypoint or 0) < estimator.skeleton.num_keypoints else None
            layer = layer_of(view.overlay, maps, frame.image.shape[1::-1], keypoint)
            picture = blend(frame.image, layer, view.style)
            seconds["map"] = time.perf_counter() - began
        return View(frame, people, picture, view, estimator, seconds, layer, note)

    def _found(self, estimator: Any, frame: Frame, with_maps: bool) -> tuple[People, Any]:
        """The people, and the maps if they are wanted; what was found in the same frame is not looked for again."""
        self._over_time.smooth = self.view.smooth
        asked = frame, estimator, estimator.options, estimator.sigmas, self.view.smooth, with_maps
        if self._answer is None or self._answer[0] != asked:
            people, maps = estimator.detailed(frame.image) if with_maps else (estimator(frame.image), None)
            self._answer = asked, self._over_time(people, frame.time), maps
        return self._answer[1:]

    def forget(self) -> None:
        """Another source follows."""
        self._answer, self._over_time = None, OverTime()

    # -- loading beside ------------------------------------------------------------------------------------------

    def _take_up(self, frame: Frame) -> None:
        """Begin to load what is wanted, and change to it when it is ready."""
        if self._estimator is None:
            self.begin()
            self._loading.thread.join()
            if self._loading.error is not None:
                error, self._loading = self._loading.error, None
                raise error
        if self._loading is not None and self._loading.done:
            ready, self._loading = self._loading, None
            if ready.estimator is not None and (self._estimator is None or ready.settings == self.engine):
                first = self._estimator is None
                self._estimator, self._loaded = ready.estimator, ready.settings
                self._branch_ready = set()
                if first:
                    self._compile_for(*frame.image.shape[1::-1])
        if self.engine != self._loaded and self._loading is None:
            size = frame.image.shape[1::-1]
            self._loading = _Loading(self._load, self.engine, size, self._loading_ended)
            self.on_change()

    def _compile_for(self, width: int, height: int) -> None:
        """Before the very first picture, for which there is nothing else that could go on."""
        self._compiling = f"Compiling for {width} × {height} pixels …"
        self.on_change()
        try:
            self._estimator.prepare(width, height)
        finally:
            self._compiling = ""
            self.on_change()

    def _loading_ended(self, loading: _Loading) -> None:
        if loading.error is not None and self._loaded is not None:
            if self.engine == loading.settings:
                self.engine = self._loaded
            self.on_failure(str(loading.error))
        self.on_change()

    def _scale_branch_ready(self, frame: Frame) -> bool:
        """Whether the network is there with its scale branch; if not, begin to make it ready."""
        size = frame.image.shape[1::-1]
        if size in self._branch_ready:
            return True
        if self._preparing is None or not self._preparing.is_alive():
            arguments = self._estimator, size, self._branch_ready
            self._preparing = threading.Thread(
                target=self._prepare_beside, args=arguments, name="prepare scale branch", daemon=True
            )
            self._preparing.start()
            self.on_change()
        return False

    def _prepare_beside(self, estimator: Any, size: tuple[int, int], ready: set[tuple[int, int]]) -> None:
        with contextlib.suppress(Exception):  # the next frame meets the same error, and tells it
            estimator.prepare(*size, sigmas=True)
        ready.add(size)
        self._preparing = None
        self.on_change()


class _Loading:
    """An estimator that is being made on a thread of its own, and made ready for frames of a size."""

    def __init__(
        self,
        load: Callable[[EngineSettings], Any],
        settings: EngineSettings,
        size: tuple[int, int] | None,
        on_end: Callable[[_Loading], None],
    ) -> None:
        self.settings, self.done = settings, False
        self.estimator: Any = None
        self.error: Exception | None = None
        self._load, self._size, self._on_end = load, size, on_end
        self.thread = threading.Thread(target=self._run, name="load engine", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            estimator = self._load(self.settings)
            if self._size is not None:
                estimator.prepare(*self._size)
            self.estimator = estimator
        except Exception as error:  # raised, or told, by whoever waits
            self.error = error
        self.done = True
        self._on_end(self)
