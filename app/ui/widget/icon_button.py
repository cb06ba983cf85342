"""A tool button whose icon follows the theme."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QToolButton, QWidget

from app.ui.widget import theme


class IconButton(QToolButton):
    """A quiet button with one icon; ``text`` is its accessible name and tool tip."""

    def __init__(self, icon: str, text: str, parent: QWidget | None = None, *, size: int = 16) -> None:
        super().__init__(parent)
        self._icon = icon
        self.setAccessibleName(text)
        self.setToolTip(text)
        self.setIconSize(QSize(size, size))
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        theme.theme().changed.connect(self._redraw)
        self._redraw()

    def set_icon(self, icon: str) -> None:
        """Shows another icon of the same font."""
        self._icon = icon
        self._redraw()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paints nothing where a layout gives less than the icon for a moment: its size would be below zero."""
        if self.width() >= self.iconSize().width() and self.height() >= self.iconSize().height():
            super().paintEvent(event)

    def _redraw(self) -> None:
        self.setIcon(theme.icon(self._icon))
