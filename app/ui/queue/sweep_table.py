"""The table of a sweep's results: a line a variant, the best one marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QModelIndex, QObject, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QIcon
from PySide6.QtWidgets import QAbstractItemView, QWidget

from app.core.config.spec import field_specs
from app.core.language import tr
from app.core.quantity import duration_text, loss_text, memory_text, rate_text
from app.core.queue.sweep import SweepResult, best_result, sweep_paths, value_word
from app.core.run.summary import RunSummary
from app.ui.queue.table import ENTRY_STATE_WORDS, entry_color
from app.ui.runs.column import ABSENT
from app.ui.runs.table import DOT, dot
from app.ui.widget import theme
from app.ui.widget.table import Index, TableModel, TableView

SWEEP_FIGURE_WIDTH, STATE_WIDTH, CELL_PADDING = 66, 92, 20  # px


@dataclass(frozen=True, slots=True)
class SweepFigure:
    """A column of figures: its title, its value (None where there is none yet) and that value as text."""

    title: str
    value: Callable[[SweepResult], float | None]
    text: Callable[[float], str]


def _measured(read: Callable[[RunSummary], float]) -> Callable[[SweepResult], float | None]:
    """A figure of a run's summary that counts from 0, which means that there is none yet."""
    return lambda one: (read(one.summary) or None) if one.summary is not None else None


SWEEP_FIGURES = (
    SweepFigure(tr("Best loss"), lambda one: one.loss, loss_text),
    SweepFigure("Tokens/s", _measured(lambda found: found.tokens_per_second), rate_text),
    SweepFigure(tr("Peak memory"), _measured(lambda found: found.peak_memory_gb), memory_text),
    SweepFigure(tr("Time"), _measured(lambda found: found.elapsed_s), duration_text),
)


class SweepTable(TableModel):
    """The results of one sweep: the varied fields, the state, and the figures."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__((), [figure.title for figure in SWEEP_FIGURES], parent)
        self.best: SweepResult | None = None
        self.paths: list[str] = []
        self._order: tuple[int, Qt.SortOrder] | None = None

    @property
    def results(self) -> Sequence[SweepResult]:
        """The variants from the top."""
        return self.rows

    def show(self, results: Sequence[SweepResult]) -> None:
        """Shows these results; where they are those of the same sweep, selection and place stay."""
        same = {one.entry.id for one in results} == {one.entry.id for one in self.results}
        self.best, self.paths = best_result(results), sweep_paths(results)
        labels = [field_specs()[path].label for path in self.paths]
        if same:
            self.rows = self._sorted(results)
            self.refresh()
        else:
            self.set_rows(
                self._sorted(results), [*labels, tr("State"), *(figure.title for figure in SWEEP_FIGURES)]
            )

    # -- Qt ---------------------------------------------------------------------------------------------------

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        one, column = self.results[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(one, column)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return self.alignment(column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return one.entry.message if column == len(self.paths) and one.entry.message else one.entry.name
        if role == Qt.ItemDataRole.DecorationRole and column == len(self.paths):
            return QIcon(dot(entry_color(one.entry.state)))
        if role == Qt.ItemDataRole.DecorationRole and column == 0 and one is self.best:
            return theme.icon("ph.star-fill", theme.colors().good)
        if role == Qt.ItemDataRole.BackgroundRole and one is self.best:
            return QColor(theme.colors().good_soft)
        if role == Qt.ItemDataRole.FontRole and one is self.best:
            font = QFont(theme.ui_font())
            font.setWeight(QFont.Weight.DemiBold)
            return font
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self.layoutAboutToBeChanged.emit()
        self._order = (column, order) if column >= 0 else None
        self.rows = self._sorted(self.rows)
        self.layoutChanged.emit()

    def _sorted(self, results: Sequence[SweepResult]) -> list[SweepResult]:
        """What has no value yet comes last, either way."""
        if self._order is None or self._order[0] > len(self.paths) + len(SWEEP_FIGURES):
            return list(results)
        column, down = self._order[0], self._order[1] == Qt.SortOrder.DescendingOrder
        keyed = [(self._value(one, column), one) for one in results]
        known = sorted((pair for pair in keyed if pair[0] is not None), key=_first, reverse=down)
        return [one for _, one in known] + [one for value, one in keyed if value is None]

    def _value(self, one: SweepResult, column: int) -> float | str | None:
        if column < len(self.paths):
            value = one.entry.values.get(self.paths[column])
            return value if isinstance(value, int | float) else str(value)
        place = column - len(self.paths) - 1
        return SWEEP_FIGURES[place].value(one) if place >= 0 else ENTRY_STATE_WORDS[one.entry.state]

    def _text(self, one: SweepResult, column: int) -> str:
        if column < len(self.paths):
            return value_word(one.entry.values.get(self.paths[column]))
        place = column - len(self.paths) - 1
        if place < 0:
            return ENTRY_STATE_WORDS[one.entry.state]
        value = SWEEP_FIGURES[place].value(one)
        return SWEEP_FIGURES[place].text(value) if value is not None else ABSENT


def _first(pair: tuple[float | str | None, SweepResult]) -> tuple[bool, float | str | None]:
    return isinstance(pair[0], str), pair[0]


class SweepView(TableView):
    """The view of a `SweepTable`; ``opened(entry)`` when a line is double-clicked."""

    opened = Signal(object)  # QueueEntry

    def __init__(self, table: SweepTable, parent: QWidget | None = None) -> None:
        super().__init__("sweep.table", tr("Results of the sweep"), parent)
        self._table = table
        self.setModel(table)
        table.modelReset.connect(self._size_columns)
        theme.theme().changed.connect(table.refresh)
        self.activated.connect(self._on_activated)
        self.setAlternatingRowColors(False)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setIconSize(QSize(DOT, DOT))
        header = self.horizontalHeader()
        header.setStretchLastSection(True)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.setSortingEnabled(True)

    def _size_columns(self) -> None:
        header = self.horizontalHeader()
        for column in range(self._table.columnCount()):
            title = self._table.headerData(column, Qt.Orientation.Horizontal)
            wide = STATE_WIDTH if column == len(self._table.paths) else SWEEP_FIGURE_WIDTH
            self.setColumnWidth(
                column, max(wide, header.fontMetrics().horizontalAdvance(str(title)) + CELL_PADDING)
            )

    def _on_activated(self, index: QModelIndex) -> None:
        self.opened.emit(self._table.results[index.row()].entry)

    def sizeHint(self) -> QSize:
        return QSize(560, 200)
