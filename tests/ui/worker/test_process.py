"""A worker as the window sees it, with real processes: what it says, and what is made of what it should not say."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.core.protocol import event
from app.core.protocol.event import Event
from app.core.system.setting import keep_settings
from app.ui.worker import process
from app.ui.worker.process import WorkerOutcome, WorkerProcess
from tests.core.protocol.test_client import FOREIGN, SPEAKING

WAIT_MS = 60_000


def run(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, folder: Path, code: str
) -> tuple[list[Event], list[str], WorkerOutcome]:
    """What a small script says in place of a worker, what it logs, and how it ended."""
    monkeypatch.setattr(process, "worker_command", lambda _: [sys.executable, "-c", code])
    said: list[Event] = []
    logged: list[str] = []
    worker = WorkerProcess(folder, "fake")
    worker.emitted.connect(said.append)
    worker.logged.connect(logged.append)
    with qtbot.waitSignal(worker.ended, timeout=WAIT_MS) as ended:
        worker.start()
    assert ended.args is not None
    (outcome,) = ended.args
    assert isinstance(outcome, WorkerOutcome)
    return said, logged, outcome


def test_a_worker_of_another_version_is_ended_and_that_is_told(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said, _, outcome = run(qtbot, monkeypatch, tmp_path, FOREIGN)
    assert [type(one) for one in said] == [event.Failed], "nothing else that it says is listened to"
    assert "speaks version 99 of the protocol" in outcome.sentence()
    assert "close it and open it again" in outcome.sentence()
    assert not outcome.crashed
    assert not outcome.ok


def test_what_is_not_understood_is_told_and_what_is_no_event_is_logged(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code = SPEAKING + 'say("ready", mood="good")\nprint("a library says hello", flush=True)\nsay("finished")'
    said, logged, outcome = run(qtbot, monkeypatch, tmp_path, code)
    assert [type(one) for one in said] == [event.Hello, event.Warned, event.Finished]
    assert isinstance(said[1], event.Warned)
    assert "The event `ready` has no `mood`." in said[1].message
    assert "".join(logged) == "a library says hello\n"
    assert outcome.ok


def test_a_crash_is_told_with_the_last_words(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = SPEAKING + 'print("the last words", file=sys.stderr)\nsys.exit(3)'
    said, _, outcome = run(qtbot, monkeypatch, tmp_path, code)
    assert [type(one) for one in said] == [event.Hello]
    assert outcome.crashed
    assert "exit code 3" in outcome.sentence()
    assert "the last words" in outcome.sentence()


def test_a_program_that_is_not_there_is_told(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process, "worker_command", lambda _: [str(tmp_path / "no_python")])
    worker = WorkerProcess(tmp_path, "fake")
    with qtbot.waitSignal(worker.ended) as ended:
        worker.start()
    assert ended.args is not None
    (outcome,) = ended.args
    assert outcome.sentence() == "The worker did not start: No such file or directory."
    assert (outcome.exit_code, outcome.crashed, outcome.ok, outcome.task) == (1, False, False, "fake")
    assert not worker.is_running


def test_silence_is_told_while_it_runs_and_only_then(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keep_settings(silence_s=77)
    monkeypatch.setattr(process, "worker_command", lambda _: [sys.executable, "-c", "input()"])
    worker = WorkerProcess(tmp_path, "fake")
    told: list[int] = []
    worker.silent.connect(told.append)
    worker._silence.timeout.emit()
    assert told == [], "it does not run yet"
    worker.start()
    assert worker._silence.isActive()
    worker._silence.timeout.emit()
    assert told == [77]
    with qtbot.waitSignal(worker.ended):
        worker.close_input()
    worker._silence.timeout.emit()
    assert told == [77], "it has ended"
