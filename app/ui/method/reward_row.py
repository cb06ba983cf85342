"""One reward function on a form: whether it counts, what it scores, and a slider for its weight."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLabel, QSizePolicy, QVBoxLayout, QWidget

from app.core.language import tr
from app.ui.form.number_box import number_text
from app.ui.form.plain_editor import CheckEditor
from app.ui.platform.scrolling import CalmSlider
from app.ui.widget.flow import Flow

WEIGHT_STEP = 0.05
LARGEST = 2.0  # the slider's end, unless a config says more
SLIDER_WIDTH = 130  # px
WIDEST_SHARE = "× 0.05 · 100 %"
INDENT = 26  # px; where the check box's text begins


class RewardRow(QWidget):
    """Shows a function and its weight; ``edited`` when either was changed by hand."""

    edited = Signal()

    def __init__(self, name: str, what: str, parent: QWidget | None = None, *, origin: str = "") -> None:
        super().__init__(parent)
        self.name = name
        self._weight = 1.0
        self.check = CheckEditor(name, self)
        self.check.setObjectName(f"reward.{name}")
        self.check.setAccessibleDescription(what)
        self.slider = CalmSlider(Qt.Orientation.Horizontal, self)
        self.slider.setObjectName(f"reward.{name}.weight")
        self.slider.setAccessibleName(tr("Weight of {name}", name=name))
        self.slider.setFixedWidth(SLIDER_WIDTH)
        self._share = QLabel(self)
        self._share.setObjectName(f"reward.{name}.share")
        self._share.setProperty("role", "small")
        self._share.setMinimumWidth(self._share.fontMetrics().horizontalAdvance(WIDEST_SHARE))
        self._share.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        text = QLabel(f"{origin}: {what}" if origin and what else origin or what, self)
        text.setProperty("role", "small")
        text.setWordWrap(True)
        text.setTextFormat(Qt.TextFormat.PlainText)
        text.setContentsMargins(INDENT, 0, 0, 0)
        self.check.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        head = Flow()
        for part in (self.check, self.slider, self._share):
            head.addWidget(part)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(head)
        layout.addWidget(text)
        self.check.edited.connect(self._on_checked)
        self.slider.valueChanged.connect(self._on_slid)
        self.set_value(False, 1.0)

    @property
    def is_on(self) -> bool:
        """Whether the function counts."""
        return bool(self.check.value())

    @property
    def weight(self) -> float:
        """The factor on its scores."""
        return self._weight

    @property
    def share_text(self) -> str:
        """The weight and its share as shown."""
        return self._share.text()

    def set_value(self, on: bool, weight: float) -> None:
        """Shows a value without telling anyone; a weight that is no step of the slider stays as it is."""
        self.check.set_value(on)
        self._weight = weight
        self.slider.blockSignals(True)
        self.slider.setRange(round(min(0.0, weight) / WEIGHT_STEP), round(max(LARGEST, weight) / WEIGHT_STEP))
        self.slider.setValue(round(weight / WEIGHT_STEP))
        self.slider.blockSignals(False)
        for part in (self.slider, self._share):
            part.setVisible(on)

    def show_share(self, share: float | None) -> None:
        """Tells what part of all weights this is; None where there is no sum to be a part of."""
        part = "" if share is None else f" · {100 * share:.0f}\u00a0%"
        self._share.setText(f"× {number_text(self._weight)}{part}")
        self.slider.setToolTip(tr("Scores count × {number_text}", number_text=number_text(self._weight)))

    def _on_checked(self) -> None:
        for part in (self.slider, self._share):
            part.setVisible(self.is_on)
        self.edited.emit()

    def _on_slid(self, steps: int) -> None:
        self._weight = round(steps * WEIGHT_STEP, 4)
        self.edited.emit()
