"""The options of an export format, each with the editor of its kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QWidget

from app.core.export.option import ExportOption, OptionValue
from app.core.language import tr
from app.ui.form.plain_editor import CheckEditor, ChoiceBox, TextEditor
from app.ui.platform.scrolling import CalmSlider
from app.ui.widget import theme
from app.ui.widget.layout import clear_layout

OPTION_LABEL_WIDTH = 150  # px in Inter, of all labels of the dialog
SLIDER_STEPS = 20  # from the least to the most, each a twentieth of 1 where the most is 2 or more


class ShareSlider(QWidget):
    """A factor around 1: a slider from nothing to twice, and what it says in words."""

    edited = Signal(object)

    def __init__(self, option: ExportOption, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.slider = CalmSlider(Qt.Orientation.Horizontal, self)
        self.slider.setObjectName(f"export.{option.name}")
        self.slider.setAccessibleName(option.label)
        self.slider.setRange(round(option.least * SLIDER_STEPS), round(min(option.most, 2.0) * SLIDER_STEPS))
        self.slider.setPageStep(SLIDER_STEPS // 4)
        self._text = QLabel(self)
        self._text.setMinimumWidth(theme.text_width(90))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE * 2)
        layout.addWidget(self.slider, 1)
        layout.addWidget(self._text)
        self.slider.valueChanged.connect(self._on_moved)
        self.slider.setValue(round(float(option.default) * SLIDER_STEPS))
        self._show()

    def value(self) -> float:
        """The factor."""
        return self.slider.value() / SLIDER_STEPS

    def _on_moved(self) -> None:
        self._show()
        self.edited.emit(self.value())

    def _show(self) -> None:
        value = self.value()
        self._text.setText({0.0: tr("0, the base"), 1.0: tr("1, as trained")}.get(value, f"{value:g}"))


class OptionGrid(QWidget):
    """Shows the options of one format; ``changed`` when a person changed one.

    ``chosen`` stands in them from the beginning, by their names.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None, *, chosen: Mapping[str, OptionValue] | None = None) -> None:
        super().__init__(parent)
        self._chosen = dict(chosen or {})
        self.editors: dict[str, ShareSlider | ChoiceBox | CheckEditor | TextEditor] = {}
        self._layout = QGridLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setHorizontalSpacing(theme.SPACE * 2)
        self._layout.setVerticalSpacing(theme.SPACE)
        self._layout.setColumnStretch(1, 1)
        self._layout.setColumnMinimumWidth(0, theme.text_width(OPTION_LABEL_WIDTH))

    def show_options(self, options: Sequence[ExportOption]) -> None:
        """These options from now on, at their defaults; what was chosen under the same name stays where it fits."""
        clear_layout(self._layout)
        self.editors = {}
        for row, option in enumerate(options):
            editor = self._editor(option, self._chosen.get(option.name))
            editor.setToolTip(option.what)
            editor.edited.connect(partial(self._on_edited, option.name))
            self.editors[option.name] = editor
            if isinstance(editor, CheckEditor):
                self._layout.addWidget(editor, row, 0, 1, 2)
                continue
            label = QLabel(option.label, self)
            label.setToolTip(option.what)
            label.setBuddy(editor)
            self._layout.addWidget(label, row, 0)
            self._layout.addWidget(editor, row, 1)

    def values(self) -> dict[str, OptionValue]:
        """What is chosen, by the options' names."""
        return {name: editor.value() for name, editor in self.editors.items()}

    def _editor(self, option: ExportOption, before: object) -> ShareSlider | ChoiceBox | CheckEditor | TextEditor:
        value = option.default if before is None or option.fault(before) else before
        if isinstance(option.default, bool):
            tick = CheckEditor(option.label, self)
            tick.set_value(value)
            tick.setObjectName(f"export.{option.name}")
            return tick
        if isinstance(option.default, (int, float)):
            slider = ShareSlider(option, self)
            slider.slider.setValue(round(float(value) * SLIDER_STEPS))  # type: ignore[arg-type]  # `fault` saw to it
            return slider
        editor: ChoiceBox | TextEditor
        if option.choices:
            editor = ChoiceBox(tuple((one.value, one.label) for one in option.choices), self)
            for row, one in enumerate(option.choices):
                editor.setItemData(row, one.what, Qt.ItemDataRole.ToolTipRole)
        else:
            editor = TextEditor(self)
        editor.set_value(value)
        editor.setObjectName(f"export.{option.name}")
        editor.setAccessibleName(option.label)
        return editor

    def _on_edited(self, name: str, _value: object) -> None:
        self._chosen[name] = self.editors[name].value()
        self.changed.emit()
