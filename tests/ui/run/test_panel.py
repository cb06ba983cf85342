"""The run panel and its session: honest states, figures, and a history that is the same live and read again."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QLabel,
    QMessageBox,
    QProgressBar,
    QPushButton,
    QSplitter,
    QTabBar,
    QToolButton,
    QWidget,
)
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.core.protocol.command import Park, Pause, Resume, Stop
from app.ui.run.panel import RunPanel
from app.ui.run.session import RunSession, RunState
from app.ui.widget import theme
from tests.ui import synthetic_run
from tests.ui.child import child
from tests.ui.fake_worker import FakeWorker


@pytest.fixture
def session() -> RunSession:
    return RunSession()


@pytest.fixture
def panel(qtbot: QtBot, session: RunSession) -> RunPanel:
    found = RunPanel(session)
    qtbot.addWidget(found)
    found.resize(430, 620)
    found.show()
    return found


def said(panel: RunPanel, name: str) -> str:
    return child(panel, QLabel, name).text()


def button(panel: RunPanel, name: str) -> QPushButton:
    return child(panel, QPushButton, name)


def stop(panel: RunPanel) -> None:
    """Stop, and the answer to the question that comes before anything is saved."""
    click(panel, "run_stop")
    answer(panel, "Stop and save")


def answer(panel: RunPanel, text: str) -> None:
    box = child(panel, QMessageBox, "stop_question")
    next(one for one in box.buttons() if one.text() == text).click()


def click(panel: RunPanel, name: str) -> None:
    QTest.mouseClick(button(panel, name), Qt.MouseButton.LeftButton)


def points(panel: RunPanel) -> int:
    """How many points the chart has drawn."""
    x, _ = panel.page.chart._raw.getOriginalDataset()
    return 0 if x is None else len(x)


def started(session: RunSession, workers: list[FakeWorker], until: int = 300) -> FakeWorker:
    session.start(TrainConfig(adapter_name="friendly", model="/m", data="/d"))
    workers[-1].say(*synthetic_run.events(until=until, ending=""))
    return workers[-1]


def test_without_a_run_it_says_what_to_do(qtbot: QtBot, panel: RunPanel) -> None:
    labels = [label.text() for label in panel.findChildren(QLabel) if label.isVisible()]
    assert "Your run appears here" in labels
    with qtbot.waitSignal(panel.open_requested):
        click(panel, "open_run")


def test_a_run_shows_state_progress_and_figures(
    qtbot: QtBot, panel: RunPanel, session: RunSession, workers: list[FakeWorker]
) -> None:
    session.start(TrainConfig(adapter_name="friendly", model="/m", data="/d"))
    assert said(panel, "run_state") == "Preparing"
    workers[0].say(event.Hello(task="train"), event.Progressed(phase="Loading the model", done=1, total=3))
    assert said(panel, "run_sentence") == "Loading the model (1 of 3)…"
    workers[0].say(*synthetic_run.events(until=300, ending=""))
    assert said(panel, "run_state") == "Training"
    qtbot.waitUntil(lambda: said(panel, "run_iteration") == "Iteration 300 of 600")
    assert said(panel, "run_name") == "friendly"
    assert said(panel, "figure.speed") == "1,823"
    assert said(panel, "figure.val_loss") == f"{session.history.valid_losses[-1]:.3f}"
    assert said(panel, "figure.memory") == "1.23\u00a0GB"
    assert said(panel, "figure.left") == "33\u00a0s"
    assert child(panel, QProgressBar, "run_progress").value() == 300
    assert len(panel.page.chart._series.history) == 300


def test_stop_is_honest_and_the_end_offers_the_comparison(
    qtbot: QtBot, panel: RunPanel, session: RunSession, workers: list[FakeWorker]
) -> None:
    worker = started(session, workers)
    click(panel, "run_stop")
    answer(panel, "Keep training")
    assert (worker.commands, said(panel, "run_state")) == ([], "Training")
    stop(panel)
    assert worker.commands == [Stop()]
    assert said(panel, "run_sentence") == "Stopping after this iteration, then saving…"
    assert not button(panel, "run_stop").isEnabled()
    session.run.adapters.mkdir()  # type: ignore[union-attr]
    (session.run.adapters / "adapters.safetensors").write_bytes(b"")  # type: ignore[union-attr]
    worker.end(event.Finished(reason="stopped", iteration=300))
    assert session.state is RunState.STOPPED
    assert said(panel, "run_state") == "Stopped"
    assert not button(panel, "run_stop").isVisible()
    with qtbot.waitSignal(panel.requested) as asked:
        click(panel, "run_compare")
    assert asked.args == ["compare"]


def test_a_worker_that_does_not_stop_can_be_ended(
    panel: RunPanel, session: RunSession, workers: list[FakeWorker]
) -> None:
    worker = started(session, workers)
    stop(panel)
    panel.page.summary._patience.timeout.emit()
    assert button(panel, "run_stop").text() == "End now"
    click(panel, "run_stop")
    assert worker.killed


def test_pause_waits_for_the_worker_to_say_so(
    panel: RunPanel, session: RunSession, workers: list[FakeWorker]
) -> None:
    worker = started(session, workers)
    pause, stop = button(panel, "run_pause"), button(panel, "run_stop")
    pause.setFocus()
    places = (pause.geometry(), stop.geometry())
    click(panel, "run_pause")
    assert said(panel, "run_state") == "Pausing"
    worker.say(event.Paused(iteration=301))
    assert said(panel, "run_state") == "Paused"
    assert pause.text() == "Continue"
    assert pause.hasFocus()
    panel.layout().activate()  # type: ignore[union-attr]
    assert (pause.geometry(), stop.geometry()) == places
    QTest.keyClick(pause, Qt.Key.Key_Space)
    worker.say(event.Resumed(iteration=301))
    assert worker.commands == [Pause(), Resume()]
    assert session.state is RunState.RUNNING
    assert pause.hasFocus()


def test_a_pause_moves_nothing(panel: RunPanel, session: RunSession, workers: list[FakeWorker]) -> None:
    worker = started(session, workers)
    chart = panel.page.chart

    def places() -> list[QPoint]:
        panel.layout().activate()  # type: ignore[union-attr]
        shown = [chart, child(panel, QProgressBar, "run_progress"), *chart.findChildren(QWidget)]
        return [widget.mapTo(panel, QPoint()) for widget in shown if widget.isVisible()]

    before = places()
    click(panel, "run_pause")
    assert places() == before
    worker.say(event.Paused(iteration=301))
    assert button(panel, "run_park").isVisible()
    assert places() == before


def test_the_space_bar_never_stops_a_run_that_is_parking(
    panel: RunPanel, session: RunSession, workers: list[FakeWorker]
) -> None:
    started(session, workers)
    button(panel, "run_pause").setFocus()
    session.park()
    assert not button(panel, "run_stop").hasFocus()


def test_a_pause_asked_for_before_a_stop_does_not_hide_the_stop(
    session: RunSession, workers: list[FakeWorker]
) -> None:
    worker = started(session, workers)
    session.pause()
    session.stop()
    worker.say(event.Paused(iteration=301))
    assert session.state is RunState.STOPPING


def test_a_failure_and_a_crash_are_told_in_words(
    panel: RunPanel, session: RunSession, workers: list[FakeWorker]
) -> None:
    started(session, workers).end(event.Failed(message="The loss is not a number.", hint="Lower it."), 1)
    assert said(panel, "run_state") == "Failed"
    assert said(panel, "run_sentence") == "The loss is not a number. Lower it."
    started(session, workers).end(None, -9)
    assert session.state is RunState.CRASHED
    assert "its last line" in said(panel, "run_sentence")
    assert len(session.history) == 300


def test_a_failure_that_a_later_worker_overcame_is_not_told_of_a_run_that_is_opened(
    qtbot: QtBot, session: RunSession, workers: list[FakeWorker]
) -> None:
    worker = started(session, workers)
    run = session.run
    assert run is not None
    worker.end(event.Finished(reason="stopped", iteration=300))
    said = [event.Hello(task="train"), event.Failed(message="No room."), event.Hello(task="train")]
    with run.events.open("w", encoding="utf-8") as file:
        file.writelines(one.to_line() + "\n" for one in [*said, event.Finished(iteration=300)])
    with qtbot.waitSignal(session.loaded):
        session.open(run.path)
    assert (session.state, session.problem) == (RunState.COMPLETED, "")


def test_a_pause_can_free_the_memory_and_one_button_goes_on(
    qtbot: QtBot, panel: RunPanel, session: RunSession, workers: list[FakeWorker]
) -> None:
    worker = started(session, workers)
    choice = child(panel, QToolButton, "run_pause_choice")
    park = next(action for action in choice.menu().actions() if action.objectName() == "pause.park")
    assert all(action.toolTip() for action in choice.menu().actions())
    park.trigger()
    assert worker.commands == [Park()]
    assert (session.state, said(panel, "run_state")) == (RunState.PARKING, "Pausing")
    assert not button(panel, "run_pause").isEnabled()
    assert not choice.isEnabled()
    run = session.run
    assert run is not None
    run.state.mkdir()
    (run.state / "0000300").mkdir()
    worker.end(event.Finished(reason="paused", iteration=300))
    assert (session.state, said(panel, "run_state")) == (RunState.PARKED, "Paused")
    assert "memory is free" in said(panel, "run_sentence")
    assert not session.is_live
    assert button(panel, "run_resume").property("kind") == "primary"
    assert [name for name in ("run_pause", "run_stop", "run_park") if button(panel, name).isVisible()] == []
    with qtbot.waitSignal(panel.resume_requested):
        click(panel, "run_resume")


def test_the_memory_of_a_run_that_waits_in_place_can_be_freed(
    panel: RunPanel, session: RunSession, workers: list[FakeWorker]
) -> None:
    worker = started(session, workers)
    assert button(panel, "run_park").isHidden()
    click(panel, "run_pause")
    worker.say(event.Paused(iteration=301))
    click(panel, "run_park")
    assert worker.commands == [Pause(), Park()]
    assert session.state is RunState.PARKING


def test_a_run_that_was_paused_and_left_reads_as_paused(
    qtbot: QtBot, panel: RunPanel, session: RunSession, tmp_path: Path
) -> None:
    run = synthetic_run.run_folder(tmp_path, synthetic_run.events(until=50, ending="paused"))
    (run.state / "0000050").mkdir(parents=True)
    with qtbot.waitSignal(session.loaded):
        session.open(run.path)
    assert (session.state, session.can_resume) == (RunState.PARKED, True)
    assert button(panel, "run_resume").isVisible()


def test_a_run_read_from_its_folder_has_the_same_history(
    qtbot: QtBot, session: RunSession, panel: RunPanel, workers: list[FakeWorker], tmp_path: Path
) -> None:
    started(session, workers, 600).end(event.Finished(reason="completed", iteration=600))
    live = session.history
    run = synthetic_run.run_folder(tmp_path)
    with qtbot.waitSignal(session.loaded):
        session.open(run.path)
    assert session.history is not live
    for axis in ("iterations", "epochs", "tokens", "time"):
        assert np.array_equal(session.history.x(axis), live.x(axis))
    assert np.array_equal(session.history.losses, live.losses)
    assert session.history.best == live.best
    assert session.state is RunState.COMPLETED
    qtbot.waitUntil(lambda: "rank 32" in panel.page.log.text)
    assert not button(panel, "run_stop").isVisible()


def test_a_long_run_is_read_without_holding_up_the_window(
    qtbot: QtBot, session: RunSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.ui.run.session.TURN_S", 0.0)  # how fast the machine reads decides nothing
    reports = (synthetic_run.report(number, [1.0], 400) for number in range(1, 401))
    run = synthetic_run.run_folder(tmp_path, reports)
    turns = 0

    def count() -> None:
        nonlocal turns
        turns += 1

    session._reading.timeout.connect(count)
    with qtbot.waitSignal(session.loaded, timeout=20_000):
        session.open(run.path)
    assert turns > 5
    assert len(session.history) == 400


def test_a_run_that_broke_off_says_so_and_a_cut_line_is_left_out(
    qtbot: QtBot, session: RunSession, tmp_path: Path
) -> None:
    run = synthetic_run.run_folder(tmp_path, synthetic_run.events(until=50, ending=""))
    with run.events.open("a") as file:
        file.write('{"type": "train_rep')
    with qtbot.waitSignal(session.loaded):
        session.open(run.path)
    assert session.state is RunState.CRASHED
    assert len(session.history) == 50


def test_a_run_trained_by_another_process_is_followed(qtbot: QtBot, session: RunSession, tmp_path: Path) -> None:
    run = synthetic_run.run_folder(tmp_path, synthetic_run.events(until=50, ending=""))
    with run.lock():
        with qtbot.waitSignal(session.loaded):
            session.open(run.path)
        assert session.state is RunState.ELSEWHERE
        with run.events.open("a") as file:
            file.write(synthetic_run.report(75, [0.5] * 25).to_line() + "\n")
        qtbot.waitUntil(lambda: len(session.history) == 75)
        with run.events.open("a") as file:
            file.write(event.Finished(iteration=75).to_line() + "\n")
        qtbot.waitUntil(lambda: session.state is RunState.COMPLETED)


def test_a_stopped_run_is_resumed_in_its_folder(
    qtbot: QtBot, panel: RunPanel, session: RunSession, workers: list[FakeWorker], tmp_path: Path
) -> None:
    run = synthetic_run.run_folder(tmp_path, synthetic_run.events(until=50, ending="stopped"))
    run.state.mkdir()
    (run.state / "state.safetensors").write_bytes(b"")
    with qtbot.waitSignal(session.loaded):
        session.open(run.path)
    with qtbot.waitSignal(panel.resume_requested):
        click(panel, "run_resume")
    with qtbot.waitSignal(session.loaded):
        session.resume(run.path)
    assert [worker.job_dir for worker in workers] == [run.path]
    workers[0].say(
        event.Hello(task="train"),
        event.Started(iteration=50, iterations=600, iterations_per_epoch=200, train_examples=1, valid_examples=1),
        synthetic_run.report(75, [0.5] * 25),
    )
    assert session.state is RunState.RUNNING
    assert session.history.x("iterations").tolist() == list(range(1, 76))


def test_a_live_run_is_not_replaced_by_another(
    session: RunSession, workers: list[FakeWorker], tmp_path: Path
) -> None:
    started(session, workers)
    with pytest.raises(RuntimeError, match="still training"):
        session.open(tmp_path)
    assert len(session.history) == 300


def test_changing_theme_and_size_loses_no_point(
    qtbot: QtBot, panel: RunPanel, session: RunSession, workers: list[FakeWorker]
) -> None:
    worker = started(session, workers, 100)
    for step, scheme in enumerate(("dark", "light", "dark"), start=1):
        theme.apply_theme(scheme)  # type: ignore[arg-type]
        panel.resize(380 + 20 * step, 560 + 20 * step)
        panel.setVisible(step != 2)
        worker.say(synthetic_run.report(100 + 25 * step, [0.5] * 25))
    panel.show()
    qtbot.waitUntil(lambda: points(panel) == 175)


def test_warnings_of_the_run_are_shown_the_newest_first(
    qtbot: QtBot, panel: RunPanel, session: RunSession, workers: list[FakeWorker]
) -> None:
    worker = started(session, workers)
    assert child(panel, QLabel, "run_warning").isHidden()
    worker.say(
        event.Warned(message="Examples are cut.", hint="Raise the maximum length."),
        event.Warned(message="All rewards are equal.", hint="Try a higher temperature."),
    )
    wanted = "2 warnings: All rewards are equal. Try a higher temperature."
    qtbot.waitUntil(lambda: said(panel, "run_warning") == wanted)
    assert "Examples are cut." in child(panel, QLabel, "run_warning").toolTip()


def test_of_sampled_answers_the_reward_leads(
    qtbot: QtBot, panel: RunPanel, session: RunSession, workers: list[FakeWorker]
) -> None:
    worker = started(session, workers)
    chart = panel.page.chart
    assert chart.figure == ""
    told = synthetic_run.report(425, [1e-8] * 25).model_copy(update={"figures": {"kl": 0.1, "reward": 0.625}})
    worker.say(told)
    qtbot.waitUntil(lambda: chart.figure == "reward")
    qtbot.waitUntil(lambda: said(panel, "figure.train_loss") == "0.625")
    chart._figure_box.setCurrentIndex(chart._figure_box.findData("kl"))
    chart._figure_box.activated.emit(chart._figure_box.currentIndex())
    worker.say(told.model_copy(update={"iteration": 450}))
    qtbot.waitUntil(lambda: len(chart._series.values) == 2)
    qtbot.waitUntil(lambda: not chart._dirty)
    assert chart.figure == "kl"


def test_a_run_with_rewards_shows_them_and_the_newest_answers(
    qtbot: QtBot, panel: RunPanel, session: RunSession, workers: list[FakeWorker]
) -> None:
    worker = started(session, workers)
    assert panel.page._log_tabs.isHidden()
    sample = {"prompt": "2 + 3?", "answer": "5", "completion": "It is 5.", "tokens": 5, "cut": False, "reward": 1.0}
    worker.say(
        event.Validated(iteration=400, val_loss=-0.75, best=True, figures={"reward": 0.75}),
        event.Sampled(iteration=401, samples=[sample | {"rewards": {"contains_answer": 1.0}}]),
    )
    qtbot.waitUntil(lambda: said(panel, "figure.val_loss") == "0.750")
    assert not panel.page._log_tabs.isHidden()
    panel.page._log_tabs.setCurrentIndex(1)
    assert "It is 5." in panel.page.samples.browser.toPlainText()


def test_a_room_that_a_person_divided_stays_divided_on_another_tab(
    qtbot: QtBot, panel: RunPanel, session: RunSession, workers: list[FakeWorker]
) -> None:
    panel.resize(430, 900)
    started(session, workers).say(
        event.Sampled(
            iteration=300,
            samples=[{"prompt": "Who?", "answer": "Ada.", "completion": "Nobody", "tokens": 64, "cut": True}],
        )
    )
    panel.page.summary.refreshed.emit()
    tabs, split = child(panel, QTabBar, "log_tabs"), child(panel, QSplitter, "run_splitter")
    qtbot.waitUntil(lambda: split.sizes()[1] > 0)
    whole = split.sizes()
    tabs.setCurrentIndex(1)
    assert split.sizes()[1] > whole[1], "answers are read"
    tabs.setCurrentIndex(0)
    assert split.sizes() == whole
    handle = split.handle(1)
    middle = handle.rect().center()
    QTest.mousePress(handle, Qt.MouseButton.LeftButton, pos=middle)
    QTest.mouseMove(handle, middle + QPoint(0, -20))
    QTest.mouseRelease(handle, Qt.MouseButton.LeftButton, pos=middle)
    divided = split.sizes()
    assert divided != whole
    for tab in (1, 0):
        tabs.setCurrentIndex(tab)
        assert split.sizes() == divided


def test_answers_to_held_out_prompts_are_shown_as_they_come(
    panel: RunPanel, session: RunSession, workers: list[FakeWorker]
) -> None:
    worker = started(session, workers)
    sample = {"prompt": "Who <b>?", "answer": "Ada.", "completion": "Nobody", "tokens": 64, "cut": True}
    worker.say(event.Sampled(iteration=300, samples=[sample, sample | {"prompt": "Why?", "completion": ""}]))
    panel.page.summary.refreshed.emit()
    panel.page._log_tabs.setCurrentIndex(1)
    text = panel.page.samples.browser.toPlainText()
    told = ("Iteration 300", "Who <b>?", "Nobody (cut)", "Reference answer: Ada.", "Why?", "empty")
    assert [one for one in told if one not in text] == []


def test_what_was_learned_and_forgotten_stands_among_the_figures(
    qtbot: QtBot, panel: RunPanel, session: RunSession, workers: list[FakeWorker]
) -> None:
    worker = started(session, workers)
    qtbot.waitUntil(lambda: said(panel, "run_iteration") == "Iteration 300 of 600")
    assert (said(panel, "figure.learned"), said(panel, "figure.forgot")) == ("–", "–")
    worker.say(event.NeutralMeasured(iteration=300, neutral_loss=2.03, base_loss=2.0, forgot=0.03, learned=0.82))
    qtbot.waitUntil(lambda: said(panel, "figure.learned") == "0.820")
    assert said(panel, "figure.forgot") == "0.030"
    assert child(panel, QLabel, "figure.elapsed").isVisible()
    worker.say(event.Progressed(phase="Weighing what was learned against what was forgotten", done=2, total=9))
    assert said(panel, "run_sentence") == "Weighing what was learned against what was forgotten (2 of 9)…"


def test_a_run_with_something_saved_stops_without_a_question(
    panel: RunPanel, session: RunSession, workers: list[FakeWorker]
) -> None:
    worker = started(session, workers)
    session.run.adapters.mkdir()  # type: ignore[union-attr]
    (session.run.adapters / "adapters.safetensors").write_bytes(b"")  # type: ignore[union-attr]
    click(panel, "run_stop")
    assert worker.commands == [Stop()]
    assert panel.findChild(QMessageBox, "stop_question") is None


def test_the_question_goes_when_the_run_ends_meanwhile(
    panel: RunPanel, session: RunSession, workers: list[FakeWorker]
) -> None:
    worker = started(session, workers)
    click(panel, "run_stop")
    worker.end(event.Finished(reason="completed", iteration=600))
    assert not child(panel, QMessageBox, "stop_question").isVisible()
    assert worker.commands == []


def test_before_the_second_evaluation_nothing_is_called_best_learned_or_forgotten(
    qtbot: QtBot, panel: RunPanel, session: RunSession, workers: list[FakeWorker]
) -> None:
    worker = started(session, workers, until=0)
    worker.say(
        event.Validated(iteration=0, val_loss=10.18967, best=True),
        event.NeutralMeasured(iteration=0, neutral_loss=2.0, base_loss=2.0, forgot=0.0, learned=0.0),
    )
    qtbot.waitUntil(lambda: said(panel, "figure.val_loss") == "10.190")
    words = [label.text() for label in panel.findChildren(QLabel) if label.isVisible()]
    assert {"Validation", "at 0"} <= set(words)
    assert "Best validation" not in words
    assert (said(panel, "figure.learned"), said(panel, "figure.forgot")) == ("–", "–")


@pytest.mark.parametrize("width", [360, 424, 500])
def test_figures_and_chart_keep_their_places_from_the_start_to_the_last_iteration(
    qtbot: QtBot, panel: RunPanel, session: RunSession, workers: list[FakeWorker], width: int
) -> None:
    panel.resize(width, 900)
    config = TrainConfig(adapter_name="friendly", model="/m", data="/d", iters=20_000)
    session.start(config)
    first = places(qtbot, panel)
    worker = workers[-1]
    worker.say(event.Hello(task="train"), started_event(20_000), event.Validated(iteration=0, val_loss=10.18967))
    assert places(qtbot, panel) == first
    worker.say(
        synthetic_run.report(25, [4.4] * 25, 20_000),
        event.Validated(iteration=20_000, val_loss=12.345, best=True),
        event.NeutralMeasured(iteration=20_000, neutral_loss=2.04, base_loss=2.0, forgot=0.04, learned=5.59),
    )
    qtbot.waitUntil(lambda: said(panel, "figure.forgot") == "0.040")
    assert places(qtbot, panel) == first


def test_a_rewarded_run_has_no_two_figures_of_one_name(
    qtbot: QtBot, panel: RunPanel, session: RunSession, workers: list[FakeWorker]
) -> None:
    session.start(TrainConfig(adapter_name="friendly", model="/m", data="/d", train_mode="grpo"))
    names: list[str] = []
    for number in (0, 25):
        said_now = synthetic_run.report(number + 25, [0.0] * 25).model_copy(update={"figures": {"reward": 0.4}})
        valid = event.Validated(iteration=number, val_loss=-0.4, figures={"reward": 0.4}, best=True)
        workers[-1].say(*([started_event(600)] if not number else []), said_now, valid)
        qtbot.waitUntil(partial(lambda at: at in words(panel), f"at {number}"))
        names += [one for one in words(panel) if "eward" in one or "alidation" in one]
    assert names == ["Train reward", "Validation", "Train reward", "Best reward"]
    assert not child(panel, QLabel, "figure.learned").isVisible()  # a reward is not in nats
    assert child(panel, QLabel, "figure.forgot").x() == child(panel, QLabel, "figure.train_loss").x()


def words(panel: RunPanel) -> list[str]:
    return [label.text() for label in panel.page.summary.findChildren(QLabel) if label.isVisible()]


def started_event(iterations: int) -> event.Started:
    return event.Started(iterations=iterations, iterations_per_epoch=100.0, train_examples=200, valid_examples=20)


def places(qtbot: QtBot, panel: RunPanel) -> list[QPoint]:
    """Where each figure and the chart stand, once what came is laid out."""
    with qtbot.waitSignal(panel.page.summary.refreshed):
        panel.page.summary._on_event()
    QApplication.sendPostedEvents()
    figures = [child(panel, QLabel, f"figure.{name}") for name in panel.page.summary._figures]
    return [one.mapTo(panel, QPoint()) for one in (*figures, panel.page.chart)]
