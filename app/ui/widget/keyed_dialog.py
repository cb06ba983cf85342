"""A dialog by keyboard: the system's own key closes it, and Tab goes through it as it is read."""

from __future__ import annotations

from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QDialog, QWidget

from app.ui.widget.tab_order import follow_page, go_on, stops


class KeyedDialog(QDialog):
    """Ctrl+W (⌘W) does what its close button does, beside Escape. Parts come and go, in whatever order."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        keys = QShortcut(QKeySequence("Ctrl+W"), self)
        keys.activated.connect(self.close)

    def setVisible(self, visible: bool) -> None:
        """Qt gives the keyboard to the first stop, which is the one that is read first."""
        if visible and not self.isVisible():
            follow_page(stops(self))
        super().setVisible(visible)

    def focusNextPrevChild(self, forward: bool) -> bool:
        return go_on(self, forward, stops(self, only_shown=True)) or super().focusNextPrevChild(forward)
