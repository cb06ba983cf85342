"""A long curve: of any number of points it draws what can be seen."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyqtgraph as pg
from PySide6.QtGui import QPen

from app.core.run.curve_table import Floats
from app.core.run.peak import Peaks
from app.ui.widget.plot import Range

LEAST_PARTS = 500  # of a curve, however narrow the plot is
DOT_ROOM = 3  # of its widths for each dot; closer ones would hide each other and the line


class LongCurve(pg.PlotDataItem):
    """A curve of a `Plot` over an axis that only rises. Where it is not a number it has gaps.

    pyqtgraph looks at every point again with every change; this one is given what a picture of its size can show,
    and knows its bounds.
    """

    def __init__(self, **style: Any) -> None:
        self._peaks = Peaks()
        self._of: tuple[object, ...] = ()
        self._x: Floats = np.empty(0)
        self._unit = 1.0
        self._dot = 0  # px
        super().__init__([], [], connect="finite", **style)

    def take(
        self, x: Floats, y: Floats, of: tuple[object, ...], *, unit: float = 1.0, is_log: bool = False
    ) -> None:
        """The curve is ``y`` over ``x / unit``; of the same ``of`` as before it has only grown."""
        of = (*of, is_log)
        if of != self._of or len(y) < len(self._peaks):
            self._peaks, self._of = Peaks(positive=is_log), of
        self._peaks.update(y)
        self._x, self._unit = x, unit

    def set_dots(self, size: int, color: str, rim: QPen) -> None:
        """Points are dots of a size, with a rim, wherever they lie far enough apart."""
        self._dot = size
        self.setSymbolSize(size)
        self.setSymbolBrush(color)
        self.setSymbolPen(rim)

    @property
    def is_empty(self) -> bool:
        """Before there is a point."""
        return not len(self._peaks)

    @property
    def ends(self) -> Range:
        """The x of the first and of the last point."""
        return float(self._x[0] / self._unit), float(self._x[-1] / self._unit)

    def points(self, first: int, last: int) -> tuple[Floats, Floats]:
        """What is drawn of the points from ``first`` to before ``last``: x and y."""
        places, y = self._peaks.thinned(first, last, self._parts())
        return self._x[places] / self._unit, y

    def parts_at(self, x: float) -> list[tuple[Floats, Floats]]:
        """What is drawn of the points up to ``x``, and of those behind it."""
        middle, end = self.place(x), len(self._peaks)
        return [self.points(first, last) for first, last in ((0, middle), (middle, end)) if last > first]

    def place(self, x: float) -> int:
        """How many points lie before ``x``, or at it."""
        return int(np.searchsorted(self._x, x * self._unit, side="right"))

    def draw(self, shown: Range | None = None) -> None:
        """Draws what there is, or what of it lies in a range of x, up to beyond its ends."""
        first, last = 0, len(self._peaks)
        seen = last
        if shown is not None:
            seen = self.place(shown[1]) - self.place(shown[0])
            reach = shown[1] - shown[0]
            first = max(self.place(shown[0] - reach) - 1, 0)
            last = min(self.place(shown[1] + reach) + 1, last)
        self.setSymbol("o" if self._has_room_for_dots(seen) else None)
        self.setData(*self.points(first, last))

    def _has_room_for_dots(self, seen: int) -> bool:
        box = self.getViewBox()
        return self._dot > 0 and box is not None and seen * DOT_ROOM * self._dot <= box.width()

    def dataBounds(
        self,
        ax: int,
        _frac: float = 1.0,
        orthoRange: Range | None = None,  # noqa: N803 # pyqtgraph's name
        **_: Any,
    ) -> Range | tuple[None, None]:
        """The whole curve's, whatever of it is drawn; of y, that of a range of x where one is given."""
        if self.is_empty:
            return None, None
        if ax == 0:
            return self.ends
        low, high = self._peaks.low, self._peaks.high
        if orthoRange is not None:
            low, high = self._height(*orthoRange)
        if not math.isfinite(low):
            return None, None
        return (math.log10(low), math.log10(high)) if self.opts["logMode"][1] else (low, high)

    def _height(self, left: float, right: float) -> Range:
        """The least and the greatest y from ``left`` to ``right``, or of a line that only crosses it."""
        first, last = int(np.searchsorted(self._x, left * self._unit)), self.place(right)
        if first >= last:
            first, last = max(first - 1, 0), last + 1
        _, y = self.points(first, min(last, len(self._peaks)))
        y = y[np.isfinite(y)]
        return (float(y.min()), float(y.max())) if len(y) else (math.inf, math.inf)

    def _parts(self) -> int:
        """One a pixel of the screen."""
        box = self.getViewBox()
        view = box.getViewWidget() if box is not None else None
        return max(LEAST_PARTS, int(box.width() * view.devicePixelRatioF())) if view is not None else LEAST_PARTS
