"""The key that closes a dialog: the system's own for windows, beside Escape."""

from __future__ import annotations

from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QDialog


def close_by_key(dialog: QDialog) -> None:
    """Ctrl+W (⌘W) does what the dialog's close button does."""
    keys = QShortcut(QKeySequence("Ctrl+W"), dialog)
    keys.activated.connect(dialog.close)
