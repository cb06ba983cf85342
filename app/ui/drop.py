"""Dropping files: a card that lights up for what it takes and leaves everything else to the window behind it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QWidget

from app.ui import theme
from app.ui.form import Card


class DropCard(Card):
    """A `Card` that takes files; subclasses say which with `accepts`. ``dropped(paths)`` hands them over."""

    dropped = Signal(list)  # list[Path]

    def __init__(self, title: str, description: str = "", parent: QWidget | None = None) -> None:
        super().__init__(title, description, parent)
        self.setAcceptDrops(True)

    def accepts(self, path: Path) -> bool:
        """Whether this card has a use for a file or folder; must be quick."""
        raise NotImplementedError

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if self._paths(event):
            theme.set_role(self, drop="true")
            event.acceptProposedAction()
        else:
            event.ignore()  # the window behind may want it

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        theme.set_role(self, drop="")
        super().dragLeaveEvent(event)

    def dropEvent(self, event: QDropEvent) -> None:
        theme.set_role(self, drop="")
        paths = self._paths(event)
        if not paths:
            event.ignore()
            return
        event.acceptProposedAction()
        self.dropped.emit(paths)

    def _paths(self, event: QDropEvent) -> list[Path]:
        found = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        return [path for path in found if self.accepts(path)]
