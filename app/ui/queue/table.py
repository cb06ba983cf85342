"""The table of the queue: model and view. Its model shows the entries of a `QueueSession`."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QMimeData, QModelIndex, QObject, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QIcon
from PySide6.QtWidgets import QAbstractItemView, QWidget

from app.core.language import tr
from app.core.queue.queue import EntryState, QueueEntry
from app.ui.queue.session import QueueSession
from app.ui.runs.column import since_text
from app.ui.runs.table import DOT, dot
from app.ui.widget import theme
from app.ui.widget.fitted_table import FittedTableView
from app.ui.widget.table import Index, TableModel

MIME = "application/x-luthier-queue"
QUEUE_COLUMNS = (tr("State"), tr("Name"), tr("Setup"), tr("Outcome"))
QUEUE_STATE, QUEUE_NAME, QUEUE_SETUP, QUEUE_OUTCOME = range(4)
ENTRY_STATE_WORDS: dict[EntryState, str] = {
    "waiting": tr("Waiting"),
    "running": tr("Training"),
    "done": tr("Finished"),
    "failed": tr("Failed"),
    "stopped": tr("Stopped"),
    "skipped": tr("Skipped"),
}


def entry_color(state: EntryState) -> str:
    """The colour of a state in the present scheme."""
    c = theme.colors()
    return {"running": c.accent, "done": c.good, "failed": c.error, "stopped": c.warning}.get(state, c.faint)


class QueueTable(TableModel):
    """What is in the queue. Waiting entries can be dragged; ``moved(ids, place)`` asks for it."""

    moved = Signal(list, int)  # list[str], the place among those that wait

    def __init__(self, queue: QueueSession, parent: QObject | None = None) -> None:
        super().__init__(QUEUE_COLUMNS, parent=parent)
        self._queue = queue

    @property
    def entries(self) -> Sequence[QueueEntry]:
        """The entries from the top."""
        return self.rows

    def take_over(self) -> None:
        """Shows the queue as it is now. Where only what stands in the rows changed, the rows stay."""
        entries = self._queue.state.shown
        if [one.id for one in entries] != [one.id for one in self.entries]:
            self.set_rows(entries)
        else:
            self.rows = entries
            self.refresh()

    # -- Qt ---------------------------------------------------------------------------------------------------

    def flags(self, index: Index) -> Qt.ItemFlag:
        if not index.isValid():
            return Qt.ItemFlag.ItemIsDropEnabled  # between rows only, never onto one
        found = super().flags(index)
        waits = self.entries[index.row()].state == "waiting"
        return found | Qt.ItemFlag.ItemIsDragEnabled if waits else found

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        one, column = self.entries[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(one, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return one.sweep_name if column == QUEUE_STATE and one.sweep_name else self._text(one, column)
        if role == Qt.ItemDataRole.DecorationRole and column == QUEUE_STATE:
            return QIcon(dot(entry_color(one.state)))
        if role == Qt.ItemDataRole.ForegroundRole:
            return self._color(one, column)
        if role == Qt.ItemDataRole.FontRole and one.state == "running" and column == QUEUE_NAME:
            font = QFont(theme.ui_font())
            font.setWeight(QFont.Weight.DemiBold)
            return font
        return None

    def _text(self, one: QueueEntry, column: int) -> str:
        if column == QUEUE_OUTCOME:
            return self._outcome(one)
        return (ENTRY_STATE_WORDS[one.state], self._queue.name_of(one), one.setup)[column]

    def _outcome(self, one: QueueEntry) -> str:
        if one.state == "waiting" and one.created and not one.message:
            return since_text(one.created)
        if one.state != "running":
            return one.outcome
        current = self._queue.current
        if current is None or current.id != one.id:
            return tr("In another process") if self._queue.is_elsewhere else tr("Interrupted")
        done = self._queue.progress
        return tr("{done:.0f}\u00a0% done", done=100 * done) if done is not None else tr("Getting ready")

    def _color(self, one: QueueEntry, column: int) -> QColor | None:
        c = theme.colors()
        if one.state in ("skipped", "done", "stopped") and column != QUEUE_STATE:
            return QColor(c.muted)
        if column == QUEUE_OUTCOME and one.state == "failed":
            return QColor(c.error)
        return QColor(c.muted) if column in (QUEUE_SETUP, QUEUE_OUTCOME) else None

    # -- dragging ---------------------------------------------------------------------------------------------

    def supportedDropActions(self) -> Qt.DropAction:
        return Qt.DropAction.MoveAction

    def mimeTypes(self) -> list[str]:
        return [MIME]

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:
        rows = sorted({index.row() for index in indexes})
        found = QMimeData()
        found.setData(MIME, "\n".join(self.entries[row].id for row in rows).encode())
        return found

    def dropMimeData(self, data: QMimeData, _action: Qt.DropAction, row: int, _column: int, _parent: Index) -> bool:
        """Asks for the move; False, so that Qt takes no row away by itself."""
        keys = bytes(data.data(MIME).data()).decode().split("\n")
        at = row if row >= 0 else len(self.entries)
        before = [one for one in self.entries[:at] if one.state == "waiting" and one.id not in keys]
        self.moved.emit(keys, len(before))
        return False


class QueueView(FittedTableView):
    """The view of a `QueueTable`; the last column has the room that is left."""

    least = (92, 184, 120, 120)  # px in Inter

    chosen_changed = Signal()

    def __init__(self, table: QueueTable, parent: QWidget | None = None) -> None:
        super().__init__("queue.table", tr("Queue"), parent)
        self._table = table
        self._kept: list[str] = []
        table.modelAboutToBeReset.connect(self._keep)
        self.setModel(table)
        table.modelReset.connect(self._restore)
        self.selectionModel().selectionChanged.connect(self.chosen_changed)
        self._dress()
        theme.theme().changed.connect(table.refresh)

    def chosen(self) -> list[QueueEntry]:
        """The selected entries, from the top."""
        rows = sorted(index.row() for index in self.selectionModel().selectedRows())
        return [self._table.entries[row] for row in rows]

    def choose(self, keys: Sequence[str]) -> None:
        """Selects entries by their ids."""
        mode = self.selectionMode()
        self.setSelectionMode(QAbstractItemView.SelectionMode.MultiSelection)
        self.clearSelection()
        for row, one in enumerate(self._table.entries):
            if one.id in keys:
                self.selectRow(row)
        self.setSelectionMode(mode)

    def _keep(self) -> None:
        self._kept = [one.id for one in self.chosen()]

    def _restore(self) -> None:
        self.choose(self._kept)
        self.chosen_changed.emit()

    def _dress(self) -> None:
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.setDragDropOverwriteMode(False)
        self.setDefaultDropAction(Qt.DropAction.MoveAction)
        self.setAlternatingRowColors(False)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setIconSize(QSize(DOT, DOT))
        header = self.horizontalHeader()
        header.setMinimumSectionSize(theme.SPACE * 8)
        header.setStretchLastSection(True)

    def sizeHint(self) -> QSize:
        return QSize(560, 320)
