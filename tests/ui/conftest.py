"""What the tests of the window share."""

from __future__ import annotations

import pytest
from fake_worker import FakeWorker


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[FakeWorker]:
    """Every worker that a run or a comparison starts, by hand instead of as a process."""
    FakeWorker.made = []
    monkeypatch.setattr("app.ui.run_session.WorkerProcess", FakeWorker)
    monkeypatch.setattr("app.ui.answerer.WorkerProcess", FakeWorker)
    return FakeWorker.made
