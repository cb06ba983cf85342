"""The plot: pyqtgraph's in the house's dress, and the choices that every plot of losses offers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QColor, QPen
from PySide6.QtWidgets import QWidget

from app.ui.widget import theme

SMOOTHING_STEPS = 100
LABEL_WIDTH = 44  # px, of the numbers beside the plot
LEGEND_GAP = 8  # px


class Plot(pg.PlotWidget):
    """A plot without menu, buttons and ticks, with a quiet grid. It follows the theme by itself.

    ``scaled`` says that a point of the screen is another number of pixels now: pens are made anew then.
    """

    scaled = Signal()

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

    def pen(self, color: QColor | str, width: float = 1.0, style: Qt.PenStyle = Qt.PenStyle.SolidLine) -> QPen:
        """A pen as wide on every screen: pyqtgraph's count a screen's own pixels, of which there may be more."""
        found: QPen = pg.mkPen(color, width=width * self.devicePixelRatioF(), style=style)
        return found

    def add_legend(self, columns: int) -> Any:
        """A legend for pictures of the plot (`legend_shown`); in a window the page says what the curves are."""
        legend = self.item.addLegend(offset=None, labelTextSize="9pt", colCount=columns, horSpacing=LEGEND_GAP)
        legend.setParentItem(self.item)
        legend.anchor((0, 0), (0, 0), offset=(self.item.getAxis("left").width(), 0))
        legend.hide()
        return legend

    @contextmanager
    def legend_shown(self) -> Iterator[None]:
        """Shows the legend in a row of its own above the curves, so that it never lies on them."""
        legend, layout = self.item.legend, self.item.layout
        legend.setVisible(bool(legend.items))
        layout.setRowFixedHeight(0, legend.height() if legend.items else 0)  # where pyqtgraph has its title
        layout.activate()
        try:
            yield
        finally:
            legend.hide()
            layout.setRowFixedHeight(0, 0)
            layout.activate()

    def event(self, happened: QEvent) -> bool:
        if happened.type() == QEvent.Type.DevicePixelRatioChange:
            self._dress()
            self.scaled.emit()
        handled: bool = super().event(happened)
        return handled

    def _dress(self) -> None:
        c = theme.colors()
        self.setBackground(c.card)
        for side in ("left", "bottom"):
            axis = self.item.getAxis(side)
            axis.setPen(self.pen(c.border))
            axis.setTextPen(pg.mkPen(c.muted))
            axis.setTickFont(theme.ui_font(-2))
            axis.label.setFont(theme.ui_font(-1))
