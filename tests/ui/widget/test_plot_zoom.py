"""Two fingers over a plot scroll the page and leave the plot; ⌘ and a wheel, or a pinch, zoom x, and y follows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QNativeGestureEvent, QPointingDevice
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QScrollArea, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.ui.widget.plot import RANGE_MARGIN, Plot

CTRL = Qt.KeyboardModifier.ControlModifier  # ⌘ on a Mac
NO_KEY = Qt.KeyboardModifier.NoModifier
PEN = 0.02  # pyqtgraph leaves the line's own width too
UPDATE, MOMENTUM = Qt.ScrollPhase.ScrollUpdate, Qt.ScrollPhase.ScrollMomentum


@pytest.fixture
def area(qtbot: QtBot) -> QScrollArea:
    """A page that is higher than what shows of it, with a plot at its top."""
    found, page = QScrollArea(), QWidget()
    layout = QVBoxLayout(page)
    plot = Plot("plot", "Loss", page)
    plot.setFixedSize(300, 200)
    plot.item.plot(np.arange(100.0), np.linspace(3.0, 1.0, 100))
    layout.addWidget(plot)
    layout.addStretch(1)
    page.setFixedSize(320, 900)
    found.setWidget(page)
    found.resize(340, 300)
    qtbot.addWidget(found)
    found.show()
    qtbot.waitExposed(found)
    return found


@pytest.fixture
def plot(area: QScrollArea) -> Plot:
    found = area.findChild(Plot)
    assert found is not None
    return found


def middle(plot: Plot) -> QPointF:
    return QPointF(plot.viewport().rect().center())


def wheel(plot: Plot, pixels: int, keys: Qt.KeyboardModifier = NO_KEY, phase: Qt.ScrollPhase = UPDATE) -> None:
    """What a trackpad sends for a movement of so many pixels, by the window; its angles are eight times that."""
    at = QPointF(plot.viewport().mapTo(plot.window(), middle(plot).toPoint()))
    QTest.wheelEvent(plot.window().windowHandle(), at, QPoint(0, pixels * 8), QPoint(0, pixels), keys, phase)


ZOOM, SMART = Qt.NativeGestureType.ZoomNativeGesture, Qt.NativeGestureType.SmartZoomNativeGesture


def pinch(plot: Plot, value: float, kind: Qt.NativeGestureType = ZOOM) -> None:
    at = middle(plot)
    there = QPointF(plot.viewport().mapToGlobal(at.toPoint()))
    moved = QNativeGestureEvent(
        kind, QPointingDevice.primaryPointingDevice(), 2, at, at, there, value,
        QPointF(),
    )  # fmt: skip
    QApplication.sendEvent(plot.viewport(), moved)


def view(plot: Plot) -> QRectF:
    return QRectF(plot.item.getViewBox().viewRect())


def spanned(shown: QRectF) -> tuple[float, float]:
    """What the points in a range of x span, with a little room: the line falls from 3 at 0 to 1 at 99."""
    high, low = (3 - 2 * x / 99 for x in (math.ceil(shown.left()), math.floor(shown.right())))
    room = RANGE_MARGIN * (high - low)
    return low - room, high + room


@pytest.mark.parametrize("phase", [UPDATE, MOMENTUM])
def test_two_fingers_scroll_the_page_and_not_the_plot(area: QScrollArea, plot: Plot, phase: Qt.ScrollPhase) -> None:
    before, zoomed = view(plot), []
    plot.item.getViewBox().sigRangeChangedManually.connect(lambda *_: zoomed.append(1))
    wheel(plot, -2, phase=Qt.ScrollPhase.ScrollBegin)
    for _ in range(20):
        wheel(plot, -2, phase=phase)
    assert area.verticalScrollBar().value() > 0
    assert view(plot) == before
    assert plot.item.getViewBox().autoRangeEnabled() == [True, True]
    assert zoomed == []


def test_the_key_and_a_wheel_zoom_x_around_the_pointer(area: QScrollArea, plot: Plot, qtbot: QtBot) -> None:
    before = view(plot)
    at = plot.item.getViewBox().mapSceneToView(plot.mapToScene(middle(plot).toPoint())).x()
    with qtbot.waitSignal(plot.item.getViewBox().sigRangeChangedManually):
        wheel(plot, 15, CTRL)
    after = view(plot)
    assert after.width() == pytest.approx(before.width() / 1.35)
    assert (after.top(), after.bottom()) == pytest.approx(spanned(after), abs=PEN)
    assert (at - after.left()) / after.width() == pytest.approx((at - before.left()) / before.width())
    assert area.verticalScrollBar().value() == 0


def test_a_scroll_that_drifts_on_does_not_become_a_zoom(plot: Plot) -> None:
    before = view(plot)
    wheel(plot, 15, CTRL, MOMENTUM)
    assert view(plot) == before


def test_a_pinch_zooms_x(plot: Plot, qtbot: QtBot) -> None:
    before = view(plot)
    with qtbot.waitSignal(plot.item.getViewBox().sigRangeChangedManually):
        pinch(plot, 0.25)
    assert view(plot).width() == pytest.approx(before.width() / 1.25)
    assert (view(plot).top(), view(plot).bottom()) == pytest.approx(spanned(view(plot)), abs=PEN)
    pinch(plot, 1 / 1.25 - 1)
    assert view(plot).width() == pytest.approx(before.width())
    pinch(plot, -1.0)  # as no fingers do: not a range of nothing
    assert view(plot).width() == pytest.approx(before.width())


def test_keys_zoom_around_the_middle(plot: Plot) -> None:
    before = view(plot)
    for key, width in ((Qt.Key.Key_Plus, before.width() / 1.35), (Qt.Key.Key_Minus, before.width())):
        QTest.keyClick(plot, key)
        assert view(plot).width() == pytest.approx(width)
        assert view(plot).center().x() == pytest.approx(before.center().x(), abs=before.width() / 100)


def test_everything_is_asked_for_by_click_tap_and_key(plot: Plot, qtbot: QtBot) -> None:
    with qtbot.waitSignals([plot.whole_asked] * 3):
        QTest.mouseDClick(plot.viewport(), Qt.MouseButton.LeftButton, pos=middle(plot).toPoint())
        pinch(plot, 0.0, SMART)
        QTest.keyClick(plot, Qt.Key.Key_0)


def test_a_plot_that_does_not_move_does_not_zoom(plot: Plot) -> None:
    plot.item.setMouseEnabled(x=False, y=False)
    before = view(plot)
    pinch(plot, 0.25)
    wheel(plot, 15, CTRL)
    assert view(plot) == before
