"""The training loop: one recipe in, one folder of weights, state and log out; interrupted runs go on exactly."""

from __future__ import annotations

import json
import logging
import multiprocessing
import pickle
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from engine.backends import eager
from engine.checkpoint import ModelMetadata, save_weights
from engine.errors import SwahrError
from engine.stopwatch import Stopwatch
from engine.training.average import rising_average
from engine.training.coco import CocoPhotos
from engine.training.cpu import keep_memory, speed_up_depthwise
from engine.training.evaluation import require_coco_eval
from engine.training.initial import freeze, initial_network
from engine.training.objective import total_loss
from engine.training.recipe import Recipe, first_difference, load_recipe
from engine.training.samples import TrainingSamples
from engine.training.testing import figures_of
from grouping import Skeleton

_log = logging.getLogger(__name__)

Report = Callable[[int, dict[str, float]], None]  # step, averaged losses and figures


class Trainer:
    """One training run: network, averaged network, optimiser and the step they are at.

    `output` is the run's folder: `state.pt` (everything needed to go on), `weights.safetensors` (averaged weights,
    ready for `PoseEstimator`) and `log.jsonl` (losses and evaluations by step).
    stopwatch: how long each part of the last update took, exact on a GPU while `measuring` waits for it.
    """

    def __init__(self, recipe: Recipe, output: Path, device: str = "auto") -> None:
        self.output = Path(output)
        self.device = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
        torch.manual_seed(recipe.schedule.seed)
        self.network = initial_network(recipe)
        self.config = self.network.config
        self.recipe, self.samples = _with_samples(recipe, self.config.skeleton)
        self.network.to(self.device, memory_format=torch.channels_last)
        self.average = AveragedModel(self.network, multi_avg_fn=rising_average(recipe.schedule.ema), use_buffers=True)
        keep_memory()
        speed_up_depthwise(self.network)
        self.frozen = freeze(self.network, recipe.model.frozen)
        self.optimiser = torch.optim.Adam(_parameter_groups(self.network, recipe), fused=self.device.type != "mps")
        self.half = _wants_bfloat16(recipe.schedule.precision, self.device)
        self.stopwatch = Stopwatch()
        self.measuring = False
        self.step = 0

    def train(self, report: Report | None = None, until: int | None = None, validate: bool = True) -> None:
        """Train to the recipe's last step, or only to step `until`; saves the state at the end.

        validate: whether to evaluate on the validation photos on the way and at the end. Raises SwahrError when a loss
        is no longer finite, and names it.
        """
        schedule = self.recipe.schedule
        last = min(until or schedule.steps, schedule.steps)
        if schedule.threads:
            torch.set_num_threads(schedule.threads)
        self.output.mkdir(parents=True, exist_ok=True)
        photos = self.samples.photos
        if photos and self.step == 0 and (left_out := photos.left_out()):
            self.log({**left_out, "photos": len(photos)}, None)
        sums, taken, since = {}, 0, time.monotonic()
        for sample in self._batches(last):
            taken += 1
            for name, value in self.update(sample).items():
                sums[name] = sums.get(name, 0.0) + value
            if self._due(schedule.log_every, last):
                figures = {name: value / taken for name, value in sums.items()}
                if photos and photos.damaged:
                    figures["damaged_photos"] = photos.damaged
                figures["images_per_second"] = taken * schedule.batch / (time.monotonic() - since)
                self.log(figures, report)
                sums, taken, since = {}, 0, time.monotonic()
            evaluation_due = validate and self.recipe.data.validation and self._due(schedule.evaluate_every, last)
            if evaluation_due or self._due(schedule.save_every, last):
                self.save()
            if evaluation_due:
                self.log(self.evaluate(), report)
                since = time.monotonic()

    def _due(self, every: int, last: int) -> bool:
        return self.step % every == 0 or self.step == last

    def update(self, sample: dict[str, Tensor]) -> dict[str, float]:
        """One step on one batch; returns the losses by name."""
        schedule = self.recipe.schedule
        for group in self.optimiser.param_groups:
            group["lr"] = schedule.learning_rate * group["share"] * schedule.rate(self.step)
        self.network.train()
        for module in self.frozen:
            module.eval()
        self.stopwatch.start()
        sample = {name: value.to(self.device, non_blocking=True) for name, value in sample.items()}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            outputs = self.network(self._normalise(sample["image"]))
        self._lap("forward")
        loss, parts = total_loss(outputs, sample, self.recipe.loss)
        values = dict(zip(parts, torch.stack(list(parts.values())).tolist(), strict=True))  # waits for a GPU once
        _check_finite(values, self.step)
        self._lap("losses")
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._lap("backward")
        self.optimiser.step()
        self._lap("Adam")
        self.average.update_parameters(self.network)
        self._lap("average")
        self.step += 1
        return values

    def _lap(self, part: str) -> None:
        self.stopwatch.lap(part, self.device if self.measuring else None)

    def evaluate(self) -> dict[str, float]:
        """COCO figures of the averaged weights, tested as the recipe says."""
        return figures_of(self.average.module, self.recipe, str(self.device))

    def log(self, figures: dict[str, float], report: Report | None) -> None:
        with (self.output / "log.jsonl").open("a") as file:
            file.write(json.dumps({"step": self.step, **{k: round(v, 6) for k, v in figures.items()}}) + "\n")
        if report:
            report(self.step, figures)

    def save(self) -> None:
        """Write averaged weights and state, each under a temporary name first."""
        # Weights first: they are refused when they are not finite, and then the last sound state stays.
        save_weights(self.output / "weights.safetensors", self.average.module, ModelMetadata.of(self.config))
        state = {
            "recipe": self.recipe.to_dict(),
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        temporary = self.output / "state.pt.partial"
        torch.save(state, temporary)
        temporary.replace(self.output / "state.pt")

    def restore(self, changed: bool = False) -> None:
        """Go on from the folder's `state.pt`; log lines written after it was saved are dropped.

        A recipe that would give another run than the saved one is refused, unless `changed` says that this is meant.
        """
        path = self.output / "state.pt"
        if not path.exists():
            raise SwahrError(f"{self.output} holds no state.pt to go on from; leave out --resume to start anew.")
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            difference = first_difference(state["recipe"], self.recipe.to_dict())
            if difference and not changed:
                raise SwahrError(
                    f"{path} was trained with another recipe ({difference}); use that recipe, "
                    "or add --changed to go on with the new one."
                )
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step = state["step"]
        except (RuntimeError, ValueError, KeyError, pickle.UnpicklingError, EOFError) as error:
            reason = str(error).splitlines()[0]
            raise SwahrError(f"{path} cannot be resumed: it is damaged or of another network ({reason}).") from None
        self._drop_log_after(self.step)

    def _drop_log_after(self, step: int) -> None:
        log = self.output / "log.jsonl"
        if log.exists():
            lines = [line for line in log.read_text().splitlines() if json.loads(line)["step"] <= step]
            log.write_text("".join(f"{line}\n" for line in lines))

    def _normalise(self, images: Tensor) -> Tensor:
        metadata = ModelMetadata.of(self.config)
        mean, std = (torch.tensor(v, device=self.device)[:, None, None] * 255 for v in (metadata.mean, metadata.std))
        return ((images.float() - mean) / std).contiguous(memory_format=torch.channels_last)

    def _batches(self, last: int) -> Iterator[dict[str, Tensor]]:
        schedule = self.recipe.schedule
        # Forked workers share the annotations; systems that cannot fork load in this process.
        workers = schedule.workers if "fork" in multiprocessing.get_all_start_methods() else 0
        loader = DataLoader(
            self.samples,
            schedule.batch,
            sampler=range(self.step * schedule.batch, last * schedule.batch),
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            multiprocessing_context="fork" if workers else None,
        )
        try:
            yield from loader
        except SwahrError as error:
            # A worker's error arrives with its whole traceback in the message; its own sentence is the last part.
            raise SwahrError(str(error).rstrip().rpartition("SwahrError: ")[2]) from None


def open_run(
    recipe_path: Path,
    output: Path,
    resume: bool = False,
    changed: bool = False,
    overrides: list[str] | None = None,
) -> Trainer:
    """A trainer for what the recipe file says, in the folder `output`; with `resume`, at its saved state.

    With `changed` as well, go on although the recipe is another than that of the saved state. A folder that holds a
    run already is refused unless it is resumed.
    """
    recipe = load_recipe(recipe_path, overrides)
    output = Path(output)
    if not resume and (output / "state.pt").exists():
        raise SwahrError(
            f"{output} holds a training run already; add --resume to go on with it, or name another folder."
        )
    trainer = Trainer(recipe, output)
    if resume:
        trainer.restore(changed)
    return trainer


def _with_samples(recipe: Recipe, skeleton: Skeleton) -> tuple[Recipe, TrainingSamples]:
    """The recipe with its epochs counted in steps, and the pictures that it asks for."""
    data = recipe.data
    photos = _photos(data.train, data.images, skeleton, data.skip_broken) if data.train else None
    if data.validation:  # read it now: what is wrong with it must not come to light hours into the run
        _photos(data.validation, data.validation_images or data.images, skeleton, data.skip_broken)
        require_coco_eval()
    base_width = recipe.loss.base_width if recipe.loss.heatmap == "shr" else None
    samples = TrainingSamples(
        photos, skeleton, recipe.mixture, recipe.augmentation, recipe.schedule.seed, 0, base_width
    )
    schedule = recipe.schedule.in_steps(samples.drawn)
    samples.count = schedule.steps * schedule.batch
    return replace(recipe, schedule=schedule), samples


def _photos(annotations: str, images: str, skeleton: Skeleton, skip_broken: bool) -> CocoPhotos:
    """The photos of an annotation file; what is left out of them is said."""
    photos = CocoPhotos(Path(annotations), Path(images) if images else None, skeleton, skip_broken)
    for note in photos.notes():
        _log.warning(note)
    return photos


def _wants_bfloat16(precision: str, device: torch.device) -> bool:
    if precision != "auto":
        return precision == "bfloat16"
    # Without instructions for it a processor emulates bfloat16 convolutions, ten times slower than float32.
    return eager.has_bfloat16() if device.type == "cpu" else device.type == "cuda"


def _parameter_groups(network: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    trunk, rest = [], []
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            (trunk if name.startswith("trunk.") else rest).append(parameter)
    groups = [{"params": rest, "share": 1.0}]
    return groups + ([{"params": trunk, "share": recipe.schedule.trunk_rate}] if trunk else [])


def _check_finite(values: dict[str, float], step: int) -> None:
    for name, value in values.items():
        if not np.isfinite(value):
            raise SwahrError(
                f"The loss '{name}' became {value} at step {step}; lower schedule.learning_rate or use "
                'schedule.precision = "float32", and go on from the last state with --resume.'
            )
