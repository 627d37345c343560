"""The commands ``data check``, ``data show`` and ``data pack``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.options import Overwrite, Preset

data = typer.Typer(
    help="Training data: is it sound, what does training see, and how is it carried elsewhere?", rich_markup_mode=None
)

Images = Annotated[
    Path | None, typer.Option(help="The photos' folder.", show_default="where COCO and CrowdPose have it")
]
SkeletonName = Annotated[
    str | None, typer.Option(help="coco17, crowdpose14, or a TOML file.", show_default="by the number of keypoints")
]


@data.command()
def check(
    annotations: Annotated[Path, typer.Argument(help="Annotations in COCO's keypoint format, or packed photos.")],
    images: Images = None,
    skeleton: SkeletonName = None,
    decode: Annotated[bool, typer.Option("--decode", help="Decode every picture, not only its ends.")] = False,
) -> None:
    """Read all annotations and look at every picture; name what is wrong. Exit code 2 if there is a fault."""
    from app.data import run_check

    report, sound = run_check(annotations, images, skeleton, decode)
    typer.echo(report)
    if not sound:
        raise typer.Exit(2)


@data.command()
def show(
    annotations: Annotated[str, typer.Argument(help="Annotations in COCO's keypoint format, packed photos, or demo:.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder of the pictures.")],
    images: Images = None,
    skeleton: SkeletonName = None,
    number: Annotated[int, typer.Option(min=1, max=1000, help="How many pictures.")] = 8,
    recipe: Annotated[
        Path | None, typer.Option(help="Whose mixture and augmentation.", show_default="single photos of 512 px")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed shows other pictures.")] = 0,
    model: Annotated[str | None, typer.Option(help="Also show what this model answers.")] = None,
    preset: Preset = None,
    skip_broken: Annotated[bool, typer.Option("--skip-broken", help="Leave out what is broken.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Draw what training sees: the changed picture with its keypoints, the mask, the targets."""
    from app.data import ShowOptions, run_show

    typer.echo(
        run_show(
            ShowOptions(
                annotations, output, images, skeleton, number, recipe, seed, model, preset, skip_broken, overwrite
            )
        )
    )


@data.command()
def pack(
    sources: Annotated[
        list[str], typer.Argument(help="A recipe, or annotations in COCO's keypoint format.", metavar="SOURCES...")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder of the packed photos.")],
    images: Images = None,
    skeleton: SkeletonName = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=64,
            max=4096,
            help="Pixels to which a longer short side is reduced.",
            show_default="what the recipe's closest view needs; without a recipe, photos stay as they are",
        ),
    ] = None,
    shard_mib: Annotated[float, typer.Option(min=0.1, max=4096, help="What each file stays under, in MiB.")] = 60,
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of the JPEG files that are made.")] = 92,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change an entry of the recipe: section.key=value; may be repeated."),
    ] = None,
    skip_broken: Annotated[bool, typer.Option("--skip-broken", help="Leave out what is broken, and name it.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Pack the photos to train on, with their labels, into a few files for another machine."""
    from app.packing import PackRequest, run_pack

    typer.echo(
        run_pack(
            PackRequest(
                *(sources, output, images, skeleton, size, shard_mib, quality),
                *(settings or (), skip_broken, overwrite),
            )
        )
    )
