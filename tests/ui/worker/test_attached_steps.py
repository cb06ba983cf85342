"""A worker of another process, looked at by hand: what it writes is told once, and its end when all was read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.protocol import event
from app.core.protocol.command import Ask, Save, Stop
from app.core.protocol.event import Event
from app.core.protocol.question import Question
from app.core.run.event_file import EventFile
from app.core.run.folder import RunDir
from app.core.system.setting import keep_settings
from app.ui.worker import attached as attached_module
from app.ui.worker.attached import LOOKS_PER_CHECK, AttachedWorker
from app.ui.worker.process import LOG_TAIL_CHARACTERS, WorkerOutcome
from tests.ui import synthetic_run


class Elsewhere:
    """A run that another process trains, and what its worker here told."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.run = synthetic_run.run_folder(folder, [])
        self.run.events.write_text("")
        self.run.log.write_text("x" * LOG_TAIL_CHARACTERS + "begun\n")
        self.lives, self.looks = True, 0
        self.pid = 77
        self.told: list[object] = []
        self.killed: list[tuple[int, int]] = []
        patch.setattr(RunDir, "is_running", lambda _self: self._asked())
        patch.setattr(attached_module, "listener_of", lambda _run: self.pid)
        patch.setattr(attached_module, "tell_run", lambda _run, command: self._tell(command))
        patch.setattr("app.ui.worker.attached.os.kill", lambda *given: self.killed.append(given))
        keep_settings(silence_s=90)
        self.events: list[Event] = []
        self.logged: list[str] = []
        self.outcomes: list[WorkerOutcome] = []
        self.worker = AttachedWorker(self.run, EventFile(self.run.events))
        self.worker.emitted.connect(self.events.append)
        self.worker.logged.connect(self.logged.append)
        self.worker.ended.connect(self.outcomes.append)

    def _asked(self) -> bool:
        self.looks += 1
        return self.lives

    def _tell(self, command: object) -> None:
        if not self.lives:
            raise OSError
        self.told.append(command)

    def write(self, *events: Event, log: str = "") -> None:
        with self.run.events.open("a", encoding="utf-8") as file:
            file.write("".join(one.to_line() + "\n" for one in events))
        with self.run.log.open("a", encoding="utf-8") as file:
            file.write(log)

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.worker._hear.timeout.emit()


@pytest.fixture
def elsewhere(qapp: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Elsewhere]:
    assert qapp is not None
    monkeypatch.setattr(attached_module, "TURN_S", 9.0)  # however slow the machine is
    found = Elsewhere(tmp_path, monkeypatch)
    yield found
    found.worker.let_go()


def warned(*texts: str) -> list[Event]:
    return [event.Warned(message=text) for text in texts]


def test_it_is_heard_from_where_the_window_knows_it(elsewhere: Elsewhere) -> None:
    worker = elsewhere.worker
    worker.start()
    assert (worker._hear.interval(), worker._hear.isActive(), worker._silence.isActive()) == (100, True, True)
    assert (worker._silence.interval(), worker._silence.isSingleShot()) == (90_000, True)
    assert (worker.is_running, worker.process_id) == (True, 77)
    elsewhere.write(*warned("one"), log="more\n")
    with elsewhere.run.events.open("a") as file:
        file.write("no event\n")
    worker._silence.stop()
    elsewhere.look()
    assert [one.message for one in elsewhere.events if isinstance(one, event.Warned)] == ["one"]
    assert (elsewhere.logged, worker._silence.isActive()) == (["more\n"], True)
    silent: list[int] = []
    worker.silent.connect(silent.append)
    worker._silence.timeout.emit()
    assert silent == [90]


def test_what_is_told_goes_through_the_door_while_it_lives(elsewhere: Elsewhere) -> None:
    worker = elsewhere.worker
    for command in (Stop(), Save(), Ask(request=1, question=Question(prompt="?"))):
        worker.send(command)
    worker.close_input()
    assert elsewhere.told == [Stop(), Save()]
    elsewhere.lives = False
    worker.send(Stop())
    worker.kill()
    assert elsewhere.killed == [(77, 9)]
    elsewhere.pid = 78
    worker.kill()
    assert len(elsewhere.killed) == 1, "that number is another program's by now"
    worker.let_go()
    elsewhere.lives = True
    worker.send(Stop())
    worker.kill()
    assert (len(elsewhere.told), len(elsewhere.killed)) == (2, 1)


def test_its_end_is_told_when_all_that_it_wrote_was_read(elsewhere: Elsewhere) -> None:
    worker = elsewhere.worker
    worker.start()
    elsewhere.look(LOOKS_PER_CHECK - 1)
    assert elsewhere.looks == 0
    elsewhere.look()
    assert elsewhere.looks == 1, "it is not asked at each look"
    failed = event.Failed(message="No room.")
    elsewhere.write(failed, event.Hello(task="train"), event.Finished(reason="stopped"), log="the last words\n")
    elsewhere.lives = False
    elsewhere.look(LOOKS_PER_CHECK)
    [outcome] = elsewhere.outcomes
    assert (outcome.task, outcome.exit_code, outcome.failure) == ("train", None, None), "another took it up"
    assert outcome.finished is not None
    assert outcome.log_tail.endswith("xbegun\nthe last words\n")
    assert len(outcome.log_tail) == LOG_TAIL_CHARACTERS
    assert (worker.is_running, worker.process_id, worker._hear.isActive()) == (False, 0, False)
    assert worker.read_bytes == elsewhere.run.events.stat().st_size
    elsewhere.write(*warned("late"))
    worker._on_look()
    assert (len(elsewhere.outcomes), len(elsewhere.events)) == (1, 3)


def test_a_failure_is_how_it_ended(elsewhere: Elsewhere) -> None:
    elsewhere.worker.start()
    failed = event.Failed(message="No room.")
    elsewhere.write(event.Hello(task="train"), failed)
    elsewhere.lives = False
    assert elsewhere.worker.wait(60_000)
    assert [one.sentence() for one in elsewhere.outcomes] == ["No room."]


def test_who_waits_for_one_that_goes_on_is_told_so(elsewhere: Elsewhere) -> None:
    assert not elsewhere.worker.wait(1)
    assert elsewhere.outcomes == []


def test_a_flood_is_heard_in_turns_and_no_more_of_it_by_who_lets_go(
    elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere.worker.start()
    elsewhere.write(*warned("one", "two", "three"))
    monkeypatch.setattr(attached_module, "TURN_S", -1.0)
    elsewhere.look()
    elsewhere.look()
    assert [getattr(one, "message", "") for one in elsewhere.events] == ["one", "two"]
    monkeypatch.setattr(attached_module, "TURN_S", 9.0)
    elsewhere.write(*warned("four"))
    elsewhere.worker.emitted.connect(lambda _: elsewhere.worker.let_go())
    elsewhere.lives = False
    elsewhere.look(LOOKS_PER_CHECK)
    assert [getattr(one, "message", "") for one in elsewhere.events] == ["one", "two", "three"]
    assert elsewhere.outcomes == []


def test_a_run_without_a_log_is_heard_too(elsewhere: Elsewhere) -> None:
    elsewhere.run.log.unlink()
    elsewhere.worker.start()
    elsewhere.write(*warned("one"))
    elsewhere.look()
    assert (len(elsewhere.events), elsewhere.logged) == (1, [])
