"""The program's name on a Mac: without an app of its own, menu bar, Dock and notifications would say *Python*."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

from app.core.installation import is_frozen

_FRAMEWORK = "/System/Library/Frameworks/CoreFoundation.framework/CoreFoundation"
_UTF8 = 0x08000100  # kCFStringEncodingUTF8
_NAME_KEYS = ("CFBundleName", "CFBundleDisplayName")


def name_bundle(name: str = "Luthier") -> bool:
    """Names the main bundle of this process, before AppKit reads it: call it before the application is made.

    False where there is nothing to name (not a Mac, or the frozen app, whose bundle has its name), or macOS has no
    such dictionary to write into.
    """
    if sys.platform != "darwin" or is_frozen():
        return False
    try:
        foundation = ctypes.CDLL(_FRAMEWORK)
        return _rename(foundation, name)
    except (OSError, AttributeError):
        return False


def _rename(foundation: Any, name: str) -> bool:
    pointer = ctypes.c_void_p
    shapes: dict[str, tuple[Any, list[Any]]] = {
        "CFBundleGetMainBundle": (pointer, []),
        "CFBundleGetLocalInfoDictionary": (pointer, [pointer]),
        "CFBundleGetInfoDictionary": (pointer, [pointer]),
        "CFStringCreateWithCString": (pointer, [pointer, ctypes.c_char_p, ctypes.c_uint32]),
        "CFDictionarySetValue": (None, [pointer, pointer, pointer]),
    }
    for word, (result, arguments) in shapes.items():
        function = getattr(foundation, word)
        function.restype, function.argtypes = result, arguments
    bundle = foundation.CFBundleGetMainBundle()
    if not bundle:
        return False
    # The one that AppKit reads, as is known of programs that do this: the localized one where there is one.
    dictionary = foundation.CFBundleGetLocalInfoDictionary(bundle) or foundation.CFBundleGetInfoDictionary(bundle)
    if not dictionary:
        return False
    for key in _NAME_KEYS:
        words = (foundation.CFStringCreateWithCString(None, text.encode(), _UTF8) for text in (key, name))
        foundation.CFDictionarySetValue(dictionary, *words)
    return True
