"""A worker as the window sees it, its process made by hand: what each line, complaint and end becomes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QObject, Signal
from PySide6.QtTest import QTest

from app.core.live.watchdog import WATCHDOG_REMEDY, WATCHDOG_TOLD
from app.core.protocol import event
from app.core.protocol.command import Save, Stop
from app.core.protocol.event import Event
from app.core.protocol.spare import Handover
from app.core.system.setting import keep_settings
from app.ui.worker import process
from app.ui.worker.process import LOG_TAIL_CHARACTERS, WorkerOutcome, WorkerProcess

BEGAN_ANEW = "The worker that stood ready ended before it began: another one does the job.\n"
METAL = "[METAL] Command buffer execution failed: Impacting Interactivity"


class HandProcess(QObject):
    """What `DetachableProcess` is to a worker, without a process."""

    readable = Signal()
    complained = Signal()
    finished = Signal(int)
    failed = Signal(str)
    made: list[HandProcess]

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.command: list[str] | None = None
        self.log: Path | None = None
        self.written: list[bytes] = []
        self.waited: list[int] = []
        self.out = self.errors = b""
        self.process_id = 0
        self.is_running = self.is_input_over = self.is_killed = self.is_let_go = False
        type(self).made.append(self)

    def start(self, command: list[str], _environment: dict[str, str], log: Path | None = None) -> None:
        self.command, self.log, self.is_running, self.process_id = command, log, True, 77

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def read_all(self) -> bytes:
        said, self.out = self.out, b""
        return said

    def read_errors(self) -> bytes:
        said, self.errors = self.errors, b""
        return said

    def close_input(self) -> None:
        self.is_input_over = True

    def kill(self) -> None:
        self.is_killed = True

    def wait(self, milliseconds: int) -> bool:
        self.waited.append(milliseconds)
        self.is_running = len(self.waited) < 2
        return not self.is_running

    def let_go(self) -> None:
        self.is_let_go, self.is_running = True, False

    def say(self, text: str | bytes) -> None:
        self.out += text.encode() if isinstance(text, str) else text
        self.readable.emit()

    def complain(self, text: bytes) -> None:
        self.errors += text
        self.complained.emit()

    def end(self, code: int = 0) -> None:
        self.is_running, self.process_id = False, 0
        self.finished.emit(code)


class Heard:
    """A worker, and all that it told."""

    def __init__(self, folder: Path, log: Path | None = None) -> None:
        self.events: list[Event] = []
        self.logged: list[str] = []
        self.outcomes: list[WorkerOutcome] = []
        self.worker = WorkerProcess(folder, "train", log=log)
        self.worker.emitted.connect(self.events.append)
        self.worker.logged.connect(self.logged.append)
        self.worker.ended.connect(self.outcomes.append)

    @property
    def process(self) -> HandProcess:
        return HandProcess.made[-1]


@pytest.fixture(autouse=True)
def by_hand(qapp: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    assert qapp is not None
    HandProcess.made = []
    monkeypatch.setattr(process, "DetachableProcess", HandProcess)
    monkeypatch.setattr(process, "worker_command", lambda folder: ["worker", str(folder)])
    monkeypatch.setattr(process, "TURN_S", 9.0)  # however slow the machine is
    yield
    HandProcess.made = []


def line(one: Event) -> str:
    return one.to_line() + "\n"


def test_lines_become_events_however_they_come(tmp_path: Path) -> None:
    heard = Heard(tmp_path)
    assert (heard.worker.is_running, heard.worker.process_id) == (False, 0)
    heard.worker.start()
    assert (heard.process.command, heard.process.log) == (["worker", str(tmp_path)], None)
    assert (heard.worker.is_running, heard.worker.process_id) == (True, 77)
    said = line(event.Warned(message="one")) + "\n  \n" + line(event.Warned(message="two"))
    heard.process.say(said[:20])
    assert heard.events == []
    heard.process.say(said[20:] + "no event at all\n")
    assert [getattr(one, "message", "") for one in heard.events] == ["one", "two"]
    assert heard.logged == ["no event at all\n"]
    last = event.Finished(reason="stopped")
    heard.process.say(last.to_line())  # its last line has no end
    assert heard.outcomes == []
    heard.process.complain("h\u00e9".encode()[:2])
    heard.process.complain("h\u00e9".encode()[2:] + b"!")
    assert "".join(heard.logged[1:]) == "h\u00e9!"
    heard.process.end(3)
    [outcome] = heard.outcomes
    assert (outcome.exit_code, outcome.finished, outcome.failure) == (3, last, None)
    assert (outcome.ok, outcome.completed, outcome.crashed) == (True, False, False)
    assert outcome.log_tail == "no event at all\nh\u00e9!"
    assert isinstance(heard.events[-1], event.Finished)


def test_it_is_silent_once_and_its_words_and_beginning_put_off_the_spare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disturbed: list[int] = []
    monkeypatch.setattr(process, "disturb", lambda: disturbed.append(1))
    keep_settings(silence_s=90)
    heard, told = Heard(tmp_path), list[int]()
    worker = heard.worker
    worker.silent.connect(told.append)
    assert [(one.isSingleShot(), one.interval()) for one in (worker._turn, worker._silence, worker._log_poll)] == [
        (True, 0), (True, 90_000), (False, 150),
    ]  # fmt: skip
    worker.start()
    assert (disturbed, worker._silence.isActive()) == ([1], True)
    worker._silence.stop()
    heard.process.say("half a line")
    assert (disturbed, worker._silence.isActive()) == ([1, 1], True)
    worker._silence.timeout.emit()
    assert told == [90]


def test_a_flood_is_heard_in_turns_and_the_end_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Heard(tmp_path)
    heard.worker.start()
    monkeypatch.setattr(process, "TURN_S", -1.0)
    heard.process.say("".join(line(event.Warned(message=str(number))) for number in range(5)))
    heard.process.end()
    assert (heard.events, heard.outcomes) == ([], []), "the window has its turn first"
    monkeypatch.setattr(process, "TURN_S", 9.0)
    QTest.qWait(1)
    assert (len(heard.events), len(heard.outcomes)) == (5, 1)
    assert heard.outcomes[0].crashed


def test_a_worker_of_another_version_is_not_listened_to(tmp_path: Path) -> None:
    heard = Heard(tmp_path)
    heard.worker.start()
    foreign = line(event.Hello(task="train").model_copy(update={"protocol": 99}))
    heard.process.say(foreign + line(event.Warned(message="?")) + event.Finished().to_line())
    heard.process.end(-9)
    assert heard.process.is_killed
    assert [type(one) for one in heard.events] == [event.Failed]
    assert (heard.outcomes[0].ok, heard.outcomes[0].finished) == (False, None)


def test_commands_go_to_one_that_runs_and_its_end_is_waited_for(tmp_path: Path) -> None:
    heard = Heard(tmp_path)
    heard.worker.send(Stop())
    assert heard.process.written == []
    assert heard.worker.wait(0)
    heard.worker.start()
    heard.worker.send(Stop())
    heard.worker.close_input()
    assert (heard.process.written, heard.process.is_input_over) == ([Stop().to_line()], True)
    assert not heard.worker.wait(0)
    assert heard.worker._silence.isActive()
    heard.worker.let_go()
    assert heard.process.is_let_go
    assert not heard.worker._silence.isActive()
    another = Heard(tmp_path)
    another.worker.start()
    assert another.worker.wait(50_000)
    assert [40_000 < one <= 50_000 for one in another.process.waited] == [True, True], "what is left of the time"


def test_a_log_is_followed_from_its_end_and_read_to_its_end(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("an earlier start\n")
    heard = Heard(tmp_path, log)
    heard.worker.start()
    assert (heard.process.log, heard.worker._log_poll.isActive()) == (log, True)
    with log.open("ab") as file:
        file.write("now \u00e9".encode()[:-1])
        file.flush()
        heard.worker._log_poll.timeout.emit()
        assert heard.logged == ["now "], "half a letter waits for the rest"
        file.write("\u00e9".encode()[1:] + b"x" * (LOG_TAIL_CHARACTERS - 4) + b"the last words\n")
    heard.process.end(1)
    assert "".join(heard.logged).startswith("now \u00e9xxx")
    [outcome] = heard.outcomes
    assert len(outcome.log_tail) == LOG_TAIL_CHARACTERS
    assert outcome.log_tail.endswith("xthe last words\n")
    assert not heard.worker._log_poll.isActive()
    another = Heard(tmp_path, log)
    another.worker.start()
    another.worker.let_go()
    assert (another.worker._log_file, another.worker._log_poll.isActive()) == (None, False)


def test_what_was_said_and_printed_last_is_heard_with_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard(tmp_path)
    heard.worker.start()
    failed = event.Failed(message="No room.")
    heard.process.out, heard.process.errors = line(failed).encode(), b"the last words\n"
    heard.process.end(1)
    assert (heard.events, heard.logged) == ([failed], ["the last words\n"])
    assert (heard.outcomes[0].failure, heard.outcomes[0].crashed) == (failed, False)
    log = tmp_path / "log.txt"
    monkeypatch.setattr(process, "LOG_BYTES_PER_TURN", 10)
    written = Heard(tmp_path, log)
    written.worker.start()
    log.write_text("".join(chr(ord("a") + number) for number in range(26)))
    written.process.end(1)
    assert written.logged == ["abcdefghij", "qrstuvwxyz"], "of a flood at the end its end"
    assert written.worker._log_file is None


@pytest.mark.parametrize("has_log", [False, True])
def test_a_spare_that_ends_before_its_first_word_is_replaced_by_one_that_is_told_all_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_log: bool
) -> None:
    log = tmp_path / "log.txt" if has_log else None
    spare = HandProcess()
    spare.is_running, spare.errors = True, b"of its imports\n"
    monkeypatch.setattr(process, "take_spare", lambda _task, _environment: spare)
    heard = Heard(tmp_path, log)
    heard.worker.start()
    assert spare.written == [Handover(job_dir=tmp_path, log=log).to_line()]
    printed = log.read_text() if log is not None else "".join(heard.logged)
    assert printed == "of its imports\n"
    heard.worker.send(Save())
    heard.worker.close_input()
    spare.end(-9)
    assert heard.outcomes == []
    own = heard.process
    assert own is not spare
    assert (own.command, own.log, own.written, own.is_input_over) == (
        ["worker", str(tmp_path)], log, [Save().to_line()], True,
    )  # fmt: skip
    if log is not None:
        assert log.read_text() == f"of its imports\n{BEGAN_ANEW}"
    else:
        assert "".join(heard.logged) == f"of its imports\n{BEGAN_ANEW}"
    own.end(1)
    assert [one.exit_code for one in heard.outcomes] == [1], "once is enough"


@pytest.mark.parametrize("how", ["spoke", "killed"])
def test_a_spare_that_spoke_or_was_ended_on_purpose_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    spare = HandProcess()
    spare.is_running = True
    monkeypatch.setattr(process, "take_spare", lambda _task, _environment: spare)
    heard = Heard(tmp_path)
    heard.worker.start()
    if how == "spoke":
        spare.say(line(event.Warned(message="one")))
    else:
        heard.worker.kill()
    spare.end(-9)
    assert ([one.exit_code for one in heard.outcomes], heard.process.command) == ([-9], None)


def test_one_that_does_not_start_says_why_and_what_it_printed(tmp_path: Path) -> None:
    heard = Heard(tmp_path)
    heard.worker.start()
    heard.process.failed.emit("No such file or directory")
    [outcome] = heard.outcomes
    assert outcome.sentence() == "The worker did not start: No such file or directory."
    assert (outcome.exit_code, outcome.crashed) == (1, False)


@pytest.mark.parametrize(
    "outcome, said",
    [
        (WorkerOutcome("t", 0, None, event.Finished()), ""),
        (WorkerOutcome("t", 3), "The worker ended without a word (exit code 3)."),
        (WorkerOutcome("t", 0), "The worker ended without a word (exit code 0)."),
        (WorkerOutcome("t", None, log_tail="\n \n"), "The worker ended without a word."),
        (WorkerOutcome("t", None, log_tail=f"first\n  {'x' * 301} \n\n"),
         f"The worker ended without a word. Its last words: {'x' * 300}"),
        (WorkerOutcome("t", -6, log_tail=f"{METAL}\n"), f"{WATCHDOG_TOLD} {WATCHDOG_REMEDY}"),
        (WorkerOutcome("t", 0, None, event.Finished(), f"{METAL}\n"), ""),
        (WorkerOutcome("t", 1, event.Failed(message="No room.", hint="Make some.")), "No room. Make some."),
        (WorkerOutcome("t", 1, event.Failed(message="No room. Make it.", hint="Make it.")), "No room. Make it."),
        (WorkerOutcome("t", 1, event.Failed(message="No room.")), "No room."),
    ],
)  # fmt: skip
def test_an_end_is_told_in_a_sentence(outcome: WorkerOutcome, said: str) -> None:
    assert outcome.sentence() == said


def test_done_is_only_what_came_to_its_end() -> None:
    failed = event.Failed(message="No.")
    assert [
        (one.ok, one.completed, one.crashed)
        for one in (
            WorkerOutcome("t", 0, None, event.Finished()),
            WorkerOutcome("t", 0, None, event.Finished(reason="stopped")),
            WorkerOutcome("t", 0, failed, event.Finished()),
            WorkerOutcome("t", 0, failed),
            WorkerOutcome("t", 0),
        )
    ] == [(True, True, False), (True, False, False), (False, False, False), (False, False, False),
          (False, False, True)]  # fmt: skip
