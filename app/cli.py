"""The command ``swahr``: its options, and the one place where errors become a sentence and an exit code.

What is slow to import (torch, OpenCV, PyAV, Numba) is imported by the commands when they run.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer

from app.commands import data, engines, processing, training
from app.errors import in_words
from app.options import ProcessCommand

INTERRUPTED = 130  # the exit code after Ctrl-C, as shells have it

app = typer.Typer(
    name="swahr",
    help="Find people in pictures and videos: bottom-up human pose with scale-adaptive heatmaps.",
    invoke_without_command=True,
    rich_markup_mode=None,
)


@app.callback()
def swahr(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Without a command a window opens; `swahr process demo:` needs none."""
    if version:
        from app.version import installed_version

        typer.echo(f"swahr {installed_version()}")
    elif context.invoked_subcommand is None:
        from app.viewer.start import view as show

        raise typer.Exit(show())


app.command(cls=ProcessCommand)(processing.process)
app.command()(processing.convert)
app.command()(processing.view)
app.command()(training.train)
app.command()(training.evaluate)
app.command()(training.ablate)
app.command()(engines.bench)
app.command("compile")(engines.compile_networks)
app.command()(engines.doctor)
app.command()(engines.models)
app.add_typer(data.data, name="data")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    What the user can put right ends in one sentence on stderr and code 2, Ctrl-C in 130, a bug in 1. With
    ``--debug``, anywhere on the line, the traceback is shown as well.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments
    if debug:
        logging.basicConfig()
        logging.getLogger("swahr").setLevel(logging.DEBUG)
    try:
        code = typer.main.get_command(app).main(
            [argument for argument in arguments if argument != "--debug"],
            prog_name="swahr",
            standalone_mode=False,
        )
    except Exception as error:
        if debug:
            traceback.print_exc()
        code = getattr(error, "exit_code", 1)
        typer.echo(_sentence(error) if code == INTERRUPTED else f"Error: {_sentence(error)}", err=True)
        return code
    if code == INTERRUPTED:
        typer.echo("Stopped.", err=True)
    return code if isinstance(code, int) else 0


def _sentence(error: Exception) -> str:
    """What the user is told about an error."""
    if isinstance(error, typer.TyperException):
        return f"{error.format_message().rstrip('.').replace('. ', ', ')} (see swahr --help)."
    return in_words(error)


if __name__ == "__main__":
    sys.exit(main())
