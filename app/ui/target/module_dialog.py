"""The list of a model's modules: every matrix with its shape, searchable, and why some cannot be adapted."""

from __future__ import annotations

from PySide6.QtCore import QSortFilterProxyModel, Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.core.language import tr
from app.core.model.inspection import Inspection, Module
from app.core.model.module_group import GROUP_LABELS
from app.core.quantity import count_text
from app.ui.widget import theme
from app.ui.widget.keyed_dialog import KeyedDialog
from app.ui.widget.table import Index, TableModel, TableView

MODULE_COLUMNS = (tr("Module"), tr("Group"), tr("Type"), tr("Shape"), tr("Parameters"), tr("Adapted"))


class ModuleTable(TableModel):
    """The modules of an `Inspection` and which of them are selected."""

    def __init__(self, inspection: Inspection, selected: frozenset[str], parent: QWidget | None = None) -> None:
        super().__init__(MODULE_COLUMNS, {tr("Parameters")}, parent)
        self.set_rows(inspection.modules)
        self._selected = selected

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        module = self.rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(module, index.column())
        if role == Qt.ItemDataRole.ToolTipRole:
            return module.refused or module.path
        if role == Qt.ItemDataRole.ForegroundRole and not module.adaptable:
            return QColor(theme.colors().faint)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return self.alignment(index.column())
        return None

    def _text(self, module: Module, column: int) -> str:
        able = tr("no") if module.adaptable else tr("cannot be")
        adapted = tr("yes") if module.path in self._selected else able
        texts = (
            module.path,
            GROUP_LABELS[module.group],
            module.type,
            module.shape_text,
            count_text(module.parameters),
        )
        return (*texts, adapted)[column]


class ModuleDialog(KeyedDialog):
    """Shows the modules; ``picked(pattern)`` asks to add the key of the chosen ones to the patterns."""

    picked = Signal(list)  # list[str] of module keys

    def __init__(self, inspection: Inspection, selected: frozenset[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("module_dialog")
        self.setWindowTitle(tr("Modules of the model"))
        self.resize(880, 560)
        self._inspection = inspection
        self._proxy = QSortFilterProxyModel(self)
        self._proxy.setSourceModel(ModuleTable(inspection, selected, self))
        self._proxy.setFilterKeyColumn(-1)
        self._proxy.setFilterCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*[theme.SPACE * 2] * 4)
        layout.setSpacing(theme.SPACE)
        self.search = QLineEdit(self)
        self.search.setObjectName("modules.search")
        self.search.setAccessibleName(tr("Search modules"))
        self.search.setPlaceholderText(tr("Search by name, group or shape"))
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._on_search)
        layout.addWidget(self.search)
        layout.addWidget(self._table(), 1)
        layout.addWidget(self._reasons())
        layout.addLayout(self._foot())
        self._on_search("")

    def _table(self) -> TableView:
        self.table = TableView("modules.table", tr("Modules of the model"), self)
        self.table.setModel(self._proxy)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        header = self.table.horizontalHeader()
        for column, width in enumerate((0, 130, 110, 130, 110, 90)):
            self.table.setColumnWidth(column, theme.text_width(width))
        header.setMinimumSectionSize(theme.text_width(80))
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        return self.table

    def _reasons(self) -> QLabel:
        """Why some modules cannot be adapted; not there in a model where all can."""
        self.reasons = QLabel(self)
        self.reasons.setObjectName("modules.reasons")
        self.reasons.setProperty("role", "small")
        self.reasons.setWordWrap(True)
        found: dict[str, list[str]] = {}
        for key, why, _ in self._inspection.refusals:
            found.setdefault(why, []).append(key.rpartition(".")[2])
        said = (
            tr("{names} cannot be adapted. {why}", names=", ".join(dict.fromkeys(names)), why=why)
            for why, names in found.items()
        )
        self.reasons.setText("\n".join(said))
        self.reasons.setVisible(bool(found))
        return self.reasons

    def _foot(self) -> QHBoxLayout:
        foot = QHBoxLayout()
        self._count = QLabel(self)
        self._count.setProperty("role", "muted")
        foot.addWidget(self._count, 1)
        use = QPushButton(tr("Use as targets"), self)
        use.setObjectName("modules.use")
        use.setToolTip(tr("Targets become the matrices of the selected rows"))
        use.clicked.connect(self._on_use)
        close = QPushButton(tr("Close"), self)
        close.clicked.connect(self.reject)
        foot.addWidget(use)
        foot.addWidget(close)
        return foot

    def _on_search(self, text: str) -> None:
        self._proxy.setFilterFixedString(text.strip())
        total = len(self._inspection.modules)
        able = len(self._inspection.adaptable)
        self._count.setText(
            tr(
                "{rowcount:,} of {total:,} modules shown · {able:,} can be adapted",
                rowcount=self._proxy.rowCount(),
                total=total,
                able=able,
            )
        )

    def _on_use(self) -> None:
        rows = {self._proxy.mapToSource(index).row() for index in self.table.selectedIndexes()}
        modules = [self._inspection.modules[row] for row in sorted(rows)]
        keys = list(dict.fromkeys(module.key for module in modules if module.adaptable))
        if keys:
            self.picked.emit(keys)
            self.accept()
