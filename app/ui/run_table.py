"""The table of runs: model, filter and view. Its model shows the summaries of a `RunCatalog`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QByteArray,
    QItemSelection,
    QItemSelectionModel,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
    QPointF,
    QRectF,
    QSize,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QAction, QColor, QIcon, QPainter, QPen, QPixmap, QPolygonF
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QMenu,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from app.core.quantity import bytes_text, count_text, duration_text, short_count
from app.core.run_note import NAME_LENGTH
from app.core.run_report import STATE_WORDS
from app.core.run_summary import STATES, RunSummary
from app.ui import theme

Index = QModelIndex | QPersistentModelIndex
ABSENT = "–"
DOT = 8  # px
METHODS = {"lora": "LoRA", "dora": "DoRA", "full": "Full"}
DAY_S = 86_400
SELECTION_KEPT = 500  # rows: more than that are not selected again after the list changed


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its key, title and width, the text, and the value to sort by (None comes last either way)."""

    key: str
    title: str
    width: int
    text: Callable[[RunSummary], str]
    order: Callable[[RunSummary], object]
    figure: bool = False
    shown: bool = True


def _loss_text(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.4f}" if value < 1000 else f"{value:.3g}"


def created_text(created: float, now: float | None = None) -> str:
    """``14:03`` today, ``12 Mar 14:03`` within a year, ``2024-03-12`` before."""
    when, present = datetime.fromtimestamp(created), datetime.fromtimestamp(now if now is not None else time.time())
    if when.date() == present.date():
        return f"Today {when:%H:%M}"
    if abs((present - when).total_seconds()) < 300 * DAY_S:
        return f"{when.day} {when:%b %H:%M}"
    return f"{when:%Y-%m-%d}"


COLUMNS = (
    Column("state", "State", 96, lambda s: STATE_WORDS[s.state], lambda s: STATES.index(s.state)),
    Column("name", "Name", 168, lambda s: s.name, lambda s: s.name.casefold()),
    Column("curve", "Loss", 84, lambda _: "", lambda s: s.last_train_loss, figure=True),
    Column("best", "Best loss", 78, lambda s: _loss_text(s.best_val_loss), lambda s: s.best_val_loss, figure=True),
    Column("created", "Started", 104, lambda s: created_text(s.created), lambda s: s.created),
    Column("base", "Base model", 136, lambda s: short_path(s.base), lambda s: short_path(s.base).casefold()),
    Column("method", "Method", 92, lambda s: method_text(s.method), lambda s: s.method),
    Column("data", "Data", 124, lambda s: short_path(s.data), lambda s: short_path(s.data).casefold()),
    Column("targets", "Targets", 92, lambda s: s.targets, lambda s: s.targets.casefold()),
    Column(
        "parameters", "Parameters", 92,
        lambda s: short_count(s.trainable_parameters) if s.trainable_parameters else ABSENT,
        lambda s: s.trainable_parameters or None, figure=True,
    ),
    Column(
        "speed", "Tokens/s", 78, lambda s: count_text(s.tokens_per_second) if s.tokens_per_second else ABSENT,
        lambda s: s.tokens_per_second or None, figure=True,
    ),
    Column(
        "memory", "Peak memory", 104, lambda s: f"{s.peak_memory_gb:.2f} GB" if s.peak_memory_gb else ABSENT,
        lambda s: s.peak_memory_gb or None, figure=True,
    ),
    Column(
        "duration", "Duration", 92, lambda s: duration_text(s.elapsed_s) if s.elapsed_s else ABSENT,
        lambda s: s.elapsed_s or None, figure=True,
    ),
    Column(
        "iterations", "Iterations", 116, lambda s: f"{s.iteration:,} of {s.iterations:,}",
        lambda s: s.iteration, figure=True,
    ),
    Column("size", "On disk", 84, lambda s: bytes_text(s.size_bytes), lambda s: s.size_bytes, figure=True),
    Column("tags", "Tags", 120, lambda s: ", ".join(s.tags), lambda s: ", ".join(s.tags).casefold() or None),
)  # fmt: skip
KEYS = tuple(column.key for column in COLUMNS)
NAME, CURVE, CREATED = KEYS.index("name"), KEYS.index("curve"), KEYS.index("created")


def method_text(method: str) -> str:
    """``LoRA``, ``DPO, LoRA``."""
    return ", ".join(METHODS.get(part, part.replace("_", " ").upper()) for part in method.split())


def short_path(text: str) -> str:
    """The last part of a path or of a model's name on the hub."""
    return text.rstrip("/").rsplit("/", 1)[-1] or ABSENT


def state_color(state: str) -> str:
    """The colour of a state in the present scheme."""
    c = theme.colors()
    return {
        "running": c.accent, "paused": c.warning, "finished": c.good, "failed": c.error, "crashed": c.error,
    }.get(state, c.faint)  # fmt: skip


class RunTable(QAbstractTableModel):
    """All runs, in the chosen order. It sorts itself: a proxy that asks Python for each pair is far too slow."""

    renamed = Signal(object, str)  # RunSummary, the new name; empty for the adapter's own

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.runs: list[RunSummary] = []
        self._newest: list[RunSummary] = []  # the same, the newest first: what is equal in a column stays so
        self._texts: dict[int, str] = {}  # what a search looks through, by the identity of the summary
        self._column, self._descending = CREATED, True
        self._dots: dict[str, QIcon] = {}

    # -- runs -------------------------------------------------------------------------------------------------

    def show(self, runs: Sequence[RunSummary]) -> None:
        """Takes over what the catalog knows, newest first. Rows that stay where they are are only drawn anew."""
        self._newest = list(runs)
        fresh = self._ordered()
        if len(fresh) == len(self.runs) and all(map(_is_same_run, fresh, self.runs)):
            self._replace(fresh)
            return
        self.beginResetModel()
        self._set(fresh)
        self.endResetModel()

    def _replace(self, fresh: list[RunSummary]) -> None:
        changed = [row for row, (old, new) in enumerate(zip(self.runs, fresh, strict=True)) if old is not new]
        if not changed:
            return
        self._set(fresh)
        self.dataChanged.emit(self.index(changed[0], 0), self.index(changed[-1], len(COLUMNS) - 1))

    def _set(self, runs: list[RunSummary]) -> None:
        self._texts = {id(one): text for one in runs if (text := self._texts.get(id(one)))}
        self.runs = runs

    def _ordered(self) -> list[RunSummary]:
        order = COLUMNS[self._column].order
        keyed = [(order(one), one) for one in self._newest]
        with_value = [pair for pair in keyed if pair[0] is not None]
        with_value.sort(key=_first, reverse=self._descending)
        return [one for _, one in with_value] + [one for value, one in keyed if value is None]

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        self._column, self._descending = column, order == Qt.SortOrder.DescendingOrder
        self.layoutAboutToBeChanged.emit()
        old = self.persistentIndexList()
        paths = [self.runs[index.row()].run.path for index in old]
        self._set(self._ordered())
        rows = {one.run.path: row for row, one in enumerate(self.runs)} if old else {}
        self.changePersistentIndexList(
            old, [self.index(rows[path], index.column()) for path, index in zip(paths, old, strict=True)]
        )
        self.layoutChanged.emit()

    def matches(self, words: Sequence[str], states: frozenset[str]) -> list[bool]:
        """Which rows hold all ``words`` (lower case) and are in one of ``states`` (empty: any)."""
        return [(not states or one.state in states) and (not words or self._holds(one, words)) for one in self.runs]

    def _holds(self, one: RunSummary, words: Sequence[str]) -> bool:
        text = self._texts.get(id(one))
        if text is None:
            text = self._texts[id(one)] = search_text(one)
        return all(word in text for word in words)

    # -- Qt ---------------------------------------------------------------------------------------------------

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  # Qt's own default
        return 0 if parent.isValid() else len(self.runs)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(COLUMNS[section])
        return COLUMNS[section].title if role == Qt.ItemDataRole.DisplayRole else None

    def flags(self, index: Index) -> Qt.ItemFlag:
        found = super().flags(index)
        return found | Qt.ItemFlag.ItemIsEditable if index.column() == NAME else found

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        one, column = self.runs[index.row()], COLUMNS[index.column()]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return column.text(one)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column)
        if role == Qt.ItemDataRole.DecorationRole:
            return self._dot(one.state) if column.key == "state" else None
        if role == Qt.ItemDataRole.ToolTipRole:
            return tip(one, column)
        if role == Qt.ItemDataRole.ForegroundRole and column.key not in ("name", "state", "best"):
            return QColor(theme.colors().muted)
        return None

    def setData(self, index: Index, value: object, role: int = Qt.ItemDataRole.EditRole) -> bool:
        if role != Qt.ItemDataRole.EditRole or index.column() != NAME:
            return False
        name = " ".join(str(value).split())[:NAME_LENGTH]
        if name != self.runs[index.row()].name:
            self.renamed.emit(self.runs[index.row()], name)
        return True

    def begin_anew(self) -> None:
        """Has everything that shows these runs read them again."""
        self.beginResetModel()
        self.endResetModel()

    def redress(self) -> None:
        """The scheme changed."""
        self._dots.clear()
        if self.runs:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.runs) - 1, len(COLUMNS) - 1))

    def _dot(self, state: str) -> QIcon:
        if state not in self._dots:
            icon, picture = QIcon(), dot(state_color(state))
            for mode in (QIcon.Mode.Normal, QIcon.Mode.Selected):  # in a selected row Qt would tint it
                icon.addPixmap(picture, mode)
            self._dots[state] = icon
        return self._dots[state]


def _is_same_run(one: RunSummary, other: RunSummary) -> bool:
    return one is other or one.run.path == other.run.path


def _first(pair: tuple[Any, RunSummary]) -> Any:
    return pair[0]


def _alignment(column: Column) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if column.figure and column.key != "curve" else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter


def dot(color: str) -> QPixmap:
    """A filled circle, sharp on every screen."""
    picture = QPixmap(2 * DOT, 2 * DOT)
    picture.setDevicePixelRatio(2)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(QColor(color))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.drawEllipse(0, 0, DOT, DOT)
    painter.end()
    return picture


def search_text(one: RunSummary) -> str:
    """Everything of a run that a search finds, in lower case."""
    parts = (one.name, one.run.name, one.base, method_text(one.method), one.data, one.targets,
             STATE_WORDS[one.state], *one.tags, one.note)  # fmt: skip
    return "\n".join(parts).casefold()


def tip(one: RunSummary, column: Column) -> str:
    """What a cell has no room for."""
    if column.key == "state":
        return one.message or STATE_WORDS[one.state]
    if column.key == "created":
        return f"{datetime.fromtimestamp(one.created):%A, %Y-%m-%d %H:%M:%S}"
    if column.key == "best" and one.best_iteration is not None:
        return f"Best validation loss {_loss_text(one.best_val_loss)}, at iteration {one.best_iteration:,}"
    if column.key == "curve":
        return f"Last training loss {_loss_text(one.last_train_loss)}"
    if column.key == "parameters":
        return f"{count_text(one.trainable_parameters)} trained parameters"
    return {"base": one.base, "data": one.data, "name": str(one.run.path)}.get(column.key, column.text(one))


class RunFilter(QSortFilterProxyModel):
    """Which runs are shown. All rows are judged at once, so that Qt's question about each costs next to nothing."""

    def __init__(self, table: RunTable, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._table = table
        self._words: tuple[str, ...] = ()
        self._states: frozenset[str] = frozenset()
        self._accepted: list[bool] = []
        self.setDynamicSortFilter(False)
        for changed in (table.modelAboutToBeReset, table.layoutAboutToBeChanged):
            changed.connect(self._forget)
        self.setSourceModel(table)
        table.dataChanged.connect(self._on_changed)

    def choose(self, text: str, states: frozenset[str]) -> None:
        """Shows the runs that hold all words of ``text`` and are in one of ``states`` (empty: any)."""
        words = tuple(text.casefold().split())
        if (words, states) != (self._words, self._states):
            self._words, self._states = words, states
            self.again()

    def again(self) -> None:
        """Judges all rows anew. A reset is much quicker than telling the view of each stretch of rows that left."""
        self._table.begin_anew()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        if column >= 0:
            self._table.sort(column, order)

    def filterAcceptsRow(self, row: int, _parent: Index) -> bool:
        if len(self._accepted) != len(self._table.runs):
            self._accepted = self._table.matches(self._words, self._states)
        return self._accepted[row]

    def _forget(self) -> None:
        self._accepted = []

    def _on_changed(self) -> None:
        if self._words or self._states:
            self.again()


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
        self.setAccessibleName("Runs")
        self._table = table
        self.filter = RunFilter(table, self)
        self._kept: list[Path] = []
        self._kept_current: Path | None = None
        self._scrolled = 0
        self.filter.modelAboutToBeReset.connect(self._keep)
        self.setModel(self.filter)
        self.filter.modelReset.connect(self._restore)
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
        self.setItemDelegateForColumn(CURVE, CurveDelegate(self))
        self.setItemDelegateForColumn(NAME, NameDelegate(self))
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(theme.SPACE * 4)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)

    def _build_header(self) -> None:
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionsMovable(True)
        header.setTextElideMode(Qt.TextElideMode.ElideRight)
        header.setMinimumSectionSize(theme.SPACE * 5)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(self._on_header_menu)
        for place, column in enumerate(COLUMNS):
            self.setColumnWidth(place, column.width)
        header.setSortIndicator(CREATED, Qt.SortOrder.DescendingOrder)
        self.setSortingEnabled(True)

    @property
    def order(self) -> Qt.SortOrder:
        """The direction that the list is sorted in."""
        return self.horizontalHeader().sortIndicatorOrder()

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

    def choose(self, paths: Sequence[Path]) -> None:
        """Selects runs by their folders; those that are not shown are left out."""
        wanted, selection = set(paths), QItemSelection()
        last = len(COLUMNS) - 1
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

    def _restore(self) -> None:
        if self._kept:
            self.choose(self._kept)
            self.verticalScrollBar().setValue(self._scrolled)
        self.chosen_changed.emit()

    # -- columns ----------------------------------------------------------------------------------------------

    def save_columns(self) -> str:
        """Widths, order and what is hidden, as text for the settings."""
        return bytes(self.horizontalHeader().saveState().toBase64().data()).decode("ascii")

    def restore_columns(self, text: str) -> None:
        """Puts back what `save_columns` gave; anything else is left alone."""
        header = self.horizontalHeader()
        if text and header.count() == len(COLUMNS):
            header.restoreState(QByteArray.fromBase64(text.encode("ascii", "ignore")))

    def column_menu(self) -> QMenu:
        """A tick for every column but the name."""
        menu = QMenu(self)
        for place, column in enumerate(COLUMNS):
            if place == NAME:
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

    def sizeHint(self) -> QSize:
        return QSize(640, 320)
