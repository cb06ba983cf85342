"""Questions of the window to workers that answer by hand: measurements, inspections, only the newest request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QObject
from PySide6.QtWidgets import QProgressBar, QPushButton
from pytestqt.qtbot import QtBot

from app.core.model.inspection import Inspection
from app.core.problem import Problem
from app.core.protocol import event
from app.core.protocol.command import Stop
from app.core.protocol.job import InspectJob, Job, read_job
from app.ui.worker import job as job_module
from app.ui.worker.inspector import KEPT, Inspector
from app.ui.worker.job import JobRunner
from app.ui.worker.latest import LatestWorker
from app.ui.worker.measure_bar import MeasureBar
from tests.ui.child import child
from tests.ui.fake_worker import FakeWorker
from tests.ui.tiny_form_model import write_model


@pytest.fixture(autouse=True)
def made(qapp: object, monkeypatch: pytest.MonkeyPatch) -> list[FakeWorker]:
    """Every worker, by hand."""
    assert qapp is not None
    FakeWorker.made = []
    monkeypatch.setattr(job_module, "WorkerProcess", FakeWorker)
    return FakeWorker.made


def job(model: str = "/m") -> Job:
    return InspectJob(model=model)


@pytest.fixture
def bar(qtbot: QtBot) -> Iterator[MeasureBar]:
    found = MeasureBar("speed", "measurement of the speed")
    qtbot.addWidget(found)
    found.show()
    yield found
    found.shutdown()


def shown(bar: MeasureBar) -> tuple[bool, bool, bool]:
    """Whether Measure, Stop and the bar are seen."""
    stop = child(bar, QPushButton, "speed.stop")
    return bar.button.isVisible(), stop.isVisible(), child(bar, QProgressBar).isVisible()


def test_a_measurement_says_what_it_does_and_can_be_stopped(
    qtbot: QtBot, bar: MeasureBar, made: list[FakeWorker]
) -> None:
    busy: list[bool] = []
    ends: list[object] = []
    bar.busy_changed.connect(busy.append)
    bar.ended.connect(ends.append)
    bar.show_state("", "How fast it is")
    assert (shown(bar), bar.button.isEnabled(), bar.button.toolTip()) == (
        (True, False, False),
        True,
        "How fast it is",
    )
    with qtbot.waitSignal(bar.asked):
        bar.button.click()
    bar.request(job())
    assert (bar.note.text(), busy, bar.is_busy) == ("Starting the worker…", [True], True)
    qtbot.waitUntil(lambda: len(made) == 1)
    bar.show_state("A run trains.", "How fast it is")
    assert (shown(bar), bar.note.text()) == ((False, True, True), "Starting the worker…")
    progress = child(bar, QProgressBar)
    bar.show_progress(event.Progressed(phase="x", done=2, total=5), "Loading the model")
    assert (bar.note.text(), progress.value(), progress.maximum()) == ("Loading the model…", 2, 5)
    assert progress.accessibleName() == "Progress of the measurement of the speed"
    stopped: list[int] = []
    bar.stopped.connect(lambda: stopped.append(1))
    child(bar, QPushButton, "speed.stop").click()
    assert (bar.note.text(), busy, stopped, ends) == ("Stopped.", [True, False], [1], [])
    assert made[0].killed
    bar.stop()
    assert (busy, stopped) == ([True, False], [1]), "there is nothing to stop"
    bar.request(job())
    qtbot.waitUntil(lambda: len(made) == 2)
    heard: list[object] = []
    bar.emitted.connect(heard.append)
    made[1].say(event.Ready())
    made[1].end(event.Finished())
    assert ([type(one) for one in heard], len(ends)) == ([event.Ready, event.Finished], 1)
    assert (busy, bar.is_busy) == ([True, False, True, False], False)


def test_a_hindrance_is_said_while_it_lasts_and_a_result_is_not_taken_away(bar: MeasureBar) -> None:
    bar.show_state("Choose a model.", "How fast it is")
    assert (bar.button.isEnabled(), bar.button.toolTip()) == (False, "Choose a model.")
    assert (bar.note.text(), bar.note.property("role")) == ("Choose a model.", "small")
    bar.show_state("", "How fast it is")
    assert (bar.note.text(), bar.button.isEnabled()) == ("", True)
    bar.say("It failed.", "error")
    bar.show_state("", "How fast it is")
    assert (bar.note.text(), bar.note.property("role")) == ("It failed.", "error")


def test_only_the_newest_request_is_answered_and_told(qtbot: QtBot, made: list[FakeWorker]) -> None:
    latest, said, ends = LatestWorker(delay_ms=1), list[object](), list[object]()
    latest.emitted.connect(said.append)
    latest.ended.connect(ends.append)
    latest.send(Stop())
    latest.request(job("/one"))
    latest.request(job("/two"))
    assert (latest.is_busy, made) == (True, [])
    qtbot.waitUntil(lambda: len(made) == 1)
    assert read_job(made[0].job_dir) == job("/two")
    latest.send(Stop())
    assert made[0].commands == [Stop()]
    latest.request(job("/three"))
    assert (made[0].killed, ends) == (True, [])
    latest.cancel()
    assert not latest.is_busy
    qtbot.wait(5)
    assert len(made) == 1, "what was given up does not begin"
    latest.request(job("/four"))
    qtbot.waitUntil(lambda: len(made) == 2)
    made[1].end(event.Finished())
    assert (len(said), len(ends), latest.is_busy) == (1, 1, False)
    latest.request(job("/five"))
    latest.stop()
    assert not latest.is_busy


class Stubborn(FakeWorker):
    """One that does not end when it is asked to."""

    def wait(self, _milliseconds: int) -> bool:
        return self.killed

    def kill(self) -> None:
        self.killed = True


def test_at_the_end_of_the_window_one_that_does_not_stop_is_ended_and_its_folder_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Stubborn.made = []
    monkeypatch.setattr(job_module, "WorkerProcess", Stubborn)
    parent = QObject()
    runner = JobRunner(parent)
    runner.stop()
    assert not runner._patience.isActive(), "there is nothing to stop"
    runner.start(job())
    runner.start(job())
    [worker] = Stubborn.made
    assert isinstance(worker, Stubborn)
    assert worker.job_dir.is_dir()
    runner.shutdown()
    assert (worker.commands, worker.killed, worker.job_dir.exists()) == ([Stop()], True, False)
    assert runner._patience.isActive()
    worker.end()
    assert (runner.is_running, runner._patience.isActive()) == (False, False)


# -- the inspector -----------------------------------------------------------------


@pytest.fixture
def inspector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inspector]:
    monkeypatch.setattr("app.ui.worker.inspector.DELAY_MS", 0)  # nobody types
    found = Inspector()
    yield found
    found.stop()


def answer(qtbot: QtBot, made: list[FakeWorker], inspection: dict[str, object]) -> None:
    """The next worker's answer."""
    count = len(made)
    qtbot.waitUntil(lambda: len(made) > count or (bool(made) and made[-1].is_running))
    made[-1].say(event.Inspected(inspection=inspection))
    made[-1].end(event.Finished())


def test_what_is_asked_is_told_with_its_answer_and_the_machines_memory(
    qtbot: QtBot, inspector: Inspector, made: list[FakeWorker], tmp_path: Path
) -> None:
    folder = write_model(tmp_path / "model")
    told: list[object] = []
    inspector.started.connect(told.append)
    inspector.inspected.connect(told.append)
    inspector.cleared.connect(lambda: told.append("cleared"))
    inspector.inspect(str(folder))
    assert (told, inspector.is_busy, inspector.model) == ([str(folder)], True, str(folder))
    qtbot.waitUntil(lambda: len(made) == 1)
    made[0].say(event.Hello(task="inspect", memory_gb=16.5, working_set_gb=12.25))
    assert (inspector.memory_bytes, inspector.working_set_bytes) == (16_500_000_000, 12_250_000_000)
    answer(qtbot, made, {"hidden_size": 64})
    assert (told[1:], inspector.problem) == ([Inspection(hidden_size=64)], None)
    inspector.inspect("  ")
    assert (told[2:], inspector.last, inspector.model) == (["cleared"], None, "  ")
    (folder / "config.json").write_text("{}")
    inspector.inspect(str(folder))
    qtbot.waitUntil(lambda: len(made) == 2)
    assert inspector.last is None, "it is another by now"


def test_what_was_not_answered_says_why(
    qtbot: QtBot, inspector: Inspector, made: list[FakeWorker], tmp_path: Path
) -> None:
    folder = str(write_model(tmp_path / "model"))
    failed: list[Problem] = []
    inspector.failed.connect(failed.append)
    for last in (
        event.Failed(message="No room.", hint="Make some."),
        event.Finished(),
        None,
        event.Inspected(inspection={"hidden_size": "x"}),
    ):
        inspector.inspect(folder)
        count = len(made)
        qtbot.waitUntil(lambda count=count: len(made) > count)  # type: ignore[misc]
        made[-1].end(last, 3)
    log = "The log tells more."
    assert [(one.path, one.message, one.hint) for one in failed] == [
        ("model", "No room.", "Make some."),
        ("model", "The worker ended without an answer.", log),
        ("model", "The worker ended without a word (exit code 3). Its last words: its last line", log),
        ("model", "The inspection cannot be read: Input should be a valid integer, unable to parse string as an "
         "integer.", ""),
    ]  # fmt: skip
    assert (inspector.problem, inspector.last) == (failed[-1], None)


def test_the_newest_inspections_are_kept(
    qtbot: QtBot, inspector: Inspector, made: list[FakeWorker], tmp_path: Path
) -> None:
    folders = [str(write_model(tmp_path / str(number))) for number in range(KEPT + 1)]
    for number, folder in enumerate(folders):
        inspector.inspect(folder)
        qtbot.waitUntil(lambda number=number: len(made) == number + 1)  # type: ignore[misc]
        answer(qtbot, made, {"hidden_size": number})
    known: list[Inspection] = []
    inspector.inspected.connect(known.append)
    inspector.inspect(folders[1])
    inspector.inspect(folders[0])
    assert (known, inspector.is_busy) == ([Inspection(hidden_size=1)], True), "the oldest is asked anew"
