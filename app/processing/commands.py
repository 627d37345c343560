"""What ``process`` does on the command line: one source, or many, here or on a cluster; what is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import typer
from rich.console import Console

from app.outputs import BESIDE_OUTPUT
from app.processing.manifest import FAILED, Manifest
from app.processing.options import ProcessOptions
from app.processing.progress import queue_bar
from app.processing.queue import Outcome, is_several, manifest_path, process_all, queue_summary, sources_in
from app.processing.run import process
from engine.errors import SwahrError

SOME_FAILED = 2  # the exit code where a source could not be processed


def run(options: ProcessOptions, names: Sequence[str], manifest: Path | None, ray: str | None, cores: int) -> int:
    """Process what is named, tell of it, and return the exit code.

    manifest: where it is noted what is done; None: the usual place, and none for a single source.
    ray: None; or the address of a Ray cluster, "" for the one that is found or else begun on this machine, whose
    workers get so many cores each.
    """
    if not is_several(names) and manifest is None and ray is None:
        summary = process(options)
        if not options.quiet:
            typer.echo(summary)
        return 0
    return _run_queue(options, sources_in(names), manifest, ray, cores)


def _run_queue(
    options: ProcessOptions, sources: Sequence[str], manifest: Path | None, ray: str | None, cores: int
) -> int:
    _check_outputs(options)
    noted = Manifest(manifest or manifest_path(options))

    def tell(place: int, outcome: Outcome) -> None:
        failed = outcome.state == FAILED
        if failed or not options.quiet:
            typer.echo(f"[{place + 1}/{len(sources)}] {outcome.source}: {outcome.message}", err=failed)

    if ray is not None:
        from app.processing.cluster import process_on_cluster

        outcomes = process_on_cluster(options, sources, noted, tell, ray, cores)
    else:
        with ExitStack() as stack:
            console = Console(stderr=True)
            shown = console.is_terminal and not options.quiet
            progress = stack.enter_context(queue_bar(sources, console)) if shown else None
            outcomes = process_all(options, sources, noted, tell, progress)
    if not options.quiet:
        typer.echo(queue_summary(outcomes))
    return SOME_FAILED if any(outcome.state == FAILED for outcome in outcomes) else 0


def _check_outputs(options: ProcessOptions) -> None:
    if options.output is not None and not options.output.is_dir():
        if options.output.suffix:
            raise SwahrError(f"{options.output} is one file, but there are several sources; name a folder.")
        try:
            options.output.mkdir()
        except OSError as error:
            raise SwahrError(f"The folder {options.output} cannot be made ({error.strerror}); name another.") from None
    for pose_format, place in options.poses.items():
        if place != BESIDE_OUTPUT:
            raise SwahrError(f"--{pose_format} {place} is one path, but there are several sources; give no path.")
