"""The length chart: how many examples have how many tokens, and what the maximum length cuts off."""

from __future__ import annotations

import pyqtgraph as pg
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.core.language import tr
from app.ui.data.inspector import SplitFigures
from app.ui.widget import theme
from app.ui.widget.plot import Plot

NAME_WIDTH = 64  # px, with the axis' name
ROOM = 1.06  # of the longest example, to the right of it
FAR_SHARE = 2.0  # a maximum this much longer than the longest example is out of the picture


class LengthChart(QWidget):
    """Draws the histogram of `SplitFigures`; its line can be dragged: ``maximum_chosen(tokens)``."""

    maximum_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("length_chart")
        self.setAccessibleName(tr("Lengths of the examples in tokens"))
        self._figures: SplitFigures | None = None
        self._maximum = 0
        self._name = ""
        self.view = Plot("length_chart.plot", tr("Lengths of the examples in tokens"), self, label_width=NAME_WIDTH)
        self._plot = self.view.item
        self._plot.setMouseEnabled(x=False, y=False)
        self._kept = pg.BarGraphItem(x0=[], x1=[], height=[])
        self._cut = pg.BarGraphItem(x0=[], x1=[], height=[])
        self.line = pg.InfiniteLine(angle=90, movable=True)
        self.line.setZValue(10)
        self.label = pg.InfLineLabel(self.line, "", position=0.94, anchors=[(0, 0.5), (1, 0.5)])
        for item in (self._kept, self._cut, self.line):
            self._plot.addItem(item)
        for name in ("left", "bottom"):
            self._plot.getAxis(name).setZValue(-1)  # its grid lies behind the bars
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.view)
        self.setMinimumHeight(160)
        self.line.sigPositionChangeFinished.connect(self._on_dragged)
        theme.theme().changed.connect(self._dress)
        self.view.scaled.connect(self._dress)
        self.set_words(tr("tokens in an example"), tr("examples"))
        self._dress()

    def show_figures(self, figures: SplitFigures | None) -> None:
        """Shows another histogram; None shows none."""
        self._figures = figures
        self._draw()

    def set_words(self, bottom: str, left: str) -> None:
        """What the axes count."""
        self._plot.setLabel("bottom", bottom)
        self._plot.setLabel("left", left)

    def set_maximum(self, tokens: int, name: str) -> None:
        """Moves the line, which has a name, and with it what is drawn as cut off."""
        self._maximum, self._name = tokens, name
        self._draw()

    @property
    def is_line_shown(self) -> bool:
        """False when the maximum is far beyond the longest example."""
        return bool(self.line.isVisible())

    def cut_bars(self) -> int:
        """How many bars hold only examples that are cut."""
        return len(self._cut.opts["height"])

    def _draw(self) -> None:
        figures = self._figures
        if figures is None or not figures.examples:
            self._set_bars([], [])
            self.line.hide()
            return
        bars = [
            (low, high, count)
            for low, high, count in zip(figures.edges, figures.edges[1:], figures.counts, strict=False)
        ]
        self._set_bars(
            [bar for bar in bars if bar[0] <= self._maximum], [bar for bar in bars if bar[0] > self._maximum]
        )
        near = self._maximum <= FAR_SHARE * figures.longest
        right = max(figures.edges[-1], self._maximum if near else 0) * ROOM
        self._plot.setXRange(0, right, padding=0)
        self._plot.setYRange(0, max(figures.counts) * 1.12, padding=0)
        self.line.setVisible(near)
        self.line.setPos(self._maximum)
        self.line.setBounds((8, None))
        self.label.setFormat(tr("{name} {maximum:,}", name=self._name, maximum=self._maximum))

    def _set_bars(self, kept: list[tuple[int, int, int]], cut: list[tuple[int, int, int]]) -> None:
        for item, bars in ((self._kept, kept), (self._cut, cut)):
            item.setOpts(x0=[bar[0] for bar in bars], x1=[bar[1] for bar in bars], height=[bar[2] for bar in bars])

    def _on_dragged(self) -> None:
        tokens = max(8, round(self.line.value()))
        if tokens != self._maximum:
            self.maximum_chosen.emit(tokens)

    def _dress(self) -> None:
        c = theme.colors()
        kept, cut = QColor(c.train_line), QColor(c.error)
        kept.setAlphaF(0.75)
        cut.setAlphaF(0.55)
        edge = self.view.pen(c.card)
        self._kept.setOpts(brush=kept, pen=edge)
        self._cut.setOpts(brush=cut, pen=edge)
        self.line.setPen(self.view.pen(c.error, 1.5, Qt.PenStyle.DashLine))
        self.line.setHoverPen(self.view.pen(c.error, 3))
        self.label.setColor(c.error)
