"""How this copy of Luthier came here, and so which advice fits it: a frozen app takes no packages."""

from __future__ import annotations

import importlib.metadata
import sys
from functools import cache
from pathlib import Path

from app.core.language import tr


def is_frozen() -> bool:
    """Whether this is the app that brings its Python along."""
    return bool(getattr(sys, "frozen", False))


@cache
def package_version(name: str) -> str:
    """Which version of a package is installed, as it says of itself; what reads it anew takes three milliseconds.

    Raises `importlib.metadata.PackageNotFoundError` where it is not installed.
    """
    return importlib.metadata.version(name)


def package_hint(package: str, requirement: str = "") -> str:
    """How a package gets here that Luthier uses where it finds it; ``requirement`` says which versions."""
    wanted = requirement or package
    if is_frozen():
        return tr(
            "This app has its own Python, does not contain {package} and takes no packages. A checkout of Luthier "
            "does: `python3 packaging/dev.py setup` there, then `pip install {wanted}` into its `.venv`. Runs, "
            "models and settings are the same in both.",
            package=package,
            wanted=wanted,
        )
    return tr("Install it with `pip install {wanted}`.", wanted=wanted)


def program_hint(program: str, package: str) -> str:
    """How another's program gets here that is a package of Python, and is started by its name."""
    if is_frozen():
        return tr(
            "This app does not contain it: get it with a Python of your own (`pipx install {package}`, or "
            "`pip install {package}` in an environment whose `{program}` is then in the PATH).",
            program=program,
            package=package,
        )
    return tr("`pip install {package}` brings it.", package=package)


def repair_hint() -> str:
    """What to do when a part of the program itself is missing."""
    if is_frozen():
        return tr("Part of this copy of Luthier is missing or damaged: install it anew.")
    root = Path(__file__).resolve().parents[2]
    return tr("In {root}, run: python3 packaging/dev.py setup", root=root)
