"""The grid of answers: two to four columns side by side, in rows of two where the window is narrow."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QWidget

from app.core.compare.candidate import LEAST_COLUMNS, MOST_COLUMNS
from app.ui.compare.answer_chooser import CandidateList
from app.ui.compare.answer_column import AnswerColumn
from app.ui.widget import theme

COLUMN_WIDTH, COLUMN_HEIGHT = 264, 240  # px, at least


class AnswerGrid(QWidget):
    """Holds the columns, each of them one candidate's. While names are hidden, they stand in another order."""

    chosen = Signal(int)  # the column that has another candidate
    scrolled = Signal()  # an answer within its column
    export_requested = Signal(object)  # the Candidate
    chat_requested = Signal(object)
    serve_requested = Signal(object)
    removed = Signal(int)  # the number that the column had

    def __init__(self, found: CandidateList, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._list = found
        self.columns: list[AnswerColumn] = []
        self._order: tuple[int, ...] = ()
        self._across = 0
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(theme.SPACE * 2)

    @property
    def order(self) -> tuple[int, ...]:
        """Which column stands at each place, from the left."""
        return self._order

    def set_order(self, order: Sequence[int]) -> None:
        """Shows the columns in another order."""
        if tuple(order) != self._order:
            self._order = tuple(order)
            self._arrange()

    def set_count(self, count: int) -> None:
        """Adds columns at the end, or takes the last ones away; the order is then the columns' own."""
        while len(self.columns) > count:
            self._drop(len(self.columns) - 1)
        while len(self.columns) < count:
            column = AnswerColumn(self._list, self)
            column.setMinimumHeight(COLUMN_HEIGHT)
            column.chosen.connect(self._on_chosen)
            column.view.verticalScrollBar().valueChanged.connect(self.scrolled)
            column.remove_requested.connect(self._on_remove)
            column.export_requested.connect(self.export_requested)
            column.chat_requested.connect(self.chat_requested)
            column.serve_requested.connect(self.serve_requested)
            self.columns.append(column)
        self._order = tuple(range(count))
        for index, column in enumerate(self.columns):
            column.set_index(index)
            column.remove.setVisible(count > LEAST_COLUMNS)
        self._arrange()

    def resizeEvent(self, resized: QResizeEvent) -> None:
        super().resizeEvent(resized)
        if self._fitting() != self._across:
            self._arrange()

    def _fitting(self) -> int:
        """How many columns stand side by side: all of them, or two."""
        gap, count = self._grid.spacing(), len(self.columns)
        return count if self.width() >= count * (COLUMN_WIDTH + gap) - gap else min(count, 2)

    def _arrange(self) -> None:
        self._across = self._fitting()
        for column in self.columns:
            self._grid.removeWidget(column)
        for place, index in enumerate(self._order):
            self._grid.addWidget(self.columns[index], place // self._across, place % self._across)
        for across in range(MOST_COLUMNS):
            self._grid.setColumnStretch(across, 1 if across < self._across else 0)
        for before, after in zip(self._order, self._order[1:], strict=False):
            QWidget.setTabOrder(self.columns[before], self.columns[after])

    def _drop(self, index: int) -> None:
        column = self.columns.pop(index)
        self._grid.removeWidget(column)
        column.hide()
        column.deleteLater()

    def _on_chosen(self) -> None:
        column = self.sender()
        assert isinstance(column, AnswerColumn)
        self.chosen.emit(self.columns.index(column))

    def _on_remove(self) -> None:
        column = self.sender()
        assert isinstance(column, AnswerColumn)
        index = self.columns.index(column)
        self._drop(index)
        self.set_count(len(self.columns))
        self.removed.emit(index)
