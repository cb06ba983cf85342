"""What tests of the run panel share: a chart of the history that a file of tests makes, and a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from app.core.run.history import RunHistory
from app.ui.run.loss_chart import LossChart
from app.ui.run.session import RunSession
from tests.ui.fake_worker import FakeWorker


@pytest.fixture
def chart(qtbot: QtBot, history: RunHistory) -> LossChart:
    found = LossChart(history)
    qtbot.addWidget(found)
    found.resize(420, 320)
    found.show()
    qtbot.waitUntil(lambda: not found._dirty)
    return found


@pytest.fixture
def session(qapp: object, workers: list[FakeWorker]) -> Iterator[RunSession]:
    """One whose workers say what a test has them say."""
    assert qapp is not None
    assert workers == []
    found = RunSession()
    yield found
    found._reading.stop()
    found._close_file()
    found.deleteLater()
