"""``python -m engine.training``: the command ``swahr train`` where nothing is installed but what training itself needs.

That is torch, NumPy, Numba, OpenCV and safetensors; progress is plain lines. Works under torchrun, too.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import SwahrError

if TYPE_CHECKING:
    from engine.training.trainer import Report, Trainer

INTERRUPTED = 130  # as shells have it


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as the arguments say; the exit code. What the user can put right is one sentence on stderr and code 2."""
    started = time.monotonic()  # importing torch, in `_run`, counts
    told = _parser().parse_args(arguments)
    try:
        said = _run(told, started)
    except SwahrError as error:
        if getattr(error, "is_told_here", True):  # several processes stop together, and one of them says so
            print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return INTERRUPTED
    if said:
        print(said)
    return 0


def _run(told: argparse.Namespace, started: float) -> str | None:
    from engine.training.run import TrainingOptions, train_recipe
    from engine.training.throughput import data_rate

    if told.profile_data:
        return data_rate(told.recipe, told.overrides).in_words()
    options = TrainingOptions(
        *(told.output, told.resume, told.changed, told.overrides, told.tensorboard),
        *(told.stop_after, told.weights_every, told.weights_mib, started),
    )
    return train_recipe(told.recipe, options, _lines)


@contextmanager
def _lines(trainer: Trainer) -> Iterator[Report]:
    for note in trainer.notes:
        print(note, file=sys.stderr, flush=True)

    def report(step: int, figures: dict[str, float]) -> None:
        named = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        print(f"step {step} of {trainer.recipe.schedule.steps}: {named}", file=sys.stderr, flush=True)

    yield report


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m engine.training", description="Train a network as a recipe says.")
    parser.add_argument("recipe", type=Path, help="a recipe, in TOML, or the name of a bundled one")
    parser.add_argument("-o", "--output", type=Path, help="the run's folder (by default runs/ and the recipe's name)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in that folder")
    parser.add_argument("--changed", action="store_true", help="go on although the recipe has changed")
    parser.add_argument(
        "--set", dest="overrides", action="append", default=[], metavar="SECTION.KEY=VALUE",
        help="change an entry of the recipe; may be repeated",
    )  # fmt: skip
    parser.add_argument("--stop-after", type=float, metavar="MINUTES", help="end by then, with everything saved")
    parser.add_argument(
        "--weights-every", type=float, metavar="MINUTES", help="also save the averaged weights so often"
    )
    parser.add_argument("--weights-mib", type=float, metavar="MIB", help="let no file of weights reach this")
    parser.add_argument(
        "--tensorboard", action=argparse.BooleanOptionalAction, help="write curves (by default if it is installed)"
    )
    parser.add_argument(
        "--profile-data", action="store_true", help="train nothing: say how fast the workers make pictures here"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
