"""How curves are looked at: which axes, and how much they are smoothed; a row of controls."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSizePolicy, QWidget

from app.core.language import tr, trn
from app.core.run.curve_table import Floats
from app.core.run.history import Axis
from app.ui.platform.scrolling import CalmBox, CalmSlider
from app.ui.widget import theme
from app.ui.widget.flow import Flow
from app.ui.widget.plot import SMOOTHING_STEPS

AXES: dict[Axis, tuple[str, str]] = {
    "iterations": (tr("Iterations"), tr("iterations")),
    "epochs": (tr("Epochs"), trn(2, "epoch", "epochs")),
    "tokens": (tr("Tokens"), tr("trained tokens")),
    "time": (tr("Time"), tr("minutes")),
}


class CurveView(QWidget):
    """What losses are drawn over, and how smooth; ``changed`` says that the user, or a setter, chose anew.

    Its parts are named after ``prefix``: ``PREFIX_x`` and ``PREFIX_smoothing``.
    """

    changed = Signal()

    def __init__(self, prefix: str, smoothing: float = 0.0, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._axis_box = CalmBox(self)
        self._axis_box.setObjectName(f"{prefix}_x")
        self._axis_box.setAccessibleName(tr("Horizontal axis"))
        self._axis_box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self._axis_box.setToolTip(tr("What the losses are drawn over"))
        for key, (label, unit) in AXES.items():
            self._axis_box.addItem(tr("Minutes") if key == "time" else label, key)
            self._axis_box.setItemData(
                self._axis_box.count() - 1, tr("Loss over {unit}", unit=unit), Qt.ItemDataRole.ToolTipRole
            )
        self._slider = CalmSlider(Qt.Orientation.Horizontal, self)
        self._slider.setObjectName(f"{prefix}_smoothing")
        self._slider.setAccessibleName(tr("Smoothing"))
        self._slider.setRange(0, SMOOTHING_STEPS - 1)
        self._slider.setMinimumSize(56, 22)
        self._slider.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)  # it takes what is left
        self.set_smoothing(smoothing)
        self._show_tip()
        caption = QLabel(tr("Smoothing"), self)
        caption.setBuddy(self._slider)
        theme.set_role(caption, role="small")
        smooth = QWidget(self)
        smooth.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        smooth.setMaximumWidth(theme.text_width(280))
        row = QHBoxLayout(smooth)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.SPACE)
        row.addWidget(caption)
        row.addWidget(self._slider, 1)
        flow = self._flow = Flow(gap=theme.SPACE // 2)
        flow.addWidget(self._axis_box)
        flow.addWidget(smooth)
        self.setLayout(flow)
        self._axis_box.currentIndexChanged.connect(self._on_change)
        self._slider.valueChanged.connect(self._on_change)

    def put_first(self, choice: QWidget) -> None:
        """A choice of what is drawn, before that of what it is drawn over."""
        self._flow.insert_first(choice)

    @property
    def axis(self) -> Axis:
        """What the points are drawn over."""
        found: Axis = self._axis_box.currentData()
        return found

    def set_axis(self, axis: Axis) -> None:
        """Chooses what the points are drawn over."""
        self._axis_box.setCurrentIndex(list(AXES).index(axis))

    @property
    def smoothing(self) -> float:
        """Share of the past in the smoothed line, 0 (every loss as it was) to 0.99."""
        return self._slider.value() / SMOOTHING_STEPS

    def set_smoothing(self, weight: float) -> None:
        """Sets the slider."""
        self._slider.setValue(round(weight * SMOOTHING_STEPS))

    def scaled(self, x: Floats) -> Floats:
        """Seconds become minutes; the rest is drawn as it is."""
        return x / self.unit if self.axis == "time" else x

    @property
    def unit(self) -> float:
        """How many of what a run tells are one of what is drawn over."""
        return 60.0 if self.axis == "time" else 1.0

    def _on_change(self) -> None:
        self._show_tip()
        self.changed.emit()

    def _show_tip(self) -> None:
        said = tr("How much of the past the line averages: {smoothing:.2f}", smoothing=self.smoothing)
        self._slider.setToolTip(tr("{said}; at the left every loss is drawn as it was", said=said))
