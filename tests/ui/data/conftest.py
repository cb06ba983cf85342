"""What the tests of the data share."""

from __future__ import annotations

import pytest

from tests.ui.fake_worker import FakeWorker


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> list[FakeWorker]:
    """Workers answer by hand: what is known of data is said by `tests.ui.data.known_data`."""
    FakeWorker.made = []
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", FakeWorker)
    return FakeWorker.made
