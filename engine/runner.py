"""The network on this machine: the fastest backend that was proven right, and the next one when it fails.

Letters: N images, K keypoints, H W pixels of the network's input.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

from engine import backends, proof
from engine.backends import Choice, CompiledNetwork, Frames, Shape, Task
from engine.backends.cache import entry, keep
from engine.devices import device_name
from engine.errors import SwahrError
from engine.served import ServedNetwork
from grouping import GroupingOptions, Skeleton

Answers = tuple[Tensor, Tensor]

_log = logging.getLogger(__name__)
_REFERENCE = Choice("eager", "float32")
_KEPT = 16  # compiled networks; each holds weights of its own
_COMPILING = threading.Lock()  # compilers that trace a network spoil each other's work in the same process
_FIXED_BATCHES = ("inductor", "tensorrt")  # compiling for each number of images would take minutes each


class NetworkRunner:
    """Runs a network on a device.

    choice: the backend and precision in use, which changes when one is refused or fails.
    messages: one sentence for each that could not be used, also logged as warnings.
    """

    def __init__(
        self,
        network: nn.Module,
        mean: Sequence[float],
        std: Sequence[float],
        device: torch.device,
        options: GroupingOptions,
        skeleton: Skeleton,
        *,
        backend: str = "auto",
        precision: str = "auto",
        calibration: Callable[[], Frames],
    ):
        """mean, std: see `ServedNetwork`. options, skeleton: for the people of the proof, as the model is meant to be
        used. backend, precision: see `backends.choices`. calibration: see `backends.Task`. Raises SwahrError for a name
        that does not exist."""
        self._choices, unable = backends.choices(backend, precision, device)
        self.messages: list[str] = []
        if backend != "auto" or precision != "auto":  # nobody misses what was not asked for
            self._say(*unable)
        self._device = device
        self._options, self._skeleton = options, skeleton
        self._calibration = calibration
        # Both are made before anything is compiled, for backends may change the network's memory format.
        self._served = {alphas: ServedNetwork(network, mean, std, alphas).to(device) for alphas in (False, True)}
        self._fingerprints: dict[bool, str] = {}
        self._compiled: OrderedDict[tuple[Choice, Shape, bool], CompiledNetwork] = OrderedDict()
        self._compiling = threading.RLock()
        self._most_images = 1 << 30

    @property
    def choice(self) -> Choice:
        return self._choices[0]

    def prepare(self, shape: Shape, alphas: bool) -> None:
        """Make ready for inputs of one shape (N, H, W), with or without the scale branch.

        A worker may do that while another thread goes on with what is ready. Raises SwahrError as calling does.
        """
        self(torch.zeros(*shape, 3, dtype=torch.uint8, device=self._device), alphas)

    def discard(self) -> None:
        """Remove from the disk what the present choice keeps of this network, where that serves all shapes."""
        with self._compiling:
            for alphas in (False, True):
                task = self._task((1, 1, 1), alphas, self.choice.precision)
                for place in backends.kept(self.choice.backend, task):
                    shutil.rmtree(place, ignore_errors=True)
            self._compiled.clear()

    def __call__(self, pixels: Tensor, alphas: bool) -> Answers:
        """What `ServedNetwork` returns for pixels uint8 [N, H, W, 3] on the device.

        A backend that fails is given up for the next one. Out of memory, fewer images are tried first. Raises
        SwahrError when nothing is left.
        """
        images = len(pixels)
        while True:
            most = min(images, self._most_images)
            choice = self.choice
            try:
                if most == images:
                    return self._run(pixels, alphas)
                runs = [self._run(chunk, alphas) for chunk in pixels.split(most)]
                return torch.cat([coarse for coarse, _ in runs]), torch.cat([fine for _, fine in runs])
            except SwahrError:
                raise
            except Exception as error:
                if isinstance(error, torch.OutOfMemoryError) and most > 1:
                    self._most_images = most // 2
                    self._say(
                        f"{most} images at once are too many for the memory of {self._device}; trying {most // 2}."
                    )
                else:
                    self._give_up(choice, error)

    def _run(self, pixels: Tensor, alphas: bool) -> Answers:
        images, height, width = pixels.shape[:3]
        if images > 1 and self.choice.backend in _FIXED_BATCHES:
            padded = 1 << (images - 1).bit_length()
            if padded != images:
                pixels = torch.cat((pixels, pixels.new_zeros(padded - images, height, width, 3)))
        coarse, fine = self._ready(tuple(pixels.shape[:3]), alphas)(pixels)
        coarse, fine = coarse[:images], fine[:images]
        # The next chunk of a large batch may write over this one's answers.
        return (coarse, fine) if self._most_images > images else (coarse.clone(), fine.clone())

    def _ready(self, shape: Shape, alphas: bool) -> CompiledNetwork:
        alphas = alphas and self._served[True].alphas
        while True:
            choice = self.choice
            if compiled := self._compiled.get((choice, shape, alphas)):
                return compiled
            with self._compiling:
                if choice == self.choice and (choice, shape, alphas) not in self._compiled:
                    self._compile(choice, shape, alphas)

    def _compile(self, choice: Choice, shape: Shape, alphas: bool) -> None:
        """Compile with the present choice, or give it up."""
        try:
            task = self._task(shape, alphas, choice.precision)
            with _COMPILING:
                compiled = backends.module(choice.backend).compile(task)
            fault = None if choice == _REFERENCE else self._fault(task, choice, compiled)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            self._give_up(choice, error)
            return
        if fault:
            self._give_up(choice, fault)
            return
        if self._device.type == "cuda":  # other threads have streams of their own
            torch.cuda.current_stream(self._device).synchronize()
        self._compiled[choice, shape, alphas] = compiled
        while len(self._compiled) > _KEPT:
            self._compiled.popitem(last=False)

    def _task(self, shape: Shape, alphas: bool, precision: str) -> Task:
        if alphas not in self._fingerprints:
            self._fingerprints[alphas] = self._served[alphas].fingerprint()
        served, fingerprint = self._served[alphas], self._fingerprints[alphas]
        return Task(served, shape, self._device, precision, fingerprint, self._calibration)

    def _fault(self, task: Task, choice: Choice, compiled: CompiledNetwork) -> str | None:
        """What is wrong with a compiled network, unless the very same was found right before."""
        place = self._proof(task, choice)
        if place.is_dir():
            return None
        pixels = proof.shown_pixels(task.shape).to(self._device)
        plain = backends.module("eager").compile(self._task(task.shape, task.network.alphas, "float32"))
        expected = tuple(answer.clone() for answer in plain(pixels))
        fault = proof.objection(compiled(pixels), expected, choice.precision, self._options, self._skeleton)
        if fault is None:
            keep(place, lambda folder: None)
        return fault

    def _proof(self, task: Task, choice: Choice) -> Path:
        """The folder that is there once the very same was found right; it goes where what was compiled goes."""
        versions = backends.compiler(choice.backend), version("torch"), device_name(self._device)
        noted = entry("proofs", choice.backend, task.fingerprint, task.shape, choice.precision, *versions)
        kept = backends.kept(choice.backend, task)
        return kept[0] / f"proof-{noted.name}" if kept else noted

    def _give_up(self, choice: Choice, reason: str | Exception) -> None:
        """Turn from a choice to the next one. Raises SwahrError when there is none."""
        with self._compiling:
            if self.choice != choice:  # another thread was faster
                return
            if isinstance(reason, Exception):
                first = next(iter(str(reason).splitlines()), "")
                words = f"{type(reason).__name__}: {first}" if first else type(reason).__name__
            else:
                words = reason
            if len(self._choices) == 1:
                cause = reason if isinstance(reason, Exception) else None
                raise SwahrError(
                    f"The network cannot run on {self._device}: {words.rstrip('.')}; choose a smaller --size or "
                    "another --device."
                ) from cause
            del self._choices[0]
            self._compiled.clear()
            self._say(f"{choice} is not used ({words.rstrip('.')}); {self.choice} takes over.")

    def _say(self, *sentences: str) -> None:
        for sentence in sentences:
            self.messages.append(sentence)
            _log.warning(sentence)
