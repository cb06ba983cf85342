"""The kept view: what the window was left with comes back, also after a crash."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QLabel, QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from app.core.protocol import event
from app.core.protocol.job import TrainJob, write_job
from app.core.run.folder import runs_dir
from app.core.system.setting import load_settings, save_settings
from app.ui.form.store import ConfigStore
from app.ui.run.session import RunSession, RunState
from app.ui.window.appearance import Appearance
from app.ui.window.main_window import COMPARE_TAB, RUNS_TAB, SETUP_TAB, MainWindow
from app.ui.worker import beside
from tests.ui import synthetic_run
from tests.ui.child import child
from tests.ui.comparing import answer, base_folder, run_with_checkpoints
from tests.ui.fake_worker import FakeWorker


def opened(qtbot: QtBot) -> MainWindow:
    """A window as the next start makes it."""
    window = MainWindow(ConfigStore(), RunSession(), Appearance())
    window.resize(1100, 700)
    window.kept_view.restore_place()
    window.show()
    qtbot.addWidget(window, before_close_func=_forget_run)
    return window


def _forget_run(window: MainWindow) -> None:
    """A window that trains asks before it closes; the end of a test has nobody to answer."""
    window.session._state = RunState.NONE


@pytest.fixture
def window(qtbot: QtBot, workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch) -> MainWindow:
    assert workers == []
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", FakeWorker)
    return opened(qtbot)


def sentence(window: MainWindow) -> str:
    return child(window, QLabel, "run_sentence").text()


def test_tab_scroll_position_and_run_come_back(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    run = synthetic_run.run_folder(tmp_path)
    window.session.open(run.path)
    bar = window.setup_tab.scroll_area.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 120)
    bar.setValue(120)
    window.show_tab(RUNS_TAB)
    # Not closed: the settings are written a moment after each change, as they stand after a crash.
    qtbot.waitUntil(lambda: load_settings().window.get("tab") == "runs" and "run" in load_settings().window)
    again = opened(qtbot)
    assert again.tab_bar.tabText(again.tab_bar.currentIndex()) == RUNS_TAB
    qtbot.waitUntil(lambda: again.session.state is RunState.COMPLETED)
    assert again.session.run is not None
    assert again.session.run.path == run.path.resolve()
    again.show_tab(SETUP_TAB)
    qtbot.waitUntil(lambda: again.setup_tab.scroll_area.verticalScrollBar().value() == 120)


def test_the_list_of_runs_and_compare_scroll_back(qtbot: QtBot, window: MainWindow) -> None:
    for number in range(40):
        synthetic_run.run_folder(runs_dir(), name=f"run {number}")
    window.show_tab(COMPARE_TAB)
    compare = window.compare_tab.scroll_area.verticalScrollBar()
    window.resize(1100, 620)
    qtbot.waitUntil(lambda: compare.maximum() > 60)
    compare.setValue(60)
    window.show_tab(RUNS_TAB)
    runs = window.runs_tab.table.verticalScrollBar()
    qtbot.waitUntil(lambda: runs.maximum() > 20)
    runs.setValue(runs.maximum() // 2)
    left = runs.value()
    window.kept_view.keep()
    again = opened(qtbot)
    again.resize(1100, 620)
    qtbot.waitUntil(lambda: again.runs_tab.table.verticalScrollBar().value() == left)
    again.show_tab(COMPARE_TAB)
    qtbot.waitUntil(lambda: again.compare_tab.scroll_area.verticalScrollBar().value() == 60)


def test_a_run_that_the_window_left_stands_there_as_interrupted(
    qtbot: QtBot, window: MainWindow, workers: list[FakeWorker], tmp_path: Path
) -> None:
    """The window of an earlier version was killed: its worker ended with it, and says that it was stopped, though
    nobody had asked it to."""
    run = synthetic_run.run_folder(tmp_path, synthetic_run.events(until=275, ending="stopped"))
    (run.state / "0000275").mkdir(parents=True)
    window.session.start_run(run)
    write_job(run.path, TrainJob())
    qtbot.waitUntil(lambda: load_settings().window.get("live") is True)
    again = opened(qtbot)
    qtbot.waitUntil(lambda: again.session.state is RunState.CRASHED)
    assert child(again, QLabel, "run_state").text() == "Interrupted"
    assert sentence(again).startswith("Interrupted at iteration 275. Resume goes on exactly there.")
    assert child(again, QPushButton, "run_resume").property("kind") == "primary"
    again.kept_view.keep()
    assert load_settings().window["live"] is True  # still so at the start after this one
    child(again, QPushButton, "run_resume").click()
    qtbot.waitUntil(lambda: again.session.state is RunState.PREPARING)
    assert not again.session.was_interrupted
    assert [worker.task for worker in workers].count("train") == 2


def test_a_run_that_was_stopped_in_the_window_is_no_interrupted_one(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    run = synthetic_run.run_folder(tmp_path, synthetic_run.events(until=275, ending="stopped"))
    window.session.open(run.path)
    qtbot.waitUntil(lambda: window.session.state is RunState.STOPPED)
    window.kept_view.keep()
    again = opened(qtbot)
    qtbot.waitUntil(lambda: again.session.state is RunState.STOPPED)


@pytest.mark.parametrize(
    "saved, said",
    [
        ("0000020", "Interrupted at iteration 50. Resume goes on from iteration 20, which was saved last."),
        (None, "Interrupted at iteration 50. Nothing was saved before that; the log may tell why."),
    ],
)
def test_it_says_from_where_a_run_that_broke_off_goes_on(
    qtbot: QtBot, window: MainWindow, tmp_path: Path, saved: str | None, said: str
) -> None:
    run = synthetic_run.run_folder(tmp_path, synthetic_run.events(until=50, ending=""))
    if saved is not None:
        (run.state / saved).mkdir(parents=True)
    window.session.open(run.path)
    qtbot.waitUntil(lambda: window.session.state is RunState.CRASHED)
    assert sentence(window) == said
    assert child(window, QPushButton, "run_resume").isVisible() is (saved is not None)


def test_what_is_gone_or_unreadable_is_left_out(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    kept = {"run": str(tmp_path / "gone"), "tab": "Nowhere", "scroll": {"Setup": "far"}, "live": True}
    window.close()
    save_settings(load_settings().model_copy(update={"window": kept}))
    again = opened(qtbot)
    qtbot.wait(60)  # past the moment in which a run would be opened
    assert (again.session.state, again.tab_bar.currentIndex()) == (RunState.NONE, 0)


@pytest.mark.parametrize("name", ["Runs", "Läufe", "runs"])
def test_a_tab_that_was_kept_by_its_name_in_any_language_comes_back(
    qtbot: QtBot, window: MainWindow, name: str
) -> None:
    for number in range(40):
        synthetic_run.run_folder(runs_dir(), name=f"run {number}")
    window.close()
    save_settings(load_settings().model_copy(update={"window": {"tab": name, "scroll": {name: 30}}}))
    again = opened(qtbot)
    assert again.tab_bar.tabText(again.tab_bar.currentIndex()) == RUNS_TAB
    qtbot.waitUntil(lambda: again.runs_tab.table.verticalScrollBar().value() == 30)
    again.kept_view.keep()
    kept = load_settings().window
    assert (kept["tab"], kept["scroll"]["runs"]) == ("runs", 30)


def test_answers_and_their_scroll_positions_come_back_with_compare(
    qtbot: QtBot, window: MainWindow, workers: list[FakeWorker], tmp_path: Path
) -> None:
    run = run_with_checkpoints(runs_dir(), base_folder(tmp_path / "base"), questions=2)
    window.user_actions.compare_requested.emit(run.adapters)
    tab = window.compare_tab
    tab.compare()
    answer(workers[-1], "A lute. " * 400, "Another lute. " * 400)
    bar = tab.columns[1].view.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 120)
    bar.setValue(120)
    qtbot.waitUntil(lambda: load_settings().window.get("tab") == "compare")
    path = tab.keeper.shelf.path_of(tab.keeper.key)
    qtbot.waitUntil(lambda: path.is_file() and '"scrolls": [0, 120]' in path.read_text())
    again = opened(qtbot)  # nobody closed the first one
    assert again.compare_tab.isVisible()
    qtbot.waitUntil(lambda: bool(again.compare_tab.session.pages))
    assert [column.answer for column in again.compare_tab.columns] == ["A lute. " * 400, "Another lute. " * 400]
    qtbot.waitUntil(lambda: again.compare_tab.columns[1].view.verticalScrollBar().value() == 120)


def test_a_window_that_is_closed_in_mid_answer_keeps_it(
    qtbot: QtBot, window: MainWindow, workers: list[FakeWorker], tmp_path: Path
) -> None:
    run = run_with_checkpoints(runs_dir(), base_folder(tmp_path / "base"), questions=2)
    window.user_actions.compare_requested.emit(run.adapters)
    window.compare_tab.compare()
    workers[-1].say(event.Ready(), event.Answered(request=1, column=0, text="A str"))
    assert window.close()
    again = opened(qtbot)
    qtbot.waitUntil(lambda: bool(again.compare_tab.session.pages))
    assert again.compare_tab.columns[0].answer == "A str"
    assert again.compare_tab.columns[0].status.endswith("stopped")


def test_compare_beside_a_run_of_this_window_asks_first(
    qtbot: QtBot, window: MainWindow, workers: list[FakeWorker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_with_checkpoints(runs_dir(), base_folder(tmp_path / "base"), questions=2)
    window.user_actions.compare_requested.emit(run.adapters)
    tab = window.compare_tab
    tab.compare()
    answer(workers[-1], "one", "two")
    window.session.start_run(synthetic_run.run_folder(tmp_path))
    trainer = workers[-1]
    assert not window.answerer.is_loaded
    assert [column.answer for column in tab.columns] == ["one", "two"], "they stay"
    live = window.session.run
    assert live is not None
    monkeypatch.setattr(beside, "training_runs", lambda: [live])
    monkeypatch.setattr(beside, "_agreed", set())
    said = ["Cancel", "Do it beside the run"]

    def execute(box: QMessageBox) -> int:
        next(one for one in box.buttons() if one.text() == said[0]).click()
        return 0

    monkeypatch.setattr(QMessageBox, "exec", execute)
    tab.compare()
    qtbot.waitUntil(lambda: not tab.session.is_busy)
    assert child(tab, QLabel, "compare.note").text() == beside.NOT_BEGUN
    assert [column.answer for column in tab.columns] == ["one", "two"]
    said.pop(0)
    tab.compare()
    asked = workers[-1]
    assert asked.task == "generate"
    trainer.say(*synthetic_run.events(until=100, ending=""))  # its words end nothing
    answer(asked, "three", "four")
    assert [column.answer for column in tab.columns] == ["three", "four"]
    tab.question.show_note(beside.NOT_BEGUN)
    trainer.end(event.Finished(reason="stopped", iteration=100))
    assert child(tab, QLabel, "compare.note").text() == "", "the run is over: it is no longer so"
