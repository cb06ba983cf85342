"""The plot: pyqtgraph's in the house's dress, and the choices that every plot of losses offers."""

from __future__ import annotations

import pyqtgraph as pg
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QWidget

from app.ui.widget import theme

SMOOTHING_STEPS = 100
LABEL_WIDTH = 44  # px, of the numbers beside the plot
LEGEND_HEIGHT = 130  # px; in a lower plot a legend would lie on the curves


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
