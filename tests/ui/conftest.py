"""What the tests of the window share."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QObject
from PySide6.QtWidgets import QApplication

from app.ui.widget import theme
from app.ui.worker import detachable
from app.ui.worker.process import WorkerProcess
from tests.ui.fake_worker import FakeWorker


@pytest.fixture(scope="session", autouse=True)
def ends_seen() -> Iterator[None]:
    """Python complains of processes whose end nobody has seen, and no window looks at those that it let go of."""
    yield
    for process in detachable._let_go:
        process.poll()


@pytest.fixture(autouse=True)
def light(qapp: QApplication) -> Iterator[None]:
    """The light theme, put on only when it is not: redressing costs a second where there are many widgets.

    Windows of the test before are gone first, as they would be once the event loop runs.
    """
    gc.disable()  # as app.ui.window.garbage_collector: never in the thread of a pool
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    if not qapp.styleSheet() or theme.colors().scheme != "light":
        theme.apply_theme("light")
    yield
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect(1)


def _answering_by_hand(job_dir: Path, task: str, parent: QObject | None = None) -> QObject:
    """A worker of a job: that of a comparison is none, the others are real."""
    return (FakeWorker if task == "generate" else WorkerProcess)(job_dir, task, parent)


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[FakeWorker]:
    """Every worker that a run or a comparison starts, by hand instead of as a process."""
    FakeWorker.made = []
    monkeypatch.setattr("app.ui.run.session.WorkerProcess", FakeWorker)
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", _answering_by_hand)
    return FakeWorker.made


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> list[FakeWorker]:
    """Every worker of a job, by hand: what is known of data is said by `tests.ui.data.known_data`."""
    FakeWorker.made = []
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", FakeWorker)
    return FakeWorker.made
