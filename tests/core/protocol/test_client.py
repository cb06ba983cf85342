"""The command line's end of the protocol, with real processes: events, commands, Ctrl-C, crashes."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from app.core.protocol import event, program
from app.core.protocol.client import WorkerClient, log_tail, started_job
from app.core.protocol.command import Ask, GiveToken, Stop
from app.core.protocol.event import Event
from app.core.protocol.job import InspectJob
from app.core.protocol.question import Question

SPEAKING = """
import json, os, signal, sys, time
def say(kind, **data):
    print(json.dumps({"type": kind, "time": 1.0} | data), flush=True)
say("hello", task="fake", pid=os.getpid())
"""

FOREIGN = """
import json, time
print(json.dumps({"type": "hello", "task": "fake", "protocol": 99, "mood": "good"}), flush=True)
print(json.dumps({"type": "warned", "message": "of the future"}), flush=True)
time.sleep(60)
"""


def fake(monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Lets every worker be a small script instead, which has already said hello."""
    monkeypatch.setattr(program, "worker_command", lambda _: [sys.executable, "-c", SPEAKING + body])


def test_the_real_worker_says_hello_and_why_it_cannot_work() -> None:
    with started_job(InspectJob(model="/nowhere/at/all")) as worker:
        hello, *_, last = list(worker.events())
        folder = worker.log.parent
        assert folder.exists()
    assert isinstance(hello, event.Hello)
    assert hello.pid == worker.pid
    assert isinstance(last, event.Failed)
    assert last.unusable
    assert "/nowhere/at/all" in last.message
    assert worker.exit_code == 2
    assert not folder.exists(), "a job that is no run leaves nothing behind"


def test_commands_arrive_and_closing_the_input_ends_the_worker(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake(monkeypatch, 'for line in sys.stdin: say("warned", message=line)\nsay("finished", reason="stopped")')
    said: list[Event] = []
    with WorkerClient(tmp_path) as worker:
        for found in worker.events():
            said.append(found)
            if isinstance(found, event.Hello):
                worker.send(Ask(question=Question(prompt='"quotes" \n { 🎻 \x00 \udcff')))
                worker.close_input()
                worker.send(Stop())  # too late
    assert [type(e) for e in said] == [event.Hello, event.Warned, event.Finished]
    assert isinstance(said[1], event.Warned)
    assert "\\ud83c\\udfbb" in said[1].message, "one line of ASCII, whatever is in it"


def test_leaving_the_block_early_ends_the_worker_however_much_it_still_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake(monkeypatch, 'sys.stdin.read()\nfor _ in range(20000): say("warned", message="x" * 100)\nsay("finished")')
    with WorkerClient(tmp_path) as worker:
        assert isinstance(next(worker.events()), event.Hello)
    assert worker.exit_code == 0


def test_a_worker_that_ends_without_a_word_is_a_crash_with_the_tail_of_its_log(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake(
        monkeypatch,
        'print("the last words", file=sys.stderr, flush=True)\nprint(\'{"type": "warn\', end="", flush=True)\n'
        "os.kill(os.getpid(), signal.SIGKILL)",
    )
    with WorkerClient(tmp_path, tmp_path / "log.txt") as worker:
        *_, last = list(worker.events())
    assert isinstance(last, event.Failed)
    assert "SIGKILL" in last.message
    assert "the last words" in last.message
    assert "memory" in last.hint
    assert not last.unusable


def test_an_exit_code_without_an_event_is_a_crash_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake(monkeypatch, "sys.exit(3)")
    with WorkerClient(tmp_path) as worker:
        *_, last = list(worker.events())
    assert isinstance(last, event.Failed)
    assert "exit code 3" in last.message


def test_the_first_interrupt_stops(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake(monkeypatch, 'said = sys.stdin.readline()\nsay("warned", message=said)\nsay("finished", reason="stopped")')
    before = signal.getsignal(signal.SIGINT)
    with WorkerClient(tmp_path) as worker, worker.stopped_by_interrupt():
        said = []
        for found in worker.events():
            said.append(found)
            if isinstance(found, event.Hello):
                os.kill(os.getpid(), signal.SIGINT)
    assert isinstance(said[1], event.Warned)
    assert said[1].message == '{"command": "stop"}\n'
    assert isinstance(said[-1], event.Finished)
    assert signal.getsignal(signal.SIGINT) is before


def test_the_second_interrupt_kills(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake(monkeypatch, 'for line in sys.stdin: say("warned", message=line)')
    with WorkerClient(tmp_path) as worker, worker.stopped_by_interrupt():
        for found in worker.events():
            if isinstance(found, (event.Hello, event.Warned)):
                os.kill(os.getpid(), signal.SIGINT)
            last = found
    assert isinstance(last, event.Failed)
    assert "stopped at once" in last.message
    assert worker.exit_code == -signal.SIGKILL


def test_ctrl_c_of_a_terminal_does_not_reach_the_worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake(monkeypatch, 'sys.stdin.read()\nsay("finished")')
    with WorkerClient(tmp_path) as worker:
        assert os.getpgid(worker.pid) != os.getpgid(0)


def test_commands_of_two_threads_do_not_mix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake(
        monkeypatch,
        'for line in sys.stdin: say("warned", message=str(json.loads(line)["command"]))\nsay("finished")',
    )
    with WorkerClient(tmp_path) as worker:
        threads = [threading.Thread(target=worker.send, args=(GiveToken(token="x" * 100_000),)) for _ in range(4)]
        for thread in threads:
            thread.start()
        said = 0
        for found in worker.events():
            said += isinstance(found, event.Warned)
            if said == len(threads):
                worker.close_input()
        for thread in threads:
            thread.join()
    assert said == len(threads)


def test_the_tail_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    assert log_tail(log) == ""
    log.write_bytes(b"".join(b"line %d\n" % n for n in range(100_000)) + b"\xff end")
    tail = log_tail(log, 2)
    assert tail.splitlines() == ["line 99999", "\ufffd end"]


def test_a_worker_of_another_version_is_ended_and_that_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(program, "worker_command", lambda _: [sys.executable, "-c", FOREIGN])
    with WorkerClient(tmp_path) as worker:
        (said,) = list(worker.events())
    assert isinstance(said, event.Failed)
    assert "speaks version 99 of the protocol" in said.message
    assert worker.exit_code == -signal.SIGKILL, "it was not left to work on"


def test_what_is_not_understood_is_told_and_the_rest_is_heard(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake(monkeypatch, 'say("sang", song=1)\nsay("ready", mood="good")\nsay("finished")')
    with WorkerClient(tmp_path) as worker:
        said = list(worker.events())
    assert [type(e) for e in said] == [event.Hello, event.Warned, event.Warned, event.Finished]
    warned = [e.message for e in said if isinstance(e, event.Warned)]
    assert "There is no event `sang`." in warned[0]
    assert "The event `ready` has no `mood`." in warned[1]
