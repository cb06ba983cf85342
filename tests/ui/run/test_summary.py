"""The summary of a run in every state: its pill, its sentence, what can be asked of it, figures and warnings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtWidgets import QLabel, QMessageBox, QProgressBar, QPushButton, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.core.protocol.command import Stop
from app.core.remote.record import RemoteRun
from app.core.run.folder import RunDir
from app.core.run.history import RunHistory
from app.core.run.note import RunNote, save_note
from app.ui.run.question import ask_leaving, stop_run
from app.ui.run.session import LIVE, RunSession, RunState
from app.ui.run.strip import RunStrip
from app.ui.run.summary_card import SummaryCard
from app.ui.run.word import PILLS
from app.ui.widget import theme
from tests.ui import synthetic_run
from tests.ui.child import child
from tests.ui.comparing import adapter_folder
from tests.ui.fake_worker import FakeWorker

STOPS = "Stop after this iteration and save the adapter"
WAYS = "Pause in place, or pause and free the memory"
NO_WAYS = "There are two ways to pause a run that trains"


@pytest.fixture
def card(qtbot: QtBot, session: RunSession) -> SummaryCard:
    found = SummaryCard(session)
    qtbot.addWidget(found)
    return found


def started(session: RunSession, *more: event.Event, until: int = 300, **values: Any) -> FakeWorker:
    config = TrainConfig(adapter_name="friendly", model="/m", data="/d").with_values(values)
    session.start(config)
    FakeWorker.made[-1].say(*synthetic_run.events(until=until, ending=""), *more)
    return FakeWorker.made[-1]


def become(session: RunSession, state: RunState) -> None:
    session._set_state(state)


def saved(session: RunSession) -> RunDir:
    """The run, with an adapter and a state to go on from."""
    assert session.run is not None
    adapter_folder(session.run.adapters, "/m")
    (session.run.state / "0000300").mkdir(parents=True)
    return session.run


def text(card: QWidget, name: str) -> str:
    return child(card, QLabel, name).text()


def figure(card: SummaryCard, name: str) -> str:
    """A figure as it is read out: caption, value and note."""
    return card._figures[name].accessibleName()


def test_each_state_shows_what_can_be_asked_then(card: SummaryCard, session: RunSession) -> None:
    started(session)
    saved(session)
    parts = {
        "pause": child(card, QPushButton, "run_pause"), "choice": child(card, QToolButton, "run_pause_choice"),
        "stop": child(card, QPushButton, "run_stop"), "resume": child(card, QPushButton, "run_resume"),
        "park": child(card, QPushButton, "run_park"), "live": card._live, "result": card.result,
    }  # fmt: skip
    seen = {}
    for state in RunState:
        become(session, state)
        seen[state] = {name for name, part in parts.items() if not part.isHidden()}
        off = {name for name, part in parts.items() if not part.isEnabled()} & seen[state]
        pause, choice = parts["pause"], parts["choice"]
        assert isinstance(pause, QPushButton)
        waits = state in (RunState.PAUSED, RunState.PAUSING, RunState.PARKING)
        assert pause.text() == ("Continue" if waits else "Pause")
        icon = theme.icon("ph.play-fill" if waits else "ph.pause-fill").pixmap(16).toImage()
        assert pause.icon().pixmap(16).toImage() == icon
        assert choice.toolTip() == (WAYS if state is RunState.RUNNING else NO_WAYS)
        wanted = {"choice"} if state in LIVE and state is not RunState.RUNNING else set()
        wanted |= {"pause"} if state in (RunState.PREPARING, RunState.PARKING, RunState.STOPPING) else set()
        wanted |= {"stop"} if state is RunState.STOPPING else set()
        assert off == wanted, state
        said = child(card, QLabel, "run_state")
        assert (said.text(), said.property("role")) == PILLS[state]
        assert card._clock.isActive() is (state in LIVE)
        assert card._patience.isActive() is (state is RunState.STOPPING)
        resume = parts["resume"]
        is_next = state in (RunState.PARKED, RunState.CRASHED)
        assert resume.property("kind") == ("primary" if is_next else "")
    live = {"pause", "choice", "stop", "live"}
    over = {"result"}
    assert seen == {
        **{state: {"live"} for state in RunState}, **dict.fromkeys(LIVE, live), RunState.PAUSED: live | {"park"},
        RunState.PARKED: {"resume", "live"}, RunState.COMPLETED: over, RunState.EARLY_STOPPED: over,
        **dict.fromkeys((RunState.STOPPED, RunState.FAILED, RunState.CRASHED), over | {"resume"}),
    }  # fmt: skip


def test_each_state_has_its_sentence(card: SummaryCard, session: RunSession) -> None:
    worker = started(session)
    sentence = child(card, QLabel, "run_sentence")

    def said(state: RunState) -> str:
        become(session, state)
        assert sentence.isHidden() is (sentence.text() == "")
        assert sentence.property("role") == ("error" if state in (RunState.FAILED, RunState.CRASHED) else "small")
        return sentence.text()

    assert said(RunState.RUNNING) == ""
    session.phase = "Measuring"
    assert said(RunState.RUNNING) == "Measuring…"
    assert said(RunState.PREPARING) == "Measuring…"
    session.phase = ""
    assert said(RunState.PREPARING) == "Starting…"
    assert said(RunState.PAUSED) == "Waits in place; its memory stays taken."
    assert said(RunState.ELSEWHERE) == "Another process trains this run; its progress is followed here."
    session.problem = "No room."
    assert said(RunState.FAILED) == "No room."
    assert said(RunState.STOPPED) == "It was stopped before there was anything to save."
    saved(session)
    assert said(RunState.CRASHED) == "No room. What was saved before that can be used."
    assert said(RunState.STOPPED) == ""
    assert said(RunState.EARLY_STOPPED) == "The validation loss no longer improved, so the run ended early."
    worker.say(event.Validated(iteration=0, val_loss=0.5, best=True), event.Validated(iteration=400, val_loss=0.6))
    assert said(RunState.EARLY_STOPPED) == "The validation loss never improved, so the run ended early."
    worker.say(event.Validated(iteration=401, val_loss=-0.5, best=True, figures={"reward": 0.5}))
    assert said(RunState.EARLY_STOPPED) == "The reward no longer improved, so the run ended early."
    session.history.feed(event.Finished(message="All is saved."))
    assert said(RunState.COMPLETED) == "All is saved."
    assert said(RunState.LOADING) == "Reading the run's history…"


def test_a_run_on_another_machine_says_where_it_is_and_how_it_is_stopped(
    card: SummaryCard, session: RunSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(session)
    monkeypatch.setattr(RunDir, "is_elsewhere", lambda _self: True)
    records: list[RemoteRun | None] = [None]
    monkeypatch.setattr("app.ui.run.summary_card.read_remote", lambda _path: records[0])
    become(session, RunState.ELSEWHERE)
    stop = child(card, QPushButton, "run_stop")
    assert (stop.isHidden(), stop.toolTip()) == (False, "Asks the other machine to save and end")
    assert text(card, "run_sentence") == "On another machine."
    session.tell_elsewhere("Asked to stop")
    assert text(card, "run_sentence") == "On another machine. Asked to stop …"
    become(session, RunState.STOPPED)
    monkeypatch.undo()
    become(session, RunState.RUNNING)
    assert stop.toolTip() == STOPS


def test_a_worker_that_does_not_stop_is_offered_to_be_ended_with_what_that_costs(
    card: SummaryCard, session: RunSession
) -> None:
    started(session)
    stop = child(card, QPushButton, "run_stop")
    card._patience.timeout.emit()
    assert (stop.text(), stop.property("kind")) == ("Stop", ""), "nobody asked it to"
    become(session, RunState.STOPPING)
    assert (card._patience.interval(), stop.isEnabled()) == (20_000, False)
    card._patience.timeout.emit()
    assert (stop.text(), stop.isEnabled(), stop.property("kind")) == ("End now", True, "danger")
    assert stop.toolTip() == "End the worker at once. What was trained since the last checkpoint is lost."
    become(session, RunState.PAUSED)
    assert (stop.text(), stop.property("kind"), stop.toolTip()) == ("Stop", "", STOPS)


def test_figures_say_what_is_known_and_go_on_with_the_clock(card: SummaryCard, session: RunSession) -> None:
    session.start(TrainConfig(adapter_name="friendly", model="/m", data="/d"))
    bar = child(card, QProgressBar, "run_progress")
    assert {name: figure(card, name) for name in card._figures} == {
        "train_loss": "Train loss: –", "val_loss": "Best validation: –", "speed": "Tokens/s: –",
        "left": "Time left: –", "elapsed": "Elapsed: –", "memory": "Peak memory: –", "learned": "Learned: –",
        "forgot": "Forgot: –",
    }  # fmt: skip
    assert (bar.isHidden(), bar.maximum(), text(card, "run_iteration"), card._epoch.text()) == (True, 1, "", "")
    FakeWorker.made[-1].say(*synthetic_run.events(until=300, ending=""))
    card._dirty.timeout.emit()
    history = session.history
    assert history.best is not None
    assert {name: figure(card, name) for name in ("train_loss", "val_loss", "speed", "elapsed", "memory")} == {
        "train_loss": f"Train loss: {history.last_report.train_loss:.3f}",  # type: ignore[union-attr]
        "val_loss": f"Best validation: {history.best.val_loss:.3f} at 300",
        "speed": "Tokens/s: 1,823", "elapsed": "Elapsed: 33\u00a0s", "memory": "Peak memory: 1.23\u00a0GB",
    }  # fmt: skip
    assert (bar.isHidden(), bar.value(), bar.maximum()) == (False, 300, 600)
    assert (text(card, "run_iteration"), card._epoch.text()) == ("Iteration 300 of 600", "epoch 1.5 of 3")
    session._reported_at -= 10
    card._clock.timeout.emit()
    assert (figure(card, "left"), figure(card, "elapsed")) == ("Time left: 23\u00a0s", "Elapsed: 43\u00a0s")
    FakeWorker.made[-1].say(synthetic_run.report(650, [0.5] * 25))
    card._dirty.timeout.emit()
    assert (bar.value(), text(card, "run_iteration")) == (600, "Iteration 650 of 600")
    told: list[int] = []
    card.refreshed.connect(lambda: told.append(1))
    card._dirty.stop()
    card._on_event()
    assert (card._dirty.isActive(), card._dirty.interval()) == (True, 120)
    card._dirty.timeout.emit()
    assert told == [1]
    card._dirty.stop()
    session._state = RunState.LOADING
    card._on_event()
    assert card._dirty.interval() == 500


def test_of_rewards_the_figures_are_named_so_and_what_was_learned_is_told_where_it_is_in_nats(
    card: SummaryCard, session: RunSession
) -> None:
    told = synthetic_run.report(325, [1e-8] * 25).model_copy(update={"figures": {"reward": 0.625}})
    started(
        session, told,
        event.Validated(iteration=325, val_loss=-0.5, best=True, figures={"reward": 0.5}),
        event.NeutralMeasured(iteration=325, neutral_loss=2.5, base_loss=2.0, forgot=0.5),
        train_mode="grpo",
    )  # fmt: skip
    card._show_figures()
    assert [figure(card, name) for name in ("train_loss", "val_loss", "learned", "forgot")] == [
        "Train reward: 0.625", "Best reward: 0.500 at 325", "Learned: –", "Forgot: 0.500",
    ]  # fmt: skip
    assert [card._figures[name].isHidden() for name in ("learned", "forgot")] == [True, False]
    FakeWorker.made[-1].end(event.Finished())
    started(session, neutral_tokens=0)
    assert [card._figures[name].isHidden() for name in ("learned", "forgot")] == [True, True]
    FakeWorker.made[-1].say(
        event.NeutralMeasured(iteration=300, neutral_loss=2.5, base_loss=2.0, forgot=0.5, learned=0.25)
    )
    card._show_figures()
    assert (figure(card, "learned"), figure(card, "forgot")) == ("Learned: 0.250", "Forgot: 0.500")
    assert not card._figures["forgot"].isHidden(), "it was measured, whatever the config says"
    FakeWorker.made[-1].end(event.Finished())
    started(session)
    assert [card._figures[name].isHidden() for name in ("learned", "forgot")] == [False, False]


def test_the_newest_warning_is_shown_and_all_are_told(card: SummaryCard, session: RunSession) -> None:
    worker = started(session, event.Warned(message="Cut.", hint="Longer."))
    warning = child(card, QLabel, "run_warning")
    card._show_figures()
    assert (warning.isHidden(), warning.text(), warning.toolTip()) == (False, "Cut. Longer.", "Cut. Longer.")
    worker.say(event.Warned(message="The disk is full."))
    session.history.feed(event.Finished(message="The disk is full."))
    card._show_figures()
    assert (warning.text(), warning.toolTip()) == ("Cut. Longer.", "Cut. Longer."), "the outcome says it already"
    session.history.feed(event.Warned(message="Equal."))
    card._show_figures()
    assert (warning.text(), warning.toolTip()) == ("2 warnings: Equal.", "Equal.\nCut. Longer.")
    session._history = RunHistory()
    card._show_figures()
    assert (warning.isHidden(), warning.text()) == (True, "")


def test_a_name_is_told_with_its_folder_and_taken_over_when_it_changes(
    card: SummaryCard, session: RunSession
) -> None:
    started(session)
    run = session.run
    assert run is not None
    name = child(card, QLabel, "run_name")
    assert (name.text(), name.toolTip()) == ("friendly", str(run.path))
    save_note(run, RunNote(name="Ada"))
    session.take_names()
    assert name.text() == "Ada"


# -- the strip and the questions ---------------------------------------------------


def test_the_strip_says_what_the_run_does(qtbot: QtBot, session: RunSession) -> None:
    strip = RunStrip(session)
    qtbot.addWidget(strip)
    assert (strip.text(), strip.toolTip(), strip.accessibleName()) == ("Run", *["Show the run panel"] * 2)
    started(session, until=0)
    assert (strip.text(), strip.toolTip()) == ("Training · 0 of 600", "Show the run panel: Training · 0 of 600")
    FakeWorker.made[-1].say(synthetic_run.report(25, [0.5] * 25))
    assert strip.text() == "Training · 25 of 600"
    assert strip.accessibleName() == strip.toolTip() == "Show the run panel: Training · 25 of 600"
    FakeWorker.made[-1].end(event.Finished())
    assert (strip.text(), strip.toolTip()) == ("Finished", "Show the run panel: Finished")
    session.leave()
    assert (strip.text(), strip.toolTip()) == ("Run", "Show the run panel")


def test_a_stop_before_the_first_save_is_asked_about_once_and_only_then(
    qtbot: QtBot, session: RunSession, tmp_path: Path
) -> None:
    parent = QWidget()
    qtbot.addWidget(parent)

    def question() -> QMessageBox | None:
        return parent.findChild(QMessageBox, "stop_question")

    worker = started(session)
    stop_run(session, parent)
    stop_run(session, parent)
    assert worker.commands == []
    assert len(parent.findChildren(QMessageBox, "stop_question")) == 1
    box = question()
    assert box is not None
    assert box.text() == "Stop before the first save?"
    assert box.informativeText().startswith(
        "The run has trained 300 of 600 iterations, and no checkpoint is on disk "
    )
    assert box.defaultButton().text() == "Keep training"
    assert box.escapeButton() is box.defaultButton()
    box.reject()
    assert worker.commands == []
    qtbot.waitUntil(lambda: question() is None)
    become(session, RunState.PREPARING)
    stop_run(session, parent)
    assert (worker.commands, question()) == ([Stop()], None)
    worker.end(event.Finished(reason="stopped"))
    young = started(session, until=0)
    stop_run(session, parent)
    assert (young.commands, question()) == ([Stop()], None), "nothing is lost"
    young.end(event.Finished(reason="stopped"))
    safe = started(session)
    saved(session)
    stop_run(session, parent)
    assert (safe.commands, question()) == ([Stop()], None)
    assert tmp_path.is_dir()


@pytest.mark.parametrize("is_leaving", [False, True])
@pytest.mark.parametrize(
    "state, said, choices",
    [
        (RunState.RUNNING, "A run is training.", ["Keep training", "Stop and save"]),
        (RunState.PREPARING, "A run is training.", ["Keep training", "Stop and save"]),
        (RunState.PAUSED, "A run is paused.", ["Leave it paused", "Stop and save"]),
        (RunState.PAUSING, "A run is paused.", ["Leave it paused", "Stop and save"]),
        (RunState.STOPPING, "The run is still being saved.", ["Quit, it saves alone"]),
        (RunState.PARKING, "The run is still being saved.", ["Quit, it saves alone"]),
    ],
)
def test_a_window_that_closes_asks_what_becomes_of_the_run(
    qtbot: QtBot, session: RunSession, monkeypatch: pytest.MonkeyPatch, state: RunState, said: str,
    choices: list[str], is_leaving: bool,
) -> None:  # fmt: skip
    parent = QWidget()
    qtbot.addWidget(parent)
    session._state = state
    stay = "Keep waiting" if is_leaving else "Cancel"
    pressed = [*choices, stay]
    found = []

    def answer(box: QMessageBox) -> int:
        assert box.text() == said
        assert {one.text() for one in box.buttons()} == {*choices, stay}
        assert box.escapeButton().text() == stay
        assert box.defaultButton().text() == (stay if is_leaving else choices[0])
        next(one for one in box.buttons() if one.text() == pressed[0]).click()
        return 0

    monkeypatch.setattr(QMessageBox, "exec", answer)
    while pressed:
        found.append(ask_leaving(session, parent, is_leaving=is_leaving))
        pressed.pop(0)
    assert found == (["keep", "stop", "stay"] if len(choices) > 1 else ["keep", "stay"])
    session._state = RunState.NONE


@pytest.mark.parametrize(
    "state, button, said, unsaid",
    [
        (RunState.RUNNING, "Keep training", "stays awake", "stays paused"),
        (RunState.PAUSED, "Leave it paused", "stays paused", "stays awake"),
        (RunState.PARKING, "Quit, it saves alone", "saves to its end", "stays awake"),
    ],
)
def test_the_words_of_the_question_fit_the_state(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, state: RunState, button: str, said: str, unsaid: str
) -> None:
    parent, session = QWidget(), RunSession()
    qtbot.addWidget(parent)
    monkeypatch.setattr(session, "_state", state)
    texts: list[str] = []

    def answer(box: QMessageBox) -> int:
        texts.append(box.informativeText())
        next(one for one in box.buttons() if one.text() == button).click()
        return 0

    monkeypatch.setattr(QMessageBox, "exec", answer)
    assert ask_leaving(session, parent, is_leaving=False) == "keep"
    assert said in texts[0]
    assert unsaid not in texts[0]
