"""A run that another process trains is as live in the window as one of its own: heard, told, and let go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.core.live.door import CommandDoor
from app.core.live.supervisor import awaits_worker, is_supervised, supervise
from app.core.live.training_list import listed
from app.core.live.watchdog import WATCHDOG_TOLD
from app.core.protocol import event
from app.core.protocol.command import Park, Pause, Resume, Stop
from app.core.protocol.job import TrainJob, read_job, write_job
from app.core.run.folder import RunDir
from app.ui.run import finder
from app.ui.run.finder import RunFinder
from app.ui.run.session import RunSession, RunState
from tests.ui import synthetic_run
from tests.ui.fake_worker import FakeWorker


class Elsewhere:
    """What another process does that trains a run; it is this one, which holds the run all the same."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self._stack = ExitStack()
        self._stack.enter_context(run.lock())
        self._stack.enter_context(listed(run))
        self.door = self._stack.enter_context(CommandDoor(run.path))

    def say(self, *events: event.Event, rest: str = "") -> None:
        with self.run.events.open("a", encoding="utf-8") as file:
            file.write("".join(one.to_line() + "\n" for one in events) + rest)

    def end(self, *events: event.Event) -> None:
        self.say(*events)
        self._stack.close()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Elsewhere]:
    found = Elsewhere(synthetic_run.run_folder(tmp_path, synthetic_run.events(until=50, ending="")))
    yield found
    found.end()


@pytest.fixture
def session(qapp: QApplication) -> Iterator[RunSession]:
    found = RunSession(qapp)
    yield found
    found.let_go()
    found.deleteLater()


def attached(qtbot: QtBot, session: RunSession, elsewhere: Elsewhere) -> None:
    with qtbot.waitSignal(session.loaded):
        session.open(elsewhere.run.path)
    assert session.is_attached


def told_of(run: RunDir) -> list[event.Event]:
    """Every event of a run but its first report, which is read together with the second when it is opened."""
    written = event.read_events(run.events)
    first = next(one for one in written if isinstance(one, event.TrainReported))
    return [one for one in written if one is not first]


def test_it_is_live_and_every_event_comes_once(qtbot: QtBot, session: RunSession, elsewhere: Elsewhere) -> None:
    heard: list[event.Event] = []
    session.emitted.connect(heard.append)
    attached(qtbot, session, elsewhere)
    assert (session.state, session.is_live) == (RunState.RUNNING, True)
    assert session.worker_id == os.getpid()
    assert len(session.history) == 50
    third = synthetic_run.report(100, [0.25] * 25)
    elsewhere.say(synthetic_run.report(75, [0.5] * 25), rest=third.to_line()[:40])
    qtbot.waitUntil(lambda: len(session.history) == 75)
    elsewhere.say(rest=third.to_line()[40:] + "\n")
    qtbot.waitUntil(lambda: len(session.history) == 100)
    with qtbot.waitSignal(session.ended) as ended:
        elsewhere.end(event.Finished(iteration=100))
    assert ended.args is not None
    assert ended.args[0].ok
    assert (session.state, session.is_attached, session.worker_id) == (RunState.COMPLETED, False, 0)
    assert heard == told_of(elsewhere.run)


def test_it_does_what_it_is_told(qtbot: QtBot, session: RunSession, elsewhere: Elsewhere) -> None:
    attached(qtbot, session, elsewhere)
    session.pause()
    assert (elsewhere.door.heard(), session.state) == ([Pause()], RunState.PAUSING)
    elsewhere.say(event.Paused(iteration=51))
    qtbot.waitUntil(lambda: session.state is RunState.PAUSED)
    session.go_on()
    elsewhere.say(event.Resumed(iteration=51))
    session.park()
    session.stop()
    assert elsewhere.door.heard() == [Resume(), Park(), Stop()]
    with qtbot.waitSignal(session.ended):
        elsewhere.end(event.Finished(reason="stopped", iteration=52))
    assert session.state is RunState.STOPPED


def test_a_worker_that_dies_is_told(qtbot: QtBot, session: RunSession, elsewhere: Elsewhere) -> None:
    attached(qtbot, session, elsewhere)
    with elsewhere.run.log.open("a") as log:
        log.write("out of everything\n")
    with qtbot.waitSignal(session.ended):
        elsewhere.end()
    assert session.state is RunState.CRASHED
    assert session.problem == "The worker ended without a word. Its last words: out of everything"


METAL = "[METAL] Command buffer execution failed: Impacting Interactivity\n"


def dies_by_watchdog(elsewhere: Elsewhere) -> None:
    with elsewhere.run.log.open("a") as log:
        log.write(METAL)
    elsewhere.end()


def test_who_supervises_a_run_lets_it_go_on_and_the_window_hears_the_next_worker(
    qtbot: QtBot, session: RunSession, elsewhere: Elsewhere, workers: list[FakeWorker]
) -> None:
    heard: list[event.Event] = []
    session.emitted.connect(heard.append)
    write_job(elsewhere.run.path, TrainJob(outlives_parent=True))
    attached(qtbot, session, elsewhere)
    lock = supervise(elsewhere.run)
    assert lock is not None
    dies_by_watchdog(elsewhere)
    qtbot.waitUntil(lambda: session.state is RunState.ELSEWHERE)
    assert awaits_worker(elsewhere.run)
    with qtbot.waitSignal(session.state_changed, timeout=3000):  # it looks, and waits on
        pass
    assert session.state is RunState.ELSEWHERE
    another = Elsewhere(elsewhere.run)
    another.say(synthetic_run.report(75, [0.5] * 25))
    qtbot.waitUntil(lambda: session.is_attached and len(session.history) == 75)
    lock.release()
    another.end(event.Finished(iteration=75))
    qtbot.waitUntil(lambda: session.state is RunState.COMPLETED)
    assert heard == told_of(elsewhere.run)
    assert workers == []


def test_where_nobody_does_the_window_that_shows_it_lets_it_go_on(
    qtbot: QtBot, session: RunSession, elsewhere: Elsewhere, workers: list[FakeWorker]
) -> None:
    write_job(elsewhere.run.path, TrainJob(outlives_parent=True))
    attached(qtbot, session, elsewhere)
    with qtbot.waitSignal(session.went_on):
        dies_by_watchdog(elsewhere)
    assert (len(workers), session.is_attached, session.state) == (1, False, RunState.PREPARING)
    assert read_job(elsewhere.run.path) == TrainJob(resume=True, outlives_parent=True, most_positions=512)
    assert is_supervised(elsewhere.run)
    session.let_go()
    assert not is_supervised(elsewhere.run)


def test_who_has_let_go_hears_nothing_more(qtbot: QtBot, session: RunSession, elsewhere: Elsewhere) -> None:
    attached(qtbot, session, elsewhere)
    worker = session._worker
    assert worker is not None
    assert worker.is_running
    session.let_go()
    assert (worker.is_running, worker.process_id, session.worker_id) == (False, 0, 0)


TRAINING = """
import sys
from pathlib import Path
from app.core.live.door import CommandDoor
from app.core.live.training_list import listed
from app.core.run.folder import RunDir

run = RunDir(Path(sys.argv[1]))
with run.lock(), listed(run), CommandDoor(run.path):
    print("here", flush=True)
    sys.stdin.read()
"""


def test_it_is_ended_at_once_while_it_is_the_one_that_trains(
    qtbot: QtBot, session: RunSession, tmp_path: Path
) -> None:
    run = synthetic_run.run_folder(tmp_path, synthetic_run.events(until=50, ending=""))
    command = [sys.executable, "-c", TRAINING, str(run.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        with qtbot.waitSignal(session.loaded):
            session.open(run.path)
        assert (session.is_attached, session.worker_id) == (True, process.pid)
        door = run.path / "commands.jsonl"
        door.rename(run.path / "aside")  # nobody listens: what has that number may be another program by now
        session.kill()
        assert process.poll() is None
        (run.path / "aside").rename(door)
        with qtbot.waitSignal(session.ended):
            session.kill()
            assert process.wait(60) == -signal.SIGKILL
    assert (session.state, session.is_attached) == (RunState.CRASHED, False)
    session.kill()  # there is nothing to end any more


def test_a_supervisor_that_gives_up_ends_the_waiting(
    qtbot: QtBot, session: RunSession, elsewhere: Elsewhere
) -> None:
    write_job(elsewhere.run.path, TrainJob(outlives_parent=True))
    attached(qtbot, session, elsewhere)
    lock = supervise(elsewhere.run)
    assert lock is not None
    dies_by_watchdog(elsewhere)
    qtbot.waitUntil(lambda: session.state is RunState.ELSEWHERE)
    lock.release()
    qtbot.waitUntil(lambda: session.state is RunState.CRASHED)
    assert WATCHDOG_TOLD in session.problem


def test_a_paused_run_is_found_paused_and_let_go_of(
    qtbot: QtBot, session: RunSession, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    elsewhere.say(event.Paused(iteration=50))
    attached(qtbot, session, elsewhere)
    assert (session.state, session.outlives_window) == (RunState.PAUSED, False)
    write_job(elsewhere.run.path, TrainJob(outlives_parent=True))
    assert session.outlives_window
    assert session.wait(1)  # it is another's: nobody is asked to end
    assert elsewhere.door.heard() == []
    assert (session.is_live, elsewhere.run.is_running()) == (False, True)
    attached(qtbot, session, elsewhere)
    other = synthetic_run.run_folder(tmp_path / "other")
    with qtbot.waitSignal(session.loaded):
        session.open(other.path)
    assert session.state is RunState.COMPLETED


def test_a_run_that_goes_on_twice_is_resumed_once(qtbot: QtBot, session: RunSession, elsewhere: Elsewhere) -> None:
    with qtbot.waitSignal(session.loaded):
        session.resume(elsewhere.run.path)
    assert session.is_attached


def test_runs_that_train_are_found(
    qtbot: QtBot, session: RunSession, elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finder, "FIRST_LOOK_MS", 100_000)
    found = RunFinder(session)
    told: list[Path] = []
    found.found.connect(told.append)
    found.look()
    found.look()
    assert told == [elsewhere.run.path]
    elsewhere.end()
    with qtbot.waitSignal(session.loaded):
        session.open(elsewhere.run.path)
    assert session.state is RunState.CRASHED
    again = Elsewhere(elsewhere.run)  # somebody goes on with it while it is shown
    with qtbot.waitSignal(session.loaded):
        found.look()
    assert session.is_attached
    found.look()
    again.end(event.Finished(iteration=50))
    assert told == [elsewhere.run.path]
    found.deleteLater()
