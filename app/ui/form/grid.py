"""A grid of fields that folds with the width."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QSize
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QGridLayout,
    QSizePolicy,
    QWidget,
)

from app.ui.form.field import Field
from app.ui.widget import theme

GRID_COLUMN_WIDTH = 168  # px in Inter; narrower columns would cut labels
MAX_COLUMNS = 4


class FieldGrid(QWidget):
    """Fields side by side: four columns when wide, then three, two, one. Switches get rows of their own.

    ``column_width`` is in px of Inter at the usual size. A column is never narrower than what a field in it needs,
    so that no text is cut in a wider font.
    """

    def __init__(
        self,
        parent: QWidget | None = None,
        *,
        max_columns: int = MAX_COLUMNS,
        column_width: int = GRID_COLUMN_WIDTH,
    ) -> None:
        super().__init__(parent)
        self._items: list[QWidget] = []
        self._absent: set[QWidget] = set()
        # Until the width is known: most windows have room for all, and what is folded anew is laid out twice.
        self._columns = max_columns
        self._max_columns, self._column_width = max_columns, theme.text_width(column_width)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(theme.SPACE * 2)
        self._grid.setVerticalSpacing(theme.SPACE * 2)

    def add(self, widget: QWidget) -> None:
        """Appends a field (or any widget)."""
        self._items.append(widget)
        widget.setParent(self)
        # What is in a column must not make it wider than its neighbours.
        widget.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._arrange(self._columns)

    def remove(self, widget: QWidget) -> None:
        """Takes a widget out and deletes it."""
        self._items.remove(widget)
        self._absent.discard(widget)
        self._grid.removeWidget(widget)
        widget.hide()
        widget.deleteLater()

    def set_present(self, widget: QWidget, present: bool) -> None:
        """Leaves a widget out without a gap, or takes it in again at its place."""
        if present != (widget not in self._absent):
            self._absent ^= {widget}
            widget.setVisible(present)
            self._arrange(self._columns)

    @property
    def columns(self) -> int:
        """How many columns there are at the present width."""
        return self._columns

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fold()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.LayoutRequest:  # a text in it has become longer or shorter
            self._fold()
        return super().event(event)

    def minimumSizeHint(self) -> QSize:
        """One column may be the whole width: the grid itself must not keep the window wide."""
        return QSize(self._needed(), super().minimumSizeHint().height())

    def _needed(self) -> int:
        """The width in px without which something in a column would be cut."""
        return max((item.minimumSizeHint().width() for item in self._items if item not in self._absent), default=0)

    def _fold(self) -> None:
        gap = self._grid.horizontalSpacing()
        column = max(self._column_width, self._needed())
        columns = min(self._max_columns, max(1, (self.width() + gap) // (column + gap)))
        if columns != self._columns:
            self._arrange(columns)

    def _arrange(self, columns: int) -> None:
        for column in range(self._max_columns):
            self._grid.setColumnStretch(column, 1 if column < columns else 0)
        for item in self._items:
            self._grid.removeWidget(item)
        self._columns = columns
        shown = [w for w in self._items if w not in self._absent]
        switches = [w for w in shown if isinstance(w, Field) and w.is_switch]
        boxes = [w for w in shown if w not in switches]
        first = self._place(boxes, 0, columns)
        self._place(switches, first, columns)

    def _place(self, items: Sequence[QWidget], row: int, columns: int) -> int:
        for index, item in enumerate(items):
            place = row + index // columns, index % columns
            self._grid.addWidget(item, *place)
        return row + -(-len(items) // columns)
