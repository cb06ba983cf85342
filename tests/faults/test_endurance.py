"""The short form of the endurance: what a few dozen runs leave in the window is nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.ui.form.store import form_store
from app.ui.run.session import RunSession
from app.ui.window.appearance import Appearance
from app.ui.window.main_window import MainWindow
from tests.faults.endurance import Left, endure, leaks_of
from tests.ui.fake_worker import FakeWorker

pytestmark = pytest.mark.slow


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_runs_reports_and_tabs_leave_nothing(qtbot: QtBot, tmp_path: Path) -> None:  # noqa: ARG001
    FakeWorker.made = []
    window = MainWindow(form_store(), RunSession(), Appearance())
    window.resize(1100, 700)
    window.show()
    found = list(endure(window, tmp_path / "model", tmp_path / "data", runs=6, reports=50, themes=False))
    window.dispose()
    assert leaks_of(found) == []


def test_what_is_left_over_is_found() -> None:
    before = Left(memory_mb=100, processes=0, threads=4, files=9, timers=50, widgets=2000)
    after = Left(memory_mb=107, processes=1, threads=4, files=30, timers=51, widgets=2001)
    assert before.leaks(after) == ["memory_mb: 100 → 107", "processes: 0 → 1", "files: 9 → 30"]
    assert leaks_of([before] * 30 + [after] * 30) == before.leaks(after)
