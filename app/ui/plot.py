"""The plot: pyqtgraph's in the house's dress, and the choices that every plot of losses offers."""

from __future__ import annotations

import pyqtgraph as pg
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QSlider, QWidget

from app.core.history import Axis, Floats
from app.ui import theme

SMOOTHING_STEPS = 100
LABEL_WIDTH = 44  # px, of the numbers beside the plot
LEGEND_HEIGHT = 130  # px; in a lower plot a legend would lie on the curves
AXES: dict[Axis, tuple[str, str]] = {
    "iterations": ("Iterations", "iterations"),
    "epochs": ("Epochs", "epochs"),
    "tokens": ("Tokens", "trained tokens"),
    "time": ("Time", "minutes"),
}


class Plot(pg.PlotWidget):
    """A plot without menu, buttons and ticks, with a quiet grid. It follows the theme by itself."""

    def __init__(
        self, name: str, accessible_name: str, parent: QWidget | None = None, *, label_width: int = LABEL_WIDTH
    ) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setAccessibleName(accessible_name)
        self.item = self.getPlotItem()
        self.item.hideButtons()
        self.item.setMenuEnabled(False)
        self.item.setContentsMargins(0, 4, 8, 0)
        self.item.getAxis("left").setWidth(label_width)
        for side in ("left", "bottom"):
            axis = self.item.getAxis(side)
            axis.enableAutoSIPrefix(False)
            axis.setStyle(tickTextOffset=4, tickLength=0, maxTickLevel=0)
        self.item.getViewBox().setDefaultPadding(0.04)
        self.item.showGrid(x=False, y=True, alpha=0.5)
        theme.theme().changed.connect(self._dress)
        self._dress()

    def resizeEvent(self, resized: QResizeEvent) -> None:
        super().resizeEvent(resized)
        if hasattr(self, "item") and self.item.legend is not None:  # pyqtgraph resizes while it is built
            self.item.legend.setVisible(self.height() >= LEGEND_HEIGHT)

    def _dress(self) -> None:
        c = theme.colors()
        self.setBackground(c.card)
        for side in ("left", "bottom"):
            axis = self.item.getAxis(side)
            axis.setPen(pg.mkPen(c.border))
            axis.setTextPen(pg.mkPen(c.muted))
            axis.setTickFont(theme.ui_font(-2))
            axis.label.setFont(theme.ui_font(-1))


class CurveView(QWidget):
    """What losses are drawn over, and how smooth; ``changed`` says that the user, or a setter, chose anew.

    Its parts are named after ``prefix``: ``PREFIX_x`` and ``PREFIX_smoothing``.
    """

    changed = Signal()

    def __init__(self, prefix: str, smoothing: float = 0.0, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._axis_box = QComboBox(self)
        self._axis_box.setObjectName(f"{prefix}_x")
        self._axis_box.setAccessibleName("Horizontal axis")
        self._axis_box.setToolTip("What the losses are drawn over")
        for key, (label, unit) in AXES.items():
            self._axis_box.addItem("Time (minutes)" if key == "time" else label, key)
            self._axis_box.setItemData(self._axis_box.count() - 1, f"Loss over {unit}", Qt.ItemDataRole.ToolTipRole)
        self._slider = QSlider(Qt.Orientation.Horizontal, self)
        self._slider.setObjectName(f"{prefix}_smoothing")
        self._slider.setAccessibleName("Smoothing")
        self._slider.setRange(0, SMOOTHING_STEPS - 1)
        self._slider.setMinimumSize(56, 22)
        self._slider.setMaximumWidth(200)
        self.set_smoothing(smoothing)
        self._show_tip()
        caption = QLabel("Smoothing", self)
        caption.setBuddy(self._slider)
        theme.set_role(caption, role="small")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.SPACE)
        row.addWidget(self._axis_box)
        row.addWidget(caption)
        row.addWidget(self._slider, 1)
        self._axis_box.currentIndexChanged.connect(self._on_change)
        self._slider.valueChanged.connect(self._on_change)

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
        return x / 60 if self.axis == "time" else x

    def _on_change(self) -> None:
        self._show_tip()
        self.changed.emit()

    def _show_tip(self) -> None:
        said = f"How much of the past the line averages: {self.smoothing:.2f}"
        self._slider.setToolTip(f"{said}; at the left every loss is drawn as it was")
