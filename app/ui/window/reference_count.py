"""The reference counts of constants under Python 3.11; later Pythons do not count them."""

from __future__ import annotations

import ctypes
import sys

MANY = 1 << 40


def keep_constants() -> None:
    """Gives `True`, `False` and `None` more references than any process can lose.

    PySide6 6.12.0 drops one reference to `True` with each ``emit`` and ``connect`` called from Python, and one to
    `None` when a slot of Qt is called: it returns them without taking a reference. Python 3.12 made the constants
    immortal (PEP 683); 3.11 ends the process ("bool_dealloc: deallocating True or False") after some ten thousand
    signals, in the middle of a run.
    """
    if sys.version_info >= (3, 12):
        return
    for constant in (True, False, None):
        if sys.getrefcount(constant) < MANY:
            ctypes.c_ssize_t.from_address(id(constant)).value += MANY
