"""The foot of a page: what stands at its lower edge, is needed next, and is covered by no message."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtGui import QMoveEvent, QResizeEvent
from PySide6.QtWidgets import QFrame


class Foot(QFrame):
    """Messages keep above it, as far up as it reaches; ``moved`` says that this may be elsewhere now."""

    moved = Signal()

    def resizeEvent(self, resized: QResizeEvent) -> None:
        super().resizeEvent(resized)
        self.moved.emit()

    def moveEvent(self, moved: QMoveEvent) -> None:
        super().moveEvent(moved)
        self.moved.emit()
