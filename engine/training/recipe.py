"""Training recipes: TOML files read into dataclasses, so that a wrong key or value is an error and not a surprise."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from engine.errors import SwahrError
from engine.training.augment import Augmentation
from engine.training.objective import LossWeights
from engine.training.samples import Mixture


@dataclass(frozen=True)
class ModelSettings:
    """Which network is trained and where its weights start.

    initial: "" (random), a weights file, or MoveNet MultiPose as a TensorFlow.js graph (.json) for the trunk of
    `default`. frozen: modules whose weights and statistics stay as they start.
    """

    preset: str = "default"
    initial: str = ""
    frozen: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataSettings:
    """Annotation files in COCO's keypoint format and their folders of images; paths count from the current folder.

    With `train` empty, every picture is synthetic. `validation` may be empty.
    """

    train: str = ""
    images: str = ""
    validation: str = ""
    validation_images: str = ""


@dataclass(frozen=True)
class Schedule:
    """Adam with linear warm-up and linear decay to 0, and how often things happen (in steps of one batch).

    trunk_rate: learning rate of the trunk, as a part of the rest's. ema: decay of the averaged weights a step.
    precision: "bfloat16" (autocast) or "float32".
    """

    steps: int = 6000
    batch: int = 16
    learning_rate: float = 1e-3
    trunk_rate: float = 1.0
    warm_up: int = 200
    ema: float = 0.998
    precision: str = "bfloat16"
    save_every: int = 200
    evaluate_every: int = 1000
    log_every: int = 20
    workers: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "save_every", "evaluate_every", "log_every"):
            if getattr(self, name) < 1:
                raise SwahrError(f"schedule.{name} is {getattr(self, name)}; it must be at least 1.")
        if self.precision not in ("bfloat16", "float32"):
            raise SwahrError(f"schedule.precision is '{self.precision}'; it must be 'bfloat16' or 'float32'.")

    def rate(self, step: int) -> float:
        """Part of the learning rate in use at `step` (from 0)."""
        rising = (step + 1) / max(1, self.warm_up)
        falling = (self.steps - step) / max(1, self.steps - self.warm_up)
        return max(0.0, min(1.0, rising, falling))


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a training run gives."""

    model: ModelSettings = field(default_factory=ModelSettings)
    data: DataSettings = field(default_factory=DataSettings)
    mixture: Mixture = field(default_factory=Mixture)
    augmentation: Augmentation = field(default_factory=Augmentation)
    loss: LossWeights = field(default_factory=LossWeights)
    schedule: Schedule = field(default_factory=Schedule)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def load_recipe(path: Path, overrides: list[str] | None = None) -> Recipe:
    """Read a recipe file; `overrides` are "section.key=value" with the value as TOML writes it.

    Raises SwahrError that names the file and the key for an unknown key, a wrong type or unreadable TOML.
    """
    try:
        values = tomllib.loads(Path(path).read_text())
    except FileNotFoundError:
        raise SwahrError(f"There is no recipe {path}; name a TOML file.") from None
    except OSError as error:
        raise SwahrError(f"The recipe {path} cannot be read ({error.strerror}); name a TOML file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SwahrError(f"{path} is not valid TOML: {error}.") from None
    for override in overrides or ():
        _override(values, override)
    return _build(Recipe, values, str(path))


def first_difference(one: dict[str, Any], other: dict[str, Any]) -> str | None:
    """The first setting in which two recipes (`Recipe.to_dict`) would give different runs, in words; None if none.

    Where the files lie, how many workers read them and how often things are saved changes nothing.
    """
    free = {"workers", "save_every", "evaluate_every", "log_every"}
    for section in ("model", "mixture", "augmentation", "loss", "schedule"):
        for key in sorted({*one[section], *other[section]} - free):
            before, after = one[section].get(key), other[section].get(key)
            if before != after:
                return f"{section}.{key} was {before!r} and is {after!r}"
    return None


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
    raise SwahrError(f"{where} must be {getattr(origin, '__name__', kind)}, but is {value!r}.")
