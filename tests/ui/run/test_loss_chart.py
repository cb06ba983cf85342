"""The loss chart: what it draws of a history, how it is looked at, and what it saves."""

from __future__ import annotations

import csv
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QAction, QColor, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QComboBox, QFileDialog, QLabel, QMenu, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from app.core.protocol import event
from app.core.run.history import RunHistory
from app.core.run.smoothing import smooth
from app.ui.run.loss_chart import FILLING_MS, LossChart
from app.ui.widget import theme
from app.ui.widget.plot import fitted_ranges
from tests.ui import synthetic_run
from tests.ui.child import child
from tests.ui.widget.test_plot_zoom import CTRL, MOMENTUM, wheel


@pytest.fixture
def history() -> RunHistory:
    found = RunHistory()
    for one in synthetic_run.events():
        found.feed(one)
    return found


def drawn(chart: LossChart) -> tuple[np.ndarray, np.ndarray]:
    """The points of the faint line, as they were given to the plot."""
    return chart._raw.getOriginalDataset()


def redrawn(qtbot: QtBot, chart: LossChart) -> None:
    chart.refresh()
    qtbot.waitUntil(lambda: not chart._dirty)


def test_every_iteration_and_validation_is_drawn(chart: LossChart, history: RunHistory) -> None:
    x, y = drawn(chart)
    assert x.tolist() == list(range(1, 601))
    assert y == pytest.approx(history.losses)
    assert chart._valid.getOriginalDataset()[0].tolist() == [100, 200, 300, 400, 500, 600]
    assert chart._best.getData()[0].tolist() == [400]


def test_new_points_come_with_the_next_frame(qtbot: QtBot, chart: LossChart, history: RunHistory) -> None:
    history.feed(synthetic_run.report(625, [0.5] * 25))
    redrawn(qtbot, chart)
    assert len(drawn(chart)[0]) == 625


def test_a_flood_of_points_repaints_at_most_thirty_times_a_second(
    qtbot: QtBot, chart: LossChart, history: RunHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    repaints = []
    monkeypatch.setattr(chart._raw, "setData", lambda *_: repaints.append(time.monotonic()))
    number, began = 600, time.monotonic()
    while len(repaints) < 5:
        number += 1
        history.feed(synthetic_run.report(number, [0.5]))
        chart.refresh()
        qtbot.wait(1)
    assert len(repaints) <= 1 + 31 * (time.monotonic() - began)


def test_a_run_that_is_read_is_drawn_now_and_then_and_its_end_at_once(
    qtbot: QtBot, chart: LossChart, history: RunHistory
) -> None:
    chart.set_filling(True)
    redrawn(qtbot, chart)
    assert chart._timer.interval() >= FILLING_MS
    history.feed(synthetic_run.report(625, [0.5] * 25))
    chart.refresh()
    assert len(drawn(chart)[0]) == 600
    chart.set_filling(False)
    assert chart._timer.interval() < FILLING_MS
    qtbot.waitUntil(lambda: not chart._dirty)
    assert len(drawn(chart)[0]) == 625


def test_nothing_is_drawn_while_hidden_and_nothing_is_missed(
    qtbot: QtBot, chart: LossChart, history: RunHistory
) -> None:
    chart.hide()
    history.feed(synthetic_run.report(625, [0.5] * 25))
    chart.refresh()
    qtbot.wait(60)
    assert len(drawn(chart)[0]) == 600
    chart.show()
    qtbot.waitUntil(lambda: len(drawn(chart)[0]) == 625)


def test_the_slider_smooths(qtbot: QtBot, chart: LossChart, history: RunHistory) -> None:
    slider = child(chart, QWidget, "chart_smoothing")
    slider.setFocus()
    with qtbot.waitSignal(chart.view_changed):
        for _ in range(3):
            QTest.keyClick(slider, Qt.Key.Key_PageUp)
    assert chart.view.smoothing == pytest.approx(0.3)
    redrawn(qtbot, chart)
    assert chart._line.getOriginalDataset()[1] == pytest.approx(smooth(history.losses, 0.3))


@pytest.mark.parametrize(
    ("axis", "last"), [("iterations", 600), ("epochs", 3.0), ("tokens", 120_000), ("time", 600 / 9 / 60)]
)
def test_the_points_lie_over_what_was_chosen(qtbot: QtBot, chart: LossChart, axis: str, last: float) -> None:
    chart.view.set_axis(axis)  # type: ignore[arg-type]
    redrawn(qtbot, chart)
    assert drawn(chart)[0][-1] == pytest.approx(last)


def test_a_diverged_loss_is_a_gap_on_both_axes(qtbot: QtBot, chart: LossChart, history: RunHistory) -> None:
    history.feed(synthetic_run.report(604, [math.nan, math.inf, 0.0, 0.5]))
    history.feed(event.Validated(iteration=604, val_loss=math.nan))
    redrawn(qtbot, chart)
    assert np.isnan(drawn(chart)[1][-4:]).tolist() == [True, True, False, False]
    chart.set_log(True)
    redrawn(qtbot, chart)
    assert np.isnan(drawn(chart)[1][-4:]).tolist() == [True, True, True, False]
    assert chart._best.getData()[1][0] == pytest.approx(math.log10(history.valid_losses[3]))


def test_a_run_that_diverges_at_once_draws_nothing_and_fails_nothing(qtbot: QtBot, chart: LossChart) -> None:
    broken = RunHistory()
    broken.feed(event.Started(iterations=5, iterations_per_epoch=5, train_examples=5, valid_examples=1))
    broken.feed(synthetic_run.report(3, [math.nan] * 3))
    chart.set_history(broken)
    redrawn(qtbot, chart)
    chart.set_log(True)
    redrawn(qtbot, chart)
    assert "nan" in chart.values_at(2)


def test_zooming_stays_until_everything_is_asked_for(qtbot: QtBot, chart: LossChart, history: RunHistory) -> None:
    box = chart._plot.getViewBox()
    box.setRange(xRange=(100, 200), padding=0)
    box.sigRangeChangedManually.emit([False, False])
    history.feed(synthetic_run.report(625, [0.5] * 25))
    redrawn(qtbot, chart)
    assert chart.plotted().right() == pytest.approx(200)
    reset = child(chart, QWidget, "chart_reset")
    QTest.mouseClick(reset, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: chart.plotted().right() > 600)


def test_the_height_follows_whatever_part_is_moved_to(chart: LossChart) -> None:
    box = chart._plot.getViewBox()
    box.setXRange(100, 200, padding=0)
    box.sigRangeChangedManually.emit([True, False])
    seen = []
    for part in ((100, 200), (500, 600)):
        box.setXRange(*part, padding=0)
        seen.append(tuple(box.viewRange()[1]))
    assert seen[0] != seen[1]
    for (low, high), part in zip(seen, ((100, 200), (500, 600)), strict=True):
        box.setXRange(*part, padding=0)
        bounds = box.childrenBounds(orthoRange=(None, part))[1]
        assert bounds is not None
        assert low < bounds[0] <= bounds[1] < high


def test_a_scroll_leaves_the_chart_following_and_a_zoom_stays(
    qtbot: QtBot, chart: LossChart, history: RunHistory
) -> None:
    wheel(chart._view, -2, phase=MOMENTUM)
    history.feed(synthetic_run.report(625, [0.5] * 25))
    redrawn(qtbot, chart)
    assert chart.plotted().right() >= 625
    wheel(chart._view, 15, CTRL)
    right = chart.plotted().right()
    assert right < 625
    history.feed(synthetic_run.report(650, [0.5] * 25))
    redrawn(qtbot, chart)
    assert chart.plotted().right() == pytest.approx(right)


def test_the_pointer_reads_values(chart: LossChart, history: RunHistory) -> None:
    box = chart._plot.getViewBox()
    x, y = float(history.x("iterations")[249]), float(history.losses[249])
    chart._view.scene().sigMouseMoved.emit(box.mapViewToScene(QPointF(x, y)))
    said = child(chart, QLabel, "chart_readout").toolTip()
    assert "Iteration 250" in said
    assert f"train {y:.3f}" in said
    assert f"validation {history.valid_losses[1]:.3f}" in said
    assert chart._cross.isVisible()
    chart._view.scene().sigMouseMoved.emit(QPointF(-50, -50))
    assert not chart._cross.isVisible()


@pytest.mark.parametrize("width", [220, 300, 420, 900])
def test_no_value_under_the_pointer_is_cut(qtbot: QtBot, chart: LossChart, history: RunHistory, width: int) -> None:
    chart.view.set_smoothing(0.5)
    chart.resize(width, 320)
    redrawn(qtbot, chart)
    resting = child(chart, QLabel, "chart_readout").text()
    place = QPointF(float(history.x("iterations")[249]), float(history.losses[249]))
    chart._view.scene().sigMouseMoved.emit(chart._plot.getViewBox().mapViewToScene(place))
    readout = child(chart, QLabel, "chart_readout")
    assert readout.sizeHint().width() <= readout.width()
    assert readout.text() != resting
    assert "smoothed" in readout.toolTip()
    if width >= 300:
        assert f"{history.losses[249]:.3f}" in readout.text()
        assert f"{history.valid_losses[1]:.3f}" in readout.text()
    QApplication.sendEvent(chart._view.viewport(), QEvent(QEvent.Type.Leave))
    assert not chart._cross.isVisible()
    assert readout.text() == resting


def test_many_validations_are_a_line_and_have_dots_when_zoomed(qtbot: QtBot) -> None:
    history = RunHistory()
    history.feed(event.Started(iterations=2000, iterations_per_epoch=200, train_examples=200, valid_examples=20))
    history.feed(synthetic_run.report(2000, [1.0] * 2000))
    for iteration in range(1, 2001):
        history.feed(event.Validated(iteration=iteration, val_loss=2.0))
    chart = LossChart(history)
    qtbot.addWidget(chart)
    chart.resize(600, 320)
    chart.show()
    qtbot.waitUntil(lambda: not chart._dirty)
    image, box = chart._view.grab().toImage(), chart._plot.getViewBox()
    start, end = (chart._view.mapFromScene(box.mapViewToScene(QPointF(x, 2.0))) for x in (20, 1980))
    ratio, line = image.devicePixelRatio(), QColor(theme.colors().valid_line)
    for x in range(start.x(), end.x(), 3):
        near = [image.pixelColor(int(x * ratio), int((start.y() + off) * ratio)) for off in (-1, 0, 1)]
        assert any(abs(found.hue() - line.hue()) < 20 and found.saturation() > 40 for found in near), x
    assert chart._valid.opts["symbol"] is None
    box.setXRange(1000, 1010, padding=0)
    box.sigRangeChangedManually.emit(box.mouseEnabled())
    assert chart._valid.opts["symbol"] == "o"
    assert chart._valid.scatter.isVisible()
    chart.reset_view()
    qtbot.waitUntil(lambda: not chart._dirty)
    assert not chart._valid.scatter.isVisible()


def test_the_theme_is_followed_without_losing_a_point(qtbot: QtBot, chart: LossChart) -> None:
    before = len(drawn(chart)[0])
    theme.apply_theme("dark")
    qtbot.waitUntil(lambda: not chart._dirty)
    assert chart._line.opts["pen"].color().name() == theme.DARK.train_line
    assert chart._view.backgroundBrush().color().name() == theme.DARK.card
    assert len(drawn(chart)[0]) == before


def test_the_chart_is_saved_as_a_picture_and_as_points(chart: LossChart, tmp_path: Path) -> None:
    for name in ("loss.png", "loss.svg", "loss.csv"):
        chart.save(tmp_path / name)
    image = QImage(str(tmp_path / "loss.png"))
    colors = {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(0, image.height(), 5)}
    assert theme.LIGHT.train_line in colors
    assert theme.LIGHT.train_line in (tmp_path / "loss.svg").read_text()
    rows = list(csv.DictReader((tmp_path / "loss.csv").read_text().splitlines()))
    assert len(rows) == 600
    with pytest.raises(ValueError, match=r"\.png, \.svg or \.csv"):
        chart.save(tmp_path / "loss.bmp")
    with pytest.raises(OSError, match="written"):
        chart.save(tmp_path / "missing" / "loss.png")


def test_each_entry_of_the_menu_saves_its_own_kind_of_file(
    chart: LossChart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []
    answers = [
        str(tmp_path / "mine"),
        str(tmp_path / "mine.txt"),
        str(tmp_path / "mine.csv"),
        "",
        "/no/where/a.png",
    ]

    def answer(_parent: QWidget, _caption: str, start: str, filters: str) -> tuple[str, str]:
        asked.append((Path(start).name, filters))
        return answers.pop(0), filters

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    told: list[str] = []
    chart.told.connect(told.append)
    menu = child(chart, QToolButton, "chart_export").menu()
    assert isinstance(menu, QMenu)
    png, svg, points = menu.actions()
    for entry in (png, svg, points, png, png):
        entry.trigger()
    names = ["mine.png", "mine.svg", "mine.csv"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    assert (tmp_path / "mine.png").read_bytes()[1:4] == b"PNG"
    assert "<svg" in (tmp_path / "mine.svg").read_text()
    assert len((tmp_path / "mine.csv").read_text().splitlines()) == 601
    assert asked[:3] == [("loss.png", "*.png"), ("loss.svg", "*.svg"), ("loss.csv", "*.csv")]
    assert told[:3] == [f"The chart was saved as {tmp_path / name}." for name in names]
    assert len(told) == 4, "one panel was left"
    assert told[3].startswith("The chart was not saved: ")


def test_what_was_forgotten_is_drawn_beside_the_losses_and_told(
    qtbot: QtBot, chart: LossChart, history: RunHistory
) -> None:
    assert chart._legend.getLabel(chart._forgot) is None
    for iteration, forgot in ((0, 0.0), (300, 0.02), (600, 0.05)):
        history.feed(
            event.NeutralMeasured(iteration=iteration, neutral_loss=2 + forgot, base_loss=2.0, forgot=forgot)
        )
    redrawn(qtbot, chart)
    x, y = chart._forgot.getOriginalDataset()
    assert x.tolist() == [0, 300, 600]
    assert y == pytest.approx([0, 0.02, 0.05])
    assert chart._legend.getLabel(chart._forgot) is not None
    assert chart.values_at(349).endswith("forgot 0.020")
    chart.set_history(RunHistory())
    redrawn(qtbot, chart)
    assert chart._legend.getLabel(chart._forgot) is None


def test_what_every_run_tells_can_be_drawn_as_well(qtbot: QtBot, history: RunHistory) -> None:
    for iteration, norm in ((625, 2.0), (650, 0.5)):
        history.feed(synthetic_run.report(iteration, [0.5]).model_copy(update={"grad_norm": norm}))
    chart = LossChart(history)
    qtbot.addWidget(chart)
    chart.show()
    qtbot.waitUntil(lambda: not chart._dirty)
    box = child(chart, QComboBox, "chart_figure")
    names = [box.itemText(index) for index in range(box.count())]
    assert names == ["Loss", "Learning rate", "Gradient norm", "Tokens/s", "Peak memory"]
    box.setCurrentIndex(names.index("Gradient norm"))
    box.activated.emit(box.currentIndex())
    qtbot.waitUntil(lambda: not chart._dirty)
    assert drawn(chart)[0].tolist() == [625, 650]
    assert chart._line.getOriginalDataset()[1].tolist() == [2.0, 0.5]  # as they were, whatever is smoothed
    assert chart.values_at(1) == "Iteration 650 · gradient norm 0.5"
    assert child(chart, QLabel, "chart_readout").text() == "Gradient norm over iterations"


def test_a_first_spike_can_be_left_out_of_the_range(qtbot: QtBot) -> None:
    history = RunHistory()
    history.feed(event.Started(iterations=600, iterations_per_epoch=200, train_examples=200, valid_examples=20))
    history.feed(synthetic_run.report(100, [9.0, 6.0, *np.linspace(2.0, 1.0, 98)]))
    chart = LossChart(history)
    qtbot.addWidget(chart)
    chart.show()
    qtbot.waitUntil(lambda: chart.plotted().bottom() > 8.9)  # a QRectF's bottom is its highest value here
    action = child(chart, QAction, "chart_spike")
    with qtbot.waitSignal(chart.view_changed):
        action.trigger()
    qtbot.waitUntil(lambda: not chart._dirty)
    assert chart.plotted().bottom() == pytest.approx(1.9, abs=0.1)
    assert chart.plotted().top() == pytest.approx(1.0, abs=0.1)
    assert "without the first spike" in child(chart, QLabel, "chart_readout").text()
    action.trigger()
    qtbot.waitUntil(lambda: chart.plotted().bottom() > 8.9)


def test_a_curve_without_a_spike_is_shown_whole() -> None:
    x = np.arange(100.0)
    assert fitted_ranges([(x, 2 - x / 100)], without_spike=True) == (None, None)
    assert fitted_ranges([], without_spike=True) == (None, None)
    spiked = np.where(x == 0, 9.0, 1 + x / 100)
    _, found = fitted_ranges([(x, spiked)], without_spike=True)
    assert found is not None
    assert 1.0 < found[0] < 1.12
    assert 1.98 < found[1] < 2.1


def test_one_point_lies_in_the_middle_of_axes_that_fit_it(qtbot: QtBot) -> None:
    history = RunHistory()
    history.feed(event.Started(iterations=600, iterations_per_epoch=200, train_examples=200, valid_examples=20))
    history.feed(synthetic_run.report(1, [2.5]))
    chart = LossChart(history)
    qtbot.addWidget(chart)
    chart.show()
    qtbot.waitUntil(lambda: not chart._dirty)
    shown = chart.plotted()
    assert shown.left() >= 0
    assert shown.right() <= 2
    assert 1 < shown.top() < 2.5 < shown.bottom() < 4


def test_a_picture_has_the_legend_beside_the_curves(chart: LossChart) -> None:
    assert not chart._legend.isVisible()
    with chart._view.legend_shown():
        assert [label.text for _, label in chart._legend.items] == ["Train", "Validation", "Best"]
        view = chart._plot.getViewBox()
        assert chart._legend.sceneBoundingRect().bottom() <= view.sceneBoundingRect().top()
        assert chart._legend.isVisible()
        assert 0 < chart._legend.sceneBoundingRect().left() <= view.sceneBoundingRect().left()
        lowered = view.sceneBoundingRect().top()
    assert not chart._legend.isVisible()
    assert view.sceneBoundingRect().top() < lowered, "its row is given back"
    said = child(chart, QLabel, "chart_readout").text()
    assert all(name in said for name in ("Train", "Validation", "Best"))


@pytest.mark.parametrize("scale", ["1", "2"])
def test_pens_are_as_wide_on_a_screen_of_more_pixels(scale: str) -> None:
    """Measured in another process: how many pixels a point has is read when it starts."""
    code = (
        "from PySide6.QtWidgets import QApplication; a = QApplication([])\n"
        "from app.ui.widget.plot import Plot\n"
        "p = Plot('p', 'p'); p.resize(200, 200); p.item.hideAxis('left'); p.item.hideAxis('bottom')\n"
        "p.item.plot([0, 1], [1, 1], pen=p.pen('#ff0000', 3)); p.show(); a.processEvents()\n"
        "i = p.grab().toImage(); x = i.width() // 2\n"
        "print(sum(i.pixelColor(x, y).name() == '#ff0000' for y in range(i.height())))\n"
    )
    environment = os.environ | {"QT_SCALE_FACTOR": scale, "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) == 3 * int(scale)


def test_nobody_moves_beyond_what_is_drawn(qtbot: QtBot, chart: LossChart) -> None:
    whole, box = chart.plotted(), chart._plot.getViewBox()
    box.setXRange(100, 200, padding=0)
    box.sigRangeChangedManually.emit(box.mouseEnabled())
    box.translateBy(x=-5000)
    redrawn(qtbot, chart)
    assert chart.plotted().left() == pytest.approx(whole.left())
    box.translateBy(x=5000)
    assert chart.plotted().right() == pytest.approx(whole.right())


def test_a_chart_without_a_point_has_no_numbers(qtbot: QtBot, chart: LossChart) -> None:
    def shown() -> list[bool]:
        return [chart._plot.getAxis(side).style["showValues"] for side in ("left", "bottom")]

    assert shown() == [True, True]
    empty = RunHistory()
    chart.set_history(empty)
    redrawn(qtbot, chart)
    assert shown() == [False, False]
    empty.feed(synthetic_run.report(2, [0.5, 0.25]))
    redrawn(qtbot, chart)
    assert shown() == [True, True]


def test_a_first_measurement_lies_at_the_beginning() -> None:
    """Iterations below 0 are nowhere."""
    (left, right), _ = fitted_ranges([(np.array([0.0]), np.array([10.0]))])  # type: ignore[misc]
    assert (left, right) == (pytest.approx(-0.04), 1.0)


def test_the_controls_keep_their_places_when_a_run_begins(qtbot: QtBot) -> None:
    empty = RunHistory()
    chart = LossChart(empty)
    qtbot.addWidget(chart)
    chart.resize(700, 400)
    chart.show()
    redrawn(qtbot, chart)
    before = [child(chart, QComboBox, name).geometry() for name in ("chart_figure", "chart_x")]
    for one in synthetic_run.events():
        empty.feed(one)
    redrawn(qtbot, chart)
    QTest.qWait(0)
    assert child(chart, QComboBox, "chart_figure").count() > 1
    assert [child(chart, QComboBox, name).geometry() for name in ("chart_figure", "chart_x")] == before
