"""The plot: what it shows of curves, how far one can go, its legend, keys and gestures, and its dress."""

from __future__ import annotations

import contextlib
import math

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QNativeGestureEvent, QPointingDevice
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.ui.widget import theme
from app.ui.widget.plot import MARKS, Curve, Plot, early_end, fitted_ranges, mark_picture, whole_tip

NAN = math.nan


def curve(*points: tuple[float, float]) -> Curve:
    return np.array([x for x, _ in points], dtype=float), np.array([y for _, y in points], dtype=float)


LINE = curve((0, 3), (50, 2), (100, 1))
# A first step of 9, then between 1 and 2; the tenth of its length ends at 10.
SPIKED = curve((0, 9), (10, 8), (11, 2), (60, 1), (100, 1.5))


@pytest.mark.parametrize(
    "curves, spike, ranges",
    [
        ([], False, (None, None)),
        ([curve()], False, (None, None)),
        ([curve((1, NAN), (NAN, 2))], False, (None, None)),
        ([LINE], False, (None, None)),
        ([curve((0, 3), (11, 2.78), (100, 1))], True, (None, None)),
        ([curve((4, 10))], False, ((2, 6), (7.5, 12.5))),
        ([curve((0, 0))], False, ((-0.04, 1), (-1, 1))),
        ([curve((0, -8))], False, ((-0.04, 1), (-10, -6))),
        ([curve((-4, 1), (NAN, 5), (-4, 3))], False, ((-6, -2), None)),
        ([curve((0, 2), (9, 2))], False, (None, (1.5, 2.5))),
        ([SPIKED], False, (None, None)),
        ([SPIKED], True, (None, (0.96, 2.04))),
        ([curve((0, 1.9), (50, 1), (100, 2))], True, (None, None)),
        ([curve((0, 2.5), (50, 1), (100, 2))], True, (None, None)),
        ([curve((0, 2.51), (50, 1), (100, 2))], True, (None, (0.96, 2.04))),
        ([curve((0, 0.49), (50, 1), (100, 2))], True, (None, (0.96, 2.04))),
        ([curve((0, 9), (50, 1), (100, 1))], True, (None, None)),
        ([curve((0, 9), (1, 8))], True, (None, None)),
        ([curve((0, 9), (20, 2)), curve((100, 1))], True, (None, (0.96, 2.04))),
    ],
)  # fmt: skip
def test_curves_need_a_range_of_their_own_where_theirs_would_be_odd(
    curves: list[Curve], spike: bool, ranges: tuple[tuple[float, float] | None, ...]
) -> None:
    found = fitted_ranges(curves, without_spike=spike)
    assert [None if one is None else pytest.approx(one) for one in ranges] == list(found)


def test_the_beginning_is_a_tenth() -> None:
    assert (early_end(0, 100), early_end(50, 150), early_end(7, 7)) == (10, 60, 7)


@pytest.fixture
def plot(qtbot: QtBot) -> Plot:
    found = Plot("plot", "Loss", label_width=50)
    qtbot.addWidget(found)
    found.resize(300, 200)
    found.show()
    return found


def view(plot: Plot) -> tuple[list[float], list[float]]:
    x, y = plot.item.getViewBox().viewRange()
    return list(x), list(y)


def drawn(plot: Plot, curves: list[Curve], *, spike: bool = False) -> None:
    plot.item.clear()
    for x, y in curves:
        plot.item.plot(x, y)
    plot.fit(curves, without_spike=spike)
    plot.item.getViewBox().updateAutoRange()


def test_all_of_the_curves_is_shown_or_what_stands_out_left_out(plot: Plot) -> None:
    box = plot.item.getViewBox()
    drawn(plot, [LINE])
    assert box.autoRangeEnabled() == [True, True]
    x, y = view(plot)
    assert x[0] < 0 < 100 < x[1]
    assert y[0] < 1 < 3 < y[1]
    drawn(plot, [SPIKED], spike=True)
    assert box.autoRangeEnabled()[0]
    assert view(plot)[1] == pytest.approx([0.96, 2.04])
    drawn(plot, [curve((4, 10))])
    assert [*view(plot)[0], *view(plot)[1]] == pytest.approx([2, 6, 7.5, 12.5])
    drawn(plot, [LINE])
    assert box.autoRangeEnabled() == [True, True], "what was fitted before is given up"


@pytest.mark.parametrize(
    "curves, numbers",
    [
        ([], False),
        ([curve()], False),
        ([curve((1, NAN))], False),
        ([curve((1, NAN), (2, 1))], True),
        ([LINE], True),
    ],
)
def test_axes_have_numbers_where_there_is_a_point(plot: Plot, curves: list[Curve], numbers: bool) -> None:
    plot.fit(curves)
    axes = [plot.item.getAxis(side) for side in ("left", "bottom")]
    assert [axis.style["showValues"] for axis in axes] == [numbers] * 2
    assert [bool(axis.grid) for axis in axes] == [numbers, False]


def test_nobody_moves_beyond_the_curves_and_the_room_around_them(plot: Plot) -> None:
    drawn(plot, [curve((20, 1), (60, 2)), curve((40, 1), (100, 2))])
    limits = plot.item.getViewBox().state["limits"]["xLimits"]
    room = plot.item.getViewBox().suggestPadding(0) * 80
    assert limits == pytest.approx([20 - room, 100 + room])
    assert room > 0
    drawn(plot, [curve((4, 10))])
    assert plot.item.getViewBox().state["limits"]["xLimits"] == [None, None]
    drawn(plot, [])
    assert plot.item.getViewBox().state["limits"]["xLimits"] == [None, None]


def test_of_a_part_y_spans_what_is_shown(plot: Plot) -> None:
    x = np.arange(101.0)
    drawn(plot, [(x, np.where(x < 50, x, 50.0))])
    box = plot.item.getViewBox()
    whole = view(plot)[1]
    box.setXRange(10, 20, padding=0)
    assert view(plot)[1] == pytest.approx(whole), "that was not a person"
    plot.show_part()
    assert view(plot)[1] == pytest.approx([10 - 0.4, 20 + 0.4], abs=0.1)
    box.setXRange(30, 40, padding=0)
    assert view(plot)[1] == pytest.approx([30 - 0.4, 40 + 0.4], abs=0.1)
    box.setXRange(60, 70, padding=0)
    assert view(plot)[1] == pytest.approx([37.5, 62.5]), "a level line stands in the middle"
    drawn(plot, [LINE])
    box.setXRange(40, 50, padding=0)
    assert view(plot)[1][1] > 2.9, "shown whole, it is no part any more"
    plot.item.clear()
    plot.show_part()
    assert view(plot)[1][1] > 2.9


def test_keys_that_are_none_of_the_plot_s_are_left_to_the_page(plot: Plot) -> None:
    told: list[int] = []
    plot.whole_asked.connect(lambda: told.append(1))
    drawn(plot, [LINE])
    before = view(plot)[0]
    QTest.keyClick(plot, Qt.Key.Key_A)
    assert (view(plot)[0], told) == (before, [])
    QTest.keyClick(plot, Qt.Key.Key_Equal)
    assert view(plot)[0][1] - view(plot)[0][0] == pytest.approx((before[1] - before[0]) / 1.35)
    QTest.keyClick(plot, Qt.Key.Key_0)
    assert told == [1]
    plot.zoom(0, QPointF(9, 9))
    plot.zoom(1, QPointF(9, 9))
    assert view(plot)[0][1] - view(plot)[0][0] == pytest.approx((before[1] - before[0]) / 1.35)


def test_a_pointer_that_leaves_is_told_and_other_gestures_are_not_taken(plot: Plot) -> None:
    left: list[int] = []
    plot.pointer_left.connect(lambda: left.append(1))
    drawn(plot, [LINE])
    before = view(plot)[0]
    QApplication.sendEvent(plot.viewport(), QEvent(QEvent.Type.Leave))
    assert left == [1]
    at = QPointF(9, 9)
    turned = QNativeGestureEvent(
        Qt.NativeGestureType.RotateNativeGesture,
        QPointingDevice.primaryPointingDevice(),
        2,
        at,
        at,
        at,
        0.5,
        QPointF(),
    )
    QApplication.sendEvent(plot.viewport(), turned)
    assert (view(plot)[0], left) == (before, [1])


def test_a_legend_has_a_row_of_its_own_while_it_is_shown(plot: Plot) -> None:
    legend = plot.add_legend(2)
    layout = plot.item.layout
    assert (legend.isVisible(), legend.columnCount) == (False, 2)
    with plot.legend_shown():
        assert (legend.isVisible(), layout.rowMaximumHeight(0)) == (False, 0)
    plot.item.plot([0, 1], [2, 3], name="of a run")
    with contextlib.suppress(ZeroDivisionError), plot.legend_shown():
        assert legend.isVisible()
        assert layout.rowMinimumHeight(0) == layout.rowMaximumHeight(0) == legend.height() > 0
        raise ZeroDivisionError
    assert (legend.isVisible(), layout.rowMaximumHeight(0)) == (False, 0)
    assert legend.pos().x() == pytest.approx(50, abs=2)


def test_it_follows_the_scheme_and_the_screen(qtbot: QtBot, plot: Plot) -> None:
    scaled: list[int] = []
    plot.scaled.connect(lambda: scaled.append(1))
    axes = [plot.item.getAxis(side) for side in ("left", "bottom")]
    assert (axes[0].width(), plot.accessibleName(), plot.objectName()) == (50, "Loss", "plot")
    for found in (theme.DARK, theme.LIGHT):
        theme.apply_theme(found.scheme)
        assert plot.backgroundBrush().color().name() == found.card
        assert [axis.pen().color().name() for axis in axes] == [found.border] * 2
        assert [axis.textPen().color().name() for axis in axes] == [found.muted] * 2
    assert [axis.style["tickFont"].pixelSize() for axis in axes] == [theme.ui_font(-2).pixelSize()] * 2
    assert [axis.label.font().pixelSize() for axis in axes] == [theme.ui_font(-1).pixelSize()] * 2
    assert [(axis.style["tickLength"], axis.style["maxTickLevel"]) for axis in axes] == [(0, 0)] * 2
    assert scaled == []
    QApplication.sendEvent(plot, QEvent(QEvent.Type.DevicePixelRatioChange))
    assert scaled == [1]
    pen = plot.pen("#ff0000", 2, Qt.PenStyle.DashLine)
    assert (pen.color().name(), pen.widthF(), pen.style()) == (
        "#ff0000", 2 * plot.devicePixelRatioF(), Qt.PenStyle.DashLine,
    )  # fmt: skip
    assert (plot.pen("#ff0000").widthF(), plot.pen("#ff0000").style()) == (
        plot.devicePixelRatioF(), Qt.PenStyle.SolidLine,
    )  # fmt: skip
    assert not plot.item.menuEnabled()
    assert plot.item.buttonsHidden
    assert plot.item.getViewBox().mouseEnabled() == [True, False]
    qtbot.waitUntil(lambda: plot.painting_s > 0)


def test_numbers_on_axes_are_written_as_elsewhere(plot: Plot) -> None:
    axis = plot.item.getAxis("left")
    assert axis.tickStrings([0.2, 1], 1, 0.2) == ["0.2", "1.0"]
    assert axis.tickStrings([1, 2], 1000, 1) == ["1,000", "2,000"]
    axis.setLogMode(False, True)
    assert axis.tickStrings([-1, 0, 3], 1, 1) == ["0.1", "1", "1\u00a0k"]
    assert axis.tickStrings([0], 5, 1) == ["5"]
    assert whole_tip().startswith("Show everything (zoom: ")


def test_marks_are_drawn_as_in_the_plot() -> None:
    pictures = [mark_picture(mark, "#ff0000", 12) for mark, _ in MARKS]  # type: ignore[arg-type]
    images = [picture.toImage() for picture in pictures]
    assert len({bytes(image.constBits()) for image in images}) == len(MARKS)
    for picture, image in zip(pictures, images, strict=True):
        assert (picture.width(), picture.devicePixelRatio()) == (24, 2)
        assert image.pixelColor(12, 12).name() == "#ff0000"
        assert min(image.pixelColor(x, y).alpha() for x in range(24) for y in range(24)) == 0
        filled = [(x, y) for x in range(24) for y in range(24) if image.pixelColor(x, y).alpha() > 128]
        assert 6 <= max(x for x, _ in filled) - min(x for x, _ in filled) <= 24
