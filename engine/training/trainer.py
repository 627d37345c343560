"""The training loop: one recipe in, one folder of weights, state and log out; interrupted runs go on exactly."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim.swa_utils import AveragedModel

from engine.checkpoint import ModelMetadata
from engine.errors import SwahrError
from engine.stopwatch import Stopwatch
from engine.training.average import rising_average
from engine.training.bad_batch import GRADIENT_NORM, NotFiniteError, check_finite, keep_bad_batch
from engine.training.batch_norm import synchronise_batch_norm
from engine.training.batches import batches, check_shares, note_on_processes, worker_deaths_in_words
from engine.training.clock import Clock
from engine.training.cpu import keep_memory, speed_up_depthwise
from engine.training.curves import Curves
from engine.training.distributed import ALONE, Processes, StoppedElsewhereError
from engine.training.fixed_pictures import FixedPictures
from engine.training.initial import freeze, initial_network
from engine.training.means import Means
from engine.training.objective import total_loss
from engine.training.recipe import Recipe, first_difference, load_recipe
from engine.training.run_folder import Best, RunFolder
from engine.training.setup import (
    compile_network,
    compiler_errors_in_words,
    parameter_groups,
    wants_bfloat16,
    with_samples,
)
from engine.training.testing import figures_of

Report = Callable[[int, dict[str, float]], None]  # step, averaged losses and figures


class Trainer:
    """One training run: network, averaged network, optimiser and the step they are at.

    output: the run's folder, see `RunFolder`. processes: those that share the run; only the first writes and evaluates.
    tensorboard: whether to write curves and pictures for TensorBoard as well.
    stopwatch: how long each part of the last update took, exact on a GPU while `measuring` waits for it.
    notes: sentences that the user should read, such as that a run goes on in another way than before.
    best: the highest AP so far, whose weights are kept; None before the first evaluation.
    clock: when the run ends by time; may be replaced before it trains.
    """

    def __init__(
        self,
        recipe: Recipe,
        output: Path,
        device: str = "auto",
        processes: Processes = ALONE,
        tensorboard: bool = False,
    ) -> None:
        self.folder, self.processes, self.device = RunFolder(output), processes, processes.device(device)
        with processes.first_goes_ahead():
            torch.manual_seed(recipe.schedule.seed)
            self.network = initial_network(recipe)
            self.config = self.network.config
            self.recipe, self.samples = with_samples(recipe, self.config.skeleton)
            check_shares(self.recipe.schedule, processes)
            self.pictures = None
            if tensorboard and processes.is_first:
                self.pictures = FixedPictures(self.recipe, self.config.skeleton, self.samples, self._normalise)
        self._prepare()
        self.curves: Curves | None = None
        self.best: Best | None = None
        self.notes: list[str] = []
        self.stopwatch = Stopwatch()
        self.measuring = False
        self.clock = Clock()
        self.step = 0

    def _prepare(self) -> None:
        """Bring the network to its device, make its average and its optimiser, and connect it with its replicas."""
        schedule = self.recipe.schedule
        self.network.to(self.device, memory_format=torch.channels_last)
        self.average = AveragedModel(self.network, multi_avg_fn=rising_average(schedule.ema), use_buffers=True)
        keep_memory()
        speed_up_depthwise(self.network)
        if schedule.sync_batch_norm and self.processes.count > 1:
            self.network = synchronise_batch_norm(self.network, self.device)
        self.frozen = freeze(self.network, self.recipe.model.frozen)
        self.optimiser = torch.optim.Adam(parameter_groups(self.network, self.recipe), fused=self.device.type != "mps")
        self.half = wants_bfloat16(schedule.precision, self.device)
        if schedule.compile:
            compile_network(self.network, self.device)
        self.replica = self.processes.replicate(self.network)

    def train(self, report: Report | None = None, until: int | None = None, validate: bool = True) -> None:
        """Train to the recipe's last step, or only to step `until` or the end of the clock; saves the state at the end.

        validate: whether to evaluate on the validation photos on the way and at the end. Raises SwahrError when a loss
        or a gradient is no longer finite, names it and keeps the pictures of that step.
        """
        schedule = self.recipe.schedule
        last = min(until or schedule.steps, schedule.steps)
        if schedule.threads:
            torch.set_num_threads(schedule.threads)
        if self.processes.is_first:
            self.folder.create()
            self.folder.drop_log_after(self.step)
            self.curves = Curves(self.folder.path, self.step) if self.pictures else None
        try:
            with worker_deaths_in_words(self.folder.way_on), compiler_errors_in_words():
                self._train(last, report, validate)
        except NotFiniteError as error:
            raise self._with_bad_batch(error) from error
        finally:
            if self.curves:
                self.curves.close()

    def _train(self, last: int, report: Report | None, validate: bool) -> None:
        schedule = self.recipe.schedule
        validate = validate and bool(self.recipe.data.validation)
        if validate and self.step and self._due(schedule.evaluate_every, last):
            if self.processes.is_first and not self.folder.was_evaluated(self.step):
                self._look(report, validate)  # it was cut off while it evaluated
            self.processes.wait()
        self._log_what_is_left_out()
        means = Means()
        for sample in batches(self.samples, schedule, self.step, last, self.processes):
            means.add(self.update(sample))
            out_of_time = self._out_of_time()
            if out_of_time:
                last = self.step
            if self._due(schedule.log_every, last):
                rate = schedule.learning_rate * schedule.rate(self.step - 1)
                self.log(means.taken(schedule.batch) | {"learning_rate": rate} | self._damaged(), report)
            evaluation_due = self._due(schedule.evaluate_every, last) and not out_of_time
            if (validate and evaluation_due) or self._due(schedule.save_every, last):
                with self.clock.during("saving"):
                    self.save()
            elif self.clock.weights_due() and self.processes.is_first:
                with self.clock.during("saving"):
                    self.folder.write_weights(self.average.module)
            if evaluation_due and self._agreed(self.clock.allows_evaluation()):
                with means.paused(), self.clock.during("evaluation"):
                    if self.processes.is_first:
                        self._look(report, validate)
                    self.processes.wait()
            if out_of_time:
                return

    def _out_of_time(self) -> bool:
        """Whether this was the last step by the clock, for all processes alike."""
        over = self.clock.step_done()
        return self.clock.ends_run and not self._agreed(not over)

    def _agreed(self, ready: bool) -> bool:
        """Whether all processes are ready, where their clocks may differ."""
        return self.processes.all(ready) if self.clock.ends_run else ready

    def _log_what_is_left_out(self) -> None:
        photos = self.samples.photos
        if photos and self.step == 0 and (left_out := photos.left_out()):
            self.log({**left_out, "photos": len(photos)}, None)

    def _damaged(self) -> dict[str, float]:
        """How many photos this process's workers found damaged so far, if any."""
        photos = self.samples.photos
        return {"damaged_photos": photos.damaged} if photos and photos.damaged else {}

    def _due(self, every: int, last: int) -> bool:
        return self.step % every == 0 or self.step == last

    def update(self, sample: dict[str, Tensor]) -> dict[str, float]:
        """One step, of which `sample` is this process's share; returns what `_gradients` does."""
        schedule = self.recipe.schedule
        for group in self.optimiser.param_groups:
            group["lr"] = schedule.learning_rate * group["share"] * schedule.rate(self.step)
        self.replica.train()
        for module in self.frozen:
            module.eval()
        self.stopwatch.start()
        values = self._gradients(sample)
        check_finite(values, self.step)  # all processes see the same values, so all stop
        self.optimiser.step()
        self._lap("Adam")
        self.average.update_parameters(self.network)
        self._lap("average")
        self.step += 1
        return values

    def _gradients(self, sample: dict[str, Tensor]) -> dict[str, float]:
        """Compute the step's gradients; returns the losses by name and the gradients' norm, over all processes."""
        passes = self.recipe.schedule.accumulate
        parts = {name: value.chunk(passes) for name, value in sample.items()}
        self.optimiser.zero_grad(set_to_none=True)
        losses = torch.zeros((), device=self.device)
        for number in range(passes):
            own = {name: value[number].to(self.device, non_blocking=True) for name, value in parts.items()}
            waits = self.processes.count == 1 or number == passes - 1
            with nullcontext() if waits else self.replica.no_sync():
                with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                    outputs = self.replica(self._normalise(own["image"]))
                self._lap("forward")
                loss, named = total_loss(outputs, own, self.recipe.loss)
                self._lap("losses")
                (loss / passes).backward()
                self._lap("backward")
            losses = losses + torch.stack(list(named.values())).detach() / passes
        norm = get_total_norm([one.grad for one in self.network.parameters() if one.grad is not None])
        values = self.processes.mean(torch.cat((losses, norm[None]))).tolist()  # waits for a GPU once
        return dict(zip((*named, GRADIENT_NORM), values, strict=True))

    def _lap(self, part: str) -> None:
        self.stopwatch.lap(part, self.device if self.measuring else None)

    def evaluate(self) -> dict[str, float]:
        """COCO figures of the averaged weights, tested as the recipe says."""
        return figures_of(self.average.module, self.recipe, str(self.device))

    def _look(self, report: Report | None, validate: bool) -> None:
        """Evaluate the averaged weights, if `validate`, and keep the best; show their maps of the fixed pictures."""
        if validate:
            figures = self.evaluate()
            if self.best is None or figures["AP"] > self.best.ap:
                self.best = Best(figures["AP"], self.step)
                self.folder.write_best(self.average.module, self.best)
            self.log(figures, report, "validation")
        if self.curves:
            for kind, shown in self.pictures.panels(self.average.module).items():
                self.curves.pictures(self.step, kind, shown)
            self.curves.flush()

    def log(self, figures: dict[str, float], report: Report | None, kind: str = "training") -> None:
        """Note figures of this step, "training" or "validation", in log and curves, and tell `report`."""
        if not self.processes.is_first:
            return
        self.folder.append_log(self.step, figures)
        if self.curves:
            self.curves.figures(self.step, kind, figures)
        if report:
            report(self.step, figures)

    def save(self) -> None:
        """Write averaged weights and state."""
        if not self.processes.is_first:
            return
        # Weights first: they are refused when they are not finite, and then the last sound state stays.
        self.folder.write_weights(self.average.module)
        if self.curves:
            self.curves.flush()
        self.folder.write_state(
            {
                "recipe": self.recipe.to_dict(),
                "processes": self.processes.count,
                "step": self.step,
                "best": self.best and [self.best.ap, self.best.step],
                "network": self.network.state_dict(),
                "average": self.average.state_dict(),
                "optimiser": self.optimiser.state_dict(),
            }
        )

    def restore(self, changed: bool = False) -> None:
        """Go on from the folder's `state.pt`; what was logged after it was saved is dropped when training goes on.

        A recipe that would give another run than the saved one is refused, unless `changed` says that this is meant.
        Another number of processes is noted.
        """

        def use(state: dict[str, Any]) -> None:
            difference = first_difference(state["recipe"], self.recipe.to_dict())
            if difference and not changed:
                raise SwahrError(
                    f"{self.folder.state} was trained with another recipe ({difference}); use that recipe, "
                    "or add --changed to go on with the new one."
                )
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step = state["step"]
            self.best = self.folder.read_best(self.step, state.get("best"))
            note = note_on_processes(state.get("processes", 1), self.processes, self.step, self.recipe.schedule)
            self.notes += [note] if note else []

        self.folder.read_state(self.device, use)

    def _with_bad_batch(self, error: NotFiniteError) -> SwahrError:
        """The same error, once the first process has kept the pictures of the step."""
        if not self.processes.is_first:
            self.processes.wait()
            return StoppedElsewhereError(self.processes)
        batch = self.recipe.schedule.batch
        kept = keep_bad_batch(
            self.folder.path, self.step, self.samples, range(batch * self.step, batch * (self.step + 1))
        )
        self.processes.wait()
        return NotFiniteError(error.what, self.folder.way_on(), kept)

    def _normalise(self, images: Tensor) -> Tensor:
        metadata = ModelMetadata.of(self.config)
        mean, std = (torch.tensor(v, device=self.device)[:, None, None] * 255 for v in (metadata.mean, metadata.std))
        images = images.to(self.device).to(mean.dtype)
        return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


def open_run(
    recipe_path: Path,
    output: Path,
    resume: bool = False,
    changed: bool = False,
    overrides: list[str] | None = None,
    processes: Processes = ALONE,
    tensorboard: bool = False,
) -> Trainer:
    """A trainer for what the recipe file says, in the folder `output`; with `resume`, at its saved state.

    With `changed` as well, go on although the recipe is another than that of the saved state. A folder that holds a
    run already is refused unless it is resumed.
    """
    with processes.first_goes_ahead():
        recipe = load_recipe(recipe_path, overrides)
        if not resume and RunFolder(output).has_state:
            raise SwahrError(
                f"{output} holds a training run already; add --resume to go on with it, or name another folder."
            )
    trainer = Trainer(recipe, output, processes=processes, tensorboard=tensorboard)
    if resume:
        with processes.first_goes_ahead():
            trainer.restore(changed)
    return trainer
