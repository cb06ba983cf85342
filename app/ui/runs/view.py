"""The list of runs as a table on screen, with its small curves and names that are edited in place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import (
    QByteArray,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QPoint,
    QPointF,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QAction, QColor, QPainter, QPen, QPolygonF, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QMenu,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from app.core.language import tr
from app.core.run.summary import RunSummary
from app.ui.runs.column import COLUMN_KEYS, CREATED_COLUMN, CURVE_COLUMN, NAME_COLUMN, RUN_COLUMNS, STATE_COLUMN
from app.ui.runs.table import DOT, RunFilter, RunTable
from app.ui.widget import theme
from app.ui.widget.table import Index

NAME_PADDING = 24  # px
FITTED_ROWS = 100  # of a list of thousands the first ones say how wide a column is
WIDEST_COLUMN = 220  # px in Inter
NAME_WIDTHS, NAME_SHARE = (232, 380), 0.42  # px that names get at least and at most, and of the list's width
SELECTION_KEPT = 500  # rows: more than that are not selected again after the list changed


class CurveDelegate(QStyledItemDelegate):
    """Paints a run's loss as a small line."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        super().paint(painter, option, index)
        view = self.parent()
        assert isinstance(view, RunView)
        values = view.summary(index).curve
        if len(values) < 2:
            return
        area = QRectF(option.rect).adjusted(8, 8, -8, -8)
        low, high = min(values), max(values)
        across, down = area.width() / (len(values) - 1), area.height() / ((high - low) or 1)
        line = QPolygonF(
            [QPointF(area.left() + i * across, area.bottom() - (v - low) * down) for i, v in enumerate(values)]
        )
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(theme.colors().train_line), 1.5))
        painter.drawPolyline(line)
        painter.restore()


class NameDelegate(QStyledItemDelegate):
    """The editor of a name covers the whole cell."""

    def updateEditorGeometry(self, editor: QWidget, option: QStyleOptionViewItem, _index: Index) -> None:
        editor.setGeometry(option.rect)
        editor.setStyleSheet("padding: 0 4px; border-radius: 4px; min-height: 0;")


class RunView(QTableView):
    """The view of a `RunTable` through a `RunFilter`. Enter or a double click opens, F2 renames."""

    chosen_changed = Signal()

    def __init__(self, table: RunTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("runs.table")
        self.setAccessibleName(tr("Runs"))
        self._table = table
        self.filter = RunFilter(table, self)
        self._kept: list[Path] = []
        self._kept_current: Path | None = None
        self._scrolled = 0
        self._is_fitting = False
        self._name_width = 0  # px, before names get what no other column wants
        self._wanted: dict[int, int] = {}  # px that the texts of a column take, by its place
        self._chosen_widths: set[int] = set()  # columns that somebody made as wide as they are
        self.filter.modelAboutToBeReset.connect(self._keep)
        self.setModel(self.filter)
        self.filter.modelReset.connect(self._restore)
        self.filter.dataChanged.connect(self._on_texts)
        self.selectionModel().selectionChanged.connect(self.chosen_changed)
        self._dress()
        self._build_header()
        theme.theme().changed.connect(table.redress)

    def _dress(self) -> None:
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(
            QAbstractItemView.EditTrigger.EditKeyPressed | QAbstractItemView.EditTrigger.SelectedClicked
        )
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setAlternatingRowColors(True)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        # With Qt's own 3 px, as the header's cells; and no white corner between the scroll bars.
        self.setStyleSheet("QTableView::item { padding: 0 5px; } QAbstractScrollArea::corner { border: none; }")
        self.setIconSize(QSize(DOT, DOT))
        self.setItemDelegateForColumn(CURVE_COLUMN, CurveDelegate(self))
        self.setItemDelegateForColumn(NAME_COLUMN, NameDelegate(self))
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(theme.line_px(theme.SPACE * 4))
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)

    def _build_header(self) -> None:
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionsMovable(True)
        header.setTextElideMode(Qt.TextElideMode.ElideRight)
        header.setMinimumSectionSize(theme.SPACE * 5)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(self._on_header_menu)
        for place, column in enumerate(RUN_COLUMNS):
            self.setColumnWidth(place, theme.text_width(column.width))
            self.setColumnHidden(place, not column.shown)
        header.sectionResized.connect(self._on_resized)
        header.setSortIndicator(CREATED_COLUMN, Qt.SortOrder.DescendingOrder)
        self.setSortingEnabled(True)

    # -- selection --------------------------------------------------------------------------------------------

    @property
    def is_editing(self) -> bool:
        """True while a name is being typed."""
        return bool(self.state() == QAbstractItemView.State.EditingState)

    def summary(self, index: Index) -> RunSummary:
        """The run of an index of this view."""
        return self._table.runs[self.filter.mapToSource(index).row()]

    def chosen(self) -> list[RunSummary]:
        """The selected runs, from the top."""
        rows = sorted(self.selectionModel().selectedRows(), key=lambda index: index.row())
        return [self.summary(index) for index in rows]

    def shown(self) -> list[Path]:
        """The folders of the runs that are listed, from the top."""
        return [self.summary(self.filter.index(row, 0)).run.path for row in range(self.filter.rowCount())]

    def choose(self, paths: Sequence[Path]) -> None:
        """Selects runs by their folders; those that are not shown are left out."""
        wanted, selection = set(paths), QItemSelection()
        last = len(RUN_COLUMNS) - 1
        first: QModelIndex | None = None
        for row, one in enumerate(self._table.runs if wanted else ()):
            if one.run.path in wanted:
                place = self.filter.mapFromSource(self._table.index(row, 0))
                if place.isValid():
                    selection.select(place, self.filter.index(place.row(), last))
                    if first is None or one.run.path == self._kept_current:
                        first = place
        if first is not None:
            self.selectionModel().setCurrentIndex(first, QItemSelectionModel.SelectionFlag.NoUpdate)
        self.selectionModel().select(selection, QItemSelectionModel.SelectionFlag.ClearAndSelect)

    def _keep(self) -> None:
        rows = self.selectionModel().selectedRows() if self.selectionModel() else []
        self._kept = [self.summary(index).run.path for index in rows[:SELECTION_KEPT]]
        current = self.currentIndex()
        self._kept_current = self.summary(current).run.path if current.isValid() else None
        self._scrolled = self.verticalScrollBar().value()

    def _fit_columns(self) -> None:
        """Gives every text its room, names as far as there is some, until somebody chose a width."""
        shown = [self.summary(self.filter.index(row, 0)) for row in range(min(self.filter.rowCount(), FITTED_ROWS))]
        self._wanted = self._widths_for(shown)
        self._set_widths()

    def _widths_for(self, runs: Sequence[RunSummary]) -> dict[int, int]:
        """The px that the texts of runs take in each column, by its place, and its title."""
        return {
            # Each text once: most of them are the same.
            place: max(
                max(map(self.fontMetrics().horizontalAdvance, {column.text(run) for run in runs}), default=0)
                + NAME_PADDING
                + (2 * DOT if place == STATE_COLUMN else 0),
                self.horizontalHeader().sectionSizeHint(place),
            )
            for place, column in enumerate(RUN_COLUMNS)
            if place != CURVE_COLUMN
        }

    def _on_texts(self, first: QModelIndex, last: QModelIndex) -> None:
        """Columns grow with texts that became longer; they do not shrink under the pointer."""
        rows = range(first.row(), min(last.row() + 1, FITTED_ROWS))
        found = self._widths_for([self.summary(self.filter.index(row, 0)) for row in rows])
        if any(width > self._wanted.get(place, 0) for place, width in found.items()):
            self._wanted |= {place: max(width, self._wanted.get(place, 0)) for place, width in found.items()}
            self._set_widths()

    def _set_widths(self) -> None:
        """Columns get what they want up to a width that leaves room for others, and what is over goes round."""
        self._is_fitting = True
        free = [place for place in self._wanted if place != NAME_COLUMN and place not in self._chosen_widths]
        for place in free:
            least, most = theme.text_width(RUN_COLUMNS[place].width), theme.text_width(WIDEST_COLUMN)
            self.setColumnWidth(place, round(max(least, min(self._wanted[place], most))))
        self._is_fitting = False
        self._fit_names()
        self._is_fitting = True
        used = sum(self.columnWidth(place) for place in range(len(RUN_COLUMNS)) if not self.isColumnHidden(place))
        spare = self.viewport().width() - used
        for place in free:  # rather close together than out of sight
            loose = self.columnWidth(place) - self._wanted[place] if not self.isColumnHidden(place) else 0
            if spare < 0 < loose:
                self.setColumnWidth(place, self.columnWidth(place) - min(loose, -spare))
                spare += min(loose, -spare)
        for place in [*({NAME_COLUMN} - self._chosen_widths), *free]:
            lacking = min(self._wanted.get(place, 0) - self.columnWidth(place), spare)
            if lacking > 0 and not self.isColumnHidden(place):
                self.setColumnWidth(place, self.columnWidth(place) + lacking)
                spare -= lacking
        self._is_fitting = False

    def _fit_names(self) -> None:
        """Gives names the room to be read whole, as far as there is some, until somebody chose the width."""
        if NAME_COLUMN in self._chosen_widths:
            return
        wanted = self.fontMetrics().horizontalAdvance(self._table.longest_name()) + NAME_PADDING
        least, most = (round(theme.text_width(width)) for width in NAME_WIDTHS)
        room = max(least, min(most, round(self.viewport().width() * NAME_SHARE)))
        self._is_fitting = True
        usual = round(theme.text_width(RUN_COLUMNS[NAME_COLUMN].width))
        self._name_width = max(min(self._name_width or usual, room), min(wanted, room))
        self.setColumnWidth(NAME_COLUMN, self._name_width)
        self._is_fitting = False

    def _on_resized(self, place: int, before: int, now: int) -> None:
        if not self._is_fitting and before and now:  # else it was hidden, or is shown again
            self._chosen_widths.add(place)

    def resizeEvent(self, resized: QResizeEvent) -> None:
        super().resizeEvent(resized)
        self._set_widths()

    def _restore(self) -> None:
        self._fit_columns()
        if self._kept:
            self.choose(self._kept)
            self.verticalScrollBar().setValue(self._scrolled)
        self.chosen_changed.emit()

    # -- columns ----------------------------------------------------------------------------------------------

    def save_columns(self) -> str:
        """Widths, order and what is hidden, and which widths somebody chose, as text for the settings."""
        state = bytes(self.horizontalHeader().saveState().toBase64().data()).decode("ascii")
        return " ".join([state, *(COLUMN_KEYS[place] for place in sorted(self._chosen_widths))])

    def restore_columns(self, text: str) -> None:
        """Puts back what `save_columns` gave; anything else is left alone."""
        header = self.horizontalHeader()
        state, *chosen = text.split(" ")
        if state and header.count() == len(RUN_COLUMNS):
            self._is_fitting = True
            header.restoreState(QByteArray.fromBase64(state.encode("ascii", "ignore")))
            self._is_fitting = False
            self._chosen_widths = {COLUMN_KEYS.index(key) for key in chosen if key in COLUMN_KEYS}
            self._name_width = self.columnWidth(NAME_COLUMN)

    def column_menu(self) -> QMenu:
        """A tick for every column but the name."""
        menu = QMenu(self)
        for place, column in enumerate(RUN_COLUMNS):
            if place == NAME_COLUMN:
                continue
            action = QAction(column.title, menu)
            action.setCheckable(True)
            action.setChecked(not self.isColumnHidden(place))
            action.setData(place)
            action.toggled.connect(self._on_column)
            menu.addAction(action)
        return menu

    def _on_header_menu(self, place: QPoint) -> None:
        menu = self.column_menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.horizontalHeader().mapToGlobal(place))

    def _on_column(self, shown: bool) -> None:
        action = self.sender()
        assert isinstance(action, QAction)
        self.setColumnHidden(int(action.data()), not shown)
        self._set_widths()

    def sizeHint(self) -> QSize:
        return QSize(640, 320)
