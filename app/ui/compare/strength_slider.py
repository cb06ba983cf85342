"""The slider of a column: how much of its adapter is put on the base, from none to one and a half times."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QWidget

from app.core.language import tr
from app.ui.platform.scrolling import CalmSlider
from app.ui.widget import theme

STEP = 0.05
MOST_STRENGTH = 1.5
TIP = tr(
    "How much of the adapter is put on the base: 0 is the base itself, 1 the adapter as it was "
    "trained. Less forgets less, and shows less of what was learned"
)


class StrengthSlider(QWidget):
    """A strength in steps; ``changed`` fires when a person has chosen one, not on the way there."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.slider = CalmSlider(Qt.Orientation.Horizontal, self)
        self.slider.setAccessibleName(tr("Strength of the adapter"))
        self.slider.setRange(0, round(MOST_STRENGTH / STEP))
        self.slider.setPageStep(round(0.25 / STEP))
        self.slider.setValue(round(1 / STEP))
        self.slider.setMinimumSize(56, 22)
        caption = QLabel(tr("Strength"), self)
        caption.setBuddy(self.slider)
        self._value = QLabel(self)
        self._value.setMinimumWidth(theme.text_width(36))
        self._value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        for label in (caption, self._value):
            theme.set_role(label, role="small")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(caption)
        layout.addWidget(self.slider, 1)
        layout.addWidget(self._value)
        room = self.sizePolicy()
        room.setRetainSizeWhenHidden(True)  # the answers of all columns begin at one height
        self.setSizePolicy(room)
        self.slider.valueChanged.connect(self._on_moved)
        self.slider.sliderReleased.connect(self._on_released)
        self._settled = self.strength
        self._show()

    @property
    def strength(self) -> float:
        """What is chosen."""
        return round(self.slider.value() * STEP, 2)

    def set_strength(self, strength: float) -> None:
        """Chooses without telling anyone; a file may ask for more than there is, or for what Qt cannot count."""
        with QSignalBlocker(self.slider):
            self.slider.setValue(round(min(max(strength, 0.0), MOST_STRENGTH) / STEP))
        self._settled = self.strength
        self._show()

    def _on_moved(self) -> None:
        self._show()
        if not self.slider.isSliderDown():
            self._settle()

    def _on_released(self) -> None:
        self._settle()

    def _settle(self) -> None:
        if self.strength != self._settled:
            self._settled = self.strength
            self.changed.emit()

    def _show(self) -> None:
        self._value.setText(f"{self.strength:.2f} ×")
        self.slider.setToolTip(tr("{tip}. Now: {strength:.2f}", tip=TIP, strength=self.strength))
