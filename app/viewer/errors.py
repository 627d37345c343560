"""Errors as the user is told them."""

from __future__ import annotations

import logging

from engine.errors import SwahrError


def error_sentence(error: BaseException) -> str:
    """One sentence on an error; what only a developer can put right goes to the log as well, which --debug shows."""
    if isinstance(error, SwahrError):
        return " ".join([str(error), *getattr(error, "__notes__", ())])
    logging.getLogger("swahr").debug("told in the window", exc_info=error)
    return (
        f"This is a bug of swahr ({type(error).__name__}: {error}). Try it again; if it comes back, start swahr with "
        "--debug and report what the terminal shows."
    )
