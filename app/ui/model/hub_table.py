"""The table of models on the hub: size, quantization, whether it fits, popularity, and what of it is here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QObject, QSortFilterProxyModel, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QHeaderView, QWidget

from app.core.language import capital, tr
from app.core.model.hub import Fit, HubModel, fit, training_bytes
from app.core.model.known_model import KnownModel
from app.core.quantity import bytes_text, short_count
from app.ui.widget import theme
from app.ui.widget.table import SORT_ROLE, Index, TableModel, TableView

HERE = "downloaded"


@dataclass(frozen=True, slots=True)
class HubColumn:
    """One column: its title, the text and the value to sort by; figures stand at the right."""

    title: str
    text: Callable[[HubModel], str]
    key: Callable[[HubModel], object]
    figure: bool = False


class HubTable(TableModel):
    """Shows `HubModel`s; ``state`` tells what of a model is on this machine, in a word."""

    def __init__(self, state: Callable[[HubModel], str], parent: QObject | None = None) -> None:
        super().__init__((), parent=parent)
        self.working_set_bytes = 0.0
        self._state = state
        self._columns: tuple[HubColumn, ...] = (
            HubColumn(tr("Model"), lambda m: m.id, lambda m: m.id.lower()),
            HubColumn(
                tr("Size"),
                lambda m: bytes_text(m.size_bytes) if m.size_bytes else "–",
                lambda m: m.size_bytes,
                True,
            ),
            HubColumn(tr("Stored as"), lambda m: m.quantization or "–", lambda m: m.quantization),
            HubColumn(tr("Fits here"), lambda m: self.fit_of(m).label, lambda m: list(Fit).index(self.fit_of(m))),
            HubColumn(tr("Downloads"), lambda m: short_count(m.downloads), lambda m: m.downloads, True),
            HubColumn(tr("Likes"), lambda m: short_count(m.likes), lambda m: m.likes, True),
            HubColumn("", self._note, self._note),
        )
        self._title()

    def _title(self) -> None:
        self._titles = tuple(column.title for column in self._columns)
        self._figures = frozenset(column.title for column in self._columns if column.figure)

    def show(self, models: Sequence[HubModel], working_set_bytes: float) -> None:
        """Takes over new results."""
        self.working_set_bytes = working_set_bytes
        self.set_rows(list(models))

    def fit_of(self, model: HubModel) -> Fit:
        """Whether this machine can train it."""
        return fit(model.size_bytes, self.working_set_bytes)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        model, column = self.rows[index.row()], self._columns[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.text(model)
        if role == SORT_ROLE:
            return column.key(model)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(model)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return self.alignment(index.column())
        if role == Qt.ItemDataRole.ForegroundRole:
            return self._color(model, column)
        return None

    def _color(self, model: HubModel, column: HubColumn) -> QColor | None:
        c = theme.colors()
        if column.title == tr("Fits here"):
            found = {Fit.FITS: c.good, Fit.TIGHT: c.warning, Fit.TOO_LARGE: c.error, Fit.UNKNOWN: c.muted}
            return QColor(found[self.fit_of(model)])
        if not column.title:
            return QColor(c.good if self._state(model) == HERE else c.muted)
        return None

    def _note(self, model: HubModel) -> str:
        return self._state(model) or (tr("gated") if model.gated else "")

    def _tip(self, model: HubModel) -> str:
        lines = [model.id]
        if model.model_type:
            lines.append(
                tr("Type {model_type}, updated {updated}", model_type=model.model_type, updated=model.updated)
            )
        if self.working_set_bytes and model.size_bytes:
            lines.append(
                tr(
                    "{value}: weights of {size_bytes} for {working_set_bytes} of working memory. The "
                    "exact figures come when it is here.",
                    value=capital(self.fit_of(model).label),
                    size_bytes=bytes_text(model.size_bytes),
                    working_set_bytes=bytes_text(self.working_set_bytes),
                )
            )
        if model.gated:
            lines.append(tr("Gated: accept its licence on the hub, then set a token under “Places and access”."))
        return "\n".join(lines)


class KnownTable(HubTable):
    """Shows `KnownModel`s as `HubModel`s, with what the list says of them; those that do not fit are grey."""

    def __init__(
        self,
        models: Sequence[KnownModel],
        working_set_bytes: float,
        state: Callable[[HubModel], str],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(state, parent)
        self._known = {model.id: model for model in models}
        name, size, *_rest = self._columns
        self._columns = (
            name,
            HubColumn(
                tr("Parameters"),
                lambda m: short_count(self.known(m).parameters),
                lambda m: self.known(m).parameters,
                True,
            ),
            HubColumn(tr("Download"), size.text, size.key, True),
            HubColumn(tr("Fits here"), self._fit_text, lambda m: m.size_bytes),
            HubColumn(tr("Licence"), self._licence, self._licence),
        )
        self._title()
        self.show([model.as_hub_model() for model in models], working_set_bytes)

    def known(self, model: HubModel) -> KnownModel:
        """What the list says of a row."""
        return self._known[model.id]

    def _licence(self, model: HubModel) -> str:
        return self.known(model).licence + (tr(", gated") if model.gated else "")

    def _fit_text(self, model: HubModel) -> str:
        if state := self._state(model):
            return state
        if self.fit_of(model) is Fit.TOO_LARGE:
            return tr("needs {training_bytes}", training_bytes=bytes_text(training_bytes(model.size_bytes)))
        return self.fit_of(model).label

    def _color(self, model: HubModel, column: HubColumn) -> QColor | None:
        if self.fit_of(model) is Fit.TOO_LARGE and self._state(model) != HERE:
            return QColor(theme.colors().muted)
        return super()._color(model, column)

    def _tip(self, model: HubModel) -> str:
        known = self.known(model)
        access = tr("gated") if known.gated else tr("not gated: no account is needed")
        return tr(
            "{tip}\n{good_for}\nLicence: {licence}, {access}.",
            tip=super()._tip(model),
            good_for=known.good_for,
            licence=known.licence,
            access=access,
        )


class HubTableView(TableView):
    """The view of a `HubTable`, sorted by a click on a header; results come sorted by downloads."""

    def __init__(
        self,
        table: HubTable,
        parent: QWidget | None = None,
        *,
        name: str = "hub.results",
        accessible_name: str = tr("Models found"),
        widths: Sequence[int] = (84, 92, 92, 96, 72, 152),
    ) -> None:
        super().__init__(name, accessible_name, parent)
        self._table = table
        self._proxy = QSortFilterProxyModel(self)
        self._proxy.setSourceModel(table)
        self._proxy.setSortRole(SORT_ROLE)
        self.setModel(self._proxy)
        header = self.horizontalHeader()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column, width in enumerate(widths, start=1):
            self.setColumnWidth(column, max(theme.text_width(width), header.sectionSizeHint(column)))
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.setSortingEnabled(True)

    def chosen(self) -> HubModel | None:
        """The model of the selected row."""
        rows = self.selectionModel().selectedRows()
        if not rows:
            return None
        found: HubModel = self._table.rows[self._proxy.mapToSource(rows[0]).row()]
        return found

    def choose_first(self) -> None:
        """Selects the first row, if there is one."""
        if self._proxy.rowCount():
            self.selectRow(0)
