"""A child process of the window: told without waiting, heard to its last word, ended or let go of."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.ui.worker.detachable import DetachableProcess
from tests.ui.worker.test_spare import is_gone

COUNTING = "import sys; print(len(sys.stdin.buffer.read()), end='')"
ECHOING = "import sys; print('of stderr', file=sys.stderr, flush=True); print(input(), flush=True); sys.exit(3)"
WAITING = "import sys; print('here', flush=True); sys.stdin.read()"


def started(code: str, log: Path | None = None) -> DetachableProcess:
    process = DetachableProcess()
    process.start([sys.executable, "-c", code], dict(os.environ), log)
    return process


def test_it_says_and_prints_and_ends_with_its_code(qtbot: QtBot) -> None:
    process = started(ECHOING)
    assert process.is_running
    process.write("grüße\n".encode())
    with qtbot.waitSignal(process.finished) as ended:
        pass
    assert ended.args == [3]
    assert process.read_all().decode() == "grüße\n"
    assert process.read_errors() == b"of stderr\n"
    assert (process.read_all(), process.is_running, process.process_id) == (b"", False, 0)
    process.write(b"after its end\n")
    process.close_input()
    process.kill()
    assert process.wait(0)


def test_one_that_does_not_listen_is_told_all_without_holding_anybody_up(qtbot: QtBot) -> None:
    """More than a pipe holds; its input ends after the last of it."""
    process = started(COUNTING)
    os.kill(process.process_id, signal.SIGSTOP)
    process.write(b"x" * 1_000_000)
    process.write(b"y")
    process.close_input()
    process.write(b"too late")
    with qtbot.waitSignal(process.finished):
        os.kill(process.process_id, signal.SIGCONT)
    assert process.read_all() == b"1000001"


def test_who_waits_for_it_tells_it_the_rest() -> None:
    process = started(COUNTING)
    process.write(b"x" * 1_000_000)
    process.close_input()
    assert process.wait(60_000)
    assert process.read_all() == b"1000000"


def test_one_without_a_log_ends_with_its_object(qtbot: QtBot) -> None:
    process = started(WAITING)
    number = process.process_id
    with qtbot.waitSignal(process.readable):
        pass
    del process
    qtbot.waitUntil(lambda: is_gone(number))


def test_one_that_is_let_go_of_lives_on_and_keeps_its_log(qtbot: QtBot, tmp_path: Path) -> None:
    log, proof = tmp_path / "log.txt", tmp_path / "proof"
    code = f"import sys; sys.stdin.read(); print('late', file=sys.stderr); open({str(proof)!r}, 'w').write('done')"
    process = started(code, log)
    process.let_go()
    assert not process.is_running
    qtbot.waitUntil(lambda: proof.exists() and proof.read_text() == "done")
    assert log.read_text() == "late\n"
    assert process.read_errors() == b""


def test_ends_of_those_that_were_let_go_of_are_seen_at_the_next(qtbot: QtBot) -> None:
    first, second = started("pass"), started(WAITING)
    number = first.process_id
    first.let_go()
    qtbot.waitUntil(lambda: is_gone(number))
    second.let_go()
    with pytest.raises(ChildProcessError):  # it is no zombie any more
        os.waitpid(number, os.WNOHANG)


def test_what_is_no_program_is_told(qtbot: QtBot) -> None:
    process = DetachableProcess()
    with qtbot.waitSignal(process.failed) as failed:
        process.start(["/nowhere/at/all"], {})
    assert failed.args == ["No such file or directory"]
