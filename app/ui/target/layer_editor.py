"""The editor of layer coverage: all, the top 24, 16 or 8, or a number, never more than the model has."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.core.config.spec import field_specs
from app.core.language import tr
from app.core.quantity import plural
from app.ui.form.editor import editor_height
from app.ui.form.number_box import NumberBox
from app.ui.form.path_editor import ComposedEditor
from app.ui.form.plain_editor import ChoiceBox
from app.ui.widget import theme

TOPS = (24, 16, 8)
OTHER = "other"


class LayerEditor(ComposedEditor):
    """Edits ``num_layers``. ``set_layers`` tells how many the model has; entries above that cannot be chosen."""

    line: ChoiceBox

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._value, self._layers, self._other = -1, 0, False
        self.line = ChoiceBox(parent=self)
        self.number = NumberBox(field_specs()["num_layers"], self)
        self.number.setObjectName("num_layers.other")
        self.number.setAccessibleName(tr("Number of layers trained, from the top"))
        self.number.setToolTip(tr("Layers trained, counted from the top"))
        self.number.setFixedHeight(editor_height())
        self.number.setMaximumWidth(theme.text_width(76))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE // 2)
        layout.addWidget(self.line, 1)
        layout.addWidget(self.number)
        self.setFocusProxy(self.line)
        self.line.edited.connect(self._on_chosen)
        self.number.edited.connect(self._on_number)
        self._fill()
        self.set_value(-1)

    def value(self) -> int:
        return self._value

    def set_value(self, value: Any) -> None:
        self._value = int(value) if value else -1
        self._other = self._value != -1 and (self._other or self._value not in TOPS)
        self._show()

    def set_layers(self, layers: int) -> None:
        """Bounds the choices by the model's real number of layers; 0 while it is not known."""
        self._layers = layers
        self._fill()
        self._show()

    def _fill(self) -> None:
        self.line.clear()
        self.line.addItem(
            tr("All {layers}", layers=plural(self._layers, "layer")) if self._layers else tr("All layers"), -1
        )
        for top in TOPS:
            self.line.addItem(tr("Top {top} layers", top=top), top)
        self.line.addItem(tr("Other…"), OTHER)
        model = self.line.model()
        assert isinstance(model, QStandardItemModel)
        for index in range(model.rowCount()):
            self._bound(model.item(index), self.line.itemData(index))

    def _bound(self, item: QStandardItem, value: Any) -> None:
        possible = not self._layers or not isinstance(value, int) or value <= self._layers
        item.setEnabled(possible)
        tip = "" if possible else tr("The model has only {layers}", layers=plural(self._layers, "layer"))
        item.setData(tip, Qt.ItemDataRole.ToolTipRole)

    def _show(self) -> None:
        self.line.set_value(OTHER if self._other else self._value)
        self.number.setVisible(self._other)
        self.number.set_value(self._value if self._value > 0 else (self._layers or None))

    def _on_chosen(self, value: Any) -> None:
        self._other = value == OTHER
        if self._other:
            # Until a number is typed, "other" starts from what there is.
            value = self._value if self._value > 0 else max(1, self._layers or TOPS[0])
        self._value = int(value)
        self._show()
        self.edited.emit(self._value)

    def _on_number(self, value: Any) -> None:
        if isinstance(value, int):
            self._value = value
            self.edited.emit(value)
