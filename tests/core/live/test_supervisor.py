"""A run is supervised by one process at a time, and goes on where the watchdog ended it and nobody else did."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.core.config.train_config import TrainConfig
from app.core.live.door import CommandDoor, tell_run
from app.core.live.supervisor import (
    SUPERVISED_VARIABLE,
    awaits_worker,
    go_on_alone,
    goes_on_after,
    is_supervised,
    run_supervisor,
    start_alone,
    start_supervisor,
    supervise,
)
from app.core.live.watchdog import watchdog_failure
from app.core.protocol import event
from app.core.protocol.command import Save, Stop
from app.core.protocol.event import read_events
from app.core.protocol.job import TrainJob, write_job
from app.core.protocol.program import SUPERVISOR_FLAG, WORKER_VARIABLE
from app.core.run.folder import RunDir, last_event, prepare_run

METAL = "[METAL] Command buffer execution failed: Impacting Interactivity\n"


@pytest.fixture
def dead(tmp_path: Path) -> RunDir:
    """A run whose worker the watchdog ended."""
    run = prepare_run(TrainConfig(model="/m", data="/d"), tmp_path / "run")
    write_job(run.path, TrainJob(outlives_parent=True))
    run.log.write_text(METAL)
    return run


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, Any]]]:
    """The processes that would have been started."""
    found: list[tuple[list[str], dict[str, Any]]] = []

    class Process:
        def __init__(self, command: list[str], **options: Any) -> None:
            found.append((command, options))

        def poll(self) -> int:
            return 0

    monkeypatch.setattr("app.core.live.supervisor.subprocess.Popen", Process)
    monkeypatch.setattr("app.core.live.supervisor.program.worker_environment", dict)
    return found


def test_one_at_a_time_and_nobody_after_its_end(dead: RunDir) -> None:
    assert not is_supervised(dead)
    lock = supervise(dead)
    assert lock is not None
    assert is_supervised(dead)
    assert supervise(dead) is None
    lock.release()
    code = (
        "import sys; from pathlib import Path; from app.core.run.folder import RunDir\n"
        "from app.core.live.supervisor import supervise\n"
        "held = supervise(RunDir(Path(sys.argv[1]))); print(held is not None, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(dead.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        assert is_supervised(dead)
        assert awaits_worker(dead)
        assert go_on_alone(dead) == ""
        other.kill()
    assert not is_supervised(dead)
    assert not awaits_worker(dead)


@pytest.mark.parametrize("before", [0, 1, 3_000])  # the last: several times the piece that is read first
@pytest.mark.parametrize("after", [b"", b'{"type": "fin', b"\xff\n[]\n" * 40_000], ids=["", "half", "damage"])
def test_the_last_event_is_found_from_the_end(before: int, after: bytes, dead: RunDir) -> None:
    assert last_event(dead) is None
    said = [event.Warned(message=f"number {number} " + "x" * 90).to_line() for number in range(before)]
    dead.events.write_bytes("".join(f"{line.rstrip()}\n" for line in said).encode() + after)
    expected = next(reversed(read_events(dead.events)), None)
    assert last_event(dead) == expected
    assert (expected is None) is (before == 0)


def test_it_goes_on_unless_it_was_told_to_end(dead: RunDir) -> None:
    assert goes_on_after(dead, None)
    assert goes_on_after(dead, watchdog_failure(3))
    assert not goes_on_after(dead, event.Finished())
    assert not goes_on_after(dead, event.Failed(message="No room."))
    with dead.lock():
        door = CommandDoor(dead.path)
        assert tell_run(dead, Save())
        assert goes_on_after(dead, None)
        assert tell_run(dead, Stop())
    assert not goes_on_after(dead, None)
    door.close()


def test_the_next_worker_belongs_to_nobody_and_is_told_of_in_the_log(
    dead: RunDir, started: list[tuple[list[str], dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WORKER_VARIABLE, "1")
    assert run_supervisor(dead) == 0
    (command, options) = started[0]
    assert command[-2:] == ["--worker", str(dead.path)]
    assert (options["stdin"], options["stdout"]) == (subprocess.DEVNULL, subprocess.DEVNULL)
    assert options["start_new_session"]
    assert "at most 512 positions" in dead.log.read_text()
    assert not is_supervised(dead)
    write_job(dead.path, TrainJob(outlives_parent=True, most_positions=64))
    assert run_supervisor(dead) == 0
    assert len(started) == 1, "smaller ones are no help"


def test_whoever_only_looks_at_a_run_is_not_taken_for_its_supervisor(
    dead: RunDir, started: list[tuple[list[str], dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = supervise(dead)
    assert looks is not None
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        looks.release()

    monkeypatch.setattr("filelock._api.time.sleep", wait)
    assert run_supervisor(dead) == 0
    assert (len(waits), len(started)) == (1, 1)


def test_whoever_only_looks_at_a_run_is_not_taken_for_its_next_worker(
    dead: RunDir, started: list[tuple[list[str], dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its supervisor would leave before there is one."""
    asked: list[int] = []

    def poll(_process: object) -> None:
        asked.append(dead.events.exists())
        if len(asked) == 3:
            dead.events.write_text(event.Hello(task="train").to_line())

    monkeypatch.setattr("app.core.live.supervisor.time.sleep", lambda _seconds: None)
    monkeypatch.setattr("app.core.live.supervisor.subprocess.Popen.poll", poll)
    with dead.lock():
        assert start_alone(dead)
    assert asked == [False, False, False]
    assert len(started) == 1


def test_only_a_mac_ends_workers_so(
    dead: RunDir, started: list[tuple[list[str], dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SUPERVISED_VARIABLE, raising=False)
    monkeypatch.setenv(WORKER_VARIABLE, "1")
    monkeypatch.setattr(sys, "platform", "linux")
    start_supervisor(dead)
    assert started == []
    monkeypatch.setattr(sys, "platform", "darwin")
    start_supervisor(dead)
    (command, options) = started[0]
    assert command[-2:] == [SUPERVISOR_FLAG, str(dead.path)]
    assert WORKER_VARIABLE not in options["env"], "else it would end at once"
    assert options["start_new_session"]


def test_a_run_that_nobody_supervises_goes_on_by_whoever_looks(
    dead: RunDir, started: list[tuple[list[str], dict[str, Any]]]
) -> None:
    with dead.lock():
        assert go_on_alone(dead) == ""
    assert started == []
    told = go_on_alone(dead)
    assert told.startswith("macOS ended the GPU's work")
    assert "in pieces of at most 512 positions" in told
    assert len(started) == 1
    lock = supervise(dead)
    assert lock is not None, "it is let go of again"
    lock.release()
    dead.log.write_text("It is over.")
    assert (go_on_alone(dead), len(started)) == ("", 1)


def test_whether_a_run_is_supervised_is_seen_without_taking_it(dead: RunDir) -> None:
    lock = supervise(dead)
    assert lock is not None
    lock.release()
    assert not is_supervised(dead)
    held = supervise(dead, 0)
    assert held is not None, "whoever looked has let go of it"
    held.release()
