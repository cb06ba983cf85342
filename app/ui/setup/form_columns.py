"""The columns of a form: its cards one under the other, in two columns where a window is wide."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.ui.widget import theme

FORM_WIDTH = 900  # px; longer lines are hard to read
COLUMN_GAP = theme.SPACE * 2  # px


class FormColumns(QWidget):
    """Lays out the sections that it is filled with, some of them in the second column when it is told to.

    Both keep the order of the page, so that the keyboard goes down the first column, then down the second.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._right: tuple[QWidget, ...] = ()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        self._columns = QVBoxLayout(), QVBoxLayout()
        for column in self._columns:
            column.setSpacing(COLUMN_GAP)
            row.addLayout(column)
        self._row = row
        row.setStretch(0, 1)
        self.is_double = False

    def fill(self, sections: Sequence[QWidget], right: Sequence[QWidget]) -> None:
        """Lays out its children ``sections``, those of ``right`` in the second column where there are two."""
        self._right = tuple(right)
        for section in sections:
            section.raise_()  # screen readers go by the order of the children
            self._columns[0].addWidget(section)
        self._columns[0].addStretch(1)

    def set_double(self, double: bool) -> None:
        """Two columns, or one."""
        if double == self.is_double:
            return
        self.is_double = double
        self._row.setSpacing(COLUMN_GAP if double else 0)
        self._row.setStretch(1, 1 if double else 0)
        first, second = self._columns
        for section in self._right:
            (first if double else second).removeWidget(section)
            if double:
                second.addWidget(section)
            else:
                first.insertWidget(first.count() - 1, section)
        if double:
            second.addStretch(1)
        else:
            second.takeAt(second.count() - 1)
