"""The colour scheme of what the system draws around Luthier: title bars, panels for files, the menu bar's menus."""

from __future__ import annotations

import sys
from typing import Literal

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication

_SCHEMES = {
    "system": Qt.ColorScheme.Unknown,  # what is chosen in the system's settings, also later
    "light": Qt.ColorScheme.Light,
    "dark": Qt.ColorScheme.Dark,
}


def dress_native_parts(choice: Literal["system", "light", "dark"]) -> None:
    """Lets macOS draw its parts as the theme was chosen. Other systems draw them as their desktop is."""
    if sys.platform == "darwin":
        QGuiApplication.styleHints().setColorScheme(_SCHEMES[choice])
