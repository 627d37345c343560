"""The folder of a run: its state, weights and log, each whole at any time, whenever the process is killed."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from engine.checkpoint import ModelMetadata, save_weights
from engine.errors import SwahrError
from engine.weight_parts import files_of

STATE, WEIGHTS, BEST, LOG = "state.pt", "weights.safetensors", "best.safetensors", "log.jsonl"


@dataclass(frozen=True)
class Best:
    """The highest AP of a run so far, and the step it was found at."""

    ap: float
    step: int


class RunFolder:
    """What a run keeps on disk.

    `state.pt`: everything needed to go on. `weights.safetensors`: the averaged weights of that step.
    `best.safetensors`: those with the highest AP, which its metadata name. `log.jsonl`: losses and evaluations by step.
    weights_limit: bytes that no file of weights may reach, or None; see `save_weights`.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.weights_limit: int | None = None

    def create(self) -> None:
        """Make the folder, if there is none yet."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SwahrError(f"{self.path} cannot be the run's folder ({error.strerror}); name another.") from None

    @property
    def state(self) -> Path:
        return self.path / STATE

    @property
    def weights(self) -> Path:
        return self.path / WEIGHTS

    @property
    def log(self) -> Path:
        return self.path / LOG

    @property
    def has_state(self) -> bool:
        return self.state.exists()

    def way_on(self) -> str:
        """What to do after the run was stopped, as the end of a sentence."""
        return "go on from the last state with --resume" if self.has_state else "start again: no state was saved so far"

    def write_state(self, state: Mapping[str, Any]) -> None:
        write_whole(self.state, lambda path: torch.save(dict(state), path))

    def read_state(self, device: torch.device, use: Callable[[dict[str, Any]], None]) -> None:
        """Hand the saved state to `use`. Raises SwahrError where there is none, or if `use` finds it unfit."""
        path = self.state
        if not path.exists():
            raise SwahrError(f"{self.path} holds no {STATE} to go on from; leave out --resume to start anew.")
        try:
            use(torch.load(path, map_location=device, weights_only=True))
        except (RuntimeError, ValueError, KeyError, pickle.UnpicklingError, EOFError) as error:
            reason = str(error).splitlines()[0]
            raise SwahrError(f"{path} cannot be resumed: it is damaged or of another network ({reason}).") from None

    def write_weights(self, network: nn.Module) -> None:
        """Raises SwahrError for weights that are not finite."""
        save_weights(self.path / WEIGHTS, network, ModelMetadata.of(network.config), limit=self.weights_limit)

    def write_best(self, network: nn.Module, best: Best) -> None:
        figures = {"AP": best.ap, "step": best.step}
        metadata = replace(ModelMetadata.of(network.config), figures=figures)
        save_weights(self.path / BEST, network, metadata, limit=self.weights_limit)

    def read_best(self, step: int, saved: list | None) -> Best | None:
        """What is known of the run's best weights when it goes on at `step`; None if there are none, or another run's.

        saved: AP and step as the state has them. After the state was saved, there may have been one more evaluation.
        """
        path = self.path / BEST
        files = files_of(path)
        if not files:
            return None
        try:
            with safe_open(files[0], framework="pt") as file:
                figures = json.loads(file.metadata()["figures"])
            best = Best(float(figures["AP"]), int(figures["step"]))
        except (SafetensorError, OSError, KeyError, TypeError, ValueError):
            raise SwahrError(f"{path} is damaged or does not name its AP and step; remove or rename it.") from None
        return best if best.step == step or [best.ap, best.step] == saved else None

    def append_log(self, step: int, figures: Mapping[str, float]) -> None:
        """One line of figures, to six digits."""
        line = {"step": step, **{name: float(f"{value:.6g}") for name, value in figures.items()}}
        with (self.path / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def drop_log_after(self, step: int) -> None:
        """Forget the lines of later steps, and one that a killed process left unfinished."""
        lines = [json.dumps(line) for line in self._log_lines() if line["step"] <= step]
        if (self.path / LOG).exists():
            write_whole(self.path / LOG, lambda path: path.write_text("".join(f"{line}\n" for line in lines)))

    def was_evaluated(self, step: int) -> bool:
        """Whether the log holds an AP of that step."""
        return any(line["step"] == step and "AP" in line for line in self._log_lines())

    def _log_lines(self) -> list[dict[str, float]]:
        path, lines = self.path / LOG, []
        for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            try:
                lines.append(json.loads(text))
            except ValueError:
                continue
        return [line for line in lines if isinstance(line, dict) and "step" in line]


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a file that gets its name, on the disk, only when it is complete."""
    unfinished = path.with_name(f"{path.name}.partial")
    write(unfinished)
    with unfinished.open("r+b") as file:  # some systems want to write what they sync
        os.fsync(file.fileno())
    unfinished.replace(path)
