"""A long curve in the chart: few points are handed over, and nothing of it is missing, whole or zoomed to."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PySide6.QtGui import QAction
from pytestqt.qtbot import QtBot

from app.core.protocol import event
from app.core.run.history import RunHistory
from app.ui.run.long_curve import LongCurve
from app.ui.run.loss_chart import LossChart
from tests.ui import synthetic_run
from tests.ui.child import child

COUNT = 200_000


def losses() -> np.ndarray:
    found = 1 + np.random.default_rng(0).random(COUNT)
    found[[5, 70_000, 150_000]] = 9.0, 5.0, math.nan
    return found


@pytest.fixture
def history() -> RunHistory:
    found = RunHistory()
    found.feed(event.Started(iterations=COUNT, iterations_per_epoch=COUNT, train_examples=COUNT, valid_examples=1))
    found.feed(synthetic_run.report(COUNT, losses().tolist(), COUNT))
    return found


def redrawn(qtbot: QtBot, chart: LossChart) -> tuple[np.ndarray, np.ndarray]:
    """What is drawn of the faint line with the next frame."""
    chart.refresh()
    qtbot.waitUntil(lambda: not chart._dirty)
    return chart._raw.getOriginalDataset()


def zoomed(chart: LossChart, first: float, last: float) -> None:
    box = chart._plot.getViewBox()
    box.setXRange(first, last, padding=0)
    box.sigRangeChangedManually.emit([True, False])


def test_few_points_show_the_whole_curve_with_its_spikes_and_gaps(qtbot: QtBot, chart: LossChart) -> None:
    x, y = redrawn(qtbot, chart)
    assert len(x) < 3000
    assert (x[0], x[-1]) == (1, COUNT)
    assert (np.nanmin(y), np.nanmax(y)) == (np.nanmin(losses()), 9.0)
    assert abs(x[y == 5.0][0] - 70_000) < COUNT / 350, "less than a pixel from its place"
    assert np.isnan(y).sum() == 1
    qtbot.waitUntil(lambda: chart.plotted().bottom() > 9.0)
    shown = chart.plotted()
    assert shown.left() <= 1
    assert shown.right() >= COUNT
    assert shown.top() < np.nanmin(losses())


def test_zoomed_in_every_point_is_there(qtbot: QtBot, chart: LossChart) -> None:
    zoomed(chart, 69_900, 70_100)
    x, y = redrawn(qtbot, chart)
    inside = (x >= 69_900) & (x <= 70_100)
    assert x[inside].tolist() == list(range(69_900, 70_101))
    assert y[inside] == pytest.approx(losses()[69_899:70_100])
    assert len(x) < 3000
    zoomed(chart, 10_000, 110_000)
    x, y = chart._raw.getOriginalDataset()
    assert abs(x[y == 5.0][0] - 70_000) < 100_000 / 350
    chart.reset_view()
    x, _ = redrawn(qtbot, chart)
    assert (x[0], x[-1]) == (1, COUNT)


def test_a_view_is_as_high_as_what_of_the_curve_it_shows(
    qtbot: QtBot, chart: LossChart, history: RunHistory
) -> None:
    """Of every loss in it, whatever is handed over to be drawn."""
    for left, right in ((100_000, 101_000), (80_000, 160_000), (30_000, 90_000)):
        zoomed(chart, left, right)
        chart._view.show_part()
        redrawn(qtbot, chart)
        shown = chart.plotted()
        seen = history.losses[math.ceil(shown.left()) - 1 : math.floor(shown.right())]
        room = 0.04 * (np.nanmax(seen) - np.nanmin(seen))
        height = chart.plotted().top(), chart.plotted().bottom()
        near = room / 2  # the room of a pen
        assert height == pytest.approx((np.nanmin(seen) - room, np.nanmax(seen) + room), abs=near)


def test_a_logarithmic_axis_and_minutes(qtbot: QtBot, chart: LossChart, history: RunHistory) -> None:
    history.feed(synthetic_run.report(COUNT + 2, [0.0, 1e-4], COUNT))
    chart.set_log(True)
    chart.view.set_axis("time")
    x, y = redrawn(qtbot, chart)
    assert (np.nanmin(y), np.nanmax(y)) == (1e-4, 9.0)
    assert np.isnan(y).sum() == 2
    assert x[-1] == pytest.approx((COUNT + 2) / 9 / 60)
    qtbot.waitUntil(lambda: chart.plotted().top() < -4)
    chart.set_log(False)
    assert np.nanmin(redrawn(qtbot, chart)[1]) == 0.0


def test_a_first_spike_is_left_out_exactly(qtbot: QtBot, chart: LossChart) -> None:
    child(chart, QAction, "chart_spike").trigger()
    redrawn(qtbot, chart)
    late = losses()[COUNT // 10 :]
    room = 0.04 * (np.nanmax(late) - np.nanmin(late))
    shown = (chart.plotted().top(), chart.plotted().bottom())
    assert shown == pytest.approx((np.nanmin(late) - room, np.nanmax(late) + room))


def test_a_run_that_goes_on_from_an_older_state_forgets_what_was_drawn(
    qtbot: QtBot, chart: LossChart, history: RunHistory
) -> None:
    """Also where it has become longer again before the next frame."""
    history.feed(
        event.Started(
            iteration=50_000, iterations=COUNT, iterations_per_epoch=COUNT, train_examples=COUNT, valid_examples=1
        )
    )
    history.feed(synthetic_run.report(COUNT + 10, [1.5] * (COUNT + 10 - 50_000), COUNT))
    x, y = redrawn(qtbot, chart)
    assert x[-1] == COUNT + 10
    assert set(y[x > 51_000]) == {1.5}
    assert np.nanmax(y) == 9.0


def test_a_validation_said_again_takes_the_place_of_the_first(
    qtbot: QtBot, chart: LossChart, history: RunHistory
) -> None:
    for iteration, loss in ((100, 7.0), (200, 2.0), (100, 3.0), (200, 2.5), (300, 2.0)):
        history.feed(event.Validated(iteration=iteration, val_loss=loss))
        redrawn(qtbot, chart)
    x, y = chart._valid.getOriginalDataset()
    assert (x.tolist(), y.tolist()) == ([100, 200, 300], [3.0, 2.5, 2.0])


def test_another_run_of_the_same_length_is_another_curve(qtbot: QtBot, chart: LossChart) -> None:
    other = RunHistory()
    other.feed(synthetic_run.report(COUNT, [2.0] * COUNT, COUNT))
    chart.set_history(other)
    _, y = redrawn(qtbot, chart)
    assert set(y) == {2.0}


def test_a_new_report_is_drawn_at_the_end(qtbot: QtBot, chart: LossChart, history: RunHistory) -> None:
    redrawn(qtbot, chart)
    history.feed(synthetic_run.report(COUNT + 1, [0.25], COUNT))
    x, y = redrawn(qtbot, chart)
    assert (x[-1], y[-1]) == (COUNT + 1, 0.25)
    assert len(x) < 3000


def test_between_two_points_the_height_is_that_of_the_line_that_crosses(qapp: object) -> None:
    assert qapp is not None
    curve = LongCurve()
    curve.take(np.array([0.0, 10.0, 20.0, 30.0]), np.array([0.0, 5.0, 1.0, 9.0]), ("a run",))
    assert curve.dataBounds(1, orthoRange=(12.0, 18.0)) == (1.0, 5.0)
    assert curve.dataBounds(1, orthoRange=(-5.0, -1.0)) == (0.0, 0.0)
    assert curve.dataBounds(1, orthoRange=(9.0, 21.0)) == (1.0, 5.0)
