"""Errors that are the user's to solve."""


class SwahrError(Exception):
    """Something the user can put right: one sentence that says what is wrong, with what, and what to do.

    The command prints it without a traceback and ends with ``exit_code``.
    """

    exit_code = 2
