"""The table of config differences: one line a value that is not the same in all runs, one column a run."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView, QWidget

from app.core.config_difference import Difference
from app.ui import theme

Index = QModelIndex | QPersistentModelIndex
FIELD_WIDTH, RUN_WIDTH = 176, 144  # px


class DifferenceTable(QAbstractTableModel):
    """Shows `Difference`s of runs that are named in the header."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._names: Sequence[str] = ()
        self._found: Sequence[Difference] = ()
        self._texts: list[tuple[str, ...]] = []

    def show(self, names: Sequence[str], found: Sequence[Difference]) -> None:
        """Takes over new differences; the values of each stand in the order of ``names``."""
        self.beginResetModel()
        self._names, self._found = tuple(names), tuple(found)
        self._texts = [one.texts() for one in found]
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  # Qt's own default
        return 0 if parent.isValid() else len(self._found)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else 1 + len(self._names)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return self._names[section - 1] if section else "Field"
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        found, column = self._found[index.row()], index.column()
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            if column:
                return self._texts[index.row()][column - 1]
            return found.label if role == Qt.ItemDataRole.DisplayRole else found.path
        if role == Qt.ItemDataRole.ForegroundRole and not column:
            return QColor(theme.colors().muted)
        return None


class DifferenceView(QTableView):
    """The view of a `DifferenceTable`."""

    def __init__(self, table: DifferenceTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("runs.differences")
        self.setAccessibleName("Config values in which the selected runs differ")
        self.setModel(table)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setAlternatingRowColors(True)
        self.setWordWrap(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setStyleSheet("QTableView::item { padding: 0 5px; }")  # with Qt's own 3, as the header's cells
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(theme.SPACE * 7 // 2)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultSectionSize(RUN_WIDTH)
        header.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        table.modelReset.connect(self._fit)

    def _fit(self) -> None:
        if self.model().columnCount():
            self.setColumnWidth(0, FIELD_WIDTH)
