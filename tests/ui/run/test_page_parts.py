"""The parts of a run's page: how curves are looked at, what a result offers, tabs that come and go, the fold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QInputDialog, QLabel, QPushButton, QSlider, QTabBar, QWidget
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.core.run.gain import Gain
from app.core.system.setting import Settings, save_settings
from app.ui.run.curve_view import CurveView
from app.ui.run.long_curve import LongCurve
from app.ui.run.panel import PANEL_MINIMUM, RunPanel
from app.ui.run.result_view import ACTIONS, ResultView, _of_gain, ask_more_iterations, moment_text
from app.ui.run.session import RunSession, RunState
from app.ui.run.strip import STRIP_WIDTH
from app.ui.widget import theme
from tests.ui import synthetic_run
from tests.ui.child import child
from tests.ui.comparing import adapter_folder
from tests.ui.fake_worker import FakeWorker


def started(session: RunSession, until: int = 300, **values: Any) -> FakeWorker:
    session.start(TrainConfig(adapter_name="friendly", model="/m", data="/d").with_values(values))
    FakeWorker.made[-1].say(*synthetic_run.events(until=until, ending=""))
    return FakeWorker.made[-1]


# -- how curves are looked at ------------------------------------------------------


def test_axis_and_smoothing_are_chosen_and_told(qtbot: QtBot) -> None:
    view = CurveView("chart", 0.25)
    qtbot.addWidget(view)
    box, slider = child(view, QComboBox, "chart_x"), child(view, QSlider, "chart_smoothing")
    tip = Qt.ItemDataRole.ToolTipRole
    assert [(box.itemText(one), box.itemData(one), box.itemData(one, tip)) for one in range(box.count())] == [
        ("Iterations", "iterations", "Loss over iterations"), ("Epochs", "epochs", "Loss over epochs"),
        ("Tokens", "tokens", "Loss over trained tokens"), ("Minutes", "time", "Loss over minutes"),
    ]  # fmt: skip
    said = "How much of the past the line averages: {}; at the left every loss is drawn as it was"
    assert (view.smoothing, slider.maximum(), slider.toolTip()) == (0.25, 99, said.format("0.25"))
    changed: list[int] = []
    view.changed.connect(lambda: changed.append(1))
    view.set_smoothing(0.904)
    assert (view.smoothing, slider.toolTip(), changed) == (0.9, said.format("0.90"), [1])
    x = np.array([60.0, 90.0])
    assert (view.unit, view.scaled(x).tolist()) == (1.0, [60.0, 90.0])
    view.set_axis("time")
    assert (view.axis, view.unit, view.scaled(x).tolist(), changed) == ("time", 60.0, [1.0, 1.5], [1, 1])
    choice = QWidget()
    view.put_first(choice)
    layout = view.layout()
    assert layout is not None
    assert layout.indexOf(choice) == 0


def curve(**style: Any) -> LongCurve:
    found = LongCurve(**style)
    found.take(np.array([60.0, 120.0, 180.0, 240.0]), np.array([4.0, np.nan, 2.0, 1.0]), ("a",), unit=60.0)
    return found


def test_a_curve_knows_where_it_lies(qapp: object) -> None:
    assert qapp is not None
    found = curve()
    assert (found.is_empty, found.ends, LongCurve().is_empty) == (False, (1.0, 4.0), True)
    assert [found.place(x) for x in (0.5, 1.0, 2.5, 4.0, 9.0)] == [0, 1, 2, 4, 4]
    x, y = found.points(2, 4)
    assert (x.tolist(), y.tolist()) == ([3.0, 4.0], [2.0, 1.0])
    assert [len(x) for x, _ in found.parts_at(2.0)] == [2, 2]
    assert [len(x) for x, _ in found.parts_at(0.5)] == [4]
    assert [len(x) for x, _ in found.parts_at(4.0)] == [4]
    assert (found.dataBounds(0), found.dataBounds(1)) == ((1.0, 4.0), (1.0, 4.0))
    assert LongCurve().dataBounds(0) == (None, None)
    assert found.dataBounds(1, orthoRange=(1.9, 2.1)) == (None, None), "there is only a gap"
    found.setLogMode(False, True)
    assert found.dataBounds(1, orthoRange=(3.0, 4.0)) == pytest.approx((0.0, np.log10(2.0)))
    found.setLogMode(False, False)
    found.take(np.array([60.0, 120.0]), np.array([4.0, np.inf]), ("b",), unit=60.0)
    found.draw()
    assert found.ends == (1.0, 2.0)
    assert found.getOriginalDataset()[0].tolist() == [1.0, 2.0]


def test_of_a_part_what_lies_beside_it_is_drawn_too(qapp: object) -> None:
    assert qapp is not None
    found = LongCurve()
    found.take(np.arange(100.0), np.arange(100.0), ("a",))
    found.draw((40.0, 50.0))
    x, _ = found.getOriginalDataset()
    assert (x[0], x[-1], len(x)) == (30.0, 61.0, 32), "as far as a hand moves it before it is drawn anew"
    found.draw((-5.0, 3.0))
    assert found.getOriginalDataset()[0][0] == 0.0
    found.draw((95.0, 120.0))
    assert found.getOriginalDataset()[0][-1] == 99.0
    found.draw()
    assert len(found.getOriginalDataset()[0]) == 100
    assert found.opts["symbol"] is None


# -- results -----------------------------------------------------------------------


def test_how_many_more_is_asked_with_half_of_what_was_done(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    parent, asked = QWidget(), list[tuple[object, ...]]()
    qtbot.addWidget(parent)

    def ask(_parent: QWidget, *given: object) -> tuple[int, bool]:
        asked.append(given)
        return 50, len(asked) < 3

    monkeypatch.setattr(QInputDialog, "getInt", ask)
    assert [ask_more_iterations(parent, "friendly", done) for done in (1, 600, 600)] == [51, 650, 0]
    said = "“friendly” has trained {}. Train how many more?"
    assert asked == [
        ("Train longer", said.format("1 iteration"), 1, 1, 1_000_000),
        *[("Train longer", said.format("600 iterations"), 300, 1, 1_000_000)] * 2,
    ]


def test_a_gain_is_told_as_a_journey_and_by_how_much() -> None:
    assert (moment_text(0), moment_text(1500)) == ("before training", "at 1,500")
    twice = Gain("Loss", 4.0, 0, 3.0, 1500, 3.5, 2000, is_lower_better=True)
    assert _of_gain(twice) == [("Loss", "4.000 → 3.000", ""), ("Change, at 1,500", "−1.000", "−25\u00a0%")]
    once = Gain("Reward", 0.5, 4, 0.5, 4, 0.5, 4)
    assert _of_gain(once) == [("Reward", "0.500", "at 4")]


@pytest.mark.parametrize("method", ["sft", "no_such_method"])
def test_a_result_shows_figures_of_any_method_and_its_buttons_have_signs(
    qtbot: QtBot, session: RunSession, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(session, until=600)
    assert session.run is not None
    if method != "sft":
        assert session.config is not None
        monkeypatch.setattr(session, "config", session.config.model_copy(update={"train_mode": method}))
    adapter_folder(session.run.adapters, "/m")
    view = ResultView(session)
    qtbot.addWidget(view)
    session._state = RunState.COMPLETED
    view.show_result()
    assert child(view, QLabel, "figure.result.0").text().count("→") == 1
    assert [one.isHidden() for one in view._figures] == [False, False, True, True]
    assert [view.buttons[name].isHidden() for name, *_ in ACTIONS] == [name == "extend" for name, *_ in ACTIONS], (
        "no state was saved to go on from"
    )
    for name, text, icon, tip in ACTIONS:
        button = view.buttons[name]
        assert (button.text(), button.accessibleName(), button.toolTip()) == (text, text, tip)
        assert button.icon().pixmap(16).toImage() == theme.icon(icon).pixmap(16).toImage()
    more = QPushButton("More")
    layout = view._row.layout()
    assert layout is not None
    count = layout.count()
    view.take_button(more)
    view.take_button(more)
    assert layout.count() == count + 1
    session._state = RunState.NONE


# -- panel and page ----------------------------------------------------------------


@pytest.fixture
def panel(qtbot: QtBot, session: RunSession) -> RunPanel:
    save_settings(Settings(chart_smoothing=5.0, chart_x="epochs", chart_log=True, chart_without_spike=True))
    found = RunPanel(session)
    qtbot.addWidget(found)
    found.resize(430, 700)
    return found


def test_the_chart_is_looked_at_as_the_settings_say_and_tells_them(panel: RunPanel) -> None:
    kept = Settings()
    assert panel.with_view(kept) is kept, "there is no chart yet"
    told: list[int] = []
    panel.view_changed.connect(lambda: told.append(1))
    chart = panel.page.chart
    assert (chart.view.smoothing, chart.view.axis, chart.is_log, chart.is_without_spike) == (
        0.99,
        "epochs",
        True,
        True,
    )
    assert told == [], "nobody chose that now"
    chart.view.set_smoothing(0.25)
    chart.set_log(False)
    assert told == [1, 1]
    found = panel.with_view(kept)
    assert (found.chart_smoothing, found.chart_x, found.chart_log, found.chart_without_spike) == (
        0.25, "epochs", False, True,
    )  # fmt: skip
    panel.page.restore_view(Settings(chart_smoothing=-1.0))
    assert (chart.view.smoothing, chart.view.axis, chart.is_log, told) == (0.0, "iterations", False, [1, 1])
    assert panel.page is panel.page


def test_the_panel_is_folded_to_a_strip_and_opened_again(panel: RunPanel, session: RunSession) -> None:
    told: list[bool] = []
    panel.folded.connect(lambda: told.append(panel.is_folded))
    assert not panel.is_folded
    for folded in (True, False):
        panel.set_folded(folded)
        width = STRIP_WIDTH if folded else PANEL_MINIMUM
        assert panel.minimumWidth() == width
        assert (panel.maximumWidth() == STRIP_WIDTH) is folded
        assert (panel._stack.currentWidget() is panel._strip) is folded
    assert told == [True, False]
    assert panel._stack.currentWidget() is panel._nothing
    panel.set_folded(True)
    started(session)
    assert panel._stack.currentWidget() is panel._strip
    panel.set_folded(False)
    assert panel._stack.currentWidget() is panel._scroll
    asked: list[int] = []
    panel.unfold_requested.connect(lambda: asked.append(1))
    panel._strip.click()
    assert asked == [1]


def test_tabs_beside_the_log_come_with_what_they_show_and_lead_back_to_it(
    panel: RunPanel, session: RunSession
) -> None:
    bar, page = child(panel.page, QTabBar, "log_tabs"), panel.page

    def seen() -> tuple[list[str], int, bool]:
        return [bar.tabText(at) for at in range(3) if bar.isTabVisible(at)], bar.currentIndex(), bar.isHidden()

    assert seen() == (["Log"], 0, True)
    assert [bar.tabToolTip(at) for at in range(3)] == [
        "", "The newest sampled answers", "One held-out question, answered by base and tuned model",
    ]  # fmt: skip
    worker = started(session)
    worker.say(event.Sampled(iteration=300, samples=[{"prompt": "Who?", "completion": "Nobody", "tokens": 1}]))
    page.summary.refreshed.emit()
    bar.setCurrentIndex(1)
    assert seen() == (["Log", "Answers"], 1, False)
    assert page._log_stack.currentWidget() is page.samples
    assert session.run is not None
    adapter_folder(session.run.adapters, "/m")
    worker.end(event.Finished(reason="stopped"))
    assert seen() == (["Log", "Answers", "Before and after"], 2, False)
    bar.setCurrentIndex(0)
    session.state_changed.emit()
    assert seen()[1] == 0, "it is brought to the front once"
    started(session, until=0)
    page.summary.refreshed.emit()
    assert seen() == (["Log"], 0, True)
    assert (page._log_stack.currentWidget(), page.log.text) == (page.log, "")


def test_the_chart_is_drawn_anew_for_what_it_draws(
    panel: RunPanel, session: RunSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = started(session, until=25)
    drawn: list[int] = []
    monkeypatch.setattr(panel.page.chart, "refresh", lambda: drawn.append(1))
    worker.say(event.Progressed(phase="x"), event.Warned(message="y"), event.Paused(iteration=25))
    assert drawn == []
    worker.say(
        synthetic_run.report(50, [0.5] * 25), event.Validated(iteration=50, val_loss=1.0),
        event.NeutralMeasured(iteration=50, neutral_loss=2.5, base_loss=2.0, forgot=0.5),
    )  # fmt: skip
    assert drawn == [1, 1, 1]
    session._set_state(RunState.LOADING)
    assert panel.page.chart._is_filling
    session._set_state(RunState.COMPLETED)
    assert not panel.page.chart._is_filling
