"""A dialog that has a job done: however it is closed, the work ends first."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.core.protocol import event
from app.core.protocol.command import Stop
from app.core.protocol.event import Event
from app.core.protocol.job import InspectJob
from app.ui.worker import job as job_module
from app.ui.worker.job_dialog import JobDialog
from app.ui.worker.process import WorkerOutcome
from tests.ui.fake_worker import FakeWorker


class Dialog(JobDialog):
    """One that keeps what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Event] = []
        self.ends: list[WorkerOutcome] = []

    def _on_event(self, said: Event) -> None:
        self.heard.append(said)

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        self.ends.append(outcome)


@pytest.fixture
def dialog(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> Dialog:
    FakeWorker.made = []
    monkeypatch.setattr(job_module, "WorkerProcess", FakeWorker)
    found = Dialog()
    qtbot.addWidget(found)
    found.show()
    found._job.start(InspectJob(model="/m"))
    return found


def test_its_job_is_heard_and_can_be_stopped(dialog: Dialog) -> None:
    [worker] = FakeWorker.made
    assert dialog.is_working
    worker.say(event.Ready())
    dialog.stop()
    assert (worker.commands, [type(one) for one in dialog.heard]) == ([Stop()], [event.Ready])
    worker.end(event.Finished(reason="stopped"))
    assert (len(dialog.ends), dialog.is_working) == (1, False)


@pytest.mark.parametrize("close", [QWidget.close, JobDialog.reject, JobDialog.shutdown])
def test_however_it_is_closed_the_work_ends(dialog: Dialog, close: object) -> None:
    [worker] = FakeWorker.made
    close(dialog)  # type: ignore[operator]
    assert worker.commands[:1] == [Stop()]
    assert not worker.job_dir.exists()
    assert dialog.isVisible() is (close is JobDialog.shutdown)
