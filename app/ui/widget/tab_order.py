"""The order in which Tab goes through a page: that in which the page is read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLayout, QScrollArea, QSplitter, QWidget


def follow_page(*roots: QWidget) -> None:
    """Makes Tab follow the layouts within the roots, whenever and in whatever order their parts were made."""
    found = [stop for root in roots for stop in stops(root)]
    for one, following in pairwise(found):
        QWidget.setTabOrder(one, following)


def wrapped_stop(at: QWidget | None, forward: bool, *roots: QWidget) -> QWidget | None:
    """Where Tab goes from the last stop within the roots, back to the first (or the other way); None before that.

    Qt's own chain holds what is no stop as well, and may lead from the end into the middle of the page.
    """
    shown = [stop for root in roots for stop in stops(root) if stop.isVisible() and stop.isEnabled()]
    if not shown or at is not shown[-1 if forward else 0]:
        return None
    return shown[0 if forward else -1]


def stops(widget: QWidget) -> Iterator[QWidget]:
    """Where Tab stops within a widget: row by row, a column of cards before the next."""
    if widget.focusPolicy() & Qt.FocusPolicy.TabFocus:
        yield widget
        return
    if isinstance(widget, QScrollArea):
        inner = widget.widget()
        yield from stops(inner) if inner is not None else ()
        return
    layout = widget.layout()
    if layout is not None:
        yield from _of_layout(layout)
        return
    parts = [child for child in widget.children() if isinstance(child, QWidget) and not child.isWindow()]
    if isinstance(widget, QSplitter):
        parts.sort(key=widget.indexOf)
    else:
        parts.sort(key=lambda part: (part.y(), part.x()))
    for part in parts:
        yield from stops(part)


def _of_layout(layout: QLayout) -> Iterator[QWidget]:
    places = list(range(layout.count()))
    if isinstance(layout, QGridLayout):
        cells: dict[int, Any] = {place: layout.getItemPosition(place) for place in places}
        places.sort(key=lambda place: cells[place][:2])  # row and column
    for place in places:
        item = layout.itemAt(place)
        inner, part = (item.layout(), item.widget()) if item is not None else (None, None)
        if part is not None:
            yield from stops(part)
        elif inner is not None:
            yield from _of_layout(inner)
