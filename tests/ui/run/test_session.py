"""The run session between two runs, and a run that another process writes: what must not be left over or lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.core.protocol import event
from app.core.run.folder import RunDir
from app.ui.run.session import RunSession, RunState
from tests.ui import synthetic_run
from tests.ui.fake_worker import FakeWorker


def ended(folder: Path, ending: str, *more: event.Event) -> RunDir:
    """A run with something to go on from."""
    run = synthetic_run.run_folder(folder, [*synthetic_run.events(until=50, ending=ending), *more])
    (run.state / "0000050").mkdir(parents=True)
    return run


def read(qtbot: QtBot, session: RunSession) -> None:
    with qtbot.waitSignal(session.loaded):
        pass


@pytest.mark.parametrize("extend_to", [None, 900])
def test_a_run_that_is_opened_while_another_is_about_to_go_on_is_only_opened(
    extend_to: int | None, qtbot: QtBot, session: RunSession, workers: list[FakeWorker], tmp_path: Path
) -> None:
    first, second = (ended(tmp_path / name, "stopped") for name in ("first", "second"))
    session.resume(first.path, extend_to=extend_to, as_before=True)
    session.open(second.path)
    read(qtbot, session)
    assert (session.run, session.state) == (second, RunState.STOPPED)
    assert session.asked_end is None
    assert workers == []
    session.resume(first.path)
    read(qtbot, session)
    assert [worker.job_dir for worker in workers] == [first.path]
    assert '"extend_to": null' in first.job.read_text()
    assert '"as_before": true' not in first.job.read_text()


def test_nothing_of_the_run_before_is_said_of_the_next(qtbot: QtBot, session: RunSession, tmp_path: Path) -> None:
    failed = ended(
        tmp_path / "failed", "", event.Warned(message="Slow."), event.Failed(message="No room.", hint="Make some.")
    )
    session.open(failed.path)
    read(qtbot, session)
    assert session.problem == "No room. Make some."
    session.phase = "Asked to stop"
    fresh = synthetic_run.run_folder(tmp_path / "fresh", [])
    session.open(fresh.path)
    assert (session.problem, session.phase, session.hello, session.was_interrupted) == ("", "", None, False)
    assert (len(session.history), session.history.warnings, session.history.failed) == (0, {}, None)
    read(qtbot, session)
    assert (session.state, session.problem) == (RunState.NEW, "")
    cut_off = ended(tmp_path / "cut_off", "")
    session.open(cut_off.path)
    read(qtbot, session)
    assert (session.was_interrupted, "exactly there" in session.problem) == (True, True)
    session.open(fresh.path)
    assert (session.was_interrupted, session.problem) == (False, "")
    read(qtbot, session)
    fresh.remote.write_text('{"place": "ssh", "closed": true}')  # it was started elsewhere, and came to nothing
    session.open(fresh.path)
    read(qtbot, session)
    assert session.state is RunState.CRASHED
    assert session.problem.startswith("Interrupted before the first iteration.")


def test_half_a_line_is_read_when_the_rest_of_it_has_come(
    qtbot: QtBot, session: RunSession, tmp_path: Path
) -> None:
    """Another process is writing, and its file is looked at between any two bytes."""
    run = synthetic_run.run_folder(tmp_path, synthetic_run.events(until=50, ending=""))
    line = (event.Warned(message="Größe").to_line() + "\n").encode()
    cuts = [1, len(line) // 2, len(line) - 1]
    with run.lock(), run.events.open("ab", buffering=0) as file:
        file.write(line[: cuts[0]])
        session.open(run.path)
        read(qtbot, session)
        for start, end in zip(cuts, [*cuts[1:], len(line)], strict=True):
            assert len(session.history.warnings) == 0
            file.write(line[start:end])
            session._reading.timeout.emit()  # it looks again, as it does several times a second
        assert session.history.warnings == {"Größe": ""}
        file.write(synthetic_run.report(75, [0.5] * 25).to_line().encode() + b"\n")
        session._reading.timeout.emit()
        assert len(session.history) == 75
