"""Motion: whether a person asked all programs for less of it, and what Luthier shows instead."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from functools import cache

from PySide6.QtWidgets import QProgressBar

from app.ui.platform.dock import OBJC

_GNOME = ["gsettings", "get", "org.gnome.desktop.interface", "enable-animations"]
_PATIENCE_S = 1.0


@cache
def wants_less_motion() -> bool:
    """What the system says when it is first asked: Reduce Motion on a Mac, GNOME's animations switched off."""
    return _mac_reduces() if sys.platform == "darwin" else _gnome_reduces()


def show_unmeasured(bar: QProgressBar) -> None:
    """Shows work of which nobody knows how much there is: a bar that moves, or one that stays empty."""
    if wants_less_motion():
        bar.setRange(0, 1)
        bar.setValue(0)
    else:
        bar.setRange(0, 0)


def _gnome_reduces() -> bool:
    try:
        asked = subprocess.run(_GNOME, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired):  # another desktop, or one that does not answer
        return False
    return asked.returncode == 0 and asked.stdout.strip() == "false"


def _mac_reduces() -> bool:
    """``NSWorkspace.sharedWorkspace.accessibilityDisplayShouldReduceMotion``, by the Objective-C runtime."""
    try:
        library = ctypes.CDLL(OBJC)
        ctypes.CDLL("/System/Library/Frameworks/AppKit.framework/AppKit")
    except OSError:
        return False
    library.objc_getClass.restype = library.sel_registerName.restype = ctypes.c_void_p
    library.objc_getClass.argtypes = library.sel_registerName.argtypes = [ctypes.c_char_p]
    # Each kind of answer is a function of its own type; `objc_msgSend` itself has none.
    address = ctypes.cast(library.objc_msgSend, ctypes.c_void_p).value
    asked = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(address or 0)
    answered = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_void_p)(address or 0)
    workspace = asked(library.objc_getClass(b"NSWorkspace"), library.sel_registerName(b"sharedWorkspace"))
    selector = library.sel_registerName(b"accessibilityDisplayShouldReduceMotion")
    return bool(workspace) and bool(answered(workspace, selector))
