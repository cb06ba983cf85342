"""The table of findings: how grave, where, what and why, filtered by severity and kind."""

from __future__ import annotations

from PySide6.QtCore import QObject, QSortFilterProxyModel, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QHeaderView, QWidget

from app.core.language import tr
from app.core.problem import Severity
from app.core.source.collection import shown_path
from app.core.source.finding import KINDS, Finding
from app.ui.widget import theme
from app.ui.widget.fitted_table import FittedTableView, WordDelegate
from app.ui.widget.pill import ICONS, severity_color
from app.ui.widget.table import SORT_ROLE, Index, TableModel

PROBLEM_COLUMNS = ("", tr("Where"), tr("What"), tr("Reason"))
ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}


class ProblemTable(TableModel):
    """The findings of a report, as they were found."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(PROBLEM_COLUMNS, parent=parent)
        self._dress()
        theme.theme().changed.connect(self._dress)

    def _dress(self) -> None:
        self._icons = {severity: theme.icon(name, severity_color(severity)) for severity, name in ICONS.items()}

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        finding, column = self.rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return ("", place_text(finding), KINDS[finding.kind].label, finding.reason)[column]
        if role == Qt.ItemDataRole.DecorationRole and column == 0:
            return self._icons[finding.severity]
        if role == Qt.ItemDataRole.ToolTipRole:
            where = f"{shown_path(finding.file)}" + (f":{finding.line}" if finding.line else "")
            return "\n".join(part for part in (where, finding.reason, finding.hint) if part)
        if role == Qt.ItemDataRole.AccessibleTextRole and column == 0:
            return finding.severity.label
        if role == Qt.ItemDataRole.ForegroundRole and column in (1, 2):
            return QColor(theme.colors().muted if column == 1 else theme.colors().text)
        if role == SORT_ROLE:
            keys = (ORDER[finding.severity], (finding.file, finding.line or 0), finding.kind, finding.reason)
            return [*keys][column] if column != 1 else f"{finding.file}:{finding.line or 0:012d}"
        return None


def place_text(finding: Finding) -> str:
    """The file's name and the line."""
    name = shown_path(finding.file).name
    return tr("{name}:{line:,}", name=name, line=finding.line) if finding.line else name


class ProblemFilter(QSortFilterProxyModel):
    """Lets some severities and, if one is chosen, one kind through."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._severities = frozenset(Severity)
        self._kind = ""
        self.setSortRole(SORT_ROLE)

    def set_wanted(self, severities: frozenset[Severity], kind: str) -> None:
        """Chooses what comes through."""
        self.beginFilterChange()
        self._severities, self._kind = severities, kind
        self.endFilterChange()

    def filterAcceptsRow(self, row: int, parent: Index) -> bool:  # noqa: ARG002
        table = self.sourceModel()
        assert isinstance(table, ProblemTable)
        finding: Finding = table.rows[row]
        return finding.severity in self._severities and self._kind in ("", finding.kind)


class ProblemView(FittedTableView):
    """The view of a `ProblemTable` through a `ProblemFilter`."""

    least = (32, 120, 150, 200)  # px in Inter

    def __init__(self, proxy: ProblemFilter, parent: QWidget | None = None) -> None:
        super().__init__("problems.table", tr("Problems of the data"), parent)
        self.setModel(proxy)
        header = self.horizontalHeader()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Fixed)
        header.setMinimumSectionSize(32)
        self.setColumnWidth(0, theme.text_width(32))
        self.setItemDelegateForColumn(3, WordDelegate(self))
        header.setStretchLastSection(True)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.setSortingEnabled(True)
