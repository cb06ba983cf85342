"""The window's spare, with real processes: it does the next job, or a fresh worker does, and it never outlives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.core.protocol.command import Ask, Stop
from app.core.protocol.event import Event
from app.core.protocol.job import RUN_CONFIG, GenerateJob, InspectJob, TrainJob, write_job
from app.core.protocol.question import Question
from app.core.run.folder import RunDir
from app.core.setup.config_file import save_config
from app.core.system.process import is_alive
from app.core.system.setting import keep_settings
from app.core.system.starter import examples_dir, model_dir
from app.ui.worker import process as process_module
from app.ui.worker import spare as spare_module
from app.ui.worker.process import WorkerOutcome, WorkerProcess
from app.ui.worker.spare import SpareWorker
from tests import ROOT
from tests.core.protocol.test_client import SPEAKING

JOB = InspectJob(model=str(model_dir()))
IDLE = "import sys; sys.stdin.readline()"
STOPPED = SPEAKING + 'sys.stdin.readline()\nsay("finished", reason="stopped")'


@pytest.fixture
def keeper(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> Iterator[SpareWorker]:  # noqa: ARG001
    """A keeper that has a spare on however small a machine, and looks only when it is told to: pytest tells the
    environment what it is doing, so a spare that began before the test would not be used."""
    monkeypatch.setattr(spare_module, "LEAST_MEMORY_BYTES", 0)
    monkeypatch.setattr(spare_module, "CALM_MS", 3_600_000)
    made = SpareWorker(first_ms=3_600_000)
    yield made
    made.shutdown()


@pytest.fixture
def idle(keeper: SpareWorker, monkeypatch: pytest.MonkeyPatch) -> SpareWorker:
    """The same for tests in which the spare gets no job: it imports nothing, and fresh workers only say hello."""
    monkeypatch.setattr(spare_module, "spare_command", lambda: [sys.executable, "-c", IDLE])
    monkeypatch.setattr(process_module, "worker_command", lambda _: [sys.executable, "-c", SPEAKING])
    return keeper


class Heard:
    """A job through the window's worker: what it said and printed, and how it ended."""

    def __init__(self, folder: Path, task: str = "inspect", log: Path | None = None) -> None:
        self.said: list[Event] = []
        self.logged = ""
        self.outcome: WorkerOutcome | None = None
        self.worker = WorkerProcess(folder, task, log=log)
        self.worker.emitted.connect(self.said.append)
        self.worker.logged.connect(self._on_log)
        self.worker.ended.connect(self._on_end)
        self.worker.start()

    @property
    def process_id(self) -> int:
        """Of the worker that did the job, by its own word."""
        return next(one.pid for one in self.said if isinstance(one, event.Hello))

    def has_ended(self) -> bool:
        return self.outcome is not None

    def _on_log(self, text: str) -> None:
        self.logged += text

    def _on_end(self, outcome: WorkerOutcome) -> None:
        self.outcome = outcome


def inspected(qtbot: QtBot, folder: Path) -> Heard:
    """A real inspection of the starter, done."""
    write_job(folder, JOB)
    heard = Heard(folder)
    qtbot.waitUntil(heard.has_ended)
    assert heard.outcome is not None
    assert heard.outcome.ok, heard.outcome.sentence()
    assert [type(one) for one in heard.said] == [event.Hello, event.Inspected, event.Finished]
    return heard


def greeted(qtbot: QtBot, folder: Path, task: str = "inspect") -> Heard:
    """A job of a fresh worker that only says hello, done."""
    heard = Heard(folder, task)
    qtbot.waitUntil(heard.has_ended)
    assert [type(one) for one in heard.said] == [event.Hello]
    return heard


def ready(qtbot: QtBot, keeper: SpareWorker) -> int:
    """The number of the process that waits."""
    if not keeper.process_id:
        keeper._look()
    qtbot.waitUntil(lambda: keeper.process_id > 0)
    return keeper.process_id


def is_gone(process: int) -> bool:
    """Whether it has ended, if nobody waited for it too."""
    if not is_alive(process):
        return True
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def test_it_does_the_next_job_and_another_waits_when_all_is_calm(
    qtbot: QtBot, keeper: SpareWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ready(qtbot, keeper)
    heard = inspected(qtbot, tmp_path / "1")
    assert heard.process_id == first
    assert keeper.process_id == 0, "one process does one job"
    assert heard.logged == ""
    monkeypatch.setattr(spare_module, "CALM_MS", 0)
    spare_module.disturb()
    qtbot.waitUntil(lambda: keeper.process_id > 0)
    second = keeper.process_id
    assert second != first
    assert inspected(qtbot, tmp_path / "2").process_id == second


def test_without_one_a_worker_is_started(qtbot: QtBot, tmp_path: Path) -> None:
    assert inspected(qtbot, tmp_path).process_id > 0


@pytest.mark.parametrize("what", ["environment", "folder", "program"])
def test_it_is_not_used_where_a_fresh_process_would_be_another(
    qtbot: QtBot, idle: SpareWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    spare = ready(qtbot, idle)
    if what == "environment":
        monkeypatch.setenv("AGX_RELAX_CDM_CTXSTORE_TIMEOUT", "1")
    elif what == "folder":
        monkeypatch.chdir(tmp_path)
    else:
        monkeypatch.setattr(spare_module, "program_stamp", lambda: (("app/changed.py", 1, 1),))
    assert greeted(qtbot, tmp_path).process_id != spare
    qtbot.waitUntil(lambda: is_gone(spare))
    assert idle.process_id == 0


def test_none_is_started_once_the_program_is_another(
    qtbot: QtBot, idle: SpareWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This window speaks as the program did when it was opened."""
    ready(qtbot, idle)
    monkeypatch.setattr(spare_module, "program_stamp", lambda: (("app/changed.py", 1, 1),))
    greeted(qtbot, tmp_path)
    idle._look()
    assert idle.process_id == 0


def test_a_task_that_may_ask_the_hub_has_a_worker_of_its_own(
    qtbot: QtBot, idle: SpareWorker, tmp_path: Path
) -> None:
    spare = ready(qtbot, idle)
    assert greeted(qtbot, tmp_path, "hub_search").process_id != spare
    assert idle.process_id == spare, "it still waits"


def test_one_that_ended_while_it_waited_is_replaced_and_no_job_is_lost(
    qtbot: QtBot, keeper: SpareWorker, tmp_path: Path
) -> None:
    """Whether that was seen before the job came or not."""
    spare = ready(qtbot, keeper)
    os.kill(spare, signal.SIGKILL)
    assert inspected(qtbot, tmp_path / "1").process_id != spare
    keeper._look()
    second = ready(qtbot, keeper)
    os.kill(second, signal.SIGKILL)
    qtbot.waitUntil(lambda: keeper.process_id == 0)
    assert inspected(qtbot, tmp_path / "2").process_id not in (spare, second)


def test_one_that_ends_in_the_middle_of_the_handover_loses_no_job(
    qtbot: QtBot, keeper: SpareWorker, tmp_path: Path
) -> None:
    spare = ready(qtbot, keeper)
    os.kill(spare, signal.SIGSTOP)  # it can take the job, and does nothing about it
    write_job(tmp_path, JOB)
    heard = Heard(tmp_path)
    assert heard.worker.process_id == spare
    os.kill(spare, signal.SIGKILL)
    qtbot.waitUntil(heard.has_ended)
    assert [type(one) for one in heard.said] == [event.Hello, event.Inspected, event.Finished]
    assert heard.process_id != spare
    assert heard.logged == "The worker that stood ready ended before it began: another one does the job.\n"


def test_what_it_was_told_by_then_is_told_again(
    qtbot: QtBot, keeper: SpareWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spare = ready(qtbot, keeper)
    os.kill(spare, signal.SIGSTOP)
    monkeypatch.setattr(process_module, "worker_command", lambda _: [sys.executable, "-c", STOPPED])
    heard = Heard(tmp_path, "generate")
    heard.worker.send(Stop())
    heard.worker.close_input()
    os.kill(spare, signal.SIGKILL)
    qtbot.waitUntil(heard.has_ended)
    assert heard.outcome is not None
    assert heard.outcome.finished is not None
    assert heard.outcome.finished.reason == "stopped"


def test_what_was_ended_on_purpose_is_not_begun_again(qtbot: QtBot, keeper: SpareWorker, tmp_path: Path) -> None:
    spare = ready(qtbot, keeper)
    os.kill(spare, signal.SIGSTOP)
    write_job(tmp_path, JOB)
    heard = Heard(tmp_path)
    heard.worker.kill()
    assert heard.worker.wait(60_000)
    qtbot.waitUntil(heard.has_ended)
    assert heard.said == []
    assert heard.outcome is not None
    assert heard.outcome.exit_code == -signal.SIGKILL


def test_a_question_that_is_asked_at_once_is_answered(qtbot: QtBot, keeper: SpareWorker, tmp_path: Path) -> None:
    """Its command waits behind the job, however far the imports are."""
    spare = ready(qtbot, keeper)
    write_job(tmp_path, GenerateJob(model=str(model_dir())))
    heard = Heard(tmp_path, "generate")
    heard.worker.send(Ask(request=1, question=Question(prompt="Who built it?", max_tokens=1)))
    qtbot.waitUntil(lambda: any(isinstance(one, event.Answered) and one.done for one in heard.said))
    heard.worker.close_input()
    qtbot.waitUntil(heard.has_ended)
    assert heard.process_id == spare


def test_a_run_keeps_its_log_and_goes_on_alone(qtbot: QtBot, keeper: SpareWorker, tmp_path: Path) -> None:
    """A run that the window lets go of is done by the spare to its end, and the keeper's end is not the run's."""
    spare = ready(qtbot, keeper)
    run = RunDir(tmp_path / "run")
    values = {"model": str(model_dir()), "data": str(examples_dir()), "iters": 3, "epochs": None, "val_batches": 0}
    write_job(run.path, TrainJob(outlives_parent=True))
    save_config(TrainConfig().with_values(values), run.path / RUN_CONFIG)
    run.log.write_text("an earlier start\n")
    heard = Heard(run.path, "train", run.log)
    assert heard.worker.process_id == spare
    heard.worker.let_go()
    keeper.shutdown()
    qtbot.waitUntil(lambda: run.events.exists() and '"finished"' in run.events.read_text())
    assert json.loads(run.events.read_text().splitlines()[0])["pid"] == spare
    assert run.log.read_text().startswith("an earlier start\n")
    qtbot.waitUntil(lambda: is_gone(spare))


@pytest.mark.parametrize("memory", [8_000_000_000, 7_999_999_999, None])
def test_settings_and_memory_decide_whether_there_is_one(
    qtbot: QtBot, idle: SpareWorker, monkeypatch: pytest.MonkeyPatch, memory: int | None
) -> None:
    """Also of one that waits already."""
    spare = ready(qtbot, idle)
    monkeypatch.setattr(spare_module, "LEAST_MEMORY_BYTES", 8_000_000_000)
    monkeypatch.setattr(spare_module, "available_memory_bytes", lambda: memory)
    idle._look()
    if memory == 8_000_000_000:
        assert idle.process_id == spare
        keep_settings(spare_worker=False)
        idle._look()
    assert idle.process_id == 0
    qtbot.waitUntil(lambda: is_gone(spare))
    idle._look()
    assert idle.process_id == 0


def test_none_is_started_beside_a_run_that_trains(
    qtbot: QtBot, idle: SpareWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready(qtbot, idle)
    greeted(qtbot, tmp_path)
    monkeypatch.setattr(spare_module, "training_runs", lambda: [RunDir(tmp_path)])
    idle._look()
    assert idle.process_id == 0


def test_where_they_cannot_live_no_more_are_started(
    qtbot: QtBot, idle: SpareWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[list[str]] = []

    def command() -> list[str]:
        started.append(["/nowhere/at/all"])
        return started[-1]

    ready(qtbot, idle)
    monkeypatch.setattr(spare_module, "spare_command", command)
    os.kill(idle.process_id, signal.SIGKILL)
    for _ in range(5):
        qtbot.waitUntil(lambda: idle._process is None)
        idle._look()
    assert len(started) == 2, "with the one that was killed, three were lost"


def test_a_window_that_closes_leaves_none(qtbot: QtBot, idle: SpareWorker, tmp_path: Path) -> None:
    spare = ready(qtbot, idle)
    idle.shutdown()
    assert is_gone(spare)
    assert greeted(qtbot, tmp_path).process_id != spare, "nobody keeps one any more"


WINDOW = """
import sys
from PySide6.QtCore import QCoreApplication, QTimer
from app.ui.worker import spare
spare.LEAST_MEMORY_BYTES = 0
application = QCoreApplication([])
keeper = spare.SpareWorker(first_ms=0)
def tell():
    if keeper.process_id:
        print(keeper.process_id, flush=True)
    else:
        QTimer.singleShot(10, tell)
tell()
sys.exit(application.exec())
"""


def test_a_window_that_is_killed_leaves_none(qtbot: QtBot) -> None:
    window = subprocess.Popen([sys.executable, "-c", WINDOW], stdout=subprocess.PIPE, cwd=ROOT)
    with window:
        assert window.stdout is not None
        spare = int(window.stdout.readline())
        window.kill()
    qtbot.waitUntil(lambda: is_gone(spare))
