"""The program's icon in the Dock, with a word on it."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from PySide6.QtGui import QGuiApplication

OBJC = "/usr/lib/libobjc.A.dylib"


def set_badge(percent: int | None, platform: str = sys.platform, load: Callable[[str], Any] = ctypes.CDLL) -> None:
    """Writes how much is done on the icon, ``37 %``; None takes it away.

    Where there is no Dock, desktops that show a number get it from Qt; others show nothing. ``load`` opens a
    library by its path (tests give their own).
    """
    if platform != "darwin":
        application = QGuiApplication.instance()
        if isinstance(application, QGuiApplication):
            application.setBadgeNumber(percent or 0)
        return
    with suppress(OSError, AttributeError):  # a Mac without AppKit has no Dock
        _label(load(OBJC), f"{percent}\u00a0%" if percent is not None else "")


def _label(objc: Any, text: str) -> None:
    """``NSApp.dockTile.badgeLabel = text``, by the runtime of Objective-C; Qt itself knows numbers only."""
    objc.objc_getClass.restype = objc.sel_registerName.restype = ctypes.c_void_p
    objc.objc_getClass.argtypes = objc.sel_registerName.argtypes = [ctypes.c_char_p]

    def send(receiver: int | None, name: str, *given: Any) -> Any:
        kinds = [ctypes.c_char_p if isinstance(one, bytes) else ctypes.c_void_p for one in given]
        call = objc.objc_msgSend
        call.restype, call.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_void_p, *kinds]
        return call(receiver, objc.sel_registerName(name.encode()), *given)

    string = send(objc.objc_getClass(b"NSString"), "stringWithUTF8String:", text.encode())
    program = send(objc.objc_getClass(b"NSApplication"), "sharedApplication")
    send(send(program, "dockTile"), "setBadgeLabel:", string)
