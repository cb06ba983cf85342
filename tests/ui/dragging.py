"""Drag and drop as the system does it: enter, move and drop events on the widget under the pointer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QWidget


def drag_over(target: QWidget, *paths: Path) -> QMimeData:
    """Lets files hover over the middle of a widget; returns what they are carried in."""
    carried = _carried(paths)
    QApplication.sendEvent(target, _enter(target, carried))
    return carried


def drag_away(target: QWidget) -> None:
    """Takes them away again."""
    QApplication.sendEvent(target, QDragLeaveEvent())


def drop(target: QWidget, *paths: Path) -> bool:
    """Drops files on the middle of a widget; True if somebody took them."""
    carried = _carried(paths)
    entered = _enter(target, carried)
    QApplication.sendEvent(target, entered)
    if not entered.isAccepted():
        # Nothing is dropped on what does not take it. Sent all the same, Qt would give it to whatever had taken the
        # last, which may be gone: by its address alone.
        return False
    middle = QPointF(target.rect().center())
    found = QDropEvent(
        middle, Qt.DropAction.CopyAction, carried, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    QApplication.sendEvent(target, found)
    return found.isAccepted()


def _carried(paths: Sequence[Path]) -> QMimeData:
    carried = QMimeData()
    carried.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    return carried


def _enter(target: QWidget, carried: QMimeData) -> QDragEnterEvent:
    middle = QPointF(target.rect().center())
    return QDragEnterEvent(
        middle, Qt.DropAction.CopyAction, carried, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
