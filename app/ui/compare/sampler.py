"""The sampler of a comparison: how tokens are chosen, the same for every column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from app.core.config.train_config import FieldSpec
from app.core.language import tr
from app.ui.form.editor import name_editor
from app.ui.form.grid import FieldGrid
from app.ui.form.number_box import NumberBox, number_text
from app.ui.widget import theme

SAMPLER_WIDTH = 110  # px
# The names are mlx-lm's; app.core.protocol.question.Question takes them as they are.
SAMPLER = (
    FieldSpec(
        "compare.max_tokens",
        tr("Maximum tokens"),
        "int",
        256,
        what=tr("Longest answer"),
        minimum=1,
        maximum=100_000,
    ),
    FieldSpec(
        "compare.temp",
        tr("Temperature"),
        "float",
        0.0,
        what=tr("0 always takes the likeliest token; higher is more varied"),
        minimum=0,
        maximum=10,
    ),
    FieldSpec(
        "compare.top_p",
        "Top-p",
        "float",
        1.0,
        what=tr("Draw only from the likeliest tokens that together have this share; 1 is all"),
        minimum=0,
        maximum=1,
    ),
    FieldSpec(
        "compare.top_k",
        "Top-k",
        "int",
        0,
        what=tr("Draw only from this many of the likeliest tokens; 0 is all"),
        minimum=0,
        maximum=100_000,
    ),
    FieldSpec(
        "compare.min_p",
        "Min-p",
        "float",
        0.0,
        what=tr("Leave out tokens less likely than this share of the likeliest one's likelihood; 0 is none"),
        minimum=0,
        maximum=1,
    ),
    FieldSpec(
        "compare.repetition_penalty",
        tr("Repetition penalty"),
        "float",
        1.0,
        what=tr("Makes tokens that were just used less likely; 1 is off, 1.1 is usual"),
        minimum=0,
        maximum=10,
        exclusive_minimum=True,
    ),
    FieldSpec(
        "compare.seed",
        tr("Seed"),
        "int",
        0,
        what=tr("Start of the random choices, the same for every column"),
        minimum=0,
        maximum=2**32 - 1,
    ),
)
NO_PENALTY = 1.0


def sampler_fields(place: str, **defaults: float) -> tuple[FieldSpec, ...]:
    """Those of `SAMPLER` that are named, in its order, as fields of another ``place`` with its own defaults."""
    known = {spec.path.removeprefix("compare."): spec for spec in SAMPLER}
    return tuple(
        replace(spec, path=f"{place}.{name}", default=defaults[name])
        for name, spec in known.items()
        if name in defaults
    )


class CompareSampler(FieldGrid):
    """The numbers of `SAMPLER`, or of other ``fields``, as a form."""

    edited = Signal()

    def __init__(self, parent: QWidget | None = None, fields: tuple[FieldSpec, ...] = SAMPLER) -> None:
        super().__init__(parent, max_columns=4, column_width=SAMPLER_WIDTH)
        self._boxes: dict[FieldSpec, NumberBox] = {}
        for spec in fields:
            box = NumberBox(spec, self)
            name_editor(box, spec)
            box.setToolTip(f"{spec.what} ({spec.range_text})")
            box.set_value(spec.default)
            box.edited.connect(self._on_edited)
            self._boxes[spec] = box
            self.add(labelled(spec.label, box, box))

    def settings(self) -> dict[str, float | int | None]:
        """The numbers as `app.core.protocol.question.Question` takes them."""
        found = {spec.path.rpartition(".")[2]: box.text_value() for spec, box in self._boxes.items()}
        if found.get("repetition_penalty") == NO_PENALTY:
            found["repetition_penalty"] = None  # a penalty of 1 changes nothing, and costs time at every token
        return found

    def show_settings(self, settings: Mapping[str, float | int | None]) -> None:
        """Shows numbers that `settings` gave, without telling anyone; what is not among them stays."""
        for spec, box in self._boxes.items():
            name = spec.path.rpartition(".")[2]
            if name in settings:
                value = settings[name]
                box.set_value(NO_PENALTY if value is None and name == "repetition_penalty" else value)

    def differing(self, settings: Mapping[str, float | int | None]) -> str:
        """``Temperature 0.8, Seed 3``: those of ``settings`` that the fields have otherwise; empty if none."""
        now = self.settings()
        told = []
        for spec in self._boxes:
            name = spec.path.rpartition(".")[2]
            if name in settings and settings[name] != now[name]:
                value = settings[name]
                told.append(f"{spec.label} {number_text(NO_PENALTY if value is None else value)}")
        return ", ".join(told)

    def hindrance(self) -> str:
        """What is not a number in its range; empty if all are."""
        wrong = [spec.label for spec, box in self._boxes.items() if box.fault]
        return tr("{wrong} is out of its range.", wrong=wrong[0]) if wrong else ""

    def _on_edited(self) -> None:
        self.edited.emit()


def labelled(text: str, buddy: QWidget, content: QWidget) -> QWidget:
    """A label above what it names."""
    part = QWidget()
    layout = QVBoxLayout(part)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(theme.SPACE // 2)
    label = QLabel(text, part)
    label.setBuddy(buddy)
    theme.set_role(label, role="label")
    layout.addWidget(label)
    layout.addWidget(content)
    return part
