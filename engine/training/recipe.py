"""Training recipes: TOML files read into dataclasses, so that a wrong key or value is an error and not a surprise."""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

from engine.errors import SwahrError
from engine.network import NetworkConfig, preset_config
from engine.training.augment import Augmentation
from engine.training.objective import LossSettings
from engine.training.samples import Mixture
from engine.training.skeletons import find_skeleton
from grouping import Skeleton

_KINDS = {Skeleton | None: "the name of a skeleton or of a TOML file"}  # what messages call them

PRECISIONS = ("auto", "bfloat16", "float32")


@dataclass(frozen=True)
class ModelSettings:
    """Which network is trained and where its weights start.

    initial: "" (random), a weights file, a bundled model's name, HRNet's ImageNet classifier (.pth, for the trunk of
    the paper's networks) or MoveNet MultiPose as a TensorFlow.js graph (.json, for the trunk of `default`).
    fresh: modules that start at random although `initial` has weights for them. frozen: modules whose weights and
    statistics stay as they start.
    skeleton: whose keypoints the network finds, "coco17", "crowdpose14" or a TOML file (see `skeletons.load_skeleton`);
    by default the preset's own.
    width: channels at 1/4 of the input; 0 is the preset's own. dilations: of HRNet's four residual blocks at 1/2 of the
    input (Table 7). Weights of another width or dilation fit no preset: they are for comparisons, not for use.
    """

    preset: str = "default"
    initial: str = ""
    fresh: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    skeleton: Skeleton | None = None
    width: int = 0
    dilations: tuple[int, int, int, int] = (1, 1, 1, 1)

    def __post_init__(self) -> None:
        if self.width < 0:
            raise SwahrError(f"model.width is {self.width}; it must be 0 (the preset's own) or more.")

    def config(self) -> NetworkConfig:
        """The settings of the network that is meant."""
        own = preset_config(self.preset)
        name = self.preset
        if self.width:
            name += f"-width-{self.width}"
        if max(self.dilations) > 1:
            name += f"-{''.join(map(str, self.dilations))}"
        skeleton = self.skeleton or own.skeleton
        return replace(own, name=name, width=self.width or own.width, dilations=self.dilations, skeleton=skeleton)


@dataclass(frozen=True)
class DataSettings:
    """Annotation files in COCO's keypoint format and their folders of images; paths count from the current folder.

    train: such a file, or a folder of packed photos (`swahr data pack`), which needs no `images`. With `train` empty,
    every picture is synthetic. `validation` may be empty.
    skip_broken: leave out entries with faults and pictures that cannot be read, and count them, instead of stopping.
    """

    train: str = ""
    images: str = ""
    validation: str = ""
    validation_images: str = ""
    skip_broken: bool = False


@dataclass(frozen=True)
class Schedule:
    """Adam with linear warm-up and linear decay to 0, and how often things happen (in steps of one batch).

    batch: all pictures of one step, over all processes and passes. accumulate: in how many passes each process takes
    its share of them, where they do not fit into memory at once; batch normalisation sees one pass at a time.
    sync_batch_norm: whether it sees the pictures of all processes, so that their number changes nothing. compile: train
    the network compiled by `torch.compile`, which changes rounding only.
    epochs: above 0, how often as many pictures are shown as there are photos; `steps` then follows from it.
    warm_up_epochs: the same for `warm_up`.
    trunk_rate: learning rate of the trunk, as a part of the rest's. ema: decay of the averaged weights a step.
    precision: "bfloat16" (autocast), "float32", or "auto": bfloat16 where the device is quick at it.
    workers: processes that make pictures, for each that trains. threads: of the training itself on a CPU, 0 for one a
    core; fewer are faster where other programs keep the cores busy.
    """

    steps: int = 6000
    epochs: float = 0.0
    batch: int = 16
    accumulate: int = 1
    sync_batch_norm: bool = True
    compile: bool = False
    learning_rate: float = 1e-3
    trunk_rate: float = 1.0
    warm_up: int = 200
    warm_up_epochs: float = 0.0
    ema: float = 0.998
    precision: str = "auto"
    save_every: int = 200
    evaluate_every: int = 1000
    log_every: int = 20
    workers: int = 1
    threads: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "accumulate", "save_every", "evaluate_every", "log_every"):
            if getattr(self, name) < 1:
                raise SwahrError(f"schedule.{name} is {getattr(self, name)}; it must be at least 1.")
        for name in ("epochs", "warm_up_epochs", "workers", "threads"):
            if not 0 <= getattr(self, name) < math.inf:
                raise SwahrError(f"schedule.{name} is {getattr(self, name)}; it must be 0 or more.")
        if self.precision not in PRECISIONS:
            raise SwahrError(f"schedule.precision is '{self.precision}'; it must be one of {', '.join(PRECISIONS)}.")

    def in_steps(self, photos: int) -> Schedule:
        """The same with its epochs counted in steps, for so many photos. Raises SwahrError if there are none."""
        if not (self.epochs or self.warm_up_epochs):
            return self
        if photos == 0:
            raise SwahrError("schedule.epochs counts photos, but data.train names none; set schedule.steps instead.")
        steps, warm_up = (round(epochs * photos / self.batch) for epochs in (self.epochs, self.warm_up_epochs))
        return replace(
            self,
            steps=max(1, steps) if self.epochs else self.steps,
            warm_up=warm_up if self.warm_up_epochs else self.warm_up,
        )

    def rate(self, step: int) -> float:
        """Part of the learning rate in use at `step` (from 0)."""
        rising = (step + 1) / max(1, self.warm_up)
        falling = (self.steps - step) / max(1, self.steps - self.warm_up)
        return max(0.0, min(1.0, rising, falling))


@dataclass(frozen=True)
class EvaluationSettings:
    """How the trained network is evaluated (section 4.1, testing).

    size: pixels of the input's short side; 0 is the network's own. flip: look at the mirror image as well. scales: look
    at these sizes, 1 among them; the paper's multi-scale test is [0.5, 1.0, 1.5]. heatmaps: "both" averages those of
    1/4 and 1/2, "fine" takes those of 1/2 alone (Tables 7 and 8). threshold: a keypoint's least heatmap value; 0 is the
    network's own. frames: how many synthetic frames, where there are no photos to validate on.
    """

    size: int = 0
    flip: bool = False
    scales: tuple[float, ...] = (1.0,)
    heatmaps: str = "both"
    threshold: float = 0.0
    frames: int = 100

    def __post_init__(self) -> None:
        if self.heatmaps not in ("both", "fine"):
            raise SwahrError(f"test.heatmaps is '{self.heatmaps}'; it must be 'both' or 'fine'.")
        if not 0 <= self.threshold <= 1 or self.frames < 1:
            raise SwahrError(f"test.threshold {self.threshold} must be within 0..1, and .frames {self.frames} above 0.")


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a training run gives."""

    model: ModelSettings = field(default_factory=ModelSettings)
    data: DataSettings = field(default_factory=DataSettings)
    mixture: Mixture = field(default_factory=Mixture)
    augmentation: Augmentation = field(default_factory=Augmentation)
    loss: LossSettings = field(default_factory=LossSettings)
    schedule: Schedule = field(default_factory=Schedule)
    test: EvaluationSettings = field(default_factory=EvaluationSettings)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def load_recipe(path: Path, overrides: list[str] | None = None) -> Recipe:
    """Read a recipe file; `overrides` are "section.key=value" with the value as TOML writes it.

    Raises SwahrError that names the file and the key for an unknown key, a wrong type or unreadable TOML.
    """
    path = find_recipe(Path(path))
    try:
        values = tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise SwahrError(f"There is no recipe {path}; name a TOML file.") from None
    except OSError as error:
        raise SwahrError(f"The recipe {path} cannot be read ({error.strerror}); name a TOML file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SwahrError(f"{path} is not valid TOML: {error}.") from None
    for override in overrides or ():
        _override(values, override)
    return _build(Recipe, values, str(path))


def find_recipe(path: Path) -> Path:
    """A bundled recipe by its bare name, such as w32-512; any other path as it is."""
    bundled = Path(__file__).with_name("recipes") / f"{path.name}.toml"
    is_name = not path.suffix and len(path.parts) == 1 and not path.exists()
    return bundled if is_name and bundled.is_file() else path


def first_difference(one: dict[str, Any], other: dict[str, Any], tested: bool = False) -> str | None:
    """The first setting in which two recipes (`Recipe.to_dict`) would give different runs, in words; None if none.

    Where the files lie, how many processes and threads work and whether they run compiled code, how often things are
    saved and how the result is tested changes nothing; with `tested`, how it is tested counts as well.
    """
    free = {"workers", "threads", "compile", "save_every", "evaluate_every", "log_every"}
    # Files know no tuples; and what a setting usually is, a run did before there was that setting.
    one, other, usual = (json.loads(json.dumps(values)) for values in (one, other, Recipe().to_dict()))
    for section in ("model", "mixture", "augmentation", "loss", "schedule", *(["test"] if tested else [])):
        for key in sorted({*one[section], *other[section]} - free):
            before, after = (values[section].get(key, usual[section].get(key)) for values in (one, other))
            if before != after:
                return _difference(f"{section}.{key}", before, after)
    return None


def _difference(name: str, before: Any, after: Any) -> str:
    """How one setting differs from another, in words; of two skeletons, what in them."""
    if name != "model.skeleton":
        return f"{name} was {before!r} and is {after!r}"
    one, other = ({"name": "the preset's", **(skeleton or {})} for skeleton in (before, after))
    key = next(key for key in {**one, **other} if one.get(key) != other.get(key))
    if key != "name":
        name += f".{key}"
    return f"{name} was {one.get(key)!r} and is {other.get(key)!r}"


def _override(values: dict, override: str) -> None:
    name, equals, text = override.partition("=")
    section, dot, key = name.strip().partition(".")
    if not (equals and dot and key):
        raise SwahrError(f"'{override}' does not set a value; write section.key=value, such as schedule.steps=500.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()  # a bare word is a string, so that the shell's quotes suffice
    values.setdefault(section, {})[key] = value


def _build(kind: type, values: Any, where: str) -> Any:
    if not isinstance(values, dict):
        raise SwahrError(f"{where} must be a table of keys, but is {values!r}.")
    known = {entry.name for entry in fields(kind)}
    for key in values:
        if key not in known:
            raise SwahrError(f"{where} has an unknown key '{key}'; known keys are {', '.join(sorted(known))}.")
    types = get_type_hints(kind)
    return kind(**{key: _convert(types[key], value, f"{where}: {key}") for key, value in values.items()})


def _convert(kind: Any, value: Any, where: str) -> Any:
    if kind == Skeleton | None and isinstance(value, str):
        return find_skeleton(value)
    if is_dataclass(kind):
        return _build(kind, value, where)
    origin = getattr(kind, "__origin__", kind)
    if origin is tuple and isinstance(value, list | tuple):
        inner = [argument for argument in get_args(kind) if argument is not Ellipsis]
        expected = len(value) if Ellipsis in get_args(kind) else len(inner)
        if len(value) != expected:
            raise SwahrError(f"{where} needs {expected} values, but has {len(value)}.")
        inner = inner * len(value) if Ellipsis in get_args(kind) else inner
        return tuple(_convert(one, item, where) for one, item in zip(inner, value, strict=True))
    if origin is dict and isinstance(value, dict):
        return {key: _convert(get_args(kind)[1], item, f"{where}.{key}") for key, item in value.items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(origin, type) and isinstance(value, origin) and not (origin is int and isinstance(value, bool)):
        return value
    raise SwahrError(f"{where} must be {_KINDS.get(kind) or getattr(origin, '__name__', kind)}, but is {value!r}.")
