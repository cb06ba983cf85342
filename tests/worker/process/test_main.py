"""The last door of a worker: what it may ask of the hub, what it prints of a failure, and its exit code."""

from __future__ import annotations

import errno
import io
import os
import queue
from pathlib import Path

import pytest

from app.core.problem import Problem, TaskError, UnusableError
from app.core.protocol.event import Event, Failed, Hello, Warned, parse_event
from app.core.protocol.job import AnyJob, BenchmarkJob, ExportJob, InspectJob
from app.core.protocol.program import OFFLINE_VARIABLES
from app.worker.process import main
from app.worker.process.channel import Channel

MAY_ASK: list[tuple[AnyJob, bool]] = [
    (InspectJob(model=""), False),
    (BenchmarkJob(model="", tasks=("a",)), False),
    (BenchmarkJob(model="", tasks=("a",), download=True), True),
    (ExportJob(source=Path("run"), format="hub", out=Path("out")), False),
    (ExportJob(source=Path("run"), format="hub", out=Path("out"), options={"upload": True}), True),
    (ExportJob(source=Path("run"), format="gguf", out=Path("out"), options={"upload": True}), False),
]


def run_task(
    job: AnyJob, error: Exception | None, monkeypatch: pytest.MonkeyPatch, warned: Warned | None = None
) -> tuple[int, list[Event]]:
    """The exit code and the events of a worker whose task raises ``error``."""

    def failing_task(_channel: Channel, _job_dir: Path, _job: AnyJob) -> None:
        if error is not None:
            raise error

    monkeypatch.setitem(main.TASKS, job.task, "tests.worker.process.test_main:failing_task")
    monkeypatch.setitem(globals(), "failing_task", failing_task)
    said = io.StringIO()
    code = main._run(Channel(said, queue.Queue()), Path(), job, warned)
    return code, [parse_event(line) for line in said.getvalue().splitlines()]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The variables of a process that may be cut off, and is only pretended to be."""
    found = {name: value for name, value in os.environ.items() if name not in OFFLINE_VARIABLES}
    monkeypatch.setattr(os, "environ", found)
    return found


@pytest.mark.parametrize(("job", "may"), MAY_ASK)
def test_nothing_leaves_the_machine_but_where_a_person_said_so(
    job: AnyJob, may: bool, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_task(job, None, monkeypatch)[0] == 0
    assert {environment.get(name) for name in OFFLINE_VARIABLES} == ({None} if may else {"1"})


@pytest.mark.parametrize(("error", "code", "is_printed"), [
    (TaskError("No.", ""), 1, False), (UnusableError([Problem("x", "No.")]), 2, False), (KeyError("x"), 1, True),
    (OSError(errno.ENOSPC, "full"), 1, False), (OSError(errno.EDQUOT, "full"), 1, False),
    (OSError(errno.EROFS, "read-only"), 1, False), (PermissionError(errno.EACCES, "no"), 1, False),
    (PermissionError(errno.EPERM, "no"), 1, False), (OSError(errno.EIO, "broken"), 1, True),
])  # fmt: skip
@pytest.mark.usefixtures("environment")
def test_the_log_has_the_traceback_of_what_no_task_foresaw(
    error: Exception, code: int, is_printed: bool, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    warned = Warned(message="There is no door.")
    found, said = run_task(InspectJob(model=""), error, monkeypatch, warned)
    assert found == code
    assert [type(one) for one in said] == [Hello, Warned, Failed]
    assert said[1] == warned
    assert ("Traceback" in capsys.readouterr().err) == is_printed


def test_a_job_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    said = io.StringIO()
    assert main.do_job(Channel(said, queue.Queue()), tmp_path / "none") == 2
    (told,) = (parse_event(line) for line in said.getvalue().splitlines())
    assert isinstance(told, Failed)
    assert told.unusable
    assert told.message.startswith(f"The job in {tmp_path / 'none'} cannot be done: ")
