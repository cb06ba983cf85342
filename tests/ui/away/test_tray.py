"""The menu-bar item and the attendant, state by state: what they say, offer, hold, tell, and leave behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QSystemTrayIcon, QWidget
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.power.condition import Condition
from app.core.protocol import event
from app.core.run.history import RunHistory
from app.core.run.note import RunNote, save_note
from app.core.system.disk import DISK_FULL
from app.core.system.setting import Settings, save_settings
from app.ui.away import attendant as attendant_module
from app.ui.away import tray as tray_module
from app.ui.away.attendant import Attendant
from app.ui.away.tray import RunTray
from app.ui.run.session import LIVE, RunSession, RunState
from app.ui.worker.process import WorkerOutcome
from tests.ui import synthetic_run
from tests.ui.away.test_attendant import FakeIcon
from tests.ui.fake_worker import FakeWorker

PAUSE, GO_ON = "Pause", "Continue"


class Way:
    """An item whose session's state is set by hand."""

    def __init__(self, patch: pytest.MonkeyPatch, qtbot: QtBot) -> None:
        self.notified: list[str] = []
        patch.setattr(tray_module, "QSystemTrayIcon", FakeIcon)
        patch.setattr(tray_module, "notify", lambda text, *_: self.notified.append(text))
        self.session, self.window = RunSession(), QWidget()
        qtbot.addWidget(self.window)
        self.tray = RunTray(self.session, self.window)

    def become(self, state: RunState) -> None:
        self.session._set_state(state)


@pytest.fixture
def way(monkeypatch: pytest.MonkeyPatch, qtbot: QtBot, workers: list[FakeWorker]) -> Iterator[Way]:
    assert workers == []
    found = Way(monkeypatch, qtbot)
    yield found
    found.become(RunState.NONE)
    found.tray.shutdown()


def test_in_each_state_it_offers_what_can_be_done(way: Way) -> None:
    way.session.start(TrainConfig(adapter_name="friendly"))
    offered = {}
    for state in RunState:
        way.become(state)
        item = way.tray
        offered[state] = (item.pause.text(), item.pause.isEnabled(), item.stop.isEnabled())
        assert item.is_there is (state in LIVE)
        assert item.quit.isVisible() is (state in LIVE)
        assert item.icon.toolTip() == (f"Luthier\n{item.text()}" if state in LIVE else "Luthier")
    others = dict.fromkeys(RunState, (PAUSE, False, False))
    assert offered == others | {
        RunState.PREPARING: (PAUSE, False, True), RunState.RUNNING: (PAUSE, True, True),
        RunState.PAUSING: (GO_ON, True, True), RunState.PAUSED: (GO_ON, True, True),
        RunState.PARKING: (PAUSE, False, True), RunState.STOPPING: (PAUSE, False, False),
    }  # fmt: skip


def test_its_menu_has_the_run_what_can_be_asked_of_it_and_the_ways_to_the_window(way: Way) -> None:
    icon = way.tray.icon
    assert isinstance(icon, FakeIcon)
    assert icon.menu is way.tray.menu
    assert [one.text() if not one.isSeparator() else "-" for one in way.tray.menu.actions()] == [
        "", "-", "Pause", "Stop and Save", "-", "Open Luthier", "Quit Luthier, Keep Training",
    ]  # fmt: skip
    assert not way.tray.progress.isEnabled(), "it is no entry to choose"
    assert (icon.toolTip(), way.tray.quit.isVisible(), way.tray.stop.isEnabled()) == ("Luthier", False, False)
    going = way.tray._going
    assert (going.isSingleShot(), going.interval()) == (True, 10_000)
    run = way.session.start(TrainConfig(adapter_name="friendly"))
    assert way.tray.progress.text() == "friendly · Preparing"
    save_note(run, RunNote(name="Ada"))
    way.session.take_names()
    assert way.tray.progress.text() == "Ada · Preparing"


def test_the_run_is_told_in_a_few_words(way: Way) -> None:
    assert (way.tray.text(), way.tray.percent()) == ("", None)
    way.session.start(TrainConfig(adapter_name="friendly"))
    assert (way.tray.text(), way.tray.percent()) == ("friendly · Preparing", None)
    way.session._history = RunHistory()
    for one in synthetic_run.events(until=350, ending=""):
        way.session._history.feed(one)
    way.become(RunState.RUNNING)
    assert way.tray.percent() == 58
    assert way.tray.text() == "friendly · Training · 58\u00a0% · 28\u00a0s left"
    way.become(RunState.PAUSED)
    assert way.tray.text() == "friendly · Paused · 58\u00a0%"
    way.session._history.feed(synthetic_run.report(575, [0.5] * 25))
    assert way.tray.percent() == 95, "what is done, never more"
    way.become(RunState.COMPLETED)
    assert (way.tray.text(), way.tray.percent()) == ("friendly · Finished", None)


def test_it_comes_for_a_notice_and_goes_again(way: Way) -> None:
    assert not way.tray.is_there
    way.tray.tell("Something.")
    assert (way.tray.is_there, way.notified) == (True, ["Something."])
    way.become(RunState.COMPLETED)
    assert way.tray.is_there, "it is still being read"
    way.tray._going.stop()
    way.tray._going.timeout.emit()
    assert not way.tray.is_there
    way.tray.tell("Another.")
    way.tray.shutdown()
    assert (way.tray.is_there, way.tray._going.isActive()) == (False, False)


def test_a_click_with_two_strokes_or_the_middle_button_leads_to_the_window(way: Way) -> None:
    asked: list[int] = []
    way.tray.open_requested.connect(lambda: asked.append(1))
    for reason in QSystemTrayIcon.ActivationReason:
        way.tray.icon.activated.emit(reason)
    assert asked == [1, 1]
    way.tray.icon.messageClicked.emit()
    assert asked == [1, 1, 1]


def test_where_there_is_no_tray_it_is_not_there(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeIcon, "isSystemTrayAvailable", staticmethod(lambda: False))
    way.session.start(TrainConfig(adapter_name="friendly"))
    assert not way.tray.icon.isVisible()
    way.tray.icon.setVisible(True)
    assert not way.tray.is_there


# -- the attendant -----------------------------------------------------------------


class Held:
    """Keeps the computer awake, or cannot."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.can = True

    def hold(self, reason: str) -> bool:
        self.calls.append(reason)
        return self.can

    def release(self) -> None:
        self.calls.append("release")


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def badges(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    found: list[int | None] = []
    monkeypatch.setattr(attendant_module, "set_badge", found.append)
    return found


@pytest.fixture
def attendant(way: Way, held: Held, badges: list[int | None]) -> Iterator[Attendant]:
    assert badges == []
    found = Attendant(way.session, way.window, lambda: False, keeper=held, find_condition=Condition)
    yield found
    found.shutdown()


def test_awake_while_it_works_and_asked_again_where_that_failed(way: Way, attendant: Attendant, held: Held) -> None:
    held.can = False
    way.session.start(TrainConfig(adapter_name="friendly"))
    attendant.attend()
    assert held.calls == ["friendly trains"] * len(held.calls)
    assert len(held.calls) >= 2, "it may be able to by now"
    held.can = True
    attendant.attend()
    held.calls.clear()
    attendant.attend()
    assert held.calls == []
    for state in (RunState.PAUSED, RunState.RUNNING, RunState.STOPPING, RunState.COMPLETED):
        way.become(state)
    assert held.calls == ["release", "friendly trains", "release"]
    assert attendant._attending.isActive()
    way.become(RunState.RUNNING)
    assert attendant._look.isActive()
    attendant.shutdown()
    assert (held.calls[-1], attendant._look.isActive(), attendant._attending.isActive()) == (
        "release",
        False,
        False,
    )


@pytest.mark.parametrize(
    "state, last, said",
    [
        (RunState.COMPLETED, event.Finished(), "friendly is ready."),
        (RunState.EARLY_STOPPED, event.Finished(message="The adapter holds the last weights."),
         "friendly stopped early: it no longer improved. The adapter holds the last weights."),
        (RunState.EARLY_STOPPED, None, "friendly stopped early: it no longer improved."),
        (RunState.FAILED, event.Failed(message="No room."), "friendly ended: No room."),
        (RunState.CRASHED, None, "friendly ended: The worker ended without a word (exit code 1)."),
        (RunState.PARKED, event.Finished(message=f"{DISK_FULL} 2 GB."),
         f"friendly waits for an answer: {DISK_FULL} 2 GB."),
        (RunState.PARKED, event.Finished(message="You paused it."), ""),
        (RunState.PARKED, None, ""),
        (RunState.STOPPED, event.Finished(), ""),
    ],
)  # fmt: skip
def test_an_end_is_told_in_full_where_it_surprises(
    way: Way, attendant: Attendant, state: RunState, last: event.Event | None, said: str
) -> None:
    assert attendant.tray is not way.tray
    way.session.start(TrainConfig(adapter_name="friendly"))
    way.become(state)
    failure = last if isinstance(last, event.Failed) else None
    finished = last if isinstance(last, event.Finished) else None
    way.session.ended.emit(WorkerOutcome("train", 1, failure, finished))
    assert way.notified == ([said] if said else [])
    way.notified.clear()
    save_settings(Settings(notifications=False))
    way.session.ended.emit(WorkerOutcome("train", 1, failure, finished))
    assert way.notified == []


@pytest.mark.parametrize("state", [RunState.COMPLETED, RunState.EARLY_STOPPED])
def test_a_run_that_never_improved_has_no_best_weights(way: Way, attendant: Attendant, state: RunState) -> None:
    assert attendant.tray is not way.tray
    way.session.start(TrainConfig(adapter_name="friendly"))
    way.session.history.feed(event.Validated(iteration=0, val_loss=2.0, best=True))
    way.session.history.feed(event.Validated(iteration=5, val_loss=2.5))
    way.become(state)
    way.session.ended.emit(WorkerOutcome("train", 0, None, event.Finished()))
    assert way.notified == ["friendly has ended, and no measurement was better than the untrained model's."]


def test_silence_is_told_and_a_badge_changes_only_with_its_figure(
    way: Way, attendant: Attendant, badges: list[int | None]
) -> None:
    way.session.start(TrainConfig(adapter_name="friendly"))
    worker = FakeWorker.made[-1]
    way.session.silent.emit(99)
    assert way.notified == [
        "The worker has not said a word for long: the window asks whether to end it."
    ]  # fmt: skip
    started = event.Started(iterations=200, iterations_per_epoch=9, train_examples=9, valid_examples=1)
    worker.say(event.Hello(task="train"), started, *(synthetic_run.report(n, [0.5], 200) for n in (1, 2, 3, 4)))
    assert badges == [0, 1, 2]
    worker.say(event.Validated(iteration=6, val_loss=1.0))
    assert badges == [0, 1, 2], "only what trains says how far it is"
    attendant.attend()
    assert badges == [0, 1, 2, 3]
    attendant.shutdown()
    assert badges == [0, 1, 2, 3, None]
    attendant.shutdown()
    assert badges == [0, 1, 2, 3, None]
