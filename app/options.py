"""Options that several commands share, and how their texts are read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
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
PersonThreshold = Annotated[
    float | None, typer.Option(min=0, max=1, help="A person's least score.", show_default="the model's own")
]
Flip = Annotated[bool, typer.Option("--flip", help="Also look at the mirror image: slower, more exact.")]


Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")]
Json = Annotated[
    Path | None,
    typer.Option(help="Also write the poses as JSON lines; without a path, beside the output.", metavar="[PATH]"),
]
Csv = Annotated[Path | None, typer.Option(help="Also as CSV, one row a keypoint.", metavar="[PATH]")]
Coco = Annotated[Path | None, typer.Option(help="Also as COCO's keypoint results.", metavar="[PATH]")]
OpenPose = Annotated[
    Path | None,
    typer.Option(
        help="Also as OpenPose's JSON files, one a frame; the folder ends in .openpose, or is joined by =.",
        metavar="[FOLDER]",
    ),
]

# What the path of an option that can stand without one ends in.
PATH_ENDINGS = {
    "--json": (".json", ".jsonl"),
    "--csv": (".csv",),
    "--coco": (".json",),
    "--openpose": (".openpose",),
    "--ray": (),  # an address is joined by =
}


class ProcessCommand(TyperCommand):
    """Lets ``--json`` and its like stand with or without a path."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:
        """Give a bare ``--json`` an empty path, so that what follows it is not taken for one."""
        return super().parse_args(ctx, with_optional_paths(args))


def with_optional_paths(args: Sequence[str]) -> list[str]:
    """The arguments with each option of PATH_ENDINGS and its path joined; the next argument is one if it ends like one.

    So `--json clip.mp4` leaves the video to be the source.
    """
    joined: list[str] = []
    following = iter(range(len(args)))
    for index in following:
        endings = PATH_ENDINGS.get(args[index])
        if endings is None:
            joined.append(args[index])
        elif index + 1 < len(args) and args[index + 1].endswith(endings):
            joined.append(f"{args[index]}={args[index + 1]}")
            next(following)
        else:
            joined.append(f"{args[index]}=")
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


def pixels(option: str, text: str) -> tuple[int, int]:
    """The width and height of an option such as 1280x720."""
    width, _, height = text.lower().partition("x")
    try:
        return int(width), int(height)
    except ValueError:
        raise SwahrError(f"{option} {text} is no size; write width and height as 1280x720.") from None
