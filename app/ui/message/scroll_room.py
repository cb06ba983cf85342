"""Room below the end of a scrolled page, so that its last parts come to stand above what lies over its foot."""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QScrollArea


class ScrollRoom(QObject):
    """Lets an area scroll further than its page goes. Nothing moves by that: room in sight goes later."""

    def __init__(self, area: QScrollArea) -> None:
        super().__init__(area)
        self._area, self._asked, self._given = area, 0, 0
        page = area.widget()
        assert page is not None
        layout = page.layout()
        assert layout is not None
        self._page, self._layout = page, layout
        self._margin = layout.contentsMargins().bottom()
        area.verticalScrollBar().valueChanged.connect(self._settle)

    def ask(self, height: int) -> None:
        """So many pixels of the area's foot are covered now."""
        self._asked = height if self._area.isVisible() else 0
        self._settle()

    def _settle(self) -> None:
        bar = self._area.verticalScrollBar()
        in_use = max(self._given - (bar.maximum() - bar.value()), 0)
        given = max(self._asked, in_use)
        height = self._area.viewport().height()
        is_short = self._page.height() - self._given <= height  # what stretches in it must not give the room
        self._page.setMinimumHeight(height + given if given and is_short else 0)
        if given == self._given:
            return
        self._given = given
        margins = self._layout.contentsMargins()
        margins.setBottom(self._margin + given)
        self._layout.setContentsMargins(margins)
