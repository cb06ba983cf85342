"""The order in which Tab goes through a page: that in which the page is read."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLayout, QScrollArea, QSplitter, QWidget


def follow_page(root: QWidget) -> None:
    """Makes Tab follow the layouts within ``root``, whenever and in whatever order its parts were made."""
    found = list(stops(root))
    for one, following in pairwise(found):
        QWidget.setTabOrder(one, following)


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
