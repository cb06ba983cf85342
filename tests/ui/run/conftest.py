"""What tests of the run panel share: a chart of the history that a file of tests makes."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from app.core.run.history import RunHistory
from app.ui.run.loss_chart import LossChart


@pytest.fixture
def chart(qtbot: QtBot, history: RunHistory) -> LossChart:
    found = LossChart(history)
    qtbot.addWidget(found)
    found.resize(420, 320)
    found.show()
    qtbot.waitUntil(lambda: not found._dirty)
    return found
