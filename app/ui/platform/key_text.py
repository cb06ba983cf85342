"""Keys as people of each system read them: ⇧⌘O on a Mac, Ctrl+Shift+O elsewhere."""

from __future__ import annotations

from PySide6.QtGui import QKeySequence

MAIN_KEYS = "Ctrl+Return"  # ⌘↩: what a page is there for


def native_keys(keys: str | QKeySequence | QKeySequence.StandardKey) -> str:
    """The first of the keys in the system's own form; a standard one's are the system's as well."""
    return QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText)


def zoom_key() -> str:
    """⌘, which is held while a wheel is turned."""
    return native_keys("Ctrl+A").removesuffix("A").removesuffix("+")


def with_keys(text: str, keys: str | QKeySequence | QKeySequence.StandardKey) -> str:
    """A tool tip that names its keys: ``Undo (Ctrl+Z)``."""
    return f"{text} ({native_keys(keys)})"
