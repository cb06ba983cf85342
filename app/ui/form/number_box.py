"""A number's editor: text that may become a number, with steps that follow its size."""

from __future__ import annotations

import math
from decimal import Decimal

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QResizeEvent, QValidator, QWheelEvent
from PySide6.QtWidgets import QAbstractSpinBox, QLabel, QWidget

from app.core.config.train_config import FieldSpec
from app.core.language import tr, trn
from app.core.quantity import typed_number
from app.ui.platform.scrolling import is_turned
from app.ui.widget import theme

# Where one step of an arrow is a fixed amount; elsewhere it follows the magnitude (1e-5 → 2e-5, 1000 → 1100).
NUMBER_STEPS = {
    "epochs": 0.5,
    "lora_parameters.dropout": 0.05,
    "valid_fraction": 0.05,
    "test_fraction": 0.05,
    "max_grad_norm": 0.5,
    "warmup": 0.01,
    "weight_decay": 0.01,
    "early_stopping.min_delta": 0.01,
}

# What a unit is called beside a 1.
ONE_OF = {
    tr("examples"): trn(1, "example", "examples"),
    tr("batches"): trn(1, "batch", "batches"),
    tr("tokens"): trn(1, "token", "tokens"),
    tr("iterations"): trn(1, "iteration", "iterations"),
    tr("epochs"): trn(1, "epoch", "epochs"),
    tr("layers"): trn(1, "layer", "layers"),
    tr("prompts"): trn(1, "prompt", "prompts"),
    tr("answers"): trn(1, "answer", "answers"),
    tr("evaluations"): trn(1, "evaluation", "evaluations"),
}


def number_text(value: float | int | None) -> str:
    """A number as people write it: 1e-5, 0.25, 32; "" for None. Reads back as the same number."""
    if value is None:
        return ""
    if isinstance(value, int) or (value == int(value) and abs(value) < 1e9):
        return str(int(value))
    if abs(value) < 1e-3 or abs(value) >= 1e9:
        return f"{Decimal(repr(value)).normalize():e}".replace("e+", "e")
    return repr(value)


def stepped(value: float, steps: int, step: float | None, integer: bool) -> float:
    """The next round number ``steps`` steps away: by ``step``, or by the value's own magnitude."""
    for _ in range(abs(steps)):
        value = _one_step(value, math.copysign(1, steps), step, integer)
    return value


def _one_step(value: float, sign: float, step: float | None, integer: bool) -> float:
    if step is None:
        # From a power of ten downwards the smaller decade counts: 1e-4 → 9e-5, not 0.
        magnitude = abs(value) * (1 - 1e-9) if sign * value < 0 else abs(value)
        decade = 10.0 ** math.floor(math.log10(magnitude) + 1e-12) if magnitude > 0 else 0.1
        step = decade if decade < 1 else decade / 10
        if integer or decade >= 1:
            step = max(1.0, step)
    count = value / step
    whole = math.floor(count + 1 + 1e-6) if sign > 0 else math.ceil(count - 1 - 1e-6)
    return float(f"{whole * step:.12g}")


class NumberBox(QAbstractSpinBox):
    """A number with arrows that keeps what was typed (``1e-5`` stays ``1e-5``), with its unit inside.

    ``edited(number or None)`` fires for each text that is a number, ``unreadable(text)`` when one that is none
    was left standing. The wheel turns it only while it has the focus, so that scrolling a form changes nothing.
    """

    edited = Signal(object)
    unreadable = Signal(str)

    def __init__(self, spec: FieldSpec, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._spec = spec
        self._value: float | int | None = None
        self._integer = spec.kind == "int"
        self._step = NUMBER_STEPS.get(spec.path)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCorrectionMode(QAbstractSpinBox.CorrectionMode.CorrectToPreviousValue)
        self.lineEdit().setTextMargins(6, 0, 0, 0)  # where the other editors' text begins
        self._unit = QLabel(spec.unit, self)
        theme.set_role(self._unit, role="small")
        self._unit.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.lineEdit().textEdited.connect(self._on_text)
        self.lineEdit().textChanged.connect(self._place_unit)
        self.editingFinished.connect(self._on_finished)

    def value(self) -> float | int | None:
        """The number shown; None when empty."""
        return self._value

    def set_value(self, value: float | int | None) -> None:
        """Shows a number without telling anyone; leaves text alone that already means it."""
        self._value = value
        if self.lineEdit().text() and self._parse(self.lineEdit().text()) == value:
            return
        self.lineEdit().setText(number_text(value))

    def set_placeholder(self, text: str) -> None:
        """What stands there while there is no value."""
        self.lineEdit().setPlaceholderText(text)

    def text_value(self) -> float | int | None:
        """The number that the text means; None if it is none."""
        return self._parse(self.lineEdit().text())

    @property
    def is_read(self) -> bool:
        """Whether the text is a number, or nothing where that is allowed."""
        text = self.lineEdit().text()
        return self._parse(text) is not None or (self._spec.optional and not text.strip())

    @property
    def fault(self) -> str:
        """Why what stands there cannot be used, in words; empty if it can."""
        value, spec = self.text_value(), self._spec
        if self.is_read and (value is None or spec.takes(value)):
            return ""
        if not spec.range_text:
            return tr("A number is needed here.")
        return tr("{label} takes {range_text}.", label=spec.label, range_text=spec.range_text)

    def _parse(self, text: str) -> float | int | None:
        number = typed_number(text)
        if number is None:
            return None
        if not self._integer:
            return number
        return int(number) if number == int(number) else None

    def _on_text(self, text: str) -> None:
        number = self._parse(text)
        if number is not None or (self._spec.optional and not text.strip()):
            self._value = number
            self.edited.emit(number)
        elif text.strip() and not _may_become_number(text):
            self.unreadable.emit(text)

    def _on_finished(self) -> None:
        if not self.is_read:
            self.unreadable.emit(self.lineEdit().text())

    # -- Qt ---------------------------------------------------------------------------------------------------

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        return QValidator.State.Acceptable, text, position

    def stepBy(self, steps: int) -> None:
        start = self.text_value()
        if start is None:
            start = self._value if self._value is not None else (self._spec.default or 0)
        value = self._within(stepped(float(start), steps, self._step, self._integer), float(start), steps)
        number = int(value) if self._integer else value
        self._value = number
        self.lineEdit().setText(number_text(number))
        self.lineEdit().selectAll()
        self.edited.emit(number)

    def _within(self, value: float, start: float, steps: int) -> float:
        """Where a step comes to: at most the border of what the field takes, nowhere where that is outside.

        From beyond such a border a step back leads to what the field has by default: beside it there is no first
        value.
        """
        low, high = self._spec.minimum, self._spec.maximum
        if low is not None and value <= low:
            return self._beside(start, is_back=steps > 0) if self._spec.exclusive_minimum else low
        if high is not None and value >= high:
            return self._beside(start, is_back=steps < 0) if self._spec.exclusive_maximum else high
        return value

    def _beside(self, start: float, *, is_back: bool) -> float:
        usual = self._spec.default
        return float(usual) if is_back and isinstance(usual, (int, float)) else start

    def stepEnabled(self) -> QAbstractSpinBox.StepEnabledFlag:
        flag = QAbstractSpinBox.StepEnabledFlag
        return flag.StepUpEnabled | flag.StepDownEnabled

    def sizeHint(self) -> QSize:
        return QSize(140, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        return QSize(84, super().minimumSizeHint().height())

    def wheelEvent(self, event: QWheelEvent) -> None:
        if is_turned(self, event):
            super().wheelEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self.text_value() != self._value:
            self.lineEdit().setText(number_text(self._value))
            self.edited.emit(self._value)
            return
        super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place_unit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange) and hasattr(self, "_unit"):
            self._place_unit()

    def _place_unit(self) -> None:
        """The unit stands right of the number, and steps aside when the number needs the room."""
        unit = self._spec.unit
        if self.lineEdit().text().strip() == "1":
            unit = ONE_OF.get(unit, unit)
        self._unit.setText(unit)
        if not self._spec.unit:
            return
        self._unit.adjustSize()
        edit = self.lineEdit()
        shown = edit.text() or edit.placeholderText()
        room = edit.width() - edit.fontMetrics().horizontalAdvance(shown) - 20
        self._unit.setVisible(self._unit.width() <= room)
        x = edit.x() + edit.width() - self._unit.width() - 2
        self._unit.move(x, (self.height() - self._unit.height()) // 2)


def _may_become_number(text: str) -> bool:
    """True while a number is being typed: "-", "1e", "1e-", "."."""
    plain = text.strip().replace("−", "-").lower()
    return all(c in "0123456789.,e+-_ '\u00a0\u202f\u2019" for c in plain) and plain.count("e") <= 1
