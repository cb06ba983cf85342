"""The table of config differences: one line a value that is not the same in all runs, one column a run."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QWidget

from app.core.language import tr
from app.core.run.difference import ConfigDifference
from app.ui.widget import theme
from app.ui.widget.fitted_table import FittedTableView
from app.ui.widget.table import Index, TableModel

FIELD_WIDTH, RUN_WIDTH = 120, 144  # px in Inter


class DifferenceTable(TableModel):
    """Shows `ConfigDifference`s of runs that are named in the header."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__((tr("Field"),), parent=parent)
        self._texts: list[tuple[str, ...]] = []

    def show(self, names: Sequence[str], found: Sequence[ConfigDifference]) -> None:
        """Takes over new differences; the values of each stand in the order of ``names``."""
        self._texts = [one.texts() for one in found]
        self.set_rows(tuple(found), (tr("Field"), *names))

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        tip = role == Qt.ItemDataRole.ToolTipRole  # the names of runs are long
        return super().headerData(section, orientation, Qt.ItemDataRole.DisplayRole if tip else role)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        found, column = self.rows[index.row()], index.column()
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            if column:
                return self._texts[index.row()][column - 1]
            return found.label if role == Qt.ItemDataRole.DisplayRole else found.path
        if role == Qt.ItemDataRole.ForegroundRole and not column:
            return QColor(theme.colors().muted)
        return None


class DifferenceView(FittedTableView):
    """The view of a `DifferenceTable`."""

    least, least_of_others = (FIELD_WIDTH,), RUN_WIDTH

    def __init__(self, table: DifferenceTable, parent: QWidget | None = None) -> None:
        name = tr("Config values in which the selected runs differ")
        super().__init__("runs.differences", name, parent, row_height=theme.SPACE * 7 // 2)
        self.setModel(table)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        header = self.horizontalHeader()
        header.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
