"""Tables: a read-only model of rows under titles, and a view in the house's dress."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtWidgets import QAbstractItemView, QTableView, QWidget

from app.ui.widget import theme

Index = QModelIndex | QPersistentModelIndex
SORT_ROLE = Qt.ItemDataRole.UserRole  # what a cell is sorted by, where that is not its text
ROW_HEIGHT = theme.SPACE * 4
ALIGN_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
ALIGN_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class TableModel(QAbstractTableModel):
    """Rows under titles; figures stand at the right. Subclasses say in `data` what a cell holds."""

    def __init__(self, titles: Sequence[str], figures: Collection[str] = (), parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._titles = tuple(titles)
        self._figures = frozenset(figures)
        self.rows: Sequence[Any] = ()

    def set_rows(self, rows: Sequence[Any], titles: Sequence[str] | None = None) -> None:
        """Takes over other rows, under other titles if they are given."""
        self.beginResetModel()
        self.rows = rows
        self._titles = self._titles if titles is None else tuple(titles)
        self.endResetModel()

    def refresh(self) -> None:
        """Something in the rows changed, or the scheme did; how many there are did not."""
        if self.rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.rows) - 1, len(self._titles) - 1))

    def alignment(self, column: int) -> Qt.AlignmentFlag:
        """Where the cells of a column and its title stand."""
        return ALIGN_RIGHT if self._titles[column] in self._figures else ALIGN_LEFT

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  # Qt's own default
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._titles)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return self.alignment(section)
        return self._titles[section] if role == Qt.ItemDataRole.DisplayRole else None


class TableView(QTableView):
    """One row is chosen at a time, by mouse or arrow keys; Tab leaves the table."""

    def __init__(
        self, name: str, accessible_name: str, parent: QWidget | None = None, *, row_height: int = ROW_HEIGHT
    ) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setAccessibleName(accessible_name)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setAlternatingRowColors(True)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setStyleSheet("QTableView::item { padding: 0 5px; }")  # with Qt's own 3, as the header's cells
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(theme.line_px(row_height))
        self.horizontalHeader().setHighlightSections(False)
        self.horizontalHeader().setDefaultAlignment(ALIGN_LEFT)
