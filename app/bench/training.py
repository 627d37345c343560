"""``swahr bench training``: pictures a second of ``swahr train``, beside those of another checkout of this project."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from app.bench import check_json_path
from app.machine import machine
from app.progress import console_progress
from app.training import run_profile
from engine.errors import SwahrError
from engine.training.recipe import find_recipe

_OURS = Path(__file__).resolve().parents[2]
_ROUNDS = 3
# What every version of the training code understands: the paper's network on synthetic people, in float32 because
# versions differ in when they take bfloat16.
_PLAIN = """\
[model]
preset = "w32-512"
[mixture]
size = 128
[schedule]
batch = 8
precision = "float32"
"""


@dataclass
class Side:
    """One version of the code: pictures a second of each of its runs, and the network's weights as shapes by name."""

    name: str
    checkout: Path
    rates: list[float] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)


def bench_training(
    recipe: Path | None, settings: Sequence[str], steps: int, against: Path | None, json_path: Path | None = None
) -> str:
    """Say where the time of a step goes, and how many pictures a second ``swahr train`` learns from.

    The command itself is run, data, logging and all, so the rate is what its log says of `steps` steps, after as many
    that warm up. recipe: None: the paper's network on small synthetic pictures. against: the root of another checkout,
    whose command is run in turn with this one, each three times, by the same Python. Raises SwahrError if it cannot be
    run, or does not understand the recipe.
    """
    check_json_path(json_path)
    sides = [Side("this code", _OURS)]
    if against is not None:
        if not (against / "app" / "cli.py").is_file():
            raise SwahrError(f"{against} is no checkout of this project; name a folder that holds app/cli.py.")
        sides.append(Side(str(against), against.resolve()))
    with TemporaryDirectory(prefix="swahr-bench-") as folder:
        if recipe is None:
            recipe = Path(folder) / "plain.toml"
            recipe.write_text(_PLAIN, encoding="utf-8")
        recipe = find_recipe(recipe).resolve()  # of this code, also where another checkout bundles one of that name
        profile = run_profile(recipe, settings)
        with console_progress("training", _ROUNDS * len(sides)) as progress:
            for number in range(_ROUNDS):
                for side in sides if number % 2 == 0 else sides[::-1]:
                    _run(side, recipe, settings, steps, Path(folder) / f"{number}-{sides.index(side)}")
                    progress.advance(progress.task_ids[0])
    if json_path is not None:
        json_path.write_text(_as_json(sides, settings, steps), encoding="utf-8")
    return "\n".join([profile, *_lines(sides, steps)])


def _run(side: Side, recipe: Path, settings: Sequence[str], steps: int, output: Path) -> None:
    """Train in a process of its own, and note how fast it went."""
    from safetensors import safe_open

    more = (f"schedule.steps={2 * steps}", f"schedule.log_every={steps}", "data.validation=")
    options = [part for one in (*settings, *more) for part in ("--set", one)]
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "train", str(recipe), "--output", str(output), *options],
        cwd=side.checkout,
        env={**os.environ, "PYTHONPATH": str(side.checkout)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["it said nothing"]
        raise SwahrError(f"{side.name} cannot train this recipe: {said[-1]}")
    *_, last = (output / "log.jsonl").read_text().splitlines()
    side.rates.append(json.loads(last)["images_per_second"])
    with safe_open(output / "weights.safetensors", "np") as weights:
        side.shapes = {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118


def _lines(sides: Sequence[Side], steps: int) -> list[str]:
    lines = [f"swahr train, {_ROUNDS} runs in turn, steps {steps + 1} to {2 * steps} of each:"]
    for side in sides:
        runs = ", ".join(f"{rate:.2f}" for rate in side.rates)
        lines.append(f"  {side.name}: {side.rate:.2f} pictures a second, the median of {runs}")
    if len(sides) == 2:
        ours, others = sides
        ratios = [mine / theirs for mine, theirs in zip(ours.rates, others.rates, strict=True)]
        lines.append(
            f"  {ours.rate / others.rate:.2f} times as fast; round by round {min(ratios):.2f} to {max(ratios):.2f}"
        )
        if ours.shapes != others.shapes:
            lines.append("  The two networks are not the same: the ratio compares them as well.")
    return lines


def _as_json(sides: Sequence[Side], settings: Sequence[str], steps: int) -> str:
    figures = {
        "machine": machine(),
        "settings": list(settings),
        "steps": steps,
        "pictures_a_second": {side.name: side.rates for side in sides},
        "same_network": sides[0].shapes == sides[-1].shapes,
    }
    return json.dumps(figures, indent=1) + "\n"
