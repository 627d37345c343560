"""Errors as the user is told them on the command line."""

from __future__ import annotations

import logging

from engine.errors import SwahrError


def in_words(error: BaseException) -> str:
    """An error's sentence and its notes; of one that only a developer can put right, how to report it.

    That one goes to the log as well, which --debug shows.
    """
    if isinstance(error, SwahrError):
        said = str(error)
    else:
        logging.getLogger("swahr").debug("told as a bug", exc_info=error)
        said = (
            f"This is a bug of swahr ({type(error).__name__}: {error}); "
            "run it again with --debug and report what it shows."
        )
    return " ".join([said, *getattr(error, "__notes__", ())])
