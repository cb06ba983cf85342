"""The table of runs: model, filter and view. Its model shows the summaries of a `RunCatalog`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QModelIndex,
    QObject,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap

from app.core.language import tr
from app.core.quantity import count_text
from app.core.run.note import NAME_LENGTH
from app.core.run.report import STATE_WORDS
from app.core.run.summary import RunSummary
from app.ui.platform.own_texts import weekday_name
from app.ui.runs.column import CREATED_COLUMN, NAME_COLUMN, RUN_COLUMNS, Column, known_loss, method_text
from app.ui.widget import theme
from app.ui.widget.table import Index

DOT = 8  # px
TRADE_COLUMNS = {
    "learned": tr("How far the validation loss fell below the base model's, in nats a token"),
    "forgot": tr("How far the loss on neutral text rose above the base model's, in nats a token"),
}
NOT_MEASURED = tr("It was not measured")


def state_color(state: str) -> str:
    """The colour of a state in the present scheme."""
    c = theme.colors()
    return {
        "preparing": c.accent, "running": c.accent, "elsewhere": c.accent, "paused": c.warning, "finished": c.good,
        "early_stopping": c.good, "failed": c.error, "crashed": c.error,
    }.get(state, c.faint)  # fmt: skip


class RunTable(QAbstractTableModel):
    """All runs, in the chosen order. It sorts itself: a proxy that asks Python for each pair is far too slow."""

    rename_asked = Signal(object, str)  # RunSummary, the new name; empty for the adapter's own
    names_changed = Signal()  # some run has another name than before, whoever gave it

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.runs: list[RunSummary] = []
        self._newest: list[RunSummary] = []  # the same, the newest first: what is equal in a column stays so
        self._texts: dict[int, str] = {}  # what a search looks through, by the identity of the summary
        self._longest: str | None = None
        self._column, self._descending = CREATED_COLUMN, True
        self._dots: dict[str, QIcon] = {}

    # -- runs -------------------------------------------------------------------------------------------------

    def show(self, runs: Sequence[RunSummary]) -> None:
        """Takes over what the catalog knows, newest first. Rows that stay where they are are only drawn anew."""
        known = {one.run.path: one.name for one in self._newest}
        self._newest = list(runs)
        fresh = self._ordered()
        if len(fresh) == len(self.runs) and all(map(_is_same_run, fresh, self.runs)):
            self._replace(fresh)
        else:
            self.beginResetModel()
            self._set(fresh)
            self.endResetModel()
        if any(known.get(one.run.path, one.name) != one.name for one in self._newest):
            self.names_changed.emit()

    def _replace(self, fresh: list[RunSummary]) -> None:
        changed = [row for row, (old, new) in enumerate(zip(self.runs, fresh, strict=True)) if old is not new]
        if not changed:
            return
        self._set(fresh)
        self.dataChanged.emit(self.index(changed[0], 0), self.index(changed[-1], len(RUN_COLUMNS) - 1))

    def _set(self, runs: list[RunSummary]) -> None:
        self._texts = {id(one): text for one in runs if (text := self._texts.get(id(one)))}
        self.runs, self._longest = runs, None

    def _ordered(self) -> list[RunSummary]:
        order = RUN_COLUMNS[self._column].order
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

    def longest_name(self) -> str:
        """The name of the most letters; empty if there is none."""
        if self._longest is None:
            self._longest = max((run.name for run in self.runs), key=len, default="")
        return self._longest

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
        return 0 if parent.isValid() else len(RUN_COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(RUN_COLUMNS[section])
        return RUN_COLUMNS[section].title if role == Qt.ItemDataRole.DisplayRole else None

    def flags(self, index: Index) -> Qt.ItemFlag:
        found = super().flags(index)
        return found | Qt.ItemFlag.ItemIsEditable if index.column() == NAME_COLUMN else found

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        one, column = self.runs[index.row()], RUN_COLUMNS[index.column()]
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
        if role != Qt.ItemDataRole.EditRole or index.column() != NAME_COLUMN:
            return False
        name = " ".join(str(value).split())[:NAME_LENGTH]
        if name != self.runs[index.row()].name:
            self.rename_asked.emit(self.runs[index.row()], name)
        return True

    def begin_anew(self) -> None:
        """Has everything that shows these runs read them again."""
        self.beginResetModel()
        self.endResetModel()

    def redress(self) -> None:
        """The scheme changed."""
        self._dots.clear()
        if self.runs:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.runs) - 1, len(RUN_COLUMNS) - 1))

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
        when = datetime.fromtimestamp(one.created)
        return f"{weekday_name(when)}, {when:%Y-%m-%d %H:%M:%S}"
    if column.key == "best" and one.best_iteration is not None:
        return tr(
            "{best_label} {loss_text}, at iteration {best_iteration:,}",
            best_label=one.best_label,
            loss_text=known_loss(one.best_figure),
            best_iteration=one.best_iteration,
        )
    if column.key in TRADE_COLUMNS:
        return TRADE_COLUMNS[column.key] if getattr(one, column.key) is not None else NOT_MEASURED
    if column.key == "curve":
        return tr("Last training loss {loss_text}", loss_text=known_loss(one.last_train_loss))
    if column.key == "parameters":
        return tr(
            "{trainable_parameters} trained parameters", trainable_parameters=count_text(one.trainable_parameters)
        )
    return {"base": one.base, "data": one.data, "name": f"{one.name}\n{one.run.path}"}.get(
        column.key, column.text(one)
    )


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
