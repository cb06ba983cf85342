"""Rosetta: whether macOS translates this Python from Intel's instructions, under which MLX does not start."""

from __future__ import annotations

import ctypes
import platform
import sys

from app.core.language import tr

# `packaging/machine.py` says the same before anything is installed, where this file cannot be imported.
REMEDY = tr(
    "In the Finder's Get Info of your terminal switch “Open using Rosetta” off, or start Luthier "
    "with `arch -arm64` in front; if the Python itself was built for Intel alone, get one for "
    "Apple silicon (`brew install python@3.13`, or the installer from python.org) and run "
    "`python3 packaging/dev.py setup`."
)


def is_translated() -> bool:
    """True if Rosetta runs this process; false on other systems, and on Macs that have none."""
    return sys.platform == "darwin" and _system_value("sysctl.proc_translated") == 1


def rosetta_refusal() -> str:
    """Why this Python cannot be used and what to do; empty where it can."""
    if not is_translated():
        return ""
    return tr(
        "This Python runs as {machine}, translated by Rosetta, and MLX needs it native. {remedy}",
        machine=platform.machine(),
        remedy=REMEDY,
    )


def _system_value(name: str) -> int:
    """A number that the Darwin kernel tells by its name; −1 where it has none of that name."""
    value = ctypes.c_int(-1)
    size = ctypes.c_size_t(ctypes.sizeof(value))
    ask = getattr(ctypes.CDLL(None), "sysctlbyname", None)  # of Darwin's C library only
    if ask is None or ask(name.encode("ascii"), ctypes.byref(value), ctypes.byref(size), None, 0):
        return -1
    return value.value
