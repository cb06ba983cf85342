"""What the chart says in words: under the pointer, without one, in its tips, and in the pictures that are saved."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import pytest
from PySide6.QtCore import QPointF, QRect, Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QComboBox, QLabel, QToolButton

from app.core.protocol import event
from app.core.run.history import RunHistory
from app.ui.run.loss_chart import LossChart
from app.ui.widget import theme
from tests.ui import synthetic_run
from tests.ui.child import child

LOSSES = [4.0, 2.0, 2.0, 1.0]
PART = "<b style='color:{color}'>{sign}</b>&nbsp;{said}"


@pytest.fixture
def history() -> RunHistory:
    """Four iterations of a minute each, measured after the second."""
    found = RunHistory()
    found.feed(event.Started(iterations=4, iterations_per_epoch=4, train_examples=4, valid_examples=1))
    for iteration in (2, 4):
        told = synthetic_run.report(iteration, LOSSES[iteration - 2 : iteration], 4)
        found.feed(told.model_copy(update={"elapsed_s": iteration * 60.0}))
        if iteration == 2:
            found.feed(event.Validated(iteration=2, val_loss=3.0, best=True, elapsed_s=120.0))
            found.feed(event.NeutralMeasured(iteration=2, neutral_loss=2.5, base_loss=2.0, forgot=0.5))
    return found


@pytest.fixture
def chart(chart: LossChart) -> LossChart:
    return drawn(chart)


def drawn(chart: LossChart) -> LossChart:
    """The chart as its next frame shows it."""
    chart._redraw()
    chart._plot.getViewBox().updateAutoRange()
    return chart


def point(chart: LossChart, x: float, y: float = 2.0) -> str:
    """Points at a place of the plot; what the chart says of it at length."""
    chart._view.scene().sigMouseMoved.emit(chart._plot.getViewBox().mapViewToScene(QPointF(x, y)))
    return child(chart, QLabel, "chart_readout").toolTip()


def image(button: QToolButton) -> QImage:
    return button.icon().pixmap(16).toImage()


def of_icon(name: str, color: str | None = None) -> QImage:
    return theme.icon(name, color).pixmap(16).toImage()


def test_each_point_is_told_in_words_or_by_the_signs_of_the_curves(chart: LossChart) -> None:
    assert chart.values_at(0) == "Iteration 1 · train 4.000"
    assert chart.values_at(1) == "Iteration 2 · train 2.000 · validation 3.000 · forgot 0.500"
    chart.view.set_smoothing(0.5)
    assert chart.values_at(0) == "Iteration 1 · train 4.000 · smoothed 4.000"
    assert chart.values_at(3) == (
        "Iteration 4 · train 1.000 · smoothed 1.600 · validation 3.000 · forgot 0.500"
    )  # fmt: skip
    chart.set_figure("tokens_per_second")
    assert chart.values_at(1) == "Iteration 4 · tokens/s 1,823"
    assert chart._texts_at(1) == ["Iteration 4 · tokens/s 1,823", "1,823", "…"]
    chart.set_figure("")
    c = theme.colors()
    train, valid, forgot, smoothed = (
        PART.format(color=color, sign=sign, said=said)
        for color, sign, said in (
            (c.train_line, "—", "1.000"), (c.valid_line, "●", "3.000"), (c.forgot_line, "●", "0.500"),
            (c.train_line, "≈", "1.600"),
        )
    )  # fmt: skip
    assert chart._texts_at(3) == [
        chart.values_at(3),
        "&ensp;".join(["<b>4</b>", train, valid, forgot, smoothed]),
        "&ensp;".join([train, valid, forgot, smoothed]),
        "&ensp;".join([train, valid, forgot]) + "&nbsp;…",
        "&ensp;".join([train, valid]) + "&nbsp;…",
        train + "&nbsp;…",
        "…",
    ]
    assert chart._texts_at(0)[2] == "&ensp;".join(
        [PART.format(color=c.train_line, sign=s, said="4.000") for s in "—≈"]
    )


def test_the_pointer_reads_the_nearest_point_and_marks_it(chart: LossChart) -> None:
    told = {
        x: point(chart, x).partition(" ·")[0].removeprefix("Iteration ") for x in (0.95, 1.4, 1.6, 2.4, 3.6, 4.05)
    }
    assert told == {0.95: "1", 1.4: "1", 1.6: "2", 2.4: "2", 3.6: "4", 4.05: "4"}
    point(chart, 2.4)
    x, y = chart._cross_point.getData()
    assert (chart._cross.pos().x(), x.tolist(), y.tolist()) == (2.0, [2.0], [2.0])
    readout = child(chart, QLabel, "chart_readout")
    chart.resize(1200, 320)
    assert not chart._cross.isVisible(), "what was said was made for the width that was"
    point(chart, 2.4)
    assert (readout.text(), readout.textFormat()) == (chart.values_at(1), Qt.TextFormat.PlainText)
    chart.view.set_axis("time")
    chart.view.set_smoothing(0.5)
    chart.set_log(True)
    drawn(chart)
    assert point(chart, 3.9, 0.3).startswith("Iteration 4 ·")
    x, y = chart._cross_point.getData()
    assert (chart._cross.pos().x(), x.tolist()) == (4.0, [4.0])
    assert y.tolist() == pytest.approx([math.log10(1.6)])


def test_where_the_loss_is_no_number_there_is_a_line_and_no_point(chart: LossChart, history: RunHistory) -> None:
    history.feed(synthetic_run.report(6, [math.nan, 0.0], 4))
    drawn(chart)
    assert point(chart, 5.0).startswith("Iteration 5 · train nan")
    assert (chart._cross.isVisible(), chart._cross_point.isVisible()) == (True, False)
    point(chart, 6.0)
    assert (chart._cross.isVisible(), chart._cross_point.isVisible()) == (True, True)
    chart.set_log(True)
    drawn(chart)
    point(chart, 6.0, 0.1)
    assert (chart._cross.isVisible(), chart._cross_point.isVisible()) == (True, False)
    chart.set_history(RunHistory())
    drawn(chart)
    point(chart, 0.5, 0.5)
    assert not chart._cross.isVisible(), "there is nothing to read"


def test_without_a_pointer_it_says_what_the_curves_are_as_far_as_there_is_room(chart: LossChart) -> None:
    c, readout = theme.colors(), child(chart, QLabel, "chart_readout")
    signs = [("—", c.train_line), ("●", c.valid_line), ("●", c.forgot_line), (theme.sign("ph.star-fill"), c.good)]
    seen: dict[str, str] = {}
    for width in range(900, 60, -12):
        chart.resize(width, 320)
        seen[readout.text()] = readout.toolTip()
    whole = "Train, Validation, Forgot, Best"
    wanted: dict[str, str] = {}
    for names in (
        ("Train", "Validation", "Forgot", "Best"), ("Train", "Valid.", "Forgot", "Best"),
        ("", "Valid.", "Forgot", ""), ("", "", "", ""),
    ):  # fmt: skip
        said = [
            PART.format(color=color, sign=sign, said=name).strip()
            for name, (sign, color) in zip(names, signs, strict=True)
        ]
        wanted["&ensp;".join(said)] = whole if wanted else ""
    assert seen == wanted
    assert readout.textFormat() is Qt.TextFormat.RichText
    chart.resize(900, 320)
    chart.set_without_spike(True)
    drawn(chart)
    assert readout.text().endswith("&nbsp;Best without the first spike")
    chart.set_figure("learning_rate")
    chart.view.set_axis("time")
    drawn(chart)
    assert readout.text() == "Learning rate over minutes without the first spike"
    assert readout.toolTip() == ""


def test_the_choice_of_figures_says_what_each_means_and_another_run_leads_anew(chart: LossChart) -> None:
    box = child(chart, QComboBox, "chart_figure")
    assert {box.itemText(one): box.itemData(one, Qt.ItemDataRole.ToolTipRole) for one in range(box.count())} == {
        "Loss": "What training minimizes",
        "Learning rate": "How far each step of the optimizer went",
        "Tokens/s": "Tokens a second since the report before, without padding",
        "Peak memory": "The most that MLX held until then, in GB",
    }
    chart.view.set_axis("time")
    x, y = drawn(chart)._best.getData()
    assert (x.tolist(), y.tolist()) == ([2.0], [3.0]), "a star where the best validation lies"
    chart.set_figure("learning_rate")
    assert box.currentText() == "Learning rate"
    assert len(drawn(chart)._best.getData()[0]) == 0
    other = RunHistory()
    chart.set_history(other)
    assert (chart.figure, box.currentText(), box.count()) == ("", "Loss", 1)
    other.feed(synthetic_run.report(2, [0.5, 0.25]).model_copy(update={"figures": {"reward": 0.5}}))
    drawn(chart)
    assert (chart.figure, box.currentText()) == ("reward", "Reward")


def test_its_buttons_say_and_show_what_they_would_do_now(chart: LossChart) -> None:
    fill, reset = child(chart, QToolButton, "chart_fill"), child(chart, QToolButton, "chart_reset")
    asked: list[bool] = []
    chart.fill_requested.connect(asked.append)
    chart.show_filled(True)
    said = "Back to the panel (Esc)"
    assert (fill.toolTip(), fill.accessibleName(), fill.isChecked(), fill.hasFocus()) == (said, said, True, True)
    assert image(fill) == of_icon("ph.arrows-in-simple")
    chart.show_filled(False)
    said = "Fill the window with the chart"
    assert (fill.toolTip(), fill.accessibleName(), fill.isChecked(), asked) == (said, said, False, [])
    assert image(fill) == of_icon("ph.arrows-out-simple")
    fill.click()
    fill.click()
    assert asked == [True, False]
    assert image(reset) == of_icon("ph.magnifying-glass-minus")
    box = chart._plot.getViewBox()
    box.setXRange(2, 3, padding=0)
    box.sigRangeChangedManually.emit([True, False])
    assert image(reset) == of_icon("ph.magnifying-glass-minus", theme.colors().accent)
    reset.click()
    drawn(chart)
    assert image(reset) == of_icon("ph.magnifying-glass-minus")
    for anew in (partial(chart.set_figure, "learning_rate"), partial(chart.set_history, RunHistory())):
        box.sigRangeChangedManually.emit([True, False])
        anew()
        drawn(chart)
        assert image(reset) == of_icon("ph.magnifying-glass-minus"), "another curve is shown whole"


def test_a_low_chart_has_no_controls_a_slow_one_rests_and_a_hidden_one_does_nothing(chart: LossChart) -> None:
    assert chart.view.isVisible()
    chart.resize(420, 150)
    assert not chart.view.isVisible()
    chart.resize(420, theme.line_px(190))
    assert chart.view.isVisible()
    chart.resize(420, theme.line_px(190) - 1)
    assert not chart.view.isVisible()
    chart._view.painting_s = 2.0
    drawn(chart)
    assert 8000 <= chart._timer.interval() < 12_000, "four times as long as the painting took"
    chart._view.painting_s = 0.0
    drawn(chart)
    assert 33 <= chart._timer.interval() < 2000
    chart.refresh()
    assert chart._timer.isActive()
    chart.hide()
    assert not chart._timer.isActive()


@pytest.mark.qt_log_ignore("QSvgPaintEngine::begin", "QPainter::begin")
def test_a_picture_has_what_came_while_the_chart_was_hidden(
    chart: LossChart, history: RunHistory, tmp_path: Path
) -> None:
    chart.hide()
    chart.set_log(True)
    history.feed(event.Validated(iteration=4, val_loss=0.5, best=True, elapsed_s=240.0))
    chart.save(tmp_path / "a.svg")
    assert chart._best.getData()[0].tolist() == [4]
    text = (tmp_path / "a.svg").read_text()
    assert "<title>Training and validation loss</title>" in text
    size = chart._view.size()
    assert f'viewBox="0 0 {size.width()} {size.height()}"' in text
    assert all(f">{name}<" in text for name in ("Train", "Validation", "Forgot", "Best"))
    chart.save(tmp_path / "a.PNG")
    picture = QImage(str(tmp_path / "a.PNG"))
    assert picture.size() == 2 * size
    assert picture.pixelColor(0, 0).name() == theme.colors().card
    assert picture.rect().contains(QRect(0, 0, 10, 10))
    with pytest.raises(OSError, match="written"):
        chart.save(tmp_path / "nowhere" / "a.svg")
    assert not chart._legend.isVisible()
