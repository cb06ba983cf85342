"""What a run's session knows and tells: names, times, silence, ends, and what it was interrupted at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.live.watchdog import WATCHDOG_TOLD
from app.core.protocol import event
from app.core.protocol.command import EndOfInput, Stop
from app.core.protocol.job import TrainJob, read_job, write_job
from app.core.run.folder import RunDir
from app.core.run.note import RunNote, save_note
from app.ui.run import finder as finder_module
from app.ui.run.finder import RunFinder
from app.ui.run.session import LOG_SHOWN_BYTES, RunSession, RunState
from tests.ui import synthetic_run
from tests.ui.fake_worker import FakeWorker

METAL = "[METAL] Command buffer execution failed: Impacting Interactivity\n"


def started(session: RunSession, until: int = 50) -> FakeWorker:
    session.start(TrainConfig(adapter_name="friendly", model="/m", data="/d"))
    FakeWorker.made[-1].say(*synthetic_run.events(until=until, ending=""))
    return FakeWorker.made[-1]


def opened(qtbot: QtBot, session: RunSession, run: RunDir, *, interrupted: bool = False) -> None:
    with qtbot.waitSignal(session.loaded):
        session.open(run.path, interrupted=interrupted)


def test_a_run_is_called_as_a_person_called_it_else_by_its_adapter_else_by_its_folder(
    qtbot: QtBot, session: RunSession, tmp_path: Path
) -> None:
    assert session.name == ""
    session.take_names()
    run = synthetic_run.run_folder(tmp_path)
    renamed: list[str] = []
    session.renamed.connect(lambda: renamed.append(session.name))
    opened(qtbot, session, run)
    assert session.name == "friendly"
    save_note(run, RunNote(name="Ada"))
    assert session.name == "friendly", "until it looks"
    session.take_names()
    session.take_names()
    assert renamed == ["Ada"]
    run.config.write_text("iters: [1\n")
    opened(qtbot, session, run)
    assert (session.name, session.config) == ("Ada", None)
    run.notes.unlink()
    session.take_names()
    assert renamed == ["Ada", run.name]
    session.leave()
    assert (session.name, session.state, session.run) == ("", RunState.NONE, None)


def test_a_config_that_cannot_be_read_is_told(qtbot: QtBot, session: RunSession, tmp_path: Path) -> None:
    run = synthetic_run.run_folder(tmp_path)
    run.config.unlink()
    session.open(run.path)
    assert "config.yaml" in session.problem
    with qtbot.waitSignal(session.loaded):
        pass
    assert session.state is RunState.COMPLETED


def test_time_goes_on_between_two_reports_while_it_trains(session: RunSession) -> None:
    assert (session.elapsed_s, session.remaining_s) == (0.0, None)
    worker = started(session, until=300)
    session._reported_at -= 10
    assert session.elapsed_s == pytest.approx(300 / 9 + 10, abs=1)
    assert session.remaining_s == pytest.approx(300 / 9 - 10, abs=1)
    worker.say(event.Validated(iteration=300, val_loss=1.0, elapsed_s=300 / 9))
    assert session.elapsed_s == pytest.approx(300 / 9, abs=1), "it has just said something"
    session._reported_at -= 1000
    assert session.remaining_s == 0.0, "it is never less"
    session.pause()
    worker.say(event.Paused(iteration=301))
    assert session.elapsed_s == pytest.approx(300 / 9), "a run that waits does not train"
    assert session.remaining_s is not None
    worker.end(event.Finished())
    assert session.remaining_s is None


def test_silence_is_told_of_a_run_that_should_say_something(session: RunSession) -> None:
    told: list[int] = []
    session.silent.connect(told.append)
    worker = started(session)
    worker.silent.emit(90)
    session.pause()
    worker.say(event.Paused(iteration=51))
    worker.silent.emit(120)
    assert told == [90], "one that waits in place has nothing to say"


def test_what_the_worker_does_is_told_until_it_trains(session: RunSession) -> None:
    session.start(TrainConfig(adapter_name="friendly", model="/m", data="/d"))
    worker, told = FakeWorker.made[-1], list[str]()
    assert (session.phase, session.state) == ("Starting", RunState.PREPARING)
    session.state_changed.connect(lambda: told.append(session.phase))
    worker.say(event.Hello(task="train"), event.Progressed(phase="Reading", done=0, total=0))
    worker.say(event.Progressed(phase="Reading", done=1200, total=3400))
    assert told == ["Starting", "Reading", "Reading (1,200 of 3,400)"]
    worker.say(*list(synthetic_run.events(until=25, ending=""))[2:])
    assert (session.phase, session.state) == ("", RunState.RUNNING)
    session.stop()
    session.stop()
    worker.say(event.Resumed(iteration=25))
    assert (worker.commands, session.state) == ([Stop()], RunState.STOPPING), "it was asked to stop"


def test_the_end_of_the_window_waits_for_a_worker_that_saves(session: RunSession) -> None:
    assert session.wait(1)
    session.let_go()
    assert session.state is RunState.NONE
    worker = started(session)
    assert session.wait(1)
    assert worker.commands == [Stop(), EndOfInput()]
    session.kill()
    assert worker.killed
    session.kill()


def test_whether_it_outlives_the_window_is_what_its_job_says(session: RunSession) -> None:
    started(session)
    run = session.run
    assert run is not None
    assert session.outlives_window
    job = read_job(run.path)
    assert isinstance(job, TrainJob)
    write_job(run.path, job.model_copy(update={"outlives_parent": False}))
    assert not session.outlives_window
    run.job.unlink()
    assert not session.outlives_window
    FakeWorker.made[-1].end(event.Finished())
    assert not session.outlives_window


def test_what_is_saved_is_known_from_the_folder(qtbot: QtBot, session: RunSession, tmp_path: Path) -> None:
    assert (session.has_state, session.saved_iteration, session.has_adapter, session.can_resume) == (
        False, None, False, False,
    )  # fmt: skip
    run = synthetic_run.run_folder(tmp_path, synthetic_run.events(until=50, ending="stopped"))
    opened(qtbot, session, run)
    assert (session.has_state, session.saved_iteration, session.can_resume) == (False, None, False)
    for name in ("0000025", "0000100", "latest"):
        (run.state / name).mkdir(parents=True)
    assert (session.has_state, session.saved_iteration, session.can_resume) == (True, 100, True)
    assert (session.has_adapter, session.has_saved) == (False, False)
    run.best.mkdir(parents=True)
    (run.best / "adapters.safetensors").write_bytes(b"")
    assert (session.has_adapter, session.has_saved) == (False, True)


@pytest.mark.parametrize(
    "until, state, log, said",
    [
        (0, "", "", "Interrupted before the first iteration. Nothing was saved before that; the log may tell why."),
        (50, "", "", "Interrupted at iteration 50. Nothing was saved before that; the log may tell why."),
        (50, "0000050", "", "Interrupted at iteration 50. Resume goes on exactly there."),
        (50, "0000025", "", "Interrupted at iteration 50. Resume goes on from iteration 25, which was saved last."),
        (50, "0000050", METAL, f"Interrupted at iteration 50. {WATCHDOG_TOLD} Resume goes on exactly there."),
    ],
)
def test_a_run_that_was_cut_off_says_where_and_from_where_it_can_go_on(
    qtbot: QtBot, session: RunSession, tmp_path: Path, until: int, state: str, log: str, said: str
) -> None:
    run = synthetic_run.run_folder(tmp_path, synthetic_run.events(until=until, ending=""))
    run.log.write_text(log)
    if state:
        (run.state / state).mkdir(parents=True)
    opened(qtbot, session, run)
    assert (session.state, session.was_interrupted) == (RunState.CRASHED, True)
    assert session.problem == said


@pytest.mark.parametrize(
    "interrupted, alone, state",
    [(True, False, RunState.CRASHED), (True, True, RunState.STOPPED), (False, False, RunState.STOPPED)],
)
def test_a_run_that_saved_when_its_window_ended_is_told_as_interrupted(
    qtbot: QtBot, session: RunSession, tmp_path: Path, interrupted: bool, alone: bool, state: RunState
) -> None:
    """Unless nobody's end could stop it: then somebody asked for that."""
    run = synthetic_run.run_folder(tmp_path, synthetic_run.events(until=50, ending="stopped"))
    write_job(run.path, TrainJob(outlives_parent=alone))
    opened(qtbot, session, run, interrupted=interrupted)
    assert (session.state, session.was_interrupted) == (state, state is RunState.CRASHED)


def test_of_a_long_log_the_end_is_shown(qtbot: QtBot, session: RunSession, tmp_path: Path) -> None:
    run = synthetic_run.run_folder(tmp_path)
    run.log.write_bytes(b"first" + b"x" * LOG_SHOWN_BYTES)
    logged: list[str] = []
    session.logged.connect(logged.append)
    opened(qtbot, session, run)
    assert logged == ["x" * LOG_SHOWN_BYTES]
    run.log.unlink()
    opened(qtbot, session, run)
    assert len(logged) == 1


def test_a_failure_is_told_with_its_remedy_and_goes_when_another_worker_takes_over(session: RunSession) -> None:
    worker = started(session)
    ends: list[object] = []
    session.ended.connect(ends.append)
    worker.end(event.Failed(message="No room.", hint="Make some."), 1)
    assert (session.state, session.problem, len(ends)) == (RunState.FAILED, "No room. Make some.", 1)
    started(session)
    assert (session.problem, session.worker_id) == ("", 0)


def test_a_stop_of_a_run_elsewhere_is_passed_on(
    qtbot: QtBot, session: RunSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []
    session.stop_elsewhere.connect(asked.append)
    session.stop()
    run = synthetic_run.run_folder(tmp_path, synthetic_run.events(until=50, ending=""))
    monkeypatch.setattr(RunDir, "is_elsewhere", lambda _self: True)
    opened(qtbot, session, run)
    assert (session.state, session.is_remote, session.is_live) == (RunState.ELSEWHERE, True, False)
    assert session._reading.isActive(), "it is looked at again"
    session.stop()
    assert (asked, session.phase) == ([run.path.resolve()], "Asked to stop")
    monkeypatch.undo()
    logged: list[str] = []
    session.logged.connect(logged.append)
    session._reading.timeout.emit()
    assert (session.state, session.phase, len(logged)) == (RunState.CRASHED, "", 1), "its log may have come with it"
    session.stop()
    assert len(asked) == 1


# -- runs that train without the window --------------------------------------------


@pytest.fixture
def found(session: RunSession, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunFinder]:
    monkeypatch.setattr(finder_module, "FIRST_LOOK_MS", 100_000)
    made = RunFinder(session)
    yield made
    made._timer.stop()
    made.deleteLater()


def test_each_run_that_trains_is_told_once_while_it_trains(
    found: RunFinder, monkeypatch: pytest.MonkeyPatch
) -> None:
    training: list[RunDir] = []
    monkeypatch.setattr(finder_module, "training_runs", lambda: training)
    told: list[Path] = []
    found.found.connect(told.append)
    one, other = RunDir(Path("/runs/one")), RunDir(Path("/runs/other"))
    training = [one]
    found._begin()
    assert (told, found._timer.isActive()) == ([one.path], True)
    training = [one, other]
    found._timer.timeout.emit()
    found.look()
    assert told == [one.path, other.path]
    training = [other]
    found.look()
    training = [one, other]
    found.look()
    assert told == [one.path, other.path, one.path], "it began anew"


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.LOADING, RunState.ELSEWHERE, RunState.COMPLETED])
def test_one_that_is_shown_is_opened_when_it_trains_and_is_not_known_to(
    session: RunSession, found: RunFinder, monkeypatch: pytest.MonkeyPatch, state: RunState
) -> None:
    run = RunDir(Path("/runs/one"))
    monkeypatch.setattr(finder_module, "training_runs", lambda: [run])
    opened_now: list[Path] = []
    told: list[Path] = []
    monkeypatch.setattr(session, "open", opened_now.append)
    found.found.connect(told.append)
    session.run, session._state = run, state
    found.look()
    assert (opened_now, told) == ([run.path] if state is RunState.COMPLETED else [], [])
    session.run, session._state = None, RunState.NONE
