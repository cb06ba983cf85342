"""Jobs of the window, with real processes: told, stopped, given up, and never a folder left behind."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.core.protocol import event
from app.core.protocol.event import Event
from app.core.protocol.job import InspectJob, read_job
from app.ui.worker import job as job_module
from app.ui.worker import process
from app.ui.worker.job import JobRunner
from app.ui.worker.latest import LatestWorker
from tests.core.protocol.test_client import SPEAKING

WAIT_MS = 60_000
JOB = InspectJob(model="/nowhere/at/all")
# Says that it is stopped when it is asked to.
OBEDIENT = SPEAKING + 'sys.stdin.readline()\nsay("finished", reason="stopped")'
DEAF = SPEAKING + "time.sleep(600)"


class Fakes:
    """Lets every worker be a small script; ``folders`` are those of the jobs that were started."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.script = OBEDIENT
        self.folders: list[Path] = []
        monkeypatch.setattr(process, "worker_command", self._command)

    def _command(self, folder: Path) -> list[str]:
        assert read_job(folder) == JOB
        self.folders.append(folder)
        return [sys.executable, "-c", self.script]

    def has_started(self, count: int) -> bool:
        return len(self.folders) == count


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Fakes:
    return Fakes(monkeypatch)


@pytest.fixture
def runner(qtbot: QtBot) -> Iterator[JobRunner]:  # noqa: ARG001  # a QApplication must be there
    found = JobRunner()
    yield found
    found.shutdown()


def test_a_real_job_is_done_and_leaves_nothing(qtbot: QtBot, runner: JobRunner) -> None:
    said: list[Event] = []
    runner.emitted.connect(said.append)
    with qtbot.waitSignal(runner.ended, timeout=WAIT_MS) as ended:
        runner.start(JOB)
        assert runner.is_running
    assert ended.args is not None
    assert "/nowhere/at/all" in ended.args[0].sentence()
    assert [type(one) for one in said] == [event.Hello, event.Failed]
    assert not runner.is_running


def test_a_stop_is_asked_for_and_the_folder_goes(qtbot: QtBot, runner: JobRunner, fakes: Fakes) -> None:
    with qtbot.waitSignal(runner.emitted, timeout=WAIT_MS):
        runner.start(JOB)
    runner.start(JOB)  # one at a time: no second process
    (folder,) = fakes.folders
    assert folder.is_dir()
    with qtbot.waitSignal(runner.ended, timeout=WAIT_MS) as ended:
        runner.stop()
    assert ended.args is not None
    assert ended.args[0].finished.reason == "stopped"
    assert not folder.exists()


def test_a_worker_that_does_not_stop_is_ended(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, fakes: Fakes) -> None:
    monkeypatch.setattr(job_module, "PATIENCE_MS", 50)
    fakes.script = DEAF
    runner = JobRunner()
    with qtbot.waitSignal(runner.emitted, timeout=WAIT_MS):
        runner.start(JOB)
    with qtbot.waitSignal(runner.ended, timeout=WAIT_MS) as ended:
        runner.stop()
    assert ended.args is not None
    assert ended.args[0].crashed
    assert not fakes.folders[0].exists()


def test_of_what_is_given_up_nothing_more_is_heard(qtbot: QtBot, runner: JobRunner, fakes: Fakes) -> None:
    heard: list[object] = []
    fakes.script = SPEAKING + 'while True: say("warned", message="still here")'
    with qtbot.waitSignal(runner.emitted, timeout=WAIT_MS):
        runner.start(JOB)
    runner.emitted.connect(heard.append)
    runner.ended.connect(heard.append)
    runner.give_up()
    assert not runner.is_running
    qtbot.waitUntil(lambda: not fakes.folders[0].exists(), timeout=WAIT_MS)
    assert heard == []
    fakes.script = OBEDIENT
    with qtbot.waitSignal(runner.emitted, timeout=WAIT_MS):
        runner.start(JOB)  # the next one is heard
    assert [type(one) for one in heard] == [event.Hello]


@pytest.mark.parametrize("given_up", [False, True])
def test_a_shutdown_waits_for_every_worker_and_clears_every_folder(
    qtbot: QtBot, runner: JobRunner, fakes: Fakes, given_up: bool
) -> None:
    with qtbot.waitSignal(runner.emitted, timeout=WAIT_MS):
        runner.start(JOB)
    worker = runner._worker
    assert worker is not None
    if given_up:
        runner.give_up()
    runner.shutdown()
    assert not worker.is_running
    assert not fakes.folders[0].exists()


def test_the_newest_request_is_answered_and_the_folders_of_all_go(qtbot: QtBot, fakes: Fakes) -> None:
    said: list[Event] = []
    latest = LatestWorker()
    latest.emitted.connect(said.append)
    for number in range(3):
        latest.request(JOB)
        assert latest.is_busy
        qtbot.waitUntil(partial(fakes.has_started, number + 1), timeout=WAIT_MS)
    qtbot.waitUntil(lambda: bool(said), timeout=WAIT_MS)
    assert [type(one) for one in said] == [event.Hello]
    latest.stop()
    assert not latest.is_busy
    assert not any(folder.exists() for folder in fakes.folders)


def test_requests_before_the_delay_is_over_start_one_process(qtbot: QtBot, fakes: Fakes) -> None:
    latest = LatestWorker(delay_ms=20)
    for _ in range(5):
        latest.request(JOB)
    with qtbot.waitSignal(latest.emitted, timeout=WAIT_MS):
        pass
    latest.stop()
    assert len(fakes.folders) == 1
