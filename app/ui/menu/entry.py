"""An entry of a menu: its name, words, keys and role."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu

ALL_KEYS = "all_keys"  # a property of an entry whose keys differ from page to page: those of all
NO_ROLE = QAction.MenuRole.NoRole


def add_entry(menu: QMenu, name: str, text: str, keys: str = "", role: QAction.MenuRole = NO_ROLE) -> QAction:
    """Adds one. Without an explicit role macOS guesses by the text and moves "Config…" into the program's menu."""
    action = QAction(text, menu)
    action.setObjectName(name)
    action.setMenuRole(role)
    if keys:
        action.setShortcut(QKeySequence(keys))
        action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
    menu.addAction(action)
    return action
