"""Which program this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def installed_version() -> str:
    """The version of the installed distribution."""
    try:
        return version("swahr-live")
    except PackageNotFoundError:
        return "(not installed)"
