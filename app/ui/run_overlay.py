"""The overlay: the loss curves of several runs in one plot. Its models are the `RunHistory`s that it is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QColor, QIcon
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from app.core.history import Axis, Floats, RunHistory, smooth
from app.ui import theme
from app.ui.icon_button import IconButton
from app.ui.loss_chart import AXES, SMOOTHING_STEPS
from app.ui.run_table import DOT, dot
from app.ui.sliced_work import SlicedWork

LEGEND_WIDTH = 168  # px
DASHES = (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine, Qt.PenStyle.DotLine, Qt.PenStyle.DashDotLine)
SMOOTHING = 0.9
ANTIALIASED = 6  # smooth edges cost twice the time: of more curves nobody sees them
Entry = tuple[pg.PlotDataItem, pg.PlotDataItem]


@dataclass(frozen=True, slots=True)
class OverlayRun:
    """One curve: a key that stays the same, the name in the legend, and the points."""

    key: str
    name: str
    history: RunHistory


class RunOverlay(QWidget):
    """Train losses (as they are, or smoothed) and validations over iterations, epochs, tokens or time."""

    view_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("run_overlay")
        self._runs: Sequence[OverlayRun] = ()
        self._entries: list[Entry] = []
        self._work = SlicedWork(self)
        self._build_plot()
        self._build_controls()
        self._lay_out()
        theme.theme().changed.connect(self._dress)
        self._dress()

    # -- model ------------------------------------------------------------------------------------------------

    def show_runs(self, runs: Sequence[OverlayRun]) -> None:
        """Shows these runs instead of those before; the view is fitted when they are others."""
        same = [run.key for run in runs] == [run.key for run in self._runs]
        self._runs = tuple(runs)
        if not same:
            self._fill_legend()
            self._remake_entries()
            self.reset_view()
        self._redraw()

    @property
    def is_busy(self) -> bool:
        """True while curves are being computed."""
        return self._work.is_busy

    @property
    def axis(self) -> Axis:
        """What the curves are drawn over."""
        found: Axis = self._axis_box.currentData()
        return found

    def set_axis(self, axis: Axis) -> None:
        """Chooses what the curves are drawn over."""
        self._axis_box.setCurrentIndex(list(AXES).index(axis))

    @property
    def smoothing(self) -> float:
        """Share of the past in the lines, 0 (every loss as it was) to 0.99."""
        return self._slider.value() / SMOOTHING_STEPS

    def set_smoothing(self, weight: float) -> None:
        """Sets the slider."""
        self._slider.setValue(round(weight * SMOOTHING_STEPS))

    def zoom(self, left: float, right: float) -> None:
        """Shows this stretch of the horizontal axis; the vertical one stays, as when the mouse moves it."""
        self._plot.disableAutoRange()
        self._plot.setXRange(left, right, padding=0)

    def reset_view(self) -> None:
        """Shows everything."""
        self._plot.enableAutoRange(pg.ViewBox.XYAxes, True)

    def curves(self) -> dict[str, tuple[Floats, Floats]]:
        """The points of each run's line as drawn, by its key."""
        found = {}
        for run, (line, _) in zip(self._runs, self._entries, strict=True):
            x, y = line.getOriginalDataset()
            found[run.key] = (np.empty(0), np.empty(0)) if x is None else (x, y)
        return found

    # -- building ---------------------------------------------------------------------------------------------

    def _build_plot(self) -> None:
        self._view = pg.PlotWidget(self)
        self._view.setObjectName("overlay_plot")
        self._view.setAccessibleName("Loss of the selected runs")
        self._plot = self._view.getPlotItem()
        self._plot.hideButtons()
        self._plot.setMenuEnabled(False)
        self._plot.setContentsMargins(0, 4, 8, 0)
        self._plot.getAxis("left").setWidth(44)
        for name in ("left", "bottom"):
            self._plot.getAxis(name).enableAutoSIPrefix(False)
        self._plot.getViewBox().setDefaultPadding(0.04)

    def _build_controls(self) -> None:
        self._axis_box = QComboBox(self)
        self._axis_box.setObjectName("overlay_x")
        self._axis_box.setAccessibleName("Horizontal axis")
        self._axis_box.setToolTip("What the losses are drawn over")
        for key, (label, unit) in AXES.items():
            self._axis_box.addItem("Time (minutes)" if key == "time" else label, key)
            self._axis_box.setItemData(self._axis_box.count() - 1, f"Loss over {unit}", Qt.ItemDataRole.ToolTipRole)
        self._axis_box.currentIndexChanged.connect(self._on_view)
        self._slider = QSlider(Qt.Orientation.Horizontal, self)
        self._slider.setObjectName("overlay_smoothing")
        self._slider.setAccessibleName("Smoothing")
        self._slider.setToolTip("How much of the past a line averages; at the left every loss is drawn as it was")
        self._slider.setRange(0, SMOOTHING_STEPS - 1)
        self._slider.setMinimumSize(56, 22)
        self._slider.setMaximumWidth(200)
        self.set_smoothing(SMOOTHING)
        self._slider.valueChanged.connect(self._on_view)
        self._validation = QCheckBox("Validation", self)
        self._validation.setObjectName("overlay_validation")
        self._validation.setToolTip("Draw the validation losses too, as points")
        self._validation.setChecked(True)
        self._validation.toggled.connect(self._on_view)
        self._reset = IconButton("ph.arrows-out", "Show everything (after zooming or moving)", self)
        self._reset.setObjectName("overlay_reset")
        self._reset.clicked.connect(self.reset_view)
        self._legend = QListWidget(self)
        self._legend.setObjectName("overlay_legend")
        self._legend.setAccessibleName("Runs in the plot")
        self._legend.setToolTip("Choose a run to bring its line out")
        self._legend.setFixedWidth(LEGEND_WIDTH)
        self._legend.setIconSize(QSize(DOT, DOT))
        self._legend.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self._legend.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._legend.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self._legend.setFrameShape(QListWidget.Shape.NoFrame)
        self._legend.setStyleSheet("QListWidget { border: none; }")
        self._legend.itemSelectionChanged.connect(self._dress_lines)

    def _lay_out(self) -> None:
        controls = QHBoxLayout()
        controls.setSpacing(theme.SPACE)
        label = QLabel("Smoothing", self)
        label.setBuddy(self._slider)
        theme.set_role(label, role="small")
        controls.addWidget(self._axis_box)
        controls.addSpacing(theme.SPACE // 2)
        controls.addWidget(label)
        controls.addWidget(self._slider, 1)
        controls.addSpacing(theme.SPACE // 2)
        controls.addWidget(self._validation)
        controls.addStretch(0)
        controls.addWidget(self._reset)
        plot = QHBoxLayout()
        plot.setSpacing(theme.SPACE)
        plot.addWidget(self._view, 1)
        plot.addWidget(self._legend)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE // 2)
        layout.addLayout(controls)
        layout.addLayout(plot, 1)

    def _fill_legend(self) -> None:
        self._legend.clear()
        for run in self._runs:
            item = QListWidgetItem(run.name)
            item.setToolTip(run.name)
            self._legend.addItem(item)
        self._legend.setVisible(len(self._runs) > 1)

    def _remake_entries(self) -> None:
        for entry in self._entries:
            for item in entry:
                self._plot.removeItem(item)
        self._entries = [(self._line(), self._points()) for _ in self._runs]
        self._dress_lines()

    def _line(self) -> Any:
        """At most two points for each pixel: 20 lines of 100,000 points must move with the pointer."""
        fine = len(self._runs) <= ANTIALIASED
        line = self._plot.plot([], [], connect="finite", autoDownsampleFactor=1.0, antialias=fine)
        line.setDownsampling(auto=True, method="peak")
        line.setClipToView(True)
        return line

    def _points(self) -> Any:
        return self._plot.plot([], [], connect="finite", symbol="o", symbolSize=5)

    # -- drawing ----------------------------------------------------------------------------------------------

    def _on_view(self) -> None:
        self.reset_view()
        self._redraw()
        self.view_changed.emit()

    def _redraw(self) -> None:
        self._work.start(self._draw_each())

    def _draw_each(self) -> Iterator[None]:
        """One run a turn: smoothing a hundred thousand points takes a few milliseconds."""
        for run, (line, points) in zip(self._runs, self._entries, strict=True):
            history = run.history
            losses = smooth(history.losses, self.smoothing) if self.smoothing else history.losses
            line.setData(self._scaled(history.x(self.axis)), _drawable(losses))
            shown = self._validation.isChecked() or not len(history)
            x, y = self._scaled(history.valid_x(self.axis)), _drawable(history.valid_losses)
            points.setData(x, y) if shown else points.setData([], [])
            yield

    def _scaled(self, x: Floats) -> Floats:
        return x / 60 if self.axis == "time" else x

    def _dress(self) -> None:
        c = theme.colors()
        self._view.setBackground(c.card)
        for name in ("left", "bottom"):
            axis = self._plot.getAxis(name)
            axis.setPen(pg.mkPen(c.border))
            axis.setTextPen(pg.mkPen(c.muted))
            axis.setTickFont(theme.ui_font(-2))
            axis.setStyle(tickTextOffset=4, tickLength=0)
        self._plot.showGrid(x=False, y=True, alpha=0.5)
        self._dress_lines()

    def _dress_lines(self) -> None:
        """Eight colours, then the same with dashes. A run chosen in the legend stands out from the others."""
        series = theme.colors().series
        rows = [index.row() for index in self._legend.selectedIndexes()]
        for place, (line, points) in enumerate(self._entries):
            color = QColor(series[place % len(series)])
            if item := self._legend.item(place):
                item.setIcon(QIcon(dot(color.name())))
            color.setAlpha(255 if not rows or place in rows else 60)
            dash = DASHES[place // len(series) % len(DASHES)]
            # A wide line costs many times a thin one: only few, or the chosen one, are drawn wide.
            width = 2 if place in rows or len(self._entries) <= 3 else 1
            line.setPen(pg.mkPen(color, width=width, style=dash))
            line.setZValue(10 if place in rows else 0)
            points.setPen(pg.mkPen(color, width=1, style=Qt.PenStyle.DotLine))
            points.setSymbolBrush(color)
            points.setSymbolPen(None)

    def sizeHint(self) -> QSize:
        return QSize(600, 240)


def _drawable(losses: Floats) -> Floats:
    """Infinity becomes a gap, as NaN is."""
    good = np.isfinite(losses)
    return losses if good.all() else np.where(good, losses, np.nan)
