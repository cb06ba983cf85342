"""The list of a file's rows, each with what is to become of it."""

from __future__ import annotations

import json
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, Qt
from PySide6.QtGui import QColor

from app.core.data.edit import Edits, with_roles
from app.core.language import tr
from app.core.quantity import count_text
from app.ui.edit.row_source import SourceRow
from app.ui.widget import theme
from app.ui.widget.table import Index


class RowList(QAbstractListModel):
    """A stretch of a file's rows, and the rows added, each with what is to become of it."""

    def __init__(self, edits: Edits, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: list[SourceRow] = []
        self.edits = edits
        self.drafts: dict[int, str] = {}  # typed texts that are no rows yet, by line

    def show(self, rows: list[SourceRow]) -> None:
        """Takes over another stretch."""
        self.beginResetModel()
        self.rows = [*rows, *(SourceRow(-number, json.dumps(row, ensure_ascii=False))
                              for number, row in enumerate(self.edits.added, 1))]  # fmt: skip
        self.endResetModel()

    def refresh(self) -> None:
        """Something is to become of a row."""
        if self.rows:
            self.dataChanged.emit(self.index(0), self.index(len(self.rows) - 1))

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008  # Qt's own default
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        row, c = self.rows[index.row()], theme.colors()
        if role == Qt.ItemDataRole.DisplayRole:
            name = count_text(row.line) if row.line > 0 else tr("new")
            return f"{name}   {self._state(row)}{row.summary}"
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.fault or None
        if role == Qt.ItemDataRole.ForegroundRole:
            if row.line in self.edits.dropped:
                return QColor(c.faint)
            if row.line in self.drafts:
                return QColor(c.warning)
            if self._is_changed(row) or row.line < 0:
                return QColor(c.good)
            return QColor(c.error if row.fault else c.text)
        if role == Qt.ItemDataRole.FontRole and row.line in self.edits.dropped:
            font = theme.ui_font()
            font.setStrikeOut(True)
            return font
        return None

    def _state(self, row: SourceRow) -> str:
        if row.line in self.edits.dropped:
            return tr("dropped · ")
        if row.line in self.drafts:
            return tr("unfinished · ")
        if self._is_changed(row):
            return tr("changed · ")
        return tr("cannot be read · ") if row.fault else ""

    def _is_changed(self, row: SourceRow) -> bool:
        if row.line in self.edits.changed:
            return True
        return bool(self.edits.roles) and isinstance(row.value, dict) and row.value != self.value(row)

    def value(self, row: SourceRow) -> Any:
        """What the new file has in the place of a row."""
        value = self.edits.changed.get(row.line, row.value)
        return with_roles(value, self.edits.roles) if isinstance(value, dict) else value
