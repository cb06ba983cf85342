"""The room that messages leave: what a page has at its end can be scrolled above those that stay until closed."""

from __future__ import annotations

from PySide6.QtCore import QObject, QPoint
from PySide6.QtWidgets import QScrollArea

from app.ui.message.bar import MessageBar
from app.ui.message.scroll_room import ScrollRoom


class MessageRoom(QObject):
    """Gives the watched areas room whenever the messages over them change. Its model is a `MessageBar`."""

    def __init__(self, messages: MessageBar) -> None:
        super().__init__(messages)
        self._messages = messages
        self._rooms: list[tuple[QScrollArea, ScrollRoom]] = []
        messages.placed.connect(self.give)

    def watch(self, area: QScrollArea) -> None:
        """Gives this area room, too."""
        self._rooms.append((area, ScrollRoom(area)))
        self.give()

    def give(self) -> None:
        """Looks anew how much of each area is covered."""
        bar = self._messages
        for area, room in self._rooms:
            foot = area.viewport().mapTo(bar.window(), QPoint(0, area.viewport().height())).y()
            covered = foot - bar.mapTo(bar.window(), QPoint(0, 0)).y()
            room.ask(max(covered, 0) if bar.is_lasting and area.isVisible() else 0)
