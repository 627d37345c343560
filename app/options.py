"""Options that several commands share, and how their texts are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from typer.core import TyperCommand

from engine.errors import SwahrError

Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Backend = Annotated[str, typer.Option(help="What runs the network: auto, eager, openvino, inductor or tensorrt.")]
Precision = Annotated[str, typer.Option(help="What it computes in: auto, float32, bfloat16, float16 or int8.")]
Model = Annotated[str, typer.Option(help="A model that `swahr models` lists, or a weights file.")]
Preset = Annotated[str | None, typer.Option(help="The network that a .pth file's weights belong to.")]
Size = Annotated[
    int | None,
    typer.Option(min=64, max=4096, help="Pixels of the network input's short side.", show_default="the model's own"),
]
Threshold = Annotated[
    float | None, typer.Option(min=0, max=1, help="A keypoint's least heatmap value.", show_default="the model's own")
]
TagThreshold = Annotated[
    float | None,
    typer.Option(min=0, help="How far a keypoint's tag may lie from its person's.", show_default="the model's own"),
]
MaxPeople = Annotated[
    int | None, typer.Option(min=1, help="The most people in one frame.", show_default="the model's own")
]
Flip = Annotated[bool, typer.Option("--flip", help="Also look at the mirror image: slower, more exact.")]


class ProcessCommand(TyperCommand):
    """Lets ``--json`` stand with or without a path."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:
        """Give a bare ``--json`` an empty path, so that what follows it is not taken for one."""
        return super().parse_args(ctx, with_json_path(args))


def with_json_path(args: Sequence[str]) -> list[str]:
    """The arguments with ``--json`` and its path joined; the next argument is one if it ends in .json(l)."""
    joined: list[str] = []
    following = iter(range(len(args)))
    for index in following:
        if args[index] != "--json":
            joined.append(args[index])
        elif index + 1 < len(args) and args[index + 1].endswith((".json", ".jsonl")):
            joined.append(f"--json={args[index + 1]}")
            next(following)
        else:
            joined.append("--json=")
    return joined


def numbers(text: str) -> list[float]:
    """The numbers of --scales."""
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise SwahrError(f"--scales {text} is no list of numbers; write it as 0.5,1,1.5.") from None


def whole_numbers(option: str, text: str) -> list[int]:
    """The whole numbers of an option that takes several."""
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise SwahrError(f"{option} {text} is no list of whole numbers; write it as 1,10,30.") from None
