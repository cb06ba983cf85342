"""LoRA alpha: one value with two readings, mlx-lm's scale and PEFT's alpha, and a visible choice between them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from app.core.config.train_config import DEFAULT_ALPHA
from app.core.language import tr
from app.core.problem import Problem
from app.core.setup.recommendation import RANK_PATH, SCALE_PATH, rank_values, scale_from_alpha
from app.core.system.setting import keep_settings, load_settings
from app.ui.form.editor import editor_height
from app.ui.form.field import Field
from app.ui.form.number_box import number_text
from app.ui.form.plain_editor import ChoiceBox
from app.ui.form.store import ConfigStore
from app.ui.widget import theme

READINGS = (("scale", tr("Scale (mlx-lm)")), ("peft", tr("Alpha (PEFT)")))


def scale_name(reading: str) -> str:
    """What the number is called in a reading, ``peft`` or mlx-lm's."""
    return tr("LoRA alpha") if reading == "peft" else tr("LoRA scale")


class Alpha(QObject):
    """Two widgets over the scale of a `ConfigStore`: ``field`` edits it, ``reading`` says what its number means.

    mlx-lm multiplies an adapter's output by ``scale``, PEFT by ``alpha / rank``: the same number means different
    things in the two, so the other reading always stands below the field. Read as PEFT's, alpha is what stays when
    the rank changes; read as mlx-lm's, the scale does.
    """

    def __init__(self, store: ConfigStore, parent: QWidget) -> None:
        super().__init__(parent)
        self._store = store
        self._reading = load_settings().alpha_convention
        self.field = AlphaField(self, store, parent)
        self.reading = ChoiceBox(READINGS, parent)
        self.reading.setObjectName("alpha_convention")
        self.reading.setAccessibleName(tr("What the number of LoRA alpha means"))
        self.reading.setToolTip(tr("mlx-lm multiplies by scale; PEFT multiplies by alpha ÷ rank"))
        self.reading.setFixedHeight(editor_height())
        self.reading.set_value(self._reading)
        self.reading.edited.connect(self._on_reading)
        self.reading_part = _labelled(tr("Alpha is read as"), self.reading)
        self.reading_part.installEventFilter(self)
        store.changed.connect(self._on_changed)
        self._show_other()

    @property
    def is_peft(self) -> bool:
        """Whether the number is PEFT's alpha; else it is mlx-lm's scale."""
        return self._reading == "peft"

    def shown(self, scale: Any) -> float:
        """The number that the field shows for a scale."""
        return float(f"{float(scale) * self._factor():.10g}")  # 32 ÷ 3 · 3 is 32 to the person who typed it

    def store_alpha(self, value: Any) -> Problem | None:
        """Takes a number as it is read into the store."""
        problem = self._store.set(SCALE_PATH, value / self._factor())
        self._show_other()
        return problem and replace(problem, message=f"{value:g} is not usable.", hint=self.takes)

    @property
    def takes(self) -> str:
        """What the field takes, in the reading that is chosen."""
        most = (self.field.spec.maximum or 0) * self._factor()
        return tr("{name} takes more than 0, at most {most:,.0f}.", name=self.name, most=most)

    @property
    def name(self) -> str:
        """What the number is called in the reading that is chosen."""
        return scale_name(self._reading)

    def store_rank(self, rank: Any) -> Problem | None:
        """Takes a rank into the store; read as PEFT's, alpha stays as in the paper, and the scale follows."""
        kept = rank_values(self._store.config, rank) if self.is_peft and rank else {RANK_PATH: rank}
        return self._store.set_many(kept)

    def _factor(self) -> int:
        return int(self._store.value(RANK_PATH)) if self.is_peft else 1

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Takes over what was chosen on another form, or in the settings, when this one is looked at again."""
        looked_at = event.type() in (QEvent.Type.Show, QEvent.Type.WindowActivate)
        if looked_at and (reading := load_settings().alpha_convention) != self._reading:
            self.reading.set_value(reading)
            self._read_as(reading)
        return super().eventFilter(watched, event)

    def _on_reading(self, reading: Any) -> None:
        keep_settings(alpha_convention=reading)
        self._read_as(reading)

    def _read_as(self, reading: Any) -> None:
        self._reading = reading
        self.field.refresh()
        self._show_other()

    def _on_changed(self, path: str) -> None:
        if path in ("", SCALE_PATH, RANK_PATH):
            if path == RANK_PATH:
                self.field.refresh()
            self._show_other()

    def _show_other(self) -> None:
        scale, rank = self._store.value(SCALE_PATH), self._store.value(RANK_PATH)
        self.field.set_label(self.name)
        if self.is_peft:
            self.field.set_hint(
                tr("= scale {number_text} in mlx-lm", number_text=number_text(float(f"{scale:.6g}")))
            )
        else:
            self.field.set_hint(
                tr("= alpha {number_text} in PEFT", number_text=number_text(float(f"{scale * rank:.10g}")))
            )


class AlphaField(Field):
    """The field of an `Alpha`: it shows the number as it is read, and resets to an alpha of 32 at any rank."""

    def __init__(self, alpha: Alpha, store: ConfigStore, parent: QWidget) -> None:
        self._alpha = alpha
        super().__init__(SCALE_PATH, store, parent, commit=alpha.store_alpha, shown=alpha.shown)

    def default_value(self) -> float:
        """The scale that the default alpha is at this rank; read as mlx-lm's, the default scale."""
        if not self._alpha.is_peft:
            return float(super().default_value())
        return scale_from_alpha(DEFAULT_ALPHA, int(self._store.value(RANK_PATH)))

    def takes_text(self) -> str:
        """The range of the number as it is read."""
        return self._alpha.takes


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
