"""The run panel's fold: a strip while there is nothing to see, and nothing that moves under the pointer."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.core.system.setting import load_settings
from app.ui.form.store import ConfigStore
from app.ui.run.session import RunSession
from app.ui.window.appearance import Appearance
from app.ui.window.main_window import COMPARE_TAB, ENHANCED_TAB, RUNS_TAB, SETUP_TAB, MainWindow
from tests.ui import synthetic_run
from tests.ui.child import child
from tests.ui.comparing import adapter_folder
from tests.ui.fake_worker import FakeWorker
from tests.ui.window.every_page import settle


@pytest.fixture
def window(qtbot: QtBot, workers: list[FakeWorker]) -> MainWindow:
    assert workers == []
    return opened(qtbot)


def opened(qtbot: QtBot) -> MainWindow:
    found = MainWindow(ConfigStore(), RunSession(), Appearance())
    found.resize(1440, 900)
    found.show()
    qtbot.addWidget(found, before_close_func=lambda one: one.session._worker and one.session.kill())
    return found


def started(window: MainWindow, workers: list[FakeWorker]) -> FakeWorker:
    window.session.start(TrainConfig(adapter_name="friendly", model="/m", data="/d"))
    workers[-1].say(*synthetic_run.events(until=100, ending=""))
    return workers[-1]


def is_strip(window: MainWindow) -> bool:
    shown = child(window, QAbstractButton, "run_strip").isVisible()
    assert shown is window.run_panel.is_folded
    assert shown is (window.run_panel.width() < 80)
    assert child(window, QWidget, "window_splitter").width() == window.width()
    return shown


def test_it_is_a_strip_while_it_is_empty_and_open_once_there_is_a_run(
    window: MainWindow, workers: list[FakeWorker]
) -> None:
    assert is_strip(window)
    worker = started(window, workers)
    assert not is_strip(window)
    assert window.run_panel.page.isVisible()
    worker.end(event.Finished(reason="completed", iteration=600))
    assert not is_strip(window)


def test_where_the_width_is_needed_it_is_a_strip_unless_a_run_trains(
    window: MainWindow, workers: list[FakeWorker]
) -> None:
    worker = started(window, workers)
    window.show_tab(COMPARE_TAB)
    assert not is_strip(window)
    worker.end(event.Finished(reason="completed", iteration=600))
    assert not is_strip(window)  # what one looks at does not move by itself
    window.show_tab(RUNS_TAB)
    assert is_strip(window)
    window.show_tab(SETUP_TAB)
    assert not is_strip(window)


def test_the_queues_next_run_moves_nothing_under_the_pointer(window: MainWindow, workers: list[FakeWorker]) -> None:
    window.show_tab(RUNS_TAB)
    assert is_strip(window)
    started(window, workers)
    assert is_strip(window)
    strip = child(window, QAbstractButton, "run_strip")
    assert strip.text() == "Training · 100 of 600"
    QTest.mouseClick(strip, Qt.MouseButton.LeftButton)
    assert not is_strip(window)


def test_a_run_that_is_asked_for_is_shown(window: MainWindow, tmp_path: Path) -> None:
    run = synthetic_run.run_folder(tmp_path)
    window.show_tab(RUNS_TAB)
    window.user_actions.open_run(run.path)
    assert not is_strip(window)
    window.show_tab(COMPARE_TAB)
    assert is_strip(window)


def test_comparing_from_the_panel_takes_the_keyboard_to_the_question(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    """The button that was pressed is folded away with the panel."""
    run = synthetic_run.run_folder(tmp_path)
    window.user_actions.open_run(run.path)
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    window.user_actions.compare_requested.emit(adapter_folder(run.adapters, "/m"))
    assert is_strip(window)
    assert window.focusWidget() is window.compare_tab.prompt


def test_a_choice_holds_for_such_places_and_at_the_next_start(qtbot: QtBot, window: MainWindow) -> None:
    toggle = child(window, QToolButton, "panel_toggle")
    place = toggle.mapTo(window, toggle.rect().center())
    QTest.mouseClick(toggle, Qt.MouseButton.LeftButton)
    assert not is_strip(window)
    assert window.menu.panel.isChecked()
    assert toggle.mapTo(window, toggle.rect().center()) == place
    window.kept_view.keep()
    assert load_settings().window["panel"] == {"empty": True}
    again = opened(qtbot)
    assert not is_strip(again)
    again.menu.panel.trigger()
    assert is_strip(again)


def test_a_tab_has_the_panel_as_it_was_left_there(
    window: MainWindow, workers: list[FakeWorker], tmp_path: Path
) -> None:
    run = synthetic_run.run_folder(tmp_path)
    window.show_tab(RUNS_TAB)
    window.user_actions.open_run(run.path)
    window.show_tab(SETUP_TAB)
    window.fold.choose(False)
    window.show_tab(COMPARE_TAB)
    assert is_strip(window)
    window.show_tab(RUNS_TAB)
    assert not is_strip(window)
    window.show_tab(ENHANCED_TAB)
    assert not is_strip(window)
    window.show_tab(SETUP_TAB)
    assert is_strip(window)
    started(window, workers)
    window.show_tab(RUNS_TAB)
    window.fold.choose(False)
    window.show_tab(COMPARE_TAB)
    assert not is_strip(window)  # a run trains, and nobody chose otherwise here
    window.show_tab(RUNS_TAB)
    assert is_strip(window)
    window.kept_view.keep()
    assert load_settings().window["panel"] == {"setup": False, "runs": False}


@pytest.mark.parametrize(
    ("kept", "shown"),
    [
        ({"form": False, "reading": True}, {SETUP_TAB: False, ENHANCED_TAB: False, RUNS_TAB: True}),
        ({"form": False, "setup": True, "reading": 3}, {SETUP_TAB: True, ENHANCED_TAB: False, RUNS_TAB: False}),
    ],
)
def test_what_earlier_versions_kept_by_kind_of_tab_holds_for_each_tab(
    window: MainWindow, tmp_path: Path, kept: dict[str, object], shown: dict[str, bool]
) -> None:
    window.user_actions.open_run(synthetic_run.run_folder(tmp_path).path)
    window.fold.restore({"panel": kept})
    for tab, is_open in shown.items():
        window.show_tab(tab)
        assert is_strip(window) is not is_open


def test_a_dragged_width_is_kept(window: MainWindow, workers: list[FakeWorker]) -> None:
    started(window, workers)
    assert window.run_panel.width() == 430
    splitter = window._splitter
    splitter.setSizes([900, 540])
    splitter.splitterMoved.emit(900, 1)
    width = window.run_panel.width()
    window.show_tab(RUNS_TAB)
    window.resize(1300, 900)
    assert window.run_panel.width() == width
    window.kept_view.keep()
    assert load_settings().window["panel_width"] == width


@pytest.mark.parametrize(("width", "columns", "panel"), [(1440, 1, 430), (2560, 2, 717)])
def test_a_wide_window_gives_the_form_two_columns_and_the_panel_its_share(
    qtbot: QtBot, window: MainWindow, workers: list[FakeWorker], width: int, columns: int, panel: int
) -> None:
    window.resize(width, 1000)
    started(window, workers)
    tab = window.setup_tab
    assert window.run_panel.width() == panel
    assert tab.columns.is_double is (columns == 2)
    qtbot.waitUntil(lambda: (tab.targets.x() > tab.training.geometry().right()) is (columns == 2))
    assert tab.training.width() <= 900
    if columns == 1:
        assert tab.targets.y() > tab.training.y()
    window.resize(1200, 800)
    assert not tab.columns.is_double
    qtbot.waitUntil(lambda: tab.estimate.y() > tab.targets.y() > tab.training.y() > tab.inputs.y())


def test_the_chart_fills_the_window_and_goes_back(
    qtbot: QtBot, window: MainWindow, workers: list[FakeWorker]
) -> None:
    started(window, workers)
    settle()  # texts that wrap are given their room a turn after the others
    chart = window.run_panel.page.chart
    before, fill = chart.size(), child(chart, QToolButton, "chart_fill")
    for back in ("button", "Esc", "tab"):
        QTest.mouseClick(fill, Qt.MouseButton.LeftButton)
        assert chart.isVisible()
        assert chart.width() > 1300
        assert not window.run_panel.isVisible()
        if back == "button":
            QTest.mouseClick(fill, Qt.MouseButton.LeftButton)
        elif back == "Esc":
            QTest.keyClick(window, Qt.Key.Key_Escape)
        else:
            window.show_tab(RUNS_TAB)
        qtbot.waitUntil(lambda: window.run_panel.isVisible() and chart.size() == before)
        assert not fill.isChecked()


def test_a_run_found_live_at_the_start_has_the_panel_as_it_was_left_beside_it(
    window: MainWindow, workers: list[FakeWorker]
) -> None:
    """On a page that needs the width: it was open while the run trained."""
    window.show_tab(RUNS_TAB)
    window.fold.expect_run()
    assert is_strip(window)
    started(window, workers)
    assert not is_strip(window)
    window.fold.choose(False)
    workers[-1].say(event.Paused(iteration=100))
    assert is_strip(window)
