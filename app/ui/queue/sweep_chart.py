"""The chart of a sweep: the best validation loss over the first field, a colour for each value of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import QSize
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from app.core.config.spec import field_specs
from app.core.language import tr
from app.core.queue.sweep import SweepResult, best_result, sweep_paths, value_order, value_word, value_words
from app.ui.widget import theme
from app.ui.widget.plot import MARKS, Plot

POINT, RING = 9, 19  # px
EDGE = 0.35  # of the distance between two values, left and right


class SweepChart(QWidget):
    """Draws `SweepResult`s. Values stand at equal distances, whatever their size, as 1e-5 and 1e-3 must."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("sweep_chart")
        self._results: Sequence[SweepResult] = ()
        self._legend = QLabel(self)
        self._legend.setObjectName("sweep_chart.legend")
        self._legend.setWordWrap(True)
        theme.set_role(self._legend, role="small")
        self._view = Plot("sweep_chart.plot", tr("Best validation loss of each variant"), self, label_width=56)
        self._plot = self._view.item
        self._plot.setMouseEnabled(x=False, y=False)
        self._plot.getViewBox().setDefaultPadding(0.12)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE // 2)
        layout.addWidget(self._legend)
        layout.addWidget(self._view, 1)
        theme.theme().changed.connect(self._redraw)
        self._view.scaled.connect(self._redraw)
        self._redraw()

    def show_results(self, results: Sequence[SweepResult]) -> None:
        """Draws these results; those without a loss have no point yet."""
        self._results = tuple(results)
        self._redraw()

    def points(self) -> dict[str, list[tuple[str, float]]]:
        """What is drawn: of each group, named by its values, the points as (value of the first field, loss)."""
        paths = sweep_paths(self._results)
        if not paths:
            return {}
        ticks = value_order(one.entry.values.get(paths[0]) for one in self._results)
        found: dict[str, list[tuple[str, float]]] = {}
        for values, group in self._groups(paths):
            placed = [
                (ticks.index(one.entry.values.get(paths[0])), one.loss) for one in group if one.loss is not None
            ]
            found[value_words(values)] = [(value_word(ticks[place]), loss) for place, loss in sorted(placed)]
        return found

    def _groups(self, paths: Sequence[str]) -> list[tuple[Mapping[str, Any], list[SweepResult]]]:
        """The results by the values of all fields but the first."""
        rest = paths[1:]
        keys = [tuple(one.entry.values.get(path) for path in rest) for one in self._results]
        order = [value_order(key[place] for key in keys) for place in range(len(rest))]
        shown = sorted(dict.fromkeys(keys), key=lambda key: [order[i].index(value) for i, value in enumerate(key)])
        return [
            (dict(zip(rest, wanted, strict=True)),
             [one for one, key in zip(self._results, keys, strict=True) if key == wanted])
            for wanted in shown
        ]  # fmt: skip

    def _redraw(self) -> None:
        self._plot.clear()
        paths = sweep_paths(self._results)
        self._legend.hide()
        if paths:
            self._draw(paths)

    def _draw(self, paths: Sequence[str]) -> None:
        c = theme.colors()
        ticks = value_order(one.entry.values.get(paths[0]) for one in self._results)
        bottom = self._plot.getAxis("bottom")
        bottom.setTicks([[(place, value_word(value)) for place, value in enumerate(ticks)]])
        bottom.setLabel(field_specs()[paths[0]].label, color=c.muted)
        self._plot.getAxis("left").setLabel(tr("Best loss"), color=c.muted)
        self._plot.setXRange(-EDGE, len(ticks) - 1 + EDGE, padding=0)
        self._draw_best(ticks, paths[0])
        names = []
        for number, (values, group) in enumerate(self._groups(paths)):
            color = c.series[number % len(c.series)]
            placed = sorted(
                (ticks.index(one.entry.values.get(paths[0])), one.loss) for one in group if one.loss is not None
            )
            mark, sign = MARKS[number % len(MARKS)]
            self._draw_group(placed, color, mark)
            names.append(
                f"<span style='color:{color}'>{sign}</span>&nbsp;{value_words(values).replace(' ', '&nbsp;')}"
            )
        self._legend.setText("&nbsp;&nbsp; ".join(names))
        self._legend.setVisible(len(paths) > 1)

    def _draw_group(self, placed: Sequence[tuple[int, float]], color: str, symbol: str) -> None:
        x, y = [place for place, _ in placed], [loss for _, loss in placed]
        line = self._plot.plot(
            x, y, pen=self._view.pen(color, 1.5), symbol=symbol, symbolSize=POINT, antialias=True
        )
        line.setSymbolBrush(QColor(color))
        line.setSymbolPen(None)

    def _draw_best(self, ticks: Sequence[Any], path: str) -> None:
        """A ring around the best point, below the points."""
        best = best_result(self._results)
        if best is None or best.loss is None:
            return
        ring = pg.ScatterPlotItem(
            [ticks.index(best.entry.values.get(path))], [best.loss], size=RING, symbol="o",
            pen=self._view.pen(theme.colors().accent, 2), brush=pg.mkBrush(None),
        )  # fmt: skip
        self._plot.addItem(ring)

    def sizeHint(self) -> QSize:
        return QSize(560, 240)
