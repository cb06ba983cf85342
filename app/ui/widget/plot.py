"""The plot: pyqtgraph's in the house's dress, and the choices that every plot of losses offers."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from pyqtgraph.graphicsItems.ScatterPlotItem import drawSymbol
from PySide6.QtCore import QEvent, QPointF, Qt, Signal
from PySide6.QtGui import (
    QBrush,
    QColor,
    QKeyEvent,
    QMouseEvent,
    QNativeGestureEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QWheelEvent,
)
from PySide6.QtWidgets import QWidget

from app.core.language import tr
from app.core.quantity import tick_texts
from app.ui.platform.key_text import zoom_key
from app.ui.widget import theme

PlotValues = npt.NDArray[np.float64]
Curve = tuple[PlotValues, PlotValues]  # x and y
Range = tuple[float, float]

EARLY = 0.1  # of a run, in which a spike is a first one
SPIKE = 0.5  # of the height of the curve behind it: what stands out by more is a spike
RANGE_MARGIN = 0.04  # of a range, on both sides
SMOOTHING_STEPS = 100
LABEL_WIDTH = 44  # px, of the numbers beside the plot
LEGEND_GAP = 8  # px
NOTCH = 120  # of a wheel, in eighths of a degree
ZOOM_STEP = 1.35  # by a notch
# What tells curves apart beside their colours: a point of pyqtgraph's, and a letter like it. Squares are taken.
MARKS = (("o", "\u25cf"), ("t1", "\u25b2"), ("d", "\u25c6"), ("star", "\u2605"), ("t", "\u25bc"))


class Plot(pg.PlotWidget):
    """A plot without menu, buttons and ticks, with a quiet grid. It follows the theme by itself.

    A wheel scrolls what the plot lies on; ⌘ (Ctrl) and a wheel, or a pinch, zoom x. What is dragged moves x alone.
    Of a part of x, the range of y is what that part spans, and nobody can move beyond what is drawn.
    A double click, two fingers' double tap or the key 0 ask for all of it again (``whole_asked``).
    ``scaled`` says that a point of the screen is another number of pixels now: pens are made anew then.
    """

    scaled = Signal()
    whole_asked = Signal()  # to see everything again
    pointer_left = Signal()

    def __init__(
        self, name: str, accessible_name: str, parent: QWidget | None = None, *, label_width: int = LABEL_WIDTH
    ) -> None:
        self.painting_s = 0.0  # what the last painting took: far more than handing over what to paint
        self._is_part = False  # of x is shown
        super().__init__(parent, axisItems={side: NumberAxis(side) for side in ("left", "bottom")})
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
        self.item.setMouseEnabled(x=True, y=False)
        self.item.showGrid(x=False, y=True, alpha=0.5)
        box = self.item.getViewBox()
        box.sigRangeChangedManually.connect(self.show_part)
        box.sigXRangeChanged.connect(self._on_x)
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

    def fit(self, curves: Sequence[Curve], *, without_spike: bool = False) -> None:
        """Shows these curves whole: by pyqtgraph's own range, or one that fits where that would be odd.

        Without a point to draw, the axes have no numbers.
        """
        box, drawn = self.item.getViewBox(), [curve for curve in curves if len(curve[0])]
        self._is_part = False
        self.hold(drawn)
        ranges = fitted_ranges(drawn, without_spike=without_spike)
        has_any = any((np.isfinite(x) & np.isfinite(y)).any() for x, y in drawn)
        for side in ("left", "bottom"):
            self.item.getAxis(side).setStyle(showValues=has_any)
        self.item.showGrid(y=has_any)
        for axis, found in zip((pg.ViewBox.XAxis, pg.ViewBox.YAxis), ranges, strict=True):
            box.enableAutoRange(axis, found is None)
        if ranges[0] is not None:
            box.setXRange(*ranges[0], padding=0)
        if ranges[1] is not None:
            box.setYRange(*ranges[1], padding=0)

    def hold(self, curves: Sequence[Curve]) -> None:
        """Nobody can move beyond the x of these curves, and what room there is around them."""
        ends = [end for x, _ in curves if len(x) for end in (float(np.nanmin(x)), float(np.nanmax(x)))]
        limits: tuple[float | None, float | None] = None, None
        if ends and min(ends) < max(ends):
            room = self.item.getViewBox().suggestPadding(pg.ViewBox.XAxis) * (max(ends) - min(ends))
            limits = min(ends) - room, max(ends) + room
        self.item.getViewBox().setLimits(xMin=limits[0], xMax=limits[1])

    def show_part(self) -> None:
        """Shows no longer everything: from here on y spans what is shown of x."""
        self._is_part = True
        self._on_x()

    def _on_x(self) -> None:
        box = self.item.getViewBox()
        if not self._is_part:
            return
        found = box.childrenBounds(orthoRange=(None, tuple(box.viewRange()[0])))[1]
        if found is None or not all(math.isfinite(end) for end in found):
            return
        low, high = found
        room = RANGE_MARGIN * (high - low)
        box.setYRange(*((low - room, high + room) if room > 0 else _around(low, 0.25)), padding=0)

    def paintEvent(self, painted: QPaintEvent) -> None:
        began = time.perf_counter()
        super().paintEvent(painted)
        self.painting_s = time.perf_counter() - began

    def zoom(self, factor: float, at: QPointF) -> None:
        """Shows ``1 / factor`` of the range of x, around a point of the widget; nothing where it does not move."""
        box = self.item.getViewBox()
        if box.mouseEnabled()[0] and factor > 0 and factor != 1:
            box.scaleBy((1 / factor, 1), center=box.mapSceneToView(self.mapToScene(at.toPoint())))
            box.sigRangeChangedManually.emit(box.mouseEnabled())

    def wheelEvent(self, turned: QWheelEvent) -> None:
        """The page below scrolls; with ⌘ (Ctrl) it zooms, but not by what fingers that have left still move."""
        drifting = turned.phase() == Qt.ScrollPhase.ScrollMomentum
        if drifting or not turned.modifiers() & Qt.KeyboardModifier.ControlModifier:
            turned.ignore()
            return
        if turned.angleDelta().y():  # a scroll begins and ends without any
            self.zoom(ZOOM_STEP ** (turned.angleDelta().y() / NOTCH), turned.position())
        turned.accept()

    def keyPressEvent(self, pressed: QKeyEvent) -> None:
        """+ and - zoom around the middle, 0 asks for everything: for whoever has no pointer."""
        if pressed.key() == Qt.Key.Key_0:
            self.whole_asked.emit()
            return
        by = {Qt.Key.Key_Plus: ZOOM_STEP, Qt.Key.Key_Equal: ZOOM_STEP, Qt.Key.Key_Minus: 1 / ZOOM_STEP}
        factor = by.get(Qt.Key(pressed.key()))
        if factor is None:
            super().keyPressEvent(pressed)
            return
        middle = self.item.getViewBox().sceneBoundingRect().center()
        self.zoom(factor, QPointF(self.mapFromScene(middle)))

    def viewportEvent(self, happened: QEvent) -> bool:
        """Two fingers apart or together zoom, as everywhere on a Mac; a pointer that leaves is told."""
        if happened.type() == QEvent.Type.Leave:
            self.pointer_left.emit()
        if isinstance(happened, QNativeGestureEvent):
            kind = happened.gestureType()
            if kind == Qt.NativeGestureType.ZoomNativeGesture:
                self.zoom(1 + happened.value(), happened.position())
            elif kind == Qt.NativeGestureType.SmartZoomNativeGesture:
                self.whole_asked.emit()
            else:
                return bool(super().viewportEvent(happened))
            happened.accept()
            return True
        handled: bool = super().viewportEvent(happened)
        return handled

    def mouseDoubleClickEvent(self, clicked: QMouseEvent) -> None:
        self.whole_asked.emit()
        super().mouseDoubleClickEvent(clicked)
        clicked.accept()

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


class NumberAxis(pg.AxisItem):
    """An axis whose numbers are written as everywhere in the window."""

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:
        if self.logMode:
            return tick_texts([10.0**value * scale for value in values], 0)
        return tick_texts([value * scale for value in values], spacing * scale)


def whole_tip() -> str:
    """What the button says that ends a zoom, with how one zooms."""
    return tr(
        "Show everything (zoom: {zoom_key} and the wheel, a pinch, or + and − on the chart)", zoom_key=zoom_key()
    )


def mark_picture(mark: str, color: QColor, size: int) -> QPixmap:
    """A mark of `MARKS` as the legend of a plot shows it, sharp on every screen; ``size`` in px."""
    picture = QPixmap(2 * size, 2 * size)
    picture.setDevicePixelRatio(2)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.translate(size / 2, size / 2)
    drawSymbol(painter, mark, size, QPen(Qt.PenStyle.NoPen), QBrush(color))
    painter.end()
    return picture


def fitted_ranges(curves: Sequence[Curve], *, without_spike: bool = False) -> tuple[Range | None, Range | None]:
    """The ranges of x and y where curves need one of their own; None where it is simply what they span.

    One point, or a line that does not change, spans nothing. ``without_spike`` leaves out what stands out in the
    first tenth.
    """
    found = [np.concatenate(values) for values in zip(*curves, strict=True)] if curves else []
    if not found:
        return None, None
    x, y = found
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if not len(x):
        return None, None
    low, high = float(y.min()), float(y.max())
    wide = _around(float(x[0]), 0.5) if x.min() == x.max() else None
    if wide is not None and x[0] == 0:
        wide = -RANGE_MARGIN * wide[1], wide[1]  # nothing comes before the beginning
    if low == high:
        return wide, _around(low, 0.25)
    late = y[x > early_end(float(x.min()), float(x.max()))]
    if without_spike and len(late):
        bottom, top = float(late.min()), float(late.max())
        if max(high - top, bottom - low) > SPIKE * (top - bottom) > 0:
            room = RANGE_MARGIN * (top - bottom)
            return wide, (bottom - room, top + room)
    return wide, None


def early_end(first: float, last: float) -> float:
    """Up to where along x a spike is a first one."""
    return first + EARLY * (last - first)


def _around(value: float, share: float) -> Range:
    """A range with one value in its middle; about nothing, where the value is nothing."""
    room = abs(value) * share or 1.0
    return value - room, value + room
