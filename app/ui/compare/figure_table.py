"""The table of figures: a row a figure, a column a candidate."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QWidget

from app.core.compare.figure_row import FigureRow
from app.core.language import tr
from app.ui.widget import theme
from app.ui.widget.table import ALIGN_RIGHT, Index, TableModel, TableView

FIGURE_LABEL_WIDTH = theme.SPACE * 17
FIGURE_LINE_HEIGHT = theme.SPACE * 7 // 2
FIRST_HEADING = tr("Figure")


class FigureTable(TableModel):
    """Shows `FigureRow`s of candidates that are named in the header."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__((FIRST_HEADING,), parent=parent)

    def show(self, labels: Sequence[str], rows: Sequence[FigureRow]) -> None:
        """Takes over other figures."""
        self.set_rows(rows, (FIRST_HEADING, *labels))

    def alignment(self, column: int) -> Qt.AlignmentFlag:
        return ALIGN_RIGHT if column else super().alignment(column)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if role == Qt.ItemDataRole.ToolTipRole and orientation == Qt.Orientation.Horizontal:
            return self._titles[section]
        return super().headerData(section, orientation, role)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        row, column = self.rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return row.cells[column - 1] if column else row.label
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{row.cells[column - 1]}: {row.what}" if column else row.what
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return self.alignment(column)
        if role == Qt.ItemDataRole.ForegroundRole and not column:
            return QColor(theme.colors().muted)
        return None


class FigureView(TableView):
    """The view of a `FigureTable`: as high as its rows, for a page that scrolls."""

    def __init__(self, table: FigureTable, parent: QWidget | None = None) -> None:
        super().__init__("figures.table", tr("Figures of the candidates"), parent, row_height=FIGURE_LINE_HEIGHT)
        self.setModel(table)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        header = self.horizontalHeader()
        header.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        header.setMinimumSectionSize(theme.SPACE * 10)
        table.modelReset.connect(self._fit)
        theme.theme().changed.connect(table.refresh)

    def _fit(self) -> None:
        header, model = self.horizontalHeader(), self.model()
        for column in range(model.columnCount()):
            mode = QHeaderView.ResizeMode.Stretch if column else QHeaderView.ResizeMode.Fixed
            header.setSectionResizeMode(column, mode)
        if model.columnCount():
            self.setColumnWidth(0, theme.text_width(FIGURE_LABEL_WIDTH))
        rows = theme.line_px(FIGURE_LINE_HEIGHT) * model.rowCount()
        self.setFixedHeight(header.sizeHint().height() + rows + 2 * self.frameWidth())
