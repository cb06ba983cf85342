"""The order in which Tab goes through a page: that in which the page is read."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLayout, QRadioButton, QScrollArea, QSplitter, QTabWidget, QWidget

_BY_TAB = Qt.FocusPolicy.TabFocus.value  # a number: at each key hundreds of parts are asked, and flags are slow


def follow_page(found: Sequence[QWidget]) -> None:
    """Makes Tab follow the stops, whenever and in whatever order they were made."""
    for one, following in pairwise(found):
        QWidget.setTabOrder(one, following)


def wrapped_stop(at: QWidget | None, forward: bool, found: Sequence[QWidget]) -> QWidget | None:
    """Where Tab goes from the last of the stops, back to the first (or the other way); None before that.

    Qt's own chain holds what is no stop as well, and may lead from the end into the middle of the page.
    """
    shown = [stop for stop in found if stop.isVisible() and stop.isEnabled() and not _is_passed(stop)]
    if not shown or at is not shown[-1 if forward else 0]:
        return None
    return shown[0 if forward else -1]


def go_on(window: QWidget, forward: bool, found: Sequence[QWidget]) -> bool:
    """Follows the stops, and goes from the last to the first; False where Qt goes on, by the order it has now."""
    follow_page(found)
    turned = wrapped_stop(window.focusWidget(), forward, found)
    if turned is None:
        return False
    turned.setFocus(Qt.FocusReason.TabFocusReason if forward else Qt.FocusReason.BacktabFocusReason)
    return True


def _is_passed(stop: QWidget) -> bool:
    """Of choices that exclude each other Tab stops at the one that is made."""
    if not isinstance(stop, QRadioButton) or stop.isChecked():
        return False
    group = stop.group()
    return group is not None and group.checkedButton() is not None


def stops(widget: QWidget, only_shown: bool = False) -> list[QWidget]:
    """Where Tab stops within a widget: row by row, a column of cards before the next.

    ``only_shown`` leaves out what is not visible, which Tab passes over: one page is looked at, not all of them.
    """
    found: list[QWidget] = []
    _gather(widget, only_shown, found)
    return found


def _gather(widget: QWidget, only_shown: bool, found: list[QWidget]) -> None:
    if only_shown and not widget.isVisible():
        return
    if isinstance(widget, QTabWidget):
        pages = [widget.widget(place) for place in range(widget.count())]
        for part in (widget.tabBar(), *pages):
            if part is not None:
                _gather(part, only_shown, found)
        return
    by_tab = bool(widget.focusPolicy().value & _BY_TAB)
    if by_tab:
        found.append(widget)
    if isinstance(widget, QScrollArea):  # with the keyboard it scrolls, and what is in it comes next
        inner = widget.widget()
        if inner is not None:
            _gather(inner, only_shown, found)
        return
    if by_tab:
        return
    layout = widget.layout()
    if layout is not None:
        _gather_layout(layout, only_shown, found)
        return
    parts = [child for child in widget.children() if isinstance(child, QWidget) and not child.isWindow()]
    if isinstance(widget, QSplitter):
        parts.sort(key=widget.indexOf)
    else:
        parts.sort(key=lambda part: (part.y(), part.x()))
    for part in parts:
        _gather(part, only_shown, found)


def _gather_layout(layout: QLayout, only_shown: bool, found: list[QWidget]) -> None:
    places = list(range(layout.count()))
    if isinstance(layout, QGridLayout):
        cells: dict[int, Any] = {place: layout.getItemPosition(place) for place in places}
        places.sort(key=lambda place: cells[place][:2])  # row and column
    for place in places:
        item = layout.itemAt(place)
        inner, part = (item.layout(), item.widget()) if item is not None else (None, None)
        if part is not None:
            _gather(part, only_shown, found)
        elif inner is not None:
            _gather_layout(inner, only_shown, found)
