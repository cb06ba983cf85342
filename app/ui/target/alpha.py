"""LoRA alpha: one value with two readings, mlx-lm's scale and PEFT's alpha, and a visible choice between them."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from app.core.problem import Problem
from app.core.system.setting import load_settings, save_settings
from app.ui.form.editor import editor_height
from app.ui.form.field import Field
from app.ui.form.number_box import number_text
from app.ui.form.plain_editor import ChoiceBox
from app.ui.form.store import ConfigStore
from app.ui.widget import theme

SCALE_PATH = "lora_parameters.scale"
RANK = "lora_parameters.rank"
READINGS = (("scale", "Scale (mlx-lm)"), ("peft", "Alpha (PEFT)"))


class Alpha(QObject):
    """Two widgets over the scale of a `ConfigStore`: ``field`` edits it, ``reading`` says what its number means.

    mlx-lm multiplies an adapter's output by ``scale``, PEFT by ``alpha / rank``: the same number means different
    things in the two, so the other reading always stands below the field.
    """

    def __init__(self, store: ConfigStore, parent: QWidget) -> None:
        super().__init__(parent)
        self._store = store
        self._reading = load_settings().alpha_convention
        self.field = Field(SCALE_PATH, store, parent, commit=self._store_alpha, shown=self._shown)
        self.reading = ChoiceBox(READINGS, parent)
        self.reading.setObjectName("alpha_convention")
        self.reading.setAccessibleName("What the number of LoRA alpha means")
        self.reading.setToolTip("mlx-lm multiplies by scale; PEFT multiplies by alpha ÷ rank")
        self.reading.setFixedHeight(editor_height())
        self.reading.set_value(self._reading)
        self.reading.edited.connect(self._on_reading)
        self.reading_part = _labelled("Alpha is read as", self.reading)
        store.changed.connect(self._on_changed)
        self._show_other()

    def _shown(self, scale: Any) -> float:
        return float(scale) * self._factor()

    def _store_alpha(self, value: Any) -> Problem | None:
        problem = self._store.set(SCALE_PATH, float(f"{value / self._factor():.12g}"))
        self._show_other()
        return problem

    def _factor(self) -> int:
        return int(self._store.value(RANK)) if self._reading == "peft" else 1

    def _on_reading(self, reading: Any) -> None:
        self._reading = reading
        save_settings(load_settings().model_copy(update={"alpha_convention": reading}))
        self.field.refresh()
        self._show_other()

    def _on_changed(self, path: str) -> None:
        if path in ("", SCALE_PATH, RANK):
            if path == RANK:
                self.field.refresh()
            self._show_other()

    def _show_other(self) -> None:
        scale, rank = self._store.value(SCALE_PATH), self._store.value(RANK)
        if self._reading == "peft":
            self.field.set_hint(f"= scale {number_text(scale)} in mlx-lm")
        else:
            self.field.set_hint(f"= alpha {number_text(float(f'{scale * rank:.10g}'))} in PEFT")


def _labelled(text: str, widget: QWidget) -> QWidget:
    part = QWidget()
    layout = QVBoxLayout(part)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(theme.SPACE // 2)
    label = QLabel(text, part)
    label.setProperty("role", "label")
    label.setBuddy(widget)
    label.setMinimumHeight(theme.line_px())
    layout.addWidget(label)
    layout.addWidget(widget)
    layout.addStretch(1)
    return part
